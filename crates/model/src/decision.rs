//! What follows from an attempt, as data: `policy` decides it, a store writes it.

use jiff::Timestamp;

/// What an attempt means for its delivery, and for the endpoint that it went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where the delivery goes from here.
    pub next: Next,
    /// What happens to the whole endpoint.
    pub endpoint: EndpointEffects,
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
    /// No attempt of the endpoint's was made: tried again then, and nothing is charged.
    Release {
        /// When it is due again.
        at: Timestamp,
    },
    /// The attempt was a manual one and failed: whatever else becomes of the delivery goes on as it would have.
    Stay,
}

/// What an attempt does to the whole endpoint. The default: it goes on as before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointEffects {
    /// Nothing is sent to it before this time, because it asked for a pause. Of two such times the later one counts.
    pub park_until: Option<Timestamp>,
    /// What is to be noted of its health.
    pub health: Option<HealthEffect>,
    /// Nothing is sent to it any more, for this reason, which is for people.
    pub disable: Option<String>,
}

/// What an attempt says of the health of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthEffect {
    /// It is well: whatever was noted before is over.
    Well,
    /// An attempt failed.
    Failed {
        /// Whether its delivery is exhausted by that.
        exhausted: bool,
        /// The warning that is given, in percent of the time that has passed; none: no new one.
        warning: Option<u8>,
    },
}
