//! The decisions of Posthaste, without side effects.
//!
//! Which endpoints want an event ([`wants`]), when a failed delivery is tried again ([`delay`], [`latest`],
//! [`max_attempts`]), what an answer means ([`classify`], [`retry_after`]) and, out of all that, what happens
//! after an attempt ([`decide`]).
//!
//! What is *not* here: no IO, no async, no clock and no entropy. The time is an argument and randomness comes from
//! a [`Jitter`] that the caller seeded, so the same arguments give the same decision. Nothing here fails either:
//! whatever a receiver sends, and whatever a policy holds, there is a decision.

mod classify;
mod decide;
mod growth;
mod jitter;
mod retry_after;
mod schedule;
mod throttle;
mod topics;

#[cfg(test)]
mod sample;

pub use classify::{Verdict, classify};
pub use decide::{Situation, decide};
pub use jitter::Jitter;
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
pub use schedule::{Delay, delay, latest, max_attempts};
pub use topics::wants;
