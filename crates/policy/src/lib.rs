//! The decisions of Posthaste, without side effects.
//!
//! Which endpoints want an event, by its topic ([`wants`]) and by what is in it ([`Filter`]), when a failed
//! delivery is tried again ([`delay`], [`max_attempts`]), what an answer means ([`classify`], [`retry_after`]),
//! when an endpoint that only fails is given up ([`AutoDisable`]) and, out of all that, what happens after an
//! attempt ([`decide`]).
//!
//! What the data of an event must be, where its topic says so, is a [`Schema`].
//!
//! Whether an endpoint's answer to a handshake is what was asked for says [`judge_handshake`].
//!
//! Whether another attempt may begin is decided here as well. The owner of an endpoint's partition keeps a
//! [`Gate`] for it, which knows how many attempts are under way, when they began ([`Window`]) and whether
//! they were answered ([`Breaker`]), and answers with the [`Room`] that is left. [`tenant_room`] says how
//! much one tenant may take of what the whole process has.
//!
//! What is *not* here: no IO, no async, no clock and no entropy. The time is an argument and randomness comes from
//! a [`Jitter`] that the caller seeded, so the same arguments give the same decision. Nothing here fails either:
//! whatever a receiver sends, and whatever a policy holds, there is a decision.

mod breaker;
mod classify;
mod decide;
mod filter;
mod gate;
mod growth;
mod handshake;
mod health;
mod jitter;
mod rate;
mod retry_after;
mod room;
mod schedule;
mod schema;
mod share;
mod throttle;
mod topics;

#[cfg(test)]
mod sample;

pub use breaker::Breaker;
pub use classify::{Verdict, classify};
pub use decide::{Situation, decide};
pub use filter::{
    Explained, ExplainedCondition, ExplainedGroup, Explanation, Filter, Found, InvalidFilter, Subject,
};
pub use gate::{Gate, Limits};
pub use handshake::{Consent, Question, Withheld, judge_handshake};
pub use health::AutoDisable;
pub use jitter::Jitter;
pub use rate::Window;
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
pub use room::Room;
pub use schedule::{Delay, delay, max_attempts};
pub use schema::{InvalidSchema, Schema, Violation};
pub use share::tenant_room;
pub use topics::wants;
