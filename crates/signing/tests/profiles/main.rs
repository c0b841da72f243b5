//! What a sender signs, a subscriber verifies: against published examples, other libraries, and any message.

// Not every function here is marked as a test, but all of it is one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod diagnosis;
mod formats;
mod properties;
mod published;
mod request;
mod standardwebhooks;
mod tampering;
mod vectors;
