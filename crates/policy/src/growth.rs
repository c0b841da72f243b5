use std::{iter, time::Duration};

use backoff::{ExponentialBackoffBuilder, backoff::Backoff as _};

/// Intervals that grow by a factor, up to a bound, without end.
///
/// The only place that knows the `backoff` crate.
pub(crate) fn growing(initial: Duration, multiplier: f64, max: Duration) -> impl Iterator<Item = Duration> {
    let mut backoff = ExponentialBackoffBuilder::new()
        .with_initial_interval(initial)
        .with_multiplier(multiplier)
        .with_randomization_factor(0.0)
        .with_max_interval(max)
        // With a bound on the elapsed time the crate would ask the clock; ours are arguments.
        .with_max_elapsed_time(None)
        .build();
    iter::from_fn(move || {
        // Not what `next_backoff` returns: that is off by up to a nanosecond, at random.
        let interval = backoff.current_interval;
        backoff.next_backoff();
        Some(interval)
    })
}

/// After how many steps an interval that grows has grown as far as it can: whatever doubles has by then.
const MOST_STEPS: u32 = 100;

/// The interval after so many steps.
pub(crate) fn grow(initial: Duration, multiplier: f64, max: Duration, steps: u32) -> Duration {
    // Long before that it does not grow any more, so a larger number must not cost a longer loop.
    let steps = steps.min(MOST_STEPS) as usize;
    growing(initial, multiplier, max).nth(steps).unwrap_or(max)
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
