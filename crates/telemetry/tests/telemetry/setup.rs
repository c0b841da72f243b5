use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use posthaste_model::{Clock, Counts, Endpoint, Event, Tenant, TenantId, Timestamp};
use posthaste_store::{
    Bucket, Catalogue as _, Intake as _, NewEvent, NotAdded, Result, Statistics, StoreError, Stretch,
    Subject, Tally,
    conformance::{START, sample_endpoint, sample_event},
};
use posthaste_telemetry::Telemetry;
use posthaste_testkit::{MemoryStore, pass_on, simulated_clock};

/// A store that may fail, and remembers how many figures each call brought.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) memory: MemoryStore,
    fault: Mutex<Option<fn() -> StoreError>>,
    /// Whether the part that has the figures of endpoints is away.
    part_away: AtomicBool,
    calls: Mutex<Vec<usize>>,
}

impl Figures {
    pub(crate) fn away(&self, away: bool) {
        let fault = || StoreError::Unavailable { reason: "it is away".into(), source: None };
        *self.fault.lock().unwrap() = away.then_some(fault);
    }

    /// The part of the store that has the figures of endpoints is away, and no other.
    pub(crate) fn part_away(&self, away: bool) {
        self.part_away.store(away, Ordering::Relaxed);
    }

    /// The next call finds a fault that does not pass.
    pub(crate) fn refuse_once(&self) {
        *self.fault.lock().unwrap() = Some(|| StoreError::damaged("a page that cannot be"));
    }

    /// How many figures each call brought since this was last asked.
    pub(crate) fn calls(&self) -> Vec<usize> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn fault(&self) -> Option<StoreError> {
        let mut fault = self.fault.lock().unwrap();
        let error = (*fault)?();
        if matches!(error, StoreError::Damaged { .. }) {
            *fault = None;
        }
        Some(error)
    }

    fn memory(&self) -> &MemoryStore {
        &self.memory
    }

    /// All that is known of a subject.
    pub(crate) async fn sum(&self, of: Subject) -> Counts {
        let (since, until) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let mut sum = Counts::default();
        for bucket in self.memory.stats(of, Stretch::Minute, since, until).await.unwrap() {
            sum.add(&bucket.counts);
        }
        sum
    }
}

#[async_trait]
impl Statistics for Figures {
    async fn add_stats(&self, tallies: Vec<Tally>) -> Vec<NotAdded> {
        self.calls.lock().unwrap().push(tallies.len());
        if let Some(error) = self.fault() {
            return vec![NotAdded { tallies, error }];
        }
        let is_left = |tally: &Tally| {
            self.part_away.load(Ordering::Relaxed) && matches!(tally.of, Subject::Endpoint(..))
        };
        let (left, taken): (Vec<_>, Vec<_>) = tallies.into_iter().partition(is_left);
        let not_added = self.memory.add_stats(taken).await;
        assert!(not_added.is_empty(), "{not_added:?}");
        let error = StoreError::Unavailable { reason: "a part is away".into(), source: None };
        if left.is_empty() { Vec::new() } else { vec![NotAdded { tallies: left, error }] }
    }

    async fn stats(
        &self,
        of: Subject,
        stretch: Stretch,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Bucket>> {
        self.memory.stats(of, stretch, since, until).await
    }

    async fn forget_stats(
        &self,
        minutes_before: Timestamp,
        hours_before: Timestamp,
        limit: u32,
    ) -> Result<bool> {
        self.memory.forget_stats(minutes_before, hours_before, limit).await
    }
}

pass_on! { Figures, memory: Queries }

/// A telemetry, its clock, and a store to bring figures to.
pub(crate) struct Bench {
    pub(crate) clock: Clock,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) figures: Arc<Figures>,
    /// Whose events and endpoints all are.
    tenant: TenantId,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(TenantId::default_tenant())
    }

    pub(crate) fn of(tenant: TenantId) -> Self {
        let clock = simulated_clock(Timestamp::from_millisecond(START).unwrap());
        let telemetry = Arc::new(Telemetry::new(clock.clone(), "1.2.3"));
        Self { clock, telemetry, figures: Arc::default(), tenant }
    }

    pub(crate) fn event(&self, id: &str) -> Event {
        sample_event(&self.tenant, id, self.clock.now())
    }

    pub(crate) fn endpoint(&self, number: u64) -> Endpoint {
        sample_endpoint(&self.tenant, number, self.clock.now())
    }

    /// Puts the tenant of all events and endpoints: what is counted for nobody is not kept.
    pub(crate) async fn tenant(&self) -> TenantId {
        let tenant = Tenant::new(self.tenant.clone(), self.clock.now());
        self.figures.memory.put_tenant(tenant).await.unwrap().now.id
    }

    /// Accepts an event for an endpoint, which nobody delivers.
    pub(crate) async fn accept(&self, id: &str) {
        let (memory, tenant) = (&self.figures.memory, self.tenant().await);
        let endpoint = self.endpoint(1);
        memory.create_endpoint(endpoint.clone()).await.unwrap();
        let view = memory.view(&tenant).await.unwrap();
        let new = NewEvent { event: self.event(id), endpoints: vec![endpoint.id] };
        memory.accept(&tenant, view.version, vec![new]).await.unwrap();
    }

    /// Asserts that the metrics have this line.
    #[track_caller]
    pub(crate) fn check(&self, line: &str) {
        let text = self.telemetry.render();
        let name = line.split(['{', ' ']).next().unwrap();
        let near: Vec<_> = text.lines().filter(|known| known.starts_with(name)).collect();
        assert!(near.contains(&line), "{line} is not among {near:#?}");
    }
}

/// Lets simulated time pass.
pub(crate) async fn pass(secs: u64) {
    tokio::time::sleep(Duration::from_secs(secs)).await;
}
