use posthaste_model::{Clock, Timestamp};
use tokio::time::Instant;

/// A clock that shows `start` now and goes with the time of the tokio runtime from then on: on paused time it stands
/// still until everything waits, and then leaps.
pub fn simulated_clock(start: Timestamp) -> Clock {
    let begun = Instant::now();
    Clock::new(move || start.checked_add(begun.elapsed()).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn goes_with_paused_time() {
        let start = Timestamp::UNIX_EPOCH;
        let clock = simulated_clock(start);
        assert_eq!(clock.now(), start);
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(clock.now(), start + Duration::from_secs(86_400));
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_all_times() {
        let clock = simulated_clock(Timestamp::MAX);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(clock.now().as_second(), Timestamp::MAX.as_second());
    }
}
