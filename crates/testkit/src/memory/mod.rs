//! The reference: a store that is plainly right, and that the others are compared with.
//!
//! Everything is found by looking at everything. Nothing is derived, cached or kept twice: what the queries show is
//! what is stored.

mod audit;
mod catalogue;
mod deliveries;
mod intake;
mod keys;
mod leasing;
mod notices;
mod queries;
mod recovery;
mod repairs;
mod replays;
mod retention;
mod settling;
mod stats;
mod tables;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use posthaste_model::{TenantId, Timestamp};
use posthaste_store::{
    Deliveries as _, Durability, Finding, KeyId, Level, Partition, Result, Store, StoreError,
    conformance::Fixture,
};
use tokio::sync::Notify;

use tables::{Tables, partition_of};

/// A store in memory.
pub struct MemoryStore {
    tables: Mutex<Tables>,
    /// One for each partition.
    woken: Vec<Notify>,
}

impl Default for MemoryStore {
    /// Of one partition.
    fn default() -> Self {
        Self::with_partitions(1)
    }
}

impl MemoryStore {
    /// Of so many partitions, at least one.
    pub fn with_partitions(partitions: u16) -> Self {
        let woken: Vec<Notify> = (0..partitions.max(1)).map(|_| Notify::new()).collect();
        Self { tables: Mutex::default(), woken }
    }

    /// Where the events of a tenant are: the same for ever, whatever else the store holds.
    pub fn partition_of(&self, tenant: &TenantId) -> Partition {
        partition_of(tenant, self.partitions())
    }

    /// Who has which partitions, as far as their time is not over.
    pub fn owners(&self, now: Timestamp) -> BTreeMap<Partition, String> {
        let tables = self.tables();
        let live = tables.owners.iter().filter(|(_, owner)| now < owner.until);
        live.map(|(partition, owner)| (*partition, owner.name.clone())).collect()
    }

    /// Forgets what a crash of the process would: who owns the partitions. What was in flight still is, and is given
    /// back by the next owners' recovery.
    pub fn crash(&self) {
        self.tables().owners.clear();
    }

    /// Wakes every owner: too often is no fault.
    fn wake(&self) {
        self.woken.iter().for_each(Notify::notify_one);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn durability(&self) -> Durability {
        Durability::Volatile
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn examine(&self, _now: Timestamp) -> Result<Vec<Finding>> {
        let found = "volatile: everything is lost with the process".into();
        Ok(vec![Finding { check: "durability", level: Level::Danger, found, remedy: None }])
    }

    async fn bind_key(&self, key: KeyId) -> Result<()> {
        if *self.tables().key.get_or_insert(key) == key { Ok(()) } else { Err(StoreError::ForeignKey) }
    }
}

#[async_trait]
impl Fixture for MemoryStore {
    fn store(&self) -> &dyn Store {
        self
    }

    async fn reopen(&mut self) {
        self.crash();
    }
}
