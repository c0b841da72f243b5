//! What attackers try against the door to customers, each attempt named by its test.

// Not every function here is marked as a test, but all of it is one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bounds;
mod client;
mod guard;
mod identity;
mod mtls;
mod names;
mod setup;
mod target;
mod timings;
mod tls;
mod tls_setup;
