use std::sync::Arc;

use posthaste_egress::{Guard, Transport};
use posthaste_model::Clock;
use posthaste_signing::Sealer;
use posthaste_store::{Partition, Store};
use rand::rngs::StdRng;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    DispatchSettings,
    partition::{self, Stage},
    settler,
    shared::{Chance, Shared},
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
    /// Where jitter and ids come from.
    pub seed: StdRng,
}

/// Drives the deliveries of a store, until it is drained.
///
/// One that is dropped instead leases nothing more, and finishes what is in flight for as long as the runtime lives; its
/// partitions are free when its time as their owner has run out.
pub struct Dispatcher {
    shared: Arc<Shared>,
    stage: watch::Sender<Stage>,
    partitions: JoinSet<()>,
    settler: JoinHandle<()>,
}

impl Dispatcher {
    /// Starts on the current tokio runtime.
    pub fn start(parts: Parts, settings: DispatchSettings) -> Self {
        let Parts { store, transport, guard, sealer, clock, seed } = parts;
        let (finished, settling) = mpsc::unbounded_channel();
        let stage = watch::Sender::new(Stage::Running);
        let chance = Arc::new(Chance::new(seed));
        let settler = tokio::spawn(settler::run(Arc::clone(&store), Arc::clone(&chance), settling));
        let shared = Arc::new(Shared {
            targets: Targets::new(guard, sealer),
            permits: Arc::new(Semaphore::new(settings.max_in_flight)),
            chance,
            store,
            transport,
            clock,
            settings,
            finished,
        });
        let mut partitions = JoinSet::new();
        for partition in 0..shared.store.partitions() {
            partitions.spawn(partition::run(Arc::clone(&shared), Partition(partition), stage.subscribe()));
        }
        Self { shared, stage, partitions, settler }
    }

    /// Leases nothing more, lets what is in flight finish within its time, settles it, and gives the partitions up.
    pub async fn drain(self) {
        let Self { shared, stage, partitions, settler } = self;
        stage.send_replace(Stage::Draining);
        // Whoever has every permit knows that nothing is being leased, in flight or to be settled. It is known here and
        // not in the partitions: what was in flight when a partition was lost is in flight still.
        let every = shared.settings.max_in_flight.try_into().unwrap_or(u32::MAX);
        let settled = timeout(shared.settings.drain_for(), shared.permits.acquire_many(every)).await;
        if settled.is_err() {
            tracing::warn!("stopped with requests in flight; their outcome stays unknown");
        }
        stage.send_replace(Stage::Drained);
        partitions.join_all().await;
        // It has nothing to do but for attempts that overstayed; those are not waited for.
        settler.abort();
    }
}
