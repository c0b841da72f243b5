use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use posthaste_model::Timestamp;
use posthaste_store::{Finding, Store};
use posthaste_store_redis::{RedisSettings, RedisStore, RedisUrl};
use posthaste_store_sqlite::SqliteStore;

use crate::settings::Settings;

/// The backends. The only place that names them.
enum Backend {
    Sqlite(PathBuf),
    Redis(RedisSettings),
}

/// The backend that the settings name.
fn backend(settings: &Settings) -> anyhow::Result<Backend> {
    let url = settings.store_url();
    match url.expose().split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() && !path.starts_with(':') => {
            Ok(Backend::Sqlite(path.into()))
        }
        _ if RedisUrl::claims(url.expose()) => {
            let crate::settings::RedisSettings { prefix, partitions, replicas, history_memory } =
                settings.redis.clone();
            let url = url.expose().parse().with_context(|| format!("store: {url}"))?;
            Ok(Backend::Redis(RedisSettings { url, prefix, partitions, replicas, history_memory }))
        }
        _ => {
            bail!(
                "store: '{url}' is not the URL of a store; expected 'sqlite:<file>' or 'redis://<host>:<port>'"
            )
        }
    }
}

/// Opens the store of the settings, and makes it if there is none.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    let opened = match backend(settings)? {
        Backend::Sqlite(path) => SqliteStore::open(path).map(|store| Arc::new(store) as Arc<dyn Store>),
        Backend::Redis(settings) => {
            RedisStore::open(settings).await.map(|store| Arc::new(store) as Arc<dyn Store>)
        }
    };
    opened.with_context(|| settings.store_url().to_string())
}

/// Opens the store of the settings, if there is one already.
pub(crate) async fn open_existing(settings: &Settings) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let exists = match backend(settings)? {
        // SQLite takes an empty file for a new store.
        Backend::Sqlite(path) => fs::metadata(path).is_ok_and(|file| file.len() > 0),
        Backend::Redis(redis) => {
            RedisStore::exists(&redis).await.with_context(|| settings.store_url().to_string())?
        }
    };
    if exists { open(settings).await.map(Some) } else { Ok(None) }
}

/// What the servers of the settings' store are like, whether or not there is a store. None: it has no servers.
pub(crate) async fn examine_servers(
    settings: &Settings,
    now: Timestamp,
) -> anyhow::Result<Option<Vec<Finding>>> {
    match backend(settings)? {
        Backend::Sqlite(_) => Ok(None),
        Backend::Redis(settings) => Ok(Some(RedisStore::examine_servers(&settings, now).await?)),
    }
}

/// Whether the store is for one process.
pub(crate) fn is_embedded(settings: &Settings) -> bool {
    matches!(backend(settings), Ok(Backend::Sqlite(_)))
}
