use std::sync::Arc;

use posthaste_store::{Settlement, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{patience::Patience, shared::Chance};

/// How many settlements go to the store in one call.
const BATCH: usize = 512;

/// An attempt that is over, with the permit that bounds it until it is written.
pub(crate) struct Finished {
    pub(crate) settlement: Settlement,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Writes what came of the attempts until every sender is gone. While one batch is written the next gathers.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    chance: Arc<Chance>,
    mut finished: mpsc::UnboundedReceiver<Finished>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while finished.recv_many(&mut batch, BATCH).await > 0 {
        let (settlements, permits): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|one: Finished| (one.settlement, one.permit)).unzip();
        settle(&*store, &chance, settlements).await;
        drop(permits);
    }
}

/// Settles, however long the store is away: what was sent must be known. A settlement is idempotent.
async fn settle(store: &dyn Store, chance: &Chance, settlements: Vec<Settlement>) {
    let mut patience = Patience::new("settling deliveries", chance);
    loop {
        match store.settle(settlements.clone()).await {
            Ok(_) => return patience.over(),
            Err(error @ StoreError::Unavailable { .. }) => patience.wait(&error).await,
            Err(error) => {
                // The leases run out, and the deliveries are attempted again.
                tracing::error!(error = &error as &dyn std::error::Error, "settlements were refused");
                return;
            }
        }
    }
}
