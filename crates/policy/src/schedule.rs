//! The arithmetic of a [`RetryPolicy`].

use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::RetryPolicy;

use crate::{growth::growing, jitter::USUAL_RATIO};

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
    match failures.checked_sub(1) {
        None => Some(Delay { base: Duration::ZERO, ratio: 0.0 }),
        Some(retry) => delays(policy).nth(retry as usize),
    }
}

/// How many attempts a policy allows in all, the first one included.
pub fn max_attempts(policy: &RetryPolicy) -> u32 {
    u32::try_from(delays(policy).count()).unwrap_or(u32::MAX).saturating_add(1)
}

/// The delay before each retry that the policy allows.
fn delays(policy: &RetryPolicy) -> Box<dyn Iterator<Item = Delay> + '_> {
    match policy {
        RetryPolicy::Schedule(delays) => {
            Box::new(delays.iter().map(|base| Delay { base: base.0, ratio: USUAL_RATIO }))
        }
        RetryPolicy::Exponential(form) => {
            let bound = form.max_elapsed_time.map_or(Duration::MAX, |bound| bound.0);
            let growing = growing(form.initial_interval.0, form.multiplier, form.max_interval.0);
            let bounded = growing.scan(Duration::ZERO, move |elapsed, base| {
                *elapsed = elapsed.saturating_add(base);
                (*elapsed <= bound).then_some(Delay { base, ratio: form.randomization_factor })
            });
            // No valid policy has more, so a larger number must not cost a longer loop.
            let retries = 1..form.max_attempts.min(RetryPolicy::MAX_ATTEMPTS);
            Box::new(bounded.zip(retries).map(|(delay, _)| delay))
        }
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
    fn the_elapsed_time_bounds_the_sum_of_the_delays() {
        let within = |secs| {
            let RetryPolicy::Exponential(form) = exponential(2.0, 9) else { unreachable!() };
            let max_elapsed_time = Some(Period::from_secs(secs));
            RetryPolicy::Exponential(ExponentialRetry { max_elapsed_time, ..form })
        };
        check(&within(9), 0.25, &[0]);
        check(&within(10), 0.25, &[0, 10]);
        check(&within(69), 0.25, &[0, 10, 20]);
        check(&within(70), 0.25, &[0, 10, 20, 40]);
        check(&within(3_600), 0.25, &[0, 10, 20, 40, 80, 100, 100, 100, 100]);
    }
}
