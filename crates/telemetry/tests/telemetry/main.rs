//! What is counted arrives: in what Prometheus reads, in the store, and in the documents.

// Not every function here is marked as a test, but all of it is one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod counting;
mod documented;
mod keeping;
mod setup;
