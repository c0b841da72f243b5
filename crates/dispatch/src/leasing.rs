use std::{sync::Arc, time::Duration};

use posthaste_model::Timestamp;
use posthaste_policy::tenant_room;
use posthaste_store::{Lease, LeaseRequest, Leases, Partition, Result, StoreError, Throttle};
use posthaste_telemetry::Operation;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    attempt::{attempt, give_back, give_up},
    gates::{TURN, Underway},
    handshake,
    hold::{Hold, Lost},
    settler::Reports,
    shared::Shared,
    stage::{Stages, while_running},
};

/// How many deliveries a lease call asks for at the most.
const BATCH: usize = 256;
/// How many manual attempts may be under way, and no more than an eighth of all, so that many of them are not felt by the
/// others.
const MANUAL: usize = 32;
/// How many of one tenant while others wait.
const PER_TENANT: usize = 64;
/// How long to rely on being woken before looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait when something is due and there is no room for it: room at a tenant is not told of.
const WANT_OF_ROOM: Duration = Duration::from_millis(20);

/// Leases what is due and sets attempts going, until the partition is to be given up.
///
/// A lease call is not broken off while the partition is held: what it gave would be held by nobody.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    hold: Hold,
    bell: &Notify,
    reports: &Reports,
    stages: &mut Stages,
) -> Result<(), Lost> {
    let mut patience = shared.patience("leasing deliveries");
    while let Some(permits) = while_running(stages, some_permits(&shared.permits)).await {
        let Some(mut permits) = permits else { break };
        let asked = permits.num_permits();
        let (Leases { leases, next_due, unseen }, said) = match lease(shared, hold, asked).await {
            Ok(answer) => answer,
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
        let mut room = false;
        let admitted = shared.gates.admit(hold.partition, &leases, &said, shared.clock.now());
        for (lease, underway) in leases.into_iter().zip(admitted) {
            let Some(permit) = permits.split(1) else { break };
            match underway {
                _ if handshake::is_left_behind(&lease) => {
                    reports.send(&lease, give_up(shared, &lease), permit)
                }
                Some(underway) => {
                    room = true;
                    let work = deliver(Arc::clone(shared), lease, underway, permit, reports.clone());
                    tokio::spawn(work);
                }
                None => reports.send(&lease, give_back(shared, &lease), permit),
            }
        }
        drop(permits);
        let more = next_due.is_some_and(|due| due <= shared.clock.now());
        if !(unseen || room && more) {
            while_running(stages, until_due(shared, hold.partition, bell, next_due)).await;
        }
    }
    Ok(())
}

/// Leases as many as `asked`, or half of what is free: that leaves room for others.
///
/// Answers with the throttles that were said, too.
async fn lease(
    shared: &Shared,
    Hold { partition, epoch }: Hold,
    asked: usize,
) -> Result<(Leases, Vec<Throttle>)> {
    let Shared { store, settings, gates, permits, clock, telemetry, .. } = shared;
    let free = permits.available_permits() + asked;
    // A tenant of which nothing is in flight could be given all of it.
    let limit = asked.min(tenant_room(free, 0));
    let manual = (settings.max_in_flight / 8).clamp(1, MANUAL).saturating_sub(gates.manual());
    let throttles = gates.news(partition);
    let request = LeaseRequest {
        partition,
        epoch,
        now: clock.now(),
        limit,
        manual: limit.div_ceil(2).min(manual),
        per_endpoint: TURN.min(settings.per_endpoint as usize),
        per_tenant: PER_TENANT,
        rooms: gates.rooms(free, settings.max_in_flight.saturating_sub(free), limit),
        throttles: throttles.clone(),
        lease_for: settings.lease_for(),
    };
    match telemetry.timed(Operation::Lease, store.lease(request)).await {
        Ok(leases) => Ok((leases, throttles)),
        Err(error) => {
            gates.unsaid(partition, throttles);
            Err(error)
        }
    }
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

async fn deliver(
    shared: Arc<Shared>,
    lease: Lease,
    underway: Underway,
    permit: OwnedSemaphorePermit,
    reports: Reports,
) {
    let settlement = attempt(&shared, &lease, underway).await;
    reports.send(&lease, settlement, permit);
}

/// Waits until something may be leased: its time has come, the store says so, or there is room for it.
async fn until_due(shared: &Shared, partition: Partition, bell: &Notify, next_due: Option<Timestamp>) {
    let wait = next_due.map_or(LOOK_AGAIN, |due| {
        match Duration::try_from(due.duration_since(shared.clock.now())) {
            // A timer that is a millisecond early would find nothing.
            Ok(wait) if !wait.is_zero() => wait.saturating_add(Duration::from_millis(1)).min(LOOK_AGAIN),
            _ => WANT_OF_ROOM,
        }
    });
    let room = async {
        tokio::select! { biased; () = shared.store.woken(partition) => {}, () = bell.notified() => {} }
    };
    let _ = timeout(wait, room).await;
}
