//! Replays: what is over is opened again, page by page, by the owner of its tenant's partition.
//!
//! How far a job has come is written down after each page. Whoever takes the partition after a crash goes on from there: of
//! the page that was under way, what is open already is passed by, and what is over again since the job was asked for.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use posthaste_model::ReplayId;
use posthaste_store::{
    Cursor, DeliveryFilter, Order, Page, Paged, Reopened, Replay, ReplayState, Result, StoreError,
};
use posthaste_telemetry::Operation;
use tokio::time::{Instant, sleep_until};

use crate::{hold::Hold, shared::Shared};

/// How many deliveries are opened at once: few enough that the store has time for others.
const PAGE: u32 = 100;
/// The shortest pause between two pages. It is as long as the page took, too, which leaves half of the store's time to others.
const BREATH: Duration = Duration::from_millis(10);
/// How often to look for jobs.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a job is left alone that can neither go on nor be ended.
const LEAVE_ALONE: Duration = Duration::from_secs(24 * 3_600);

/// When the next page of each job may be opened.
type Turns = HashMap<ReplayId, Instant>;

/// Drives the replays of a partition for as long as it is held.
pub(crate) async fn run(shared: &Shared, hold: Hold) -> Infallible {
    let mut patience = shared.patience("replaying deliveries");
    let mut turns = Turns::new();
    loop {
        match take_turns(shared, hold, &mut turns).await {
            Ok(next) => {
                patience.over();
                sleep_until(next).await;
            }
            Err(error) => patience.wait(&error).await,
        }
    }
}

/// Opens a page of every job whose time has come. Answers with when to come again.
async fn take_turns(shared: &Shared, Hold { partition, .. }: Hold, turns: &mut Turns) -> Result<Instant> {
    let running = shared.store.running_replays(partition).await?;
    turns.retain(|id, _| running.iter().any(|replay| replay.id == *id));
    for replay in running {
        let (id, due) = (replay.id, turns.get(&replay.id));
        if due.is_some_and(|due| *due > Instant::now()) {
            continue;
        }
        let wait = match open_page(shared, replay.clone(), turns).await {
            Ok(wait) => wait,
            // It is gone, or not as it was: it is read again.
            Err(StoreError::NotFound(_) | StoreError::StaleReplay) => BREATH,
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Full { .. })) => return Err(error),
            Err(error) => {
                give_up(shared, replay, &error).await;
                LEAVE_ALONE
            }
        };
        turns.insert(id, Instant::now() + wait);
    }
    let soon = Instant::now() + LOOK_AGAIN;
    Ok(turns.values().copied().min().map_or(soon, |next| next.min(soon)))
}

/// Ends a job that the store refuses for good to go on with: it would be tried for ever.
async fn give_up(shared: &Shared, replay: Replay, error: &StoreError) {
    let id = replay.id;
    tracing::error!(replay = %id, error = error as &dyn std::error::Error, "a replay cannot go on, and is cancelled");
    let cancelled = Replay { state: ReplayState::Cancelled, ..replay };
    if let Err(error) = write_down(shared, Progress::default(), cancelled).await {
        tracing::error!(replay = %id, error = &error as &dyn std::error::Error, "a replay cannot be cancelled");
    }
}

/// Opens the next page of a job, and writes down how far it has come. Answers with how long its next page has to wait.
async fn open_page(shared: &Shared, replay: Replay, turns: &mut Turns) -> Result<Duration> {
    let begun = Instant::now();
    let Replay { tenant, created_at, .. } = &replay;
    let until = replay.filter.until.map_or(*created_at, |until| until.min(*created_at));
    let filter = DeliveryFilter { until: Some(until), ..replay.filter.clone() };
    let page = Page {
        limit: replay.rate.map_or(PAGE, |rate| rate.clamp(1, PAGE)),
        after: replay.cursor.clone().map(Cursor),
    };
    let Paged { rows, next } =
        shared.store.deliveries(Some(tenant), filter, Order::OldestFirst, page).await?;
    let (mut reopened, found) = (0, rows.len() as u64);
    if found > 0 {
        // The page counts against the rate also where the answer is lost, and nobody knows what was opened.
        turns.insert(replay.id, Instant::now() + pause(replay.rate, found, begun));
        let ids = rows.iter().map(|delivery| delivery.id).collect();
        let call = shared.store.reopen(tenant, ids, Some(*created_at), shared.clock.now());
        let answers = shared.telemetry.timed(Operation::Reopen, call).await?;
        reopened = answers.iter().filter(|answer| **answer == Reopened::Reopened).count() as u64;
        shared.telemetry.reopened(reopened);
    }
    let wait = pause(replay.rate, reopened, begun);
    let state = if next.is_none() { ReplayState::Done } else { ReplayState::Running };
    let cursor = next.map(|Cursor(cursor)| cursor);
    let progress = Progress { reopened, passed_over: found - reopened };
    let written = write_down(shared, progress, Replay { state, cursor, ..replay }).await?;
    if let Replay { id, state: ReplayState::Done, reopened, passed_over, .. } = written {
        tracing::info!(replay = %id, reopened, passed_over, "a replay is done");
    }
    Ok(wait)
}

/// How long a job pauses after a page that was begun then, and opened so many.
fn pause(rate: Option<u32>, opened: u64, begun: Instant) -> Duration {
    let by_rate = rate.map(|rate| Duration::from_secs_f64(opened as f64 / f64::from(rate.max(1))));
    by_rate.unwrap_or_default().max(begun.elapsed()).max(BREATH)
}

/// Writes down how far a job has come, however long the store is away: what it has opened would not be known otherwise.
async fn write_down(shared: &Shared, progress: Progress, replay: Replay) -> Result<Replay> {
    let mut patience = shared.patience("replaying deliveries");
    let mut replay = progress.of(shared, replay);
    loop {
        let answer = match shared.store.update_replay(replay.clone()).await {
            Err(StoreError::StaleReplay) => shared.store.replay(&replay.tenant, replay.id).await.map(Err),
            answer => answer.map(Ok),
        };
        match answer {
            Ok(Ok(written)) => return Ok(written),
            Ok(Err(now)) if is_written(&replay, &now) => return Ok(now),
            // It was given up meanwhile, or has another driver by now: what was opened counts nevertheless.
            Ok(Err(now)) => replay = progress.of(shared, now),
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Full { .. })) => {
                patience.wait(&error).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether what was to be written down stands there, and only the answer was lost: the job has come as far, and counts as much.
/// Whoever gave it up since has left both as they were.
fn is_written(wanted: &Replay, now: &Replay) -> bool {
    now.cursor == wanted.cursor && now.reopened >= wanted.reopened && now.passed_over >= wanted.passed_over
}

/// What became of a page.
#[derive(Clone, Copy, Default)]
struct Progress {
    reopened: u64,
    passed_over: u64,
}

impl Progress {
    /// Adds it to what a job has done.
    fn of(self, shared: &Shared, replay: Replay) -> Replay {
        Replay {
            reopened: replay.reopened + self.reopened,
            passed_over: replay.passed_over + self.passed_over,
            updated_at: shared.clock.now(),
            ..replay
        }
    }
}
