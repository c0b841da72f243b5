use std::time::Duration;

use backoff::{ExponentialBackoffBuilder, backoff::Backoff as _};
use posthaste_model::RetryPolicy;

/// An interval that grows by a factor with each step, up to a bound.
///
/// The only place that knows the `backoff` crate.
pub(crate) fn grow(initial: Duration, multiplier: f64, max: Duration, steps: u32) -> Duration {
    let mut backoff = ExponentialBackoffBuilder::new()
        .with_initial_interval(initial)
        .with_multiplier(multiplier)
        .with_randomization_factor(0.0)
        .with_max_interval(max)
        // With a bound on the elapsed time the crate would ask the clock; ours is an argument of `decide`.
        .with_max_elapsed_time(None)
        .build();
    // No valid policy has more attempts, so a larger number must not cost a longer loop.
    for _ in 0..steps.min(RetryPolicy::MAX_ATTEMPTS) {
        backoff.next_backoff();
    }
    // Not what `next_backoff` returned: that is off by up to a nanosecond, at random.
    backoff.current_interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(multiplier: f64, steps: u32, expect: Duration) {
        assert_eq!(grow(Duration::from_secs(5), multiplier, Duration::from_secs(300), steps), expect);
    }

    #[test]
    fn grows_up_to_the_bound() {
        check(2.0, 0, Duration::from_secs(5));
        check(2.0, 1, Duration::from_secs(10));
        check(2.0, 5, Duration::from_secs(160));
        check(2.0, 6, Duration::from_secs(300));
        check(2.0, u32::MAX, Duration::from_secs(300));
        check(1.5, 2, Duration::from_millis(11_250));
        check(1.0, u32::MAX, Duration::from_secs(5));
    }
}
