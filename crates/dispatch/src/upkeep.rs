use std::{convert::Infallible, time::Duration};

use posthaste_store::{Recovered, Result};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::{hold::Hold, settler::Reports, shared::Shared};

/// How often lost leases are given back and what is over is forgotten.
const EVERY: Duration = Duration::from_secs(10);
/// How many events one call looks at: few enough that nobody waits behind it.
const WINDOW: u32 = 200;

/// Keeps the partition tidy for as long as it is held.
pub(crate) async fn run(shared: &Shared, hold: Hold, reports: &Reports) -> Infallible {
    tokio::join!(tidy(shared, hold, reports), inherit(shared, hold)).0
}

/// Gives back, soon, what the former owner asked to be spared and did not live to finish.
async fn inherit(shared: &Shared, hold: Hold) {
    let taken = Instant::now();
    while taken.elapsed() <= shared.settings.drain_for() + shared.settings.ownership {
        sleep(shared.settings.renewal()).await;
        match recover(shared, hold).await {
            Ok(0) => {}
            Ok(interrupted) => tracing::warn!(interrupted, "the former owner did not finish its requests"),
            Err(error) => failed(&error),
        }
    }
}

async fn tidy(shared: &Shared, hold: Hold, reports: &Reports) -> Infallible {
    // Not all partitions at once.
    let turn = EVERY * u32::from(hold.partition.0) / u32::from(shared.store.partitions());
    let mut ticks = interval_at(Instant::now() + turn, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.gates.tidy(hold.partition, shared.clock.now());
        let done = async {
            give_back(shared, hold, reports).await?;
            forget(shared, hold).await
        };
        if let Err(error) = done.await {
            failed(&error);
        }
    }
}

/// It is done again at the next tick; whoever needs the store more says so louder.
fn failed(error: &posthaste_store::StoreError) {
    tracing::debug!(error = error as &dyn std::error::Error, "upkeep failed");
}

/// Gives back leases that ran out. Not while older settlements wait for the store: their leases may have run out, but
/// what came of them is known. An attempt that is reported later than that has a lease that lives for long.
async fn give_back(shared: &Shared, hold: Hold, reports: &Reports) -> Result<()> {
    if timeout(EVERY, reports.written()).await == Ok(true) {
        let interrupted = recover(shared, hold).await?;
        if interrupted > 0 {
            tracing::warn!(interrupted, "leases ran out before they were settled");
        }
    }
    Ok(())
}

async fn recover(shared: &Shared, Hold { partition, epoch }: Hold) -> Result<u64> {
    let Recovered { interrupted } = shared.store.recover(partition, epoch, shared.clock.now()).await?;
    Ok(interrupted)
}

/// Forgets what is over.
async fn forget(shared: &Shared, Hold { partition, .. }: Hold) -> Result<()> {
    let mut from = None;
    loop {
        let now = shared.clock.now();
        let pruned = shared.store.prune(partition, shared.settings.retain, now, from, WINDOW).await?;
        from = pruned.next;
        if from.is_none() {
            return Ok(());
        }
    }
}
