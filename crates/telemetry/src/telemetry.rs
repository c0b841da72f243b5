use std::{
    future::Future,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use posthaste_model::{Attempt, Clock, Counts, EndpointId, Event, Next, TenantId, Timestamp};
use posthaste_store::{Accepted, Backlog, Lease, Result, Settlement, StoreError};
use tokio::time::Instant;

use crate::{
    Load, Operation,
    instruments::{Ended, Instruments, Published},
    memory::Machine,
    tallies::Tallies,
};

/// How many different tenants, topics and endpoints can be told apart between two visits to the store. What happens to
/// others meanwhile is not in the figures, only in the metrics.
const MOST_PLACES: usize = 50_000;

/// Where the parts of the service tell what happens.
pub struct Telemetry {
    clock: Clock,
    instruments: Instruments,
    /// The tenant whose events tell operators of the others.
    own: TenantId,
    tallies: Mutex<Tallies>,
    backlog: Mutex<Backlog>,
    load: OnceLock<Box<dyn Fn() -> Load + Send + Sync>>,
    machine: Machine,
}

impl Telemetry {
    /// Nothing has happened yet. `version`: of the service.
    pub fn new(clock: Clock, version: &str) -> Self {
        Self {
            clock,
            instruments: Instruments::new(version),
            own: TenantId::posthaste(),
            tallies: Mutex::new(Tallies::new(MOST_PLACES)),
            backlog: Mutex::default(),
            load: OnceLock::new(),
            machine: Machine::default(),
        }
    }

    /// An event was accepted for these endpoints, and the store answered so.
    pub fn accepted(&self, event: &Event, endpoints: &[EndpointId], answer: &Accepted) {
        let (published, made) = match endpoints {
            _ if answer.duplicate => (Published::Duplicate, 0),
            [] => (Published::Unmatched, 0),
            endpoints => (Published::Accepted, endpoints.len() as u64),
        };
        if let Some(instruments) = self.instruments_of(event) {
            instruments.published(published, 1);
            instruments.deliveries.inc_by(made);
        }
        if !answer.duplicate {
            let Event { tenant, topic, accepted_at, .. } = event;
            let dropped = self.tallies().accepted((tenant, topic), endpoints, *accepted_at);
            self.dropped(dropped);
        }
    }

    /// So many events were published that had been accepted before.
    pub fn repeated(&self, events: usize) {
        self.instruments.published(Published::Duplicate, events as u64);
    }

    /// So many events were refused, which is their publisher's to mend.
    pub fn refused(&self, events: usize) {
        self.instruments.published(Published::Refused, events as u64);
    }

    /// So many events could not be accepted, because of the store.
    pub fn not_accepted(&self, events: usize) {
        self.instruments.published(Published::Failed, events as u64);
    }

    /// Events were accepted so long after they were read.
    pub fn accept_took(&self, time: Duration) {
        self.instruments.accept.observe(time.as_secs_f64());
    }

    /// The attempt of a lease is over, with this outcome. Where none was made, nothing has happened.
    pub fn attempted(&self, lease: &Lease, settlement: &Settlement) {
        let Some(Attempt { number, manual, timings, outcome, .. }) = &settlement.attempt else { return };
        let status = outcome.status();
        // What a delivery waits before later attempts is its retry policy's doing.
        let queued = (*number == 1 && !manual).then_some(timings.queued);
        let answered = status.map(|_| timings.total);
        if let Some(instruments) = self.instruments_of(&lease.event) {
            instruments.attempted(status, outcome.error());
            queued.into_iter().for_each(|time| instruments.queue.observe(time.as_secs_f64()));
            answered.into_iter().for_each(|time| instruments.receiver.observe(time.as_secs_f64()));
        }
        let failed = !status.is_some_and(|status| (200..=299).contains(&status));
        let retried = failed && matches!(settlement.decision.next, Next::Retry { .. });
        self.count(&lease.event, lease.endpoint.id, settlement.now, |counts| {
            counts.attempts += 1;
            counts.failed += u64::from(failed);
            counts.retried += u64::from(retried);
            queued.into_iter().for_each(|time| counts.queue.record(time));
            answered.into_iter().for_each(|time| counts.receiver.record(time));
        });
    }

    /// A settlement has reached the store, and counts. The delivery goes on, or has ended. The end of a test's counts
    /// for nothing: its first failure exhausts it, and nobody loses an event.
    pub fn settled(&self, event: &Event, endpoint: EndpointId, next: Next, now: Timestamp) {
        if event.options.test {
            return;
        }
        let ended = match next {
            Next::Delivered => Ended::Delivered,
            Next::Exhausted => Ended::Exhausted,
            Next::Skipped => Ended::Skipped,
            Next::Retry { .. } | Next::Release { .. } | Next::Stay => return,
        };
        if let Some(instruments) = self.instruments_of(event) {
            instruments.ended(ended);
        }
        if ended != Ended::Skipped {
            self.count(event, endpoint, now, |counts| {
                counts.delivered += u64::from(ended == Ended::Delivered);
                counts.exhausted += u64::from(ended == Ended::Exhausted);
            });
        }
    }

    /// So many deliveries were given back, because nobody knows what came of their attempts.
    pub fn interrupted(&self, deliveries: u64) {
        self.instruments.interrupted.inc_by(deliveries);
    }

    /// A replay has opened so many deliveries again.
    pub fn reopened(&self, deliveries: u64) {
        self.instruments.reopened.inc_by(deliveries);
    }

    /// Makes a call to the store, and takes its time.
    ///
    /// # Errors
    /// Those of the call. Only what is the store's fault counts as such.
    pub async fn timed<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let answer = call.await;
        let at_fault = |error: &StoreError| {
            matches!(
                error,
                StoreError::Unavailable { .. } | StoreError::Full { .. } | StoreError::Damaged { .. }
            )
        };
        let failed = answer.as_ref().err().is_some_and(at_fault);
        self.instruments.called(operation, begun.elapsed().as_secs_f64(), failed);
        answer
    }

    /// Whom to ask what this process's dispatcher has under way, whenever the metrics are read. The first one stays.
    pub fn watch(&self, load: impl Fn() -> Load + Send + Sync + 'static) {
        let _ = self.load.set(Box::new(load));
    }

    /// All metrics, as they are now: [OpenMetrics text 1.0](https://prometheus.io/docs/specs/om/open_metrics_spec/).
    pub fn render(&self) -> String {
        let Self { instruments, machine, .. } = self;
        let Load { in_flight, most_in_flight, partitions, looks, throttled, open_breakers } = self.load();
        for (gauge, number) in [
            (&instruments.in_flight, in_flight),
            (&instruments.in_flight_limit, most_in_flight),
            (&instruments.partitions, partitions),
            (&instruments.throttled, throttled),
            (&instruments.open_breakers, open_breakers),
        ] {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        let bytes = |bytes: Option<u64>| i64::try_from(bytes.unwrap_or_default()).unwrap_or(i64::MAX);
        instruments.resident.set(bytes(machine.resident()));
        instruments.memory_limit.set(bytes(machine.limit()));
        // Who does not look any more knows nothing of it: another tells.
        let Backlog { open, oldest_due, .. } = if looks { *self.last_backlog() } else { Backlog::default() };
        instruments.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        // It grows older while the store is away, too.
        let due_for = oldest_due.map_or(0.0, |due| self.clock.now().duration_since(due).as_secs_f64());
        instruments.oldest_due.set(due_for.max(0.0));
        instruments.render()
    }

    /// What this process's dispatcher has under way; nothing, where there is none.
    pub(crate) fn load(&self) -> Load {
        self.load.get().map(|load| load()).unwrap_or_default()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes what was counted since it was last taken.
    pub(crate) fn take(&self) -> Tallies {
        self.tallies().take()
    }

    /// So many figures were given up.
    pub(crate) fn dropped(&self, figures: u64) {
        self.instruments.dropped.inc_by(figures);
    }

    pub(crate) fn backlog(&self, backlog: Backlog) {
        *self.last_backlog() = backlog;
    }

    /// The metrics that what happens with an event counts in; none: it is Posthaste's own, and tells operators of the others.
    fn instruments_of(&self, event: &Event) -> Option<&Instruments> {
        (event.tenant != self.own).then_some(&self.instruments)
    }

    /// Counts what happened to an endpoint with an event.
    fn count(&self, event: &Event, endpoint: EndpointId, at: Timestamp, change: impl FnOnce(&mut Counts)) {
        if !self.tallies().count((&event.tenant, &event.topic), endpoint, at, change) {
            self.dropped(1);
        }
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
