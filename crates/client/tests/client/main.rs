//! The client against a service that says what it is told to say.

// Not every function here is marked as a test, but all of it is one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod connections;
mod events;
mod routes;
mod setup;
