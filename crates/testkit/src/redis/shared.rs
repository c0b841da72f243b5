use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::Result;

use super::{Persistence, RedisCluster, RedisServer, random};

/// Names a server that is there for the whole run of the tests.
const STANDALONE: &str = "POSTHASTE_TEST_REDIS";
/// The same for a cluster.
const CLUSTER: &str = "POSTHASTE_TEST_REDIS_CLUSTER";

/// A database that other tests use at the same time: keep to keys with a [`unique_prefix`].
pub struct Shared<T> {
    url: String,
    /// None: the run of the tests keeps it.
    _own: Option<Arc<T>>,
}

impl<T> Shared<T> {
    /// The store's URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A server with [`Persistence::AofAlways`]: the one that `POSTHASTE_TEST_REDIS` names (nextest sets it), or else one
/// that ends with the last of this process who uses it.
///
/// # Errors
/// It does not start; the error holds its log.
pub fn shared_standalone() -> Result<Shared<RedisServer>> {
    static OWN: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());
    shared(STANDALONE, &OWN, || RedisServer::start(Persistence::AofAlways), RedisServer::url)
}

/// A cluster of three primaries: the one that `POSTHASTE_TEST_REDIS_CLUSTER` names (nextest sets it), or else one that
/// ends with the last of this process who uses it.
///
/// # Errors
/// It does not come about; the error holds a log.
pub fn shared_cluster() -> Result<Shared<RedisCluster>> {
    static OWN: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());
    shared(CLUSTER, &OWN, || RedisCluster::start(3, 0), RedisCluster::url)
}

/// Begins the keys of one test: `test-` and 16 digits that no other test has.
pub fn unique_prefix() -> String {
    format!("test-{:016x}", random())
}

fn shared<T>(
    variable: &str,
    own: &Mutex<Weak<T>>,
    start: impl FnOnce() -> Result<T>,
    url: impl FnOnce(&T) -> String,
) -> Result<Shared<T>> {
    if let Ok(url) = std::env::var(variable) {
        return Ok(Shared { url, _own: None });
    }
    let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
    let running = own.upgrade().map_or_else(|| start().map(Arc::new), Ok)?;
    *own = Arc::downgrade(&running);
    Ok(Shared { url: url(&running), _own: Some(running) })
}
