use std::{mem, sync::Arc, time::Duration};

use posthaste_store::{Backlog, NotAdded, Queries, Result, Scope, Statistics, StoreError};
use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Operation, Telemetry,
    tallies::Counted,
    waiting::{Waiting, counted, tallies},
};

/// How often figures are brought to the store.
const BRING_EVERY: Duration = Duration::from_secs(15);
/// What the pause between two visits grows to when the store fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many figures go to the store in one call: few enough that nobody waits behind it. When it fails in the midst, so many
/// may count twice.
const BATCH: usize = 100;
/// How many calls are made in a visit.
const CALLS: usize = 240;
/// How often the backlog is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often, where a look takes long.
const LOOK_RARELY: Duration = Duration::from_secs(30);
/// How long a look may take that is not a long one.
const LONG_LOOK: Duration = Duration::from_millis(50);
/// How long a visit may take in calls of which the store takes nothing.
const IN_VAIN: Duration = Duration::from_secs(10);
/// How many figures may wait.
const MOST_WAITING: usize = 100_000;
/// How many may wait beside them that a part of the store did not take.
const MOST_LEFT: usize = 50_000;
/// How long the last visit may take.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Brings to the store what was counted, again and again, and looks at the backlog. One that is dropped goes on for as
/// long as the runtime lives.
pub struct Keeper {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Telemetry {
    /// Begins to bring what is counted to the store, on the current tokio runtime.
    pub fn keep<S>(self: &Arc<Self>, store: Arc<S>) -> Keeper
    where
        S: Queries + Statistics + Send + Sync + ?Sized + 'static,
    {
        let stop = Arc::new(Notify::new());
        let (waiting, left) = (Waiting::new(MOST_WAITING), Waiting::new(MOST_LEFT));
        let visits = Visits { telemetry: Arc::clone(self), store, waiting, left };
        Keeper { stop: Arc::clone(&stop), task: tokio::spawn(visits.run(stop)) }
    }
}

impl Keeper {
    /// Brings what is left, as far as that is soon done, and ends.
    pub async fn stop(self) {
        let Self { stop, mut task } = self;
        stop.notify_one();
        if timeout(STOP_WITHIN, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the last figures were not brought to the store in time");
        }
    }
}

struct Visits<S: ?Sized> {
    telemetry: Arc<Telemetry>,
    store: Arc<S>,
    waiting: Waiting,
    /// What a part of the store did not take.
    left: Waiting,
}

impl<S: Queries + Statistics + Send + Sync + ?Sized> Visits<S> {
    async fn run(mut self, stop: Arc<Notify>) {
        let begun = Instant::now();
        let mut bringing = Duty::new("bringing figures to the store", begun + BRING_EVERY);
        let mut looking = Duty::new("looking at the backlog", begun + LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                () = stop.notified() => break,
                () = sleep_until(bringing.at.min(looking.at)) => {}
            }
            if bringing.at <= Instant::now() {
                let brought = self.bring(CALLS).await;
                bringing.done(brought.map(|()| BRING_EVERY));
            }
            if looking.at <= Instant::now() {
                let looked = self.look().await;
                looking.done(looked);
            }
        }
        bringing.done(self.bring(usize::MAX).await.map(|()| BRING_EVERY));
    }

    /// Brings what was counted, in so many calls at the most; the rest waits for the next visit. So does what a part of the
    /// store does not take now; it comes last then, and holds up nothing that others take. What the store will never take is
    /// given up.
    async fn bring(&mut self, calls: usize) -> Result<()> {
        self.gather().await;
        let mut before = mem::replace(&mut self.left, Waiting::new(MOST_LEFT));
        let (mut fault, mut in_vain) = (None, Duration::ZERO);
        for _ in 0..calls {
            let mut some = self.waiting.take(BATCH);
            for (of, counts) in before.take(BATCH - some.len()) {
                some.entry(of).or_default().add(&counts);
            }
            if some.is_empty() {
                break;
            }
            let (brought, begun) = (some.len(), Instant::now());
            let (left, outcome) = self.bring_some(some).await;
            if let Err(error @ (StoreError::Unavailable { .. } | StoreError::Full { .. })) = outcome {
                fault.get_or_insert(error);
            }
            if left == brought {
                in_vain += begun.elapsed();
            }
            if in_vain > IN_VAIN {
                break;
            }
        }
        self.telemetry.dropped(self.left.put(before.take(usize::MAX)));
        fault.map_or(Ok(()), Err)
    }

