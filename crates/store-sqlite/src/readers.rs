use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use posthaste_store::{Result, StoreError};
use rusqlite::{Connection, OpenFlags};

use crate::fault::Outcome;

/// Connections that only read. As many as there are reads at once; idle ones are kept.
#[derive(Clone)]
pub(crate) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// How many idle connections are kept.
const KEEP: usize = 8;

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path), idle: Arc::default() }
    }

    /// Runs a read on a thread that may block. It sees one moment of the store.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let readers = self.clone();
        tokio::task::spawn_blocking(move || readers.read(read))
            .await
            .map_err(|e| StoreError::unavailable("a read was broken off", e))?
            .map_err(StoreError::from)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let conn = match kept {
            Some(conn) => conn,
            None => self.open()?,
        };
        let result = {
            // Only reads: there is nothing to commit, and dropping it ends it.
            let _moment = conn.unchecked_transaction()?;
            read(&conn)
        };
        let mut idle = idle();
        if idle.len() < KEEP {
            idle.push(conn);
        }
        result
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(
            &*self.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;")?;
        Ok(conn)
    }
}
