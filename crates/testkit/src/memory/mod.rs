//! The reference: a store that is plainly right, and that the others are compared with.
//!
//! Everything is found by looking at everything. Nothing is derived, cached or kept twice: what the queries show is
//! what is stored.

mod catalogue;
mod deliveries;
mod intake;
mod queries;
mod retention;
mod tables;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posthaste_store::{Durability, KeyId, Result, Store, StoreError, conformance::Fixture};
use tokio::sync::Notify;

use tables::Tables;

/// A store in memory, of one partition.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    woken: Notify,
}

impl MemoryStore {
    /// Forgets what a crash of the process would: who owns the partition. What was in flight still is, and is given
    /// back by the next owner's recovery.
    pub fn crash(&self) {
        self.tables().owner = None;
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
