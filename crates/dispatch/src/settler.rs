use std::{slice, sync::Arc};

use posthaste_model::{Decision, EndpointId, Event, HealthEffect, Next};
use posthaste_store::{Lease, Settled, Settlement, StoreError};
use posthaste_telemetry::Operation;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinHandle,
};

use crate::shared::Shared;

/// How many settlements go to the store in one call.
const BATCH: usize = 512;

/// Where the attempts of one hold report. Every attempt that is under way has one: when all are gone and all is
/// written, the settler ends.
#[derive(Clone)]
pub(crate) struct Reports(mpsc::UnboundedSender<Report>);

#[expect(clippy::large_enum_variant, reason = "nearly all are of the large one")]
enum Report {
    /// An attempt is over. The permit bounds it until it is written.
    Attempted(Settlement, About, OwnedSemaphorePermit),
    /// Somebody waits for what came before this to be written.
    Asked(oneshot::Sender<()>),
}

/// What a settlement is about.
#[derive(Clone)]
struct About {
    event: Arc<Event>,
    endpoint: EndpointId,
}

impl Reports {
    /// Reports that the attempt of a lease is over.
    pub(crate) fn send(&self, lease: &Lease, settlement: Settlement, permit: OwnedSemaphorePermit) {
        let about = About { event: Arc::clone(&lease.event), endpoint: lease.endpoint.id };
        // An error is a settler that was told not to wait.
        let _ = self.0.send(Report::Attempted(settlement, about, permit));
    }

    /// Waits until everything that was reported before is written. False: it will not be.
    pub(crate) async fn written(&self) -> bool {
        let (asked, answer) = oneshot::channel();
        self.0.send(Report::Asked(asked)).is_ok() && answer.await.is_ok()
    }
}

/// Starts the settler of a hold. It rings `noticed` when what was settled may have left something to be told.
pub(crate) fn start(shared: &Arc<Shared>, noticed: &Arc<Notify>) -> (Reports, JoinHandle<()>) {
    let (sender, reports) = mpsc::unbounded_channel();
    let (shared, noticed) = (Arc::clone(shared), Arc::clone(noticed));
    let work = async move {
        shared.alarm.guard("the settling of deliveries", run(&shared, &noticed, reports)).await;
    };
    (Reports(sender), tokio::spawn(work))
}

/// Writes what came of the attempts. While one batch is written the next gathers.
async fn run(shared: &Shared, noticed: &Notify, mut reports: mpsc::UnboundedReceiver<Report>) {
    let mut batch = Vec::new();
    while reports.recv_many(&mut batch, BATCH).await > 0 {
        let (mut settlements, mut about) = (Vec::new(), Vec::new());
        let (mut permits, mut asking) = (Vec::new(), Vec::new());
        for report in batch.drain(..) {
            match report {
                Report::Attempted(settlement, of, permit) => {
                    settlements.push(settlement);
                    about.push(of);
                    permits.push(permit);
                }
                Report::Asked(asked) => asking.push(asked),
            }
        }
        if !settlements.is_empty() {
            let told = settlements.iter().any(may_leave_a_notice);
            settle(shared, settlements.into(), &about).await;
            if told {
                noticed.notify_one();
            }
        }
        drop(permits);
        for asked in asking {
            // Whoever asked may have gone.
            let _ = asked.send(());
        }
    }
}

/// Whether operators may have to be told of it.
fn may_leave_a_notice(Settlement { decision: Decision { next, endpoint }, .. }: &Settlement) -> bool {
    let health = match endpoint.health {
        Some(HealthEffect::Failed { warning, .. }) => warning.is_some(),
        Some(HealthEffect::Well) => true,
        None => false,
    };
    *next == Next::Exhausted || endpoint.disable.is_some() || health
}

/// Settles, however long the store is away: what was sent must be known. A settlement is idempotent.
async fn settle(shared: &Shared, settlements: Arc<[Settlement]>, about: &[About]) {
    let mut patience = shared.patience("settling deliveries");
    loop {
        let call = shared.store.settle(Arc::clone(&settlements));
        match shared.telemetry.timed(Operation::Settle, call).await {
            Ok(settled) => {
                patience.over();
                tell(shared, &settlements, about, &settled);
                return;
            }
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Full { .. })) => {
                patience.wait(&error).await;
            }
            // One that cannot be written must not take its neighbours along, whose attempts would be made again.
            Err(_) if settlements.len() > 1 => {
                patience.over();
                for (settlement, about) in settlements.iter().zip(about) {
                    Box::pin(settle(shared, Arc::new([settlement.clone()]), slice::from_ref(about))).await;
                }
                return;
            }
            Err(error) => {
                // The lease runs out, and the delivery is attempted again.
                tracing::error!(error = &error as &dyn std::error::Error, "a settlement was refused");
                patience.over();
                return;
            }
        }
    }
}

/// Tells what came of the deliveries, but for settlements that came too late; and for manual attempts, whose deliveries may
/// have been over before, and counted.
fn tell(shared: &Shared, settlements: &[Settlement], about: &[About], settled: &[Settled]) {
    for ((settlement, About { event, endpoint }), settled) in settlements.iter().zip(about).zip(settled) {
        if *settled == Settled::Applied && !settlement.manual {
            shared.telemetry.settled(event, *endpoint, settlement.decision.next, settlement.now);
        }
    }
}
