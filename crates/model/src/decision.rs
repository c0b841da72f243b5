//! What follows from an attempt, as data: `policy` decides it, a store writes it.

use jiff::Timestamp;

/// What an attempt means for its delivery, and for the endpoint that it went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where the delivery goes from here.
    pub next: Next,
    /// What happens to the whole endpoint; none: it goes on as before.
    pub endpoint: Option<EndpointEffect>,
}

/// Where a delivery goes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It arrived.
    Delivered,
    /// It failed and is tried again; the failure counts against the retry policy.
    Retry {
        /// When the next attempt is due, jitter included.
        at: Timestamp,
    },
    /// It failed, and that was the last attempt that the retry policy allows.
    Exhausted,
    /// Its endpoint wants nothing any more; kept for recovery.
    Skipped,
    /// The failure was our own: tried again soon, and nothing is charged.
    Release {
        /// When it is due again.
        at: Timestamp,
    },
}

/// What an attempt does to the whole endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointEffect {
    /// Nothing is sent to it before a time, because it asked for a pause. Of two such times the later one counts.
    Park {
        /// When sending may go on.
        until: Timestamp,
    },
    /// Nothing is sent to it any more.
    Disable {
        /// Why, for people.
        reason: String,
    },
}
