use jiff::Timestamp;
use posthaste_model::Clock;

/// The system's clock.
#[allow(clippy::disallowed_methods, reason = "the one place where the time is read")]
pub(crate) fn system() -> Clock {
    Clock::new(Timestamp::now)
}
