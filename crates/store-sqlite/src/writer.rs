//! The one thread that writes.
//!
//! It groups whatever is waiting into one transaction, so that one `fsync` serves many callers; each learns of its
//! outcome after the commit. A job checks first and writes after: one that is refused has written nothing, and its
//! neighbours in the group go on. A job on which SQLite fails takes the whole group down with it: the transaction is
//! rolled back, and the memory beside the tables is loaded anew.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use posthaste_store::{Result, StoreError};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    fault::{Fault, Outcome},
    state::State,
};

/// How many jobs share a commit at the most: enough to spread the cost of a commit, few enough to keep it short.
const GROUP: usize = 1_024;

/// What a job works on: the connection, inside a transaction, and the memory beside the tables.
pub(crate) struct Work<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) state: &'a mut State,
}

/// Runs on the work at hand; or, where there can be none, only passes the reason on.
type Job = Box<dyn FnOnce(Result<&mut Work<'_>, &str>) -> Done + Send>;
/// Tells the caller, given why the group was rolled back, if it was.
type Tell = Box<dyn FnOnce(Option<&str>) + Send>;

struct Done {
    /// Why the group cannot be committed, if it cannot.
    failed: Option<String>,
    tell: Tell,
}

pub(crate) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(conn: Connection, state: State) -> Result<Self> {
        let (jobs, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || Thread { conn, state, fits: true }.run(&waiting))
            .map_err(|e| StoreError::unavailable("cannot start the writer thread", e))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a job in the next group and answers once it is committed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Work<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let stopped = || unavailable("the writer has stopped");
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |work| {
            let result = match work {
                Ok(work) => checked(work, job),
                Err(reason) => Err(Fault::Refused(unavailable(reason))),
            };
            let failed = match &result {
                Err(Fault::Sqlite(error)) => Some(error.to_string()),
                _ => None,
            };
            let tell: Tell = Box::new(move |rolled_back| {
                let result = match (result, rolled_back) {
                    (Ok(_), Some(reason)) => Err(unavailable(reason)),
                    (result, _) => result.map_err(StoreError::from),
                };
                // The caller may have given up waiting; what was done stays done.
                let _ = answer.send(result);
            });
            Done { failed, tell }
        });
        self.jobs.as_ref().ok_or_else(stopped)?.send(job).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned(), source: None }
}

/// Runs a job and holds it to its word: whoever refuses has written nothing.
fn checked<T>(work: &mut Work<'_>, job: impl FnOnce(&mut Work<'_>) -> Outcome<T>) -> Outcome<T> {
    let before = work.conn.total_changes();
    let result = job(work);
    debug_assert!(
        !matches!(result, Err(Fault::Refused(_))) || work.conn.total_changes() == before,
        "a refused job has written"
    );
    result
}

struct Thread {
    conn: Connection,
    state: State,
    /// Whether the memory fits the tables; if not it is to be loaded anew.
    fits: bool,
}

impl Thread {
    fn run(mut self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            let mut tell = Vec::new();
            let rolled_back = self.group(first, waiting, &mut tell).err();
            if let Some(reason) = &rolled_back {
                tracing::error!(reason, jobs = tell.len(), "a group of writes was rolled back");
                self.fits = false;
                // Without a transaction to roll back this fails, and nothing is lost by it.
                let _ = self.conn.execute_batch("ROLLBACK");
            }
            if rolled_back.is_none() {
                self.state.committed();
            }
            for tell in tell {
                tell(rolled_back.as_deref());
            }
        }
    }

    /// Runs jobs in one transaction until none is waiting, and commits it.
    fn group(&mut self, first: Job, waiting: &Receiver<Job>, tell: &mut Vec<Tell>) -> Result<(), String> {
        let Self { conn, state, fits } = self;
        let text = |error: rusqlite::Error| error.to_string();
        let begun = conn
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map_err(text)
            .and_then(|_| if *fits { Ok(()) } else { state.reload(conn).map_err(|fault| fault.to_string()) });
        if let Err(reason) = begun {
            tell.push(first(Err(&reason)).tell);
            return Err(reason);
        }
        *fits = true;
        let mut next = Some(first);
        while let Some(job) = next {
            let done = job(Ok(&mut Work { conn, state }));
            tell.push(done.tell);
            if let Some(reason) = done.failed {
                return Err(reason);
            }
            next = if tell.len() < GROUP { waiting.try_recv().ok() } else { None };
        }
        conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map_err(text)?;
        Ok(())
    }
}
