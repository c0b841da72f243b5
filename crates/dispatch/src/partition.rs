use std::{convert::Infallible, sync::Arc, time::Duration};

use posthaste_model::Timestamp;
use posthaste_store::{Epoch, Lease, LeaseRequest, Leases, Partition, Result, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{attempt::attempt, patience::Patience, settler::Finished, shared::Shared, upkeep};

/// How many deliveries a lease call asks for at the most.
const BATCH: usize = 256;
/// How long to rely on being woken before looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How far a dispatcher is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It leases.
    Running,
    /// It leases nothing more, and keeps its partitions until what is in flight is settled.
    Draining,
    /// It gives its partitions up.
    Drained,
}

type Stages = watch::Receiver<Stage>;

/// Drives a partition whenever it can be had, until the dispatcher drains.
pub(crate) async fn run(shared: Arc<Shared>, partition: Partition, mut stages: Stages) {
    let mut patience = Patience::new("taking a partition", &shared.chance);
    while *stages.borrow() == Stage::Running {
        match hold(&shared, partition, &stages).await {
            Ok(held) => {
                patience.over();
                if !held {
                    while_running(&mut stages, sleep(shared.settings.ownership / 3)).await;
                }
            }
            Err(StoreError::NotOwner) => tracing::warn!(partition = partition.0, "lost a partition"),
            Err(error) => {
                while_running(&mut stages, patience.wait(&error)).await;
            }
        }
    }
}

/// Claims the partition and drives it until the dispatcher is drained. False: another process has it.
async fn hold(shared: &Arc<Shared>, partition: Partition, stages: &Stages) -> Result<bool> {
    let Shared { store, settings, clock, .. } = &**shared;
    let claimed = store.claim(partition, &settings.owner, clock.now(), settings.ownership).await?;
    let Some(epoch) = claimed else { return Ok(false) };
    let interrupted = store.recover(partition, epoch, clock.now()).await?.interrupted;
    tracing::info!(partition = partition.0, epoch = epoch.0, interrupted, "took a partition");
    tokio::select! {
        biased;
        driven = drive(shared, partition, epoch, stages.clone()) => driven?,
        Err(lost) = keep(shared, partition, epoch) => return Err(lost),
        never = upkeep::run(shared, partition, epoch) => match never {},
    }
    store.release(partition, epoch).await?;
    Ok(true)
}

/// Renews the hold of the partition until it is lost.
async fn keep(shared: &Shared, partition: Partition, epoch: Epoch) -> Result<Infallible> {
    let Shared { store, settings, clock, .. } = shared;
    let mut patience = Patience::new("keeping a partition", &shared.chance);
    loop {
        sleep(settings.ownership / 3).await;
        match store.renew(partition, epoch, clock.now(), settings.ownership).await {
            Ok(()) => patience.over(),
            Err(StoreError::NotOwner) => return Err(StoreError::NotOwner),
            Err(error) => patience.wait(&error).await,
        }
    }
}

/// Leases what is due and sets attempts going, until the dispatcher is drained.
///
/// A lease call is not broken off while the partition is held: what it gave would be held by nobody.
async fn drive(shared: &Arc<Shared>, partition: Partition, epoch: Epoch, mut stages: Stages) -> Result<()> {
    let mut patience = Patience::new("leasing deliveries", &shared.chance);
    while let Some(permits) = while_running(&mut stages, some_permits(&shared.permits)).await {
        let Some(mut permits) = permits else { break };
        let asked = permits.num_permits();
        let Leases { leases, next_due } = match lease(shared, partition, epoch, asked).await {
            Ok(leases) => leases,
            Err(StoreError::NotOwner) => return Err(StoreError::NotOwner),
            Err(error) => {
                drop(permits);
                while_running(&mut stages, patience.wait(&error)).await;
                continue;
            }
        };
        patience.over();
        let all = leases.len() < asked;
        for lease in leases {
            if let Some(permit) = permits.split(1) {
                tokio::spawn(deliver(Arc::clone(shared), lease, permit));
            }
        }
        drop(permits);
        if all {
            let more = until_due(shared, partition, next_due);
            while_running(&mut stages, more).await;
        }
    }
    // An error is a dispatcher that is gone.
    let _ = stages.wait_for(|stage| *stage == Stage::Drained).await;
    Ok(())
}

async fn lease(shared: &Shared, partition: Partition, epoch: Epoch, limit: usize) -> Result<Leases> {
    let request = LeaseRequest {
        partition,
        epoch,
        now: shared.clock.now(),
        limit,
        per_endpoint: shared.settings.per_endpoint,
        lease_for: shared.settings.lease_for(),
    };
    shared.store.lease(request).await
}

/// Waits for one permit, and takes what else is free up to a batch. None: there will be none any more.
async fn some_permits(permits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut taken = Arc::clone(permits).acquire_owned().await.ok()?;
    let free = permits.available_permits().min(BATCH - 1);
    // Another partition may have been quicker; one permit is enough to go on with.
    if let Ok(free) = Arc::clone(permits).try_acquire_many_owned(free.try_into().unwrap_or(0)) {
        taken.merge(free);
    }
    Some(taken)
}

async fn deliver(shared: Arc<Shared>, lease: Lease, permit: OwnedSemaphorePermit) {
    let settlement = attempt(&shared, &lease).await;
    // The settler outlives every attempt.
    let _ = shared.finished.send(Finished { settlement, permit });
}

/// Waits until something may be due: its time has come, or the store says so.
async fn until_due(shared: &Shared, partition: Partition, next_due: Option<Timestamp>) {
    let wait = next_due.map_or(LOOK_AGAIN, |due| {
        let wait = Duration::try_from(due.duration_since(shared.clock.now())).unwrap_or_default();
        // A timer that is a millisecond early would find nothing.
        wait.saturating_add(Duration::from_millis(1)).min(LOOK_AGAIN)
    });
    let _ = timeout(wait, shared.store.woken(partition)).await;
}

/// Runs `work`, or breaks it off when the dispatcher drains. None: it was.
async fn while_running<T>(stages: &mut Stages, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = stages.wait_for(|stage| *stage != Stage::Running) => None,
        done = work => Some(done),
    }
}
