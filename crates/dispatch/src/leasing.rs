use std::{sync::Arc, time::Duration};

use posthaste_model::Timestamp;
use posthaste_store::{Lease, LeaseRequest, Leases, Partition, Result, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    attempt::attempt,
    hold::{Hold, Lost},
    settler::Reports,
    shared::Shared,
    stage::{Stages, while_running},
};

/// How many deliveries a lease call asks for at the most.
const BATCH: usize = 256;
/// How long to rely on being woken before looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Leases what is due and sets attempts going, until the partition is to be given up.
///
/// A lease call is not broken off while the partition is held: what it gave would be held by nobody.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    hold: Hold,
    reports: &Reports,
    stages: &mut Stages,
) -> Result<(), Lost> {
    let mut patience = shared.patience("leasing deliveries");
    while let Some(permits) = while_running(stages, some_permits(&shared.permits)).await {
        let Some(mut permits) = permits else { break };
        let asked = permits.num_permits();
        let Leases { leases, next_due } = match lease(shared, hold, asked).await {
            Ok(leases) => leases,
            Err(StoreError::NotOwner) => {
                patience.over();
                return Err(Lost);
            }
            Err(error) => {
                drop(permits);
                while_running(stages, patience.wait(&error)).await;
                continue;
            }
        };
        patience.over();
        let all = leases.len() < asked;
        for lease in leases {
            if let Some(permit) = permits.split(1) {
                tokio::spawn(deliver(Arc::clone(shared), lease, permit, reports.clone()));
            }
        }
        drop(permits);
        if all {
            while_running(stages, until_due(shared, hold.partition, next_due)).await;
        }
    }
    Ok(())
}

async fn lease(shared: &Shared, Hold { partition, epoch }: Hold, limit: usize) -> Result<Leases> {
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

async fn deliver(shared: Arc<Shared>, lease: Lease, permit: OwnedSemaphorePermit, reports: Reports) {
    let settlement = attempt(&shared, &lease).await;
    reports.send(settlement, permit);
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
