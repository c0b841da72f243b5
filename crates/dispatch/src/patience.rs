use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};
use posthaste_store::StoreError;

use crate::shared::Chance;

/// Waits out a store that is away: longer from one time to the next, and said once.
pub(crate) struct Patience<'a> {
    doing: &'static str,
    chance: &'a Chance,
    backoff: ExponentialBackoff,
    waiting: bool,
}

/// What a wait grows to.
const LONGEST: Duration = Duration::from_secs(5);
/// Share of a wait by which jitter moves it either way, so that those who wait do not come back together.
const RATIO: f64 = 0.5;

impl<'a> Patience<'a> {
    pub(crate) fn new(doing: &'static str, chance: &'a Chance) -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(50))
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_interval(LONGEST)
            .with_max_elapsed_time(None)
            .build();
        Self { doing, chance, backoff, waiting: false }
    }

    pub(crate) async fn wait(&mut self, error: &StoreError) {
        if !self.waiting {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "{} failed; trying again until the store is back", self.doing);
            self.waiting = true;
        }
        // Not what `next_backoff` returns: that is off by up to a nanosecond, by randomness of its own.
        let wait = self.chance.jitter().spread(self.backoff.current_interval, RATIO);
        self.backoff.next_backoff();
        tokio::time::sleep(wait).await;
    }

    pub(crate) fn over(&mut self) {
        if self.waiting {
            tracing::info!("{} works again", self.doing);
            self.waiting = false;
            self.backoff.reset();
        }
    }
}
