use std::{convert::Infallible, time::Duration};

use posthaste_store::{Epoch, Partition, Result};
use tokio::time::{MissedTickBehavior, interval};

use crate::shared::Shared;

/// How often lost leases are given back and what is over is forgotten.
const EVERY: Duration = Duration::from_secs(10);
/// How many events one call looks at: few enough that nobody waits behind it.
const WINDOW: u32 = 200;

/// Keeps the partition tidy for as long as it is held.
pub(crate) async fn run(shared: &Shared, partition: Partition, epoch: Epoch) -> Infallible {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = tidy(shared, partition, epoch).await {
            // It is done again at the next tick; whoever needs the store more says so louder.
            tracing::debug!(error = &error as &dyn std::error::Error, "upkeep failed");
        }
    }
}

async fn tidy(shared: &Shared, partition: Partition, epoch: Epoch) -> Result<()> {
    let interrupted = shared.store.recover(partition, epoch, shared.clock.now()).await?.interrupted;
    if interrupted > 0 {
        tracing::warn!(interrupted, "leases ran out before they were settled");
    }
    let mut from = None;
    loop {
        let pruned = shared.store.prune(shared.settings.retain, shared.clock.now(), from, WINDOW).await?;
        from = pruned.next;
        if from.is_none() {
            return Ok(());
        }
    }
}
