//! What tests share: an in-memory store, a programmable receiver, authorities for its TLS, a simulated clock, Redis servers.

mod clock;
mod memory;
pub mod model;
mod pass_on;
mod receiver;
pub mod redis;
pub mod tls;

pub use clock::simulated_clock;
pub use memory::MemoryStore;
pub use receiver::{ReceivedRequest, Receiver, Reply};

/// What the macros need of other crates.
#[doc(hidden)]
pub use {async_trait::async_trait, posthaste_model as model_crate, posthaste_store as store_crate};