    /// Brings some of it in one call. What a part of the store does not take now is left; some of that may have arrived all the
    /// same, and counts twice then. Answers with how much is left, too.
    async fn bring_some(&mut self, some: Counted) -> (usize, Result<()>) {
        let Self { telemetry, store, left, .. } = self;
        let mut left_now = 0;
        let call = async {
            let (mut away, mut refused) = (None, None);
            for NotAdded { tallies, error } in store.add_stats(tallies(some)).await {
                if matches!(error, StoreError::Unavailable { .. } | StoreError::Full { .. }) {
                    left_now += tallies.len();
                    telemetry.dropped(left.put(counted(tallies)));
                    away.get_or_insert(error);
                } else {
                    let (figures, error) = (tallies.len(), refused.insert(error));
                    let error = error as &dyn std::error::Error;
                    tracing::error!(error, figures, "the store refused figures; they are given up");
                    telemetry.dropped(figures as u64);
                }
            }
            away.or(refused).map_or(Ok(()), Err)
        };
        let outcome = telemetry.timed(Operation::AddStats, call).await;
        (left_now, outcome)
    }

    /// Adds what was counted to what waits: aside, because it may be much, and deliveries are not to wait meanwhile.
    async fn gather(&mut self) {
        let counted = self.telemetry.take();
        let mut waiting = mem::replace(&mut self.waiting, Waiting::new(MOST_WAITING));
        let adding = spawn_blocking(move || {
            let dropped = waiting.put(counted.add_up());
            (waiting, dropped)
        });
        // An error is a runtime that ends.
        if let Ok((waiting, dropped)) = adding.await {
            self.waiting = waiting;
            self.telemetry.dropped(dropped);
        }
    }

    /// Looks at the backlog, if that is this process's to do. Answers with how long that is good for.
    async fn look(&self) -> Result<Duration> {
        let Self { telemetry, store, .. } = self;
        if !telemetry.load().looks {
            telemetry.backlog(Backlog::default());
            return Ok(LOOK_EVERY);
        }
        let begun = Instant::now();
        let backlog = telemetry.timed(Operation::Backlog, store.backlog(Scope::All, telemetry.now())).await?;
        telemetry.backlog(backlog);
        Ok(if begun.elapsed() > LONG_LOOK { LOOK_RARELY } else { LOOK_EVERY })
    }
}

/// What is done again and again.
struct Duty {
    doing: &'static str,
    /// When it is done next.
    at: Instant,
    /// The pause after it failed last; none: it did not.
    pause: Option<Duration>,
}

impl Duty {
    fn new(doing: &'static str, at: Instant) -> Self {
        Self { doing, at, pause: None }
    }

    /// It was done, and is to be done again after the time that this answers with; or failed, and is to be tried again, each
    /// time later than the last.
    fn done(&mut self, outcome: Result<Duration>) {
        let wait = match outcome {
            Ok(wait) => {
                self.pause = None;
                wait
            }
            Err(error) => {
                if self.pause.is_none() {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "{} failed; trying again", self.doing);
                }
                let pause = self.pause.map_or(BRING_EVERY, |pause| (pause * 2).min(LONGEST_PAUSE));
                self.pause = Some(pause);
                pause
            }
        };
        self.at = Instant::now() + wait;
    }
}
