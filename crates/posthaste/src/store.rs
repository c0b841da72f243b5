use std::sync::Arc;

use anyhow::bail;
use posthaste_store::Store;
use posthaste_store_sqlite::SqliteStore;

/// Opens the store that a URL names. The only place that names a backend.
pub(crate) fn open(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() && !path.starts_with(':') => {
            Ok(Arc::new(SqliteStore::open(path)?))
        }
        _ => bail!("store: '{url}' is not the URL of a store; expected 'sqlite:<file>'"),
    }
}
