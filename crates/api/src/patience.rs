use std::time::Duration;

use posthaste_policy::Jitter;
use posthaste_store::StoreError;

use crate::stop::Stop;

/// Waits out a store that is away: longer from one time to the next, and said once.
pub(crate) struct Patience {
    doing: &'static str,
    jitter: Jitter,
    /// The last wait; none: the store is there.
    waited: Option<Duration>,
}

const SHORTEST: Duration = Duration::from_millis(50);
/// What a wait grows to.
const LONGEST: Duration = Duration::from_secs(5);
/// Share of a wait by which jitter moves it either way, so that those who wait do not come back together.
const RATIO: f64 = 0.5;

impl Patience {
    pub(crate) fn new(doing: &'static str, jitter: Jitter) -> Self {
        Self { doing, jitter, waited: None }
    }

    /// Waits, or until `stop` says so.
    pub(crate) async fn wait(&mut self, error: &StoreError, stop: &mut Stop) {
        if self.waited.is_none() {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "{} failed; trying again until the store is back", self.doing);
        }
        let wait = self.waited.map_or(SHORTEST, |before| LONGEST.min(before * 2));
        self.waited = Some(wait);
        tokio::select! {
            () = tokio::time::sleep(self.jitter.spread(wait, RATIO)) => {}
            () = stop.asked() => {}
        }
    }

    pub(crate) fn over(&mut self) {
        if self.waited.take().is_some() {
            tracing::info!("{} works again", self.doing);
        }
    }
}
