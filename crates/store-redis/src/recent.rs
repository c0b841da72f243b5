//! Events that this process has just accepted, at hand for the lease that follows within milliseconds.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use posthaste_model::{Event, Timestamp};
use posthaste_store::Partition;

/// How many bytes of events are kept.
const ROOM: usize = 32 << 20;
/// About what an event takes beside its payload.
const OVERHEAD: usize = 512;

type Key = (Partition, u64);

/// Kept only where deliveries are leased, too.
#[derive(Default)]
pub(crate) struct Recent {
    leased: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    events: HashMap<Key, Arc<Event>>,
    /// Oldest first; some are gone already.
    order: VecDeque<(Key, usize)>,
    bytes: usize,
}

impl Recent {
    /// This process leases.
    pub(crate) fn lease_from(&self) {
        self.leased.store(true, Ordering::Relaxed);
    }

    pub(crate) fn put(&self, key: Key, event: impl FnOnce() -> Event) {
        if !self.leased.load(Ordering::Relaxed) {
            return;
        }
        let event = Arc::new(event());
        let size = event.payload.bytes().len() + OVERHEAD;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += size;
        kept.order.push_back((key, size));
        kept.events.insert(key, event);
        while kept.bytes > ROOM
            && let Some((oldest, size)) = kept.order.pop_front()
        {
            kept.events.remove(&oldest);
            kept.bytes -= size;
        }
    }

    /// The event, if it was accepted at a time: a number that the server lost and gave again names another one.
    pub(crate) fn get(&self, key: Key, accepted_at: Timestamp) -> Option<Arc<Event>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.get(&key).filter(|event| event.accepted_at == accepted_at).cloned()
    }
}
