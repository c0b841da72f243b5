use std::{path::Path, sync::Arc};

use posthaste_store::Store;
use posthaste_store_redis::{RedisSettings, RedisStore, RedisUrl};
use posthaste_store_sqlite::SqliteStore;
use posthaste_testkit::redis::{Persistence, RedisServer};
use tempfile::TempDir;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Redis,
}

impl Backend {
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Redis];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
        }
    }
}

/// Where a new store can be made. It goes, with all that is in it, when this is dropped.
pub(crate) enum Ground {
    Folder(TempDir),
    Server(RedisServer),
}

impl Ground {
    pub(crate) fn new(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::Folder(tempfile::tempdir().unwrap()),
            Backend::Redis => {
                // Rewriting the file is the server's own business, begins when it likes, and slows everything meanwhile.
                let setup = RedisServer::with(Persistence::AofEverysec);
                Self::Server(setup.option("auto-aof-rewrite-percentage", "0").start().unwrap())
            }
        }
    }

    /// How another process finds it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Folder(folder) => folder.path().join("posthaste.db").to_str().unwrap().to_owned(),
            Self::Server(server) => server.url(),
        }
    }
}

/// Opens the store there.
pub(crate) async fn open(address: &str) -> Arc<dyn Store> {
    if RedisUrl::claims(address) {
        open_redis(RedisSettings::at(address.parse().unwrap())).await
    } else {
        Arc::new(SqliteStore::open(Path::new(address)).unwrap())
    }
}

/// Opens the store there, with a single partition.
pub(crate) async fn open_undivided(address: &str) -> Arc<dyn Store> {
    if RedisUrl::claims(address) {
        open_redis(RedisSettings { partitions: 1, ..RedisSettings::at(address.parse().unwrap()) }).await
    } else {
        open(address).await
    }
}

async fn open_redis(settings: RedisSettings) -> Arc<dyn Store> {
    Arc::new(RedisStore::open(settings).await.unwrap())
}
