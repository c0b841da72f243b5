use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::Outcome;

use crate::{
    growth::grow,
    jitter::{Jitter, USUAL_RATIO},
    retry_after,
};

/// How long a busy endpoint is left alone when it does not say itself: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// How long a busy endpoint is left alone.
///
/// As long as its `Retry-After` asks. Without one 5 s, doubled for each of the `pauses` in a row that it was
/// given before, up to 5 min, with jitter.
pub(crate) fn pause(outcome: &Outcome, pauses: u32, now: Timestamp, jitter: &mut Jitter) -> Duration {
    let asked = match outcome {
        Outcome::Replied(reply) => retry_after(reply, now),
        Outcome::Failed { .. } => None,
    };
    asked.unwrap_or_else(|| jitter.spread(grow(PAUSE.0, 2.0, PAUSE.1, pauses), USUAL_RATIO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::replied;

    /// The pause in seconds, give or take the jitter.
    #[track_caller]
    fn check(headers: &[(&str, &str)], pauses: u32, secs: f64, ratio: f64) {
        let outcome = replied(429, headers);
        let pause = pause(&outcome, pauses, Timestamp::UNIX_EPOCH, &mut Jitter::seeded(3)).as_secs_f64();
        assert!((pause - secs).abs() <= secs * ratio, "{pause} s");
    }

    #[test]
    fn as_asked() {
        check(&[("Retry-After", "17")], 0, 17.0, 0.0);
        check(&[("Retry-After", "17")], 9, 17.0, 0.0);
        check(&[("Retry-After", "999999999")], 0, 86_400.0, 0.0);
    }

    #[test]
    fn growing_when_not_asked() {
        check(&[], 0, 5.0, 0.1);
        check(&[("Retry-After", "soon")], 1, 10.0, 0.1);
        check(&[("Retry-After", "0")], 5, 160.0, 0.1);
        check(&[], 6, 300.0, 0.1);
        check(&[], u32::MAX, 300.0, 0.1);
    }
}
