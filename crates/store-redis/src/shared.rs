use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use posthaste_store::{Durability, Partition};
use tokio::sync::Notify;

use crate::{
    endpoints::AtHand, envelope::Nonce, layout::Layout, link::Link, outage::Outage, pressure::Pressure,
    recent::Recent, store::RedisSettings, views::Views,
};

/// What the store's parts have in common.
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    /// The way in: keys are looked up, views read and events accepted here, behind no listing and no delivery.
    pub(crate) intake: Link,
    /// The way in where replicas have to confirm: one for each partition, because waiting for them holds it up.
    pub(crate) replicating: Vec<Link>,
    /// The life of deliveries.
    pub(crate) work: Link,
    /// The catalogue, and what operators read.
    pub(crate) desk: Link,
    pub(crate) outage: Arc<Outage>,
    /// To how many replicas an event is written before it is acknowledged.
    pub(crate) replicas: u8,
    pub(crate) pressure: Pressure,
    pub(crate) views: Views,
    pub(crate) endpoints: AtHand,
    pub(crate) recent: Recent,
    durability: Mutex<Durability>,
    pub(crate) nonces: Nonces,
    woken: Vec<Notify>,
}

impl Shared {
    pub(crate) fn new(
        layout: Layout,
        link: impl Fn() -> Link,
        outage: Arc<Outage>,
        settings: &RedisSettings,
    ) -> Self {
        let replicating = if settings.replicas == 0 { 0 } else { layout.partitions() };
        Self {
            woken: (0..layout.partitions()).map(|_| Notify::new()).collect(),
            layout,
            intake: link(),
            replicating: (0..replicating).map(|_| link()).collect(),
            work: link(),
            desk: link(),
            outage,
            replicas: settings.replicas,
            pressure: Pressure::new(settings.history_memory),
            views: Views::default(),
            endpoints: AtHand::default(),
            recent: Recent::default(),
            durability: Mutex::new(Durability::Volatile),
            nonces: Nonces::default(),
        }
    }

    /// Wakes whoever drives a partition in this process.
    pub(crate) fn wake(&self, Partition(n): Partition) {
        if let Some(woken) = self.woken.get(usize::from(n)) {
            woken.notify_one();
        }
    }

    pub(crate) fn wake_all(&self) {
        self.woken.iter().for_each(Notify::notify_one);
    }

    pub(crate) async fn woken(&self, Partition(n): Partition) {
        match self.woken.get(usize::from(n)) {
            Some(woken) => woken.notified().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn set_durability(&self, durability: Durability) {
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = durability;
    }

    pub(crate) fn durability(&self) -> Durability {
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes names for calls: no two processes make the same ones, but by an accident of one in 2^48.
pub(crate) struct Nonces(AtomicU64);

impl Default for Nonces {
    fn default() -> Self {
        // The standard library's keys, which are random in each process.
        Self(AtomicU64::new(RandomState::new().build_hasher().finish()))
    }
}

impl Nonces {
    pub(crate) fn next(&self) -> Nonce {
        let mut nonce = Nonce::default();
        nonce.copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes()[2..]);
        nonce
    }
}
