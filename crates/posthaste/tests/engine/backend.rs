use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use posthaste_store::{Store, StoreError};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_store_sqlite::SqliteStore;
use posthaste_testkit::redis::{RedisServer, Shared, shared_standalone, unique_prefix};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::world::AMPLE;

/// Enough that two processes share them, few enough that each has something to do.
const PARTITIONS: u16 = 4;

/// A store that was made for one test.
pub(crate) enum Backend {
    /// A file, which one process has at a time: all who open it have the same.
    Sqlite { folder: TempDir, open: Mutex<Weak<SqliteStore>> },
    /// Keys of its own on a server that other tests use, too. Each process has its own connections.
    Redis { settings: Box<RedisSettings>, _server: Shared<RedisServer> },
}

impl Backend {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite { folder: tempfile::tempdir().unwrap(), open: Mutex::default() }
    }

    pub(crate) fn redis() -> Self {
        let server = shared_standalone().unwrap();
        let at = RedisSettings::at(server.url().parse().unwrap());
        let settings = RedisSettings { prefix: unique_prefix(), partitions: PARTITIONS, ..at };
        Self::Redis { settings: Box::new(settings), _server: server }
    }

    /// Opens the store, as a process does that starts.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Redis { settings, .. } => Arc::new(RedisStore::open((**settings).clone()).await.unwrap()),
            Self::Sqlite { folder, open } => {
                let path = folder.path().join("posthaste.db");
                let opened = async {
                    loop {
                        if let Some(store) = open.lock().unwrap().upgrade() {
                            return store;
                        }
                        match SqliteStore::open(&path) {
                            Ok(store) => {
                                let store = Arc::new(store);
                                *open.lock().unwrap() = Arc::downgrade(&store);
                                return store;
                            }
                            // Whoever had it is closing it.
                            Err(StoreError::InUse { .. }) => sleep(Duration::from_millis(5)).await,
                            Err(error) => panic!("{error}"),
                        }
                    }
                };
                timeout(AMPLE, opened).await.expect("the file is let go of")
            }
        }
    }

    /// Returns once no process has the store any more, so that the next one finds what is on disk, and nothing else.
    pub(crate) async fn closed(&self) {
        if let Self::Sqlite { open, .. } = self {
            let closed = async {
                while open.lock().unwrap().strong_count() > 0 {
                    // Nobody is told when the last of a process's tasks is gone.
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(AMPLE, closed).await.expect("every process lets go of the store");
        }
    }
}
