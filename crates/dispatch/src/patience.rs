use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};
use posthaste_store::StoreError;

use crate::shared::Chance;

/// Waits out a store that is away: longer from one time to the next.
pub(crate) struct Patience<'a> {
    doing: &'static str,
    chance: &'a Chance,
    outage: &'a Outage,
    backoff: ExponentialBackoff,
    waiting: bool,
}

/// What a wait grows to, where nothing else is said.
const LONGEST: Duration = Duration::from_secs(5);
/// Share of a wait by which jitter moves it either way, so that those who wait do not come back together.
const RATIO: f64 = 0.5;

impl<'a> Patience<'a> {
    pub(crate) fn new(doing: &'static str, chance: &'a Chance, outage: &'a Outage) -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(50))
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_interval(LONGEST)
            .with_max_elapsed_time(None)
            .build();
        Self { doing, chance, outage, backoff, waiting: false }
    }

    /// No wait grows to more than that.
    pub(crate) fn at_most(mut self, longest: Duration) -> Self {
        self.backoff.max_interval = longest;
        self
    }

    pub(crate) async fn wait(&mut self, error: &StoreError) {
        self.note(error);
        // Not what `next_backoff` returns: that is off by up to a nanosecond, by randomness of its own.
        let wait = self.chance.jitter().spread(self.backoff.current_interval, RATIO);
        self.backoff.next_backoff();
        tokio::time::sleep(wait).await;
    }

    /// Says that something failed that will be tried again without a wait.
    pub(crate) fn note(&mut self, error: &StoreError) {
        if !self.waiting {
            self.waiting = true;
            self.outage.begin(self.doing, error);
        }
    }

    /// The store has answered. True: not so before.
    pub(crate) fn over(&mut self) -> bool {
        let waited = self.waiting;
        if waited {
            self.waiting = false;
            self.backoff.reset();
            self.outage.end(true);
        }
        waited
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        if self.waiting {
            self.outage.end(false);
        }
    }
}

/// What all who wait for the store share, so that its absence is said once, and its return once.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    count: usize,
    /// Whether one of those who waited had an answer, and did not just stop waiting.
    answered: bool,
}

impl Outage {
    fn begin(&self, doing: &str, error: &StoreError) {
        let mut waiting = self.waiting();
        waiting.count += 1;
        if waiting.count == 1 {
            waiting.answered = false;
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "{doing} failed; trying again until the store is back");
        }
    }

    fn end(&self, answered: bool) {
        let mut waiting = self.waiting();
        waiting.count -= 1;
        waiting.answered |= answered;
        if waiting.count == 0 && waiting.answered {
            tracing::info!("the store is back");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
