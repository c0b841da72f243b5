//! The pages over an API that says what it is told to say.

// Not every function here is marked as a test, but all of it is one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod endpoints;
mod entrance;
mod keys;
mod overview;
mod roles;
mod searches;
mod stage;
mod stories;
mod tenants;
