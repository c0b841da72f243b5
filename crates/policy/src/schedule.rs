//! The arithmetic of a [`RetryPolicy`].

use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::RetryPolicy;

use crate::{growth::grow, jitter::USUAL_RATIO};

/// How long to wait before an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// Before jitter, counted from the end of the attempt before it.
    pub base: Duration,
    /// Share of the base by which jitter may move it either way, 0 to 1.
    pub ratio: f64,
}

/// The delay before the attempt that follows after so many failures; none: the policy allows no further attempt.
///
/// The first attempt, after no failure, is immediate. Only failures that are charged count.
pub fn delay(policy: &RetryPolicy, failures: u32) -> Option<Delay> {
    if failures >= max_attempts(policy) {
        return None;
    }
    let Some(retry) = failures.checked_sub(1) else {
        return Some(Delay { base: Duration::ZERO, ratio: 0.0 });
    };
    match policy {
        RetryPolicy::Schedule(delays) => {
            delays.get(retry as usize).map(|base| Delay { base: base.0, ratio: USUAL_RATIO })
        }
        RetryPolicy::Exponential(form) => Some(Delay {
            base: grow(form.initial_interval.0, form.multiplier, form.max_interval.0, retry),
            ratio: form.randomization_factor,
        }),
    }
}

/// The latest time at which a retry may become due, given when the first attempt did; none: there is no such bound.
pub fn latest(policy: &RetryPolicy, first_due: Timestamp) -> Option<Timestamp> {
    match policy {
        RetryPolicy::Schedule(_) => None,
        RetryPolicy::Exponential(form) => form.max_elapsed_time.map(|bound| after(first_due, bound.0)),
    }
}

/// How many attempts a policy allows in all, the first one included.
pub fn max_attempts(policy: &RetryPolicy) -> u32 {
    match policy {
        RetryPolicy::Schedule(delays) => u32::try_from(delays.len()).unwrap_or(u32::MAX).saturating_add(1),
        RetryPolicy::Exponential(form) => form.max_attempts,
    }
}

/// A time so much later; the end of time if it lies beyond.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use posthaste_model::{ExponentialRetry, Period};

    use super::*;

    /// The delays in seconds before the attempts after 0, 1, 2, ... failures.
    #[track_caller]
    fn check(policy: &RetryPolicy, ratio: f64, expect: &[u64]) {
        let delays: Vec<Delay> = (0..).map_while(|failures| delay(policy, failures)).collect();
        let secs: Vec<u64> = delays.iter().map(|delay| delay.base.as_secs()).collect();
        assert_eq!(secs, expect);
        assert!(delays.iter().skip(1).all(|delay| delay.ratio == ratio), "{delays:?}");
        assert_eq!(max_attempts(policy) as usize, expect.len());
        assert_eq!(delay(policy, u32::MAX), None);
    }

    fn exponential(multiplier: f64, max_attempts: u32) -> RetryPolicy {
        RetryPolicy::Exponential(ExponentialRetry {
            initial_interval: Period::from_secs(10),
            multiplier,
            randomization_factor: 0.25,
            max_interval: Period::from_secs(100),
            max_elapsed_time: Some(Period::from_secs(3_600)),
            max_attempts,
        })
    }

    #[test]
    fn lists() {
        let hour = 3_600;
        check(
            &RetryPolicy::default(),
            0.1,
            &[0, 5, 300, 1_800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour],
        );
        check(&RetryPolicy::schedule(vec![Period::from_secs(7)]).unwrap(), 0.1, &[0, 7]);
    }

    #[test]
    fn exponential_forms() {
        check(&exponential(2.0, 7), 0.25, &[0, 10, 20, 40, 80, 100, 100]);
        check(&exponential(1.0, 4), 0.25, &[0, 10, 10, 10]);
        check(&exponential(100.0, 3), 0.25, &[0, 10, 100]);
        check(&exponential(2.0, 1), 0.25, &[0]);
    }

    #[test]
    fn a_large_number_of_failures_is_answered_at_once() {
        assert_eq!(
            delay(&exponential(1.000_001, u32::MAX), u32::MAX - 1).map(|delay| delay.base.as_secs()),
            Some(10)
        );
    }

    #[test]
    fn only_the_elapsed_time_bounds_a_retry() {
        let first_due = Timestamp::UNIX_EPOCH;
        assert_eq!(latest(&RetryPolicy::default(), first_due), None);
        assert_eq!(latest(&exponential(2.0, 3), first_due), Some(Timestamp::from_second(3_600).unwrap()));
        assert_eq!(latest(&exponential(2.0, 3), Timestamp::MAX), Some(Timestamp::MAX));
    }
}
