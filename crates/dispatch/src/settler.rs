use std::sync::Arc;

use posthaste_model::{Decision, HealthEffect, Next};
use posthaste_store::{Settlement, StoreError};
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
    Attempted(Settlement, OwnedSemaphorePermit),
    /// Somebody waits for what came before this to be written.
    Asked(oneshot::Sender<()>),
}

impl Reports {
    /// Reports an attempt that is over.
    pub(crate) fn send(&self, settlement: Settlement, permit: OwnedSemaphorePermit) {
        // An error is a settler that was told not to wait.
        let _ = self.0.send(Report::Attempted(settlement, permit));
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
        let (mut settlements, mut permits, mut asking) = (Vec::new(), Vec::new(), Vec::new());
        for report in batch.drain(..) {
            match report {
                Report::Attempted(settlement, permit) => {
                    settlements.push(settlement);
                    permits.push(permit);
                }
                Report::Asked(asked) => asking.push(asked),
            }
        }
        if !settlements.is_empty() {
            let told = settlements.iter().any(may_leave_a_notice);
            settle(shared, settlements.into()).await;
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
async fn settle(shared: &Shared, settlements: Arc<[Settlement]>) {
    let mut patience = shared.patience("settling deliveries");
    loop {
        match shared.store.settle(Arc::clone(&settlements)).await {
            Ok(_) => {
                patience.over();
                return;
            }
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Full { .. })) => {
                patience.wait(&error).await;
            }
            // One that cannot be written must not take its neighbours along, whose attempts would be made again.
            Err(_) if settlements.len() > 1 => {
                patience.over();
                for settlement in settlements.iter() {
                    Box::pin(settle(shared, Arc::new([settlement.clone()]))).await;
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
