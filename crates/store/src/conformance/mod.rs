//! What every backend must pass, beyond what its types promise.
//!
//! A backend's tests give a [`Fixture`] and have a test for each case, under the name of the rule:
//!
//! ```ignore
//! posthaste_store::conformance_suite!(SqliteFixture::new());
//! ```
//!
//! Cases speak to nothing but [`Store`], through a [`Driver`] that owns all partitions, however many there are, and
//! that remembers what happened. After each case the [`invariants`] must hold for what happened and for what the
//! queries show ([`Shown`]); simulations can ask the same of theirs.
//!
//! What is *not* here: an executor (the macro uses the backend's `tokio`), real time, anything of a certain backend.

// Tests that are compiled as a library.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod about;
mod audit;
mod backlog;
mod cancelling;
mod catalogue;
mod closing;
mod delayed;
mod driver;
mod health;
mod intake;
pub mod invariants;
mod keys;
mod leasing;
mod manual;
mod notices;
mod ordered;
mod ownership;
mod paging;
mod parking;
mod recovery;
mod reopening;
mod replays;
mod retention;
mod samples;
mod search;
mod sending;
mod settling;
mod shown;
mod stats;
mod suite;
mod throttles;
mod turns;
mod views;
mod waking;

pub use driver::{Driver, TTL};
pub use samples::{
    START, attempt, disable, failed, fares, nameless, park, replied, sample_endpoint, sample_event,
    sample_request,
};
pub use shown::{Shown, all};
#[doc(hidden)]
pub use suite::cases;

use async_trait::async_trait;

use crate::Store;

/// A store under test.
#[async_trait]
pub trait Fixture: Send + 'static {
    /// The store, empty at first.
    fn store(&self) -> &dyn Store;

    /// Lets the process that has the store crash, and another one open it.
    async fn reopen(&mut self);

    /// Whether the store forgets statistics by itself, by a clock of its own, so that nobody needs to tell it.
    fn forgets_by_itself(&self) -> bool {
        false
    }
}
