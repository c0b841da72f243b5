use std::sync::Arc;

use posthaste_egress::{Guard, Transport};
use posthaste_model::Clock;
use posthaste_signing::Sealer;
use posthaste_store::Store;
use posthaste_telemetry::Telemetry;
use rand::rngs::StdRng;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    DispatchSettings,
    alarm::Alarm,
    gates::Gates,
    ownership,
    patience::Outage,
    shared::{Chance, Shared},
    stage::Stage,
    target::Targets,
};

/// What a dispatcher works with.
pub struct Parts {
    /// Where deliveries are leased and settled.
    pub store: Arc<dyn Store>,
    /// How they go out.
    pub transport: Arc<dyn Transport>,
    /// What judges their URLs.
    pub guard: Guard,
    /// What opens the secrets that sign them.
    pub sealer: Arc<Sealer>,
    /// The time.
    pub clock: Clock,
    /// What hears of what happens.
    pub telemetry: Arc<Telemetry>,
    /// Where jitter and ids come from.
    pub seed: StdRng,
}

/// Drives the deliveries of a store, together with those of other processes, until it is drained.
///
/// One that is dropped instead leases nothing more, and finishes what is in flight for as long as the runtime lives; its
/// partitions are free when its time as their owner has run out.
pub struct Dispatcher {
    shared: Arc<Shared>,
    stage: watch::Sender<Stage>,
    /// One task, which ends when this is dropped.
    ownership: JoinSet<()>,
}

impl Dispatcher {
    /// Starts on the current tokio runtime.
    pub fn start(parts: Parts, settings: DispatchSettings) -> Self {
        let Parts { store, transport, guard, sealer, clock, telemetry, seed } = parts;
        let stage = watch::Sender::new(Stage::Running);
        let shared = Arc::new(Shared {
            targets: Targets::new(guard, sealer),
            permits: Arc::new(Semaphore::new(settings.max_in_flight)),
            gates: Arc::new(Gates::new(settings.per_endpoint, settings.per_host)),
            chance: Chance::new(seed),
            outage: Outage::default(),
            alarm: Alarm::new(),
            forgetting: Semaphore::new(1),
            store,
            transport,
            clock,
            telemetry,
            settings,
        });
        let watched = Arc::downgrade(&shared);
        shared.telemetry.watch(move || watched.upgrade().map(|shared| shared.load()).unwrap_or_default());
        let mut ownership = JoinSet::new();
        let (own, stages) = (Arc::clone(&shared), stage.subscribe());
        ownership.spawn(async move {
            let work = ownership::run(Arc::clone(&own), stages);
            own.alarm.guard("the ownership of partitions", work).await;
        });
        Self { shared, stage, ownership }
    }

    /// Ends when a task has died without which the dispatcher only looks healthy: the process is to be restarted. What
    /// still lives can be drained.
    pub fn failed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.alarm.sounded()
    }

    /// Leases nothing more and gives the partitions up, lets what is in flight finish within its time, and settles it.
    /// Whoever takes the partitions meanwhile leaves that alone.
    pub async fn drain(self) {
        let Self { shared, stage, mut ownership } = self;
        stage.send_replace(Stage::Draining);
        // Whoever has every permit knows that nothing is being leased, in flight or to be settled. It is known here and
        // not where partitions are held: what was in flight when one was lost is in flight still.
        let every = shared.settings.max_in_flight.try_into().unwrap_or(u32::MAX);
        let settled = timeout(shared.settings.drain_for(), shared.permits.acquire_many(every)).await;
        if settled.is_err() {
            tracing::warn!("stopped with requests in flight; their outcome stays unknown");
        }
        stage.send_replace(Stage::Drained);
        // What is not given up by then is free by itself.
        let _ = timeout(shared.settings.ownership, ownership.join_next()).await;
    }
}
