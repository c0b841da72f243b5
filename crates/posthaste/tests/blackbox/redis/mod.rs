//! Many processes on one Redis.

mod fleet;
mod killed;
mod rolling;
