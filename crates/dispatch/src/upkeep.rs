use std::{convert::Infallible, time::Duration};

use posthaste_model::Timestamp;
use posthaste_store::{Partition, Recovered, Result};
use posthaste_telemetry::{HOURS_KEPT, MINUTES_KEPT};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};

use crate::{hold::Hold, settler::Reports, shared::Shared};

/// How often lost leases are given back and what is over is forgotten.
const EVERY: Duration = Duration::from_secs(10);
/// How many events one call looks at: few enough that nobody waits behind it.
const WINDOW: u32 = 200;
/// How often old figures are forgotten.
const FORGET_STATS_EVERY: Duration = Duration::from_secs(600);
/// How many of them in one call.
const STATS: u32 = 500;

/// Keeps the partition tidy for as long as it is held.
pub(crate) async fn run(shared: &Shared, hold: Hold, reports: &Reports) -> Infallible {
    tokio::join!(tidy(shared, hold, reports), forget(shared, hold), inherit(shared, hold)).0
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
    let mut ticks = ticks(shared, hold);
    // Figures lie in no partition: whoever has the first one looks after them.
    let mut stats_from = (hold.partition == Partition(0)).then(Instant::now);
    loop {
        ticks.tick().await;
        shared.gates.tidy(hold.partition, shared.clock.now());
        let done = async {
            give_back(shared, hold, reports).await?;
            if let Some(from) = &mut stats_from
                && *from <= Instant::now()
            {
                forget_stats(shared).await?;
                *from = Instant::now() + FORGET_STATS_EVERY;
            }
            Ok(())
        };
        if let Err(error) = done.await {
            failed(&error);
        }
    }
}

/// Forgets what is over, which may take long: nothing else waits for it.
async fn forget(shared: &Shared, hold: Hold) -> Infallible {
    let mut ticks = ticks(shared, hold);
    loop {
        ticks.tick().await;
        if let Err(error) = forget_all(shared, hold).await {
            failed(&error);
        }
    }
}

/// When it is a partition's turn: not all come at once.
fn ticks(shared: &Shared, Hold { partition, .. }: Hold) -> Interval {
    let turn = EVERY * u32::from(partition.0) / u32::from(shared.store.partitions());
    let mut ticks = interval_at(Instant::now() + turn, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
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
    shared.telemetry.interrupted(interrupted);
    Ok(interrupted)
}

/// Forgets all that is over now. Where one call does not get to the end of it, one partition goes on at a time, and pauses for
/// as long as each call took: that leaves half of the store's time to others.
async fn forget_all(shared: &Shared, Hold { partition, .. }: Hold) -> Result<()> {
    let (mut from, mut turn) = (None, None);
    loop {
        let (begun, now) = (Instant::now(), shared.clock.now());
        from = shared.store.prune(partition, shared.settings.retain, now, from, WINDOW).await?.next;
        if from.is_none() {
            return Ok(());
        }
        sleep(begun.elapsed()).await;
        drop(turn.take());
        turn = shared.forgetting.acquire().await.ok();
    }
}

/// Forgets figures that are older than they are kept.
async fn forget_stats(shared: &Shared) -> Result<()> {
    let before = |kept| shared.clock.now().checked_sub(kept).unwrap_or(Timestamp::MIN);
    while shared.store.forget_stats(before(MINUTES_KEPT), before(HOURS_KEPT), STATS).await? {}
    Ok(())
}
