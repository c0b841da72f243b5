use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use posthaste_store::StoreError;

use crate::{fault::Fault, url::Clients};

/// How long nothing may have failed before it is said to be over: while writes are refused, reads are answered.
const QUIET: Duration = Duration::from_secs(3);
/// The same where one of many servers may be away, and the others answer: longer than a call takes that fails.
const QUIET_OF_MANY: Duration = Duration::from_secs(8);

/// Says once that the servers are away, and once that they are back, however many calls find it out.
#[derive(Default)]
pub(crate) struct Outage {
    away: Trouble,
    full: Trouble,
    short: Trouble,
}

/// Something that is said when it begins and when it is over.
pub(crate) struct Trouble {
    quiet: Duration,
    said: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { quiet: QUIET, said: AtomicBool::new(false), last: Mutex::new(None) }
    }
}

impl Trouble {
    /// It is so; whether that is news.
    pub(crate) fn begins(&self) -> bool {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        !self.said.swap(true, Ordering::Relaxed)
    }

    /// It seems not to be so any more; whether it was, and has not been for long enough.
    pub(crate) fn is_over(&self) -> bool {
        // Looked at first: this is on the way of every call.
        self.said.load(Ordering::Relaxed)
            && self
                .last
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none_or(|last| last.elapsed() >= self.quiet)
            && self.said.swap(false, Ordering::Relaxed)
    }
}

impl Outage {
    /// Of one server, or of a cluster's.
    pub(crate) fn of(clients: &Clients) -> Self {
        match clients {
            Clients::Cluster(_) => {
                Self { away: Trouble { quiet: QUIET_OF_MANY, ..Trouble::default() }, ..Self::default() }
            }
            Clients::Standalone(_) | Clients::Sentinel(_) => Self::default(),
        }
    }

    pub(crate) fn note(&self, fault: &Fault) {
        let error = || StoreError::from(fault.clone());
        match fault {
            Fault::Unavailable(error) if error.code() == Some("NOSCRIPT") => {}
            Fault::Unavailable(_) if self.away.begins() => {
                tracing::error!("{}; trying again until it is back", error());
            }
            Fault::Full(_) if self.full.begins() => tracing::error!(
                "{}: events are refused until there is room, what is stored is delivered; raise maxmemory or shorten \
                 retention",
                error()
            ),
            Fault::Short(_) if self.short.begins() => tracing::error!(
                "{}: publishers are answered 503 until there are enough; bring replicas back, or lower redis.replicas",
                error()
            ),
            _ => {}
        }
    }

    /// A call was answered.
    pub(crate) fn over(&self) {
        if self.away.is_over() {
            tracing::info!("Redis is back");
        }
    }

    /// Something was written that needs room.
    pub(crate) fn has_room(&self) {
        if self.full.is_over() {
            tracing::info!("Redis has room again");
        }
    }

    /// Enough replicas have what was accepted.
    pub(crate) fn is_replicated(&self) {
        if self.short.is_over() {
            tracing::info!("enough replicas follow again");
        }
    }
}
