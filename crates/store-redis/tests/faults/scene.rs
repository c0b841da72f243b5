//! A store on servers that the test may do anything to.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use posthaste_store::{
    Result, Store, StoreError,
    conformance::{Driver, Fixture},
};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_testkit::redis::{RedisServer, ServerSetup};

/// Long enough for whatever is to happen to have happened, on a machine that is busy.
pub(crate) const AMPLE: Duration = Duration::from_secs(20);
/// Within what a call is answered that cannot be: the time for an answer, and some for a busy machine.
pub(crate) const PROMPT: Duration = Duration::from_millis(4_500);
/// Within what a process hears of what another one did, on a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_millis(500);

/// A store at a URL that has two partitions.
pub(crate) fn at(url: impl AsRef<str>) -> RedisSettings {
    RedisSettings { partitions: 2, ..RedisSettings::at(url.as_ref().parse().expect("a URL")) }
}

pub(crate) async fn open(settings: RedisSettings) -> RedisStore {
    RedisStore::open(settings).await.expect("an open store")
}

/// A store, and what a driver needs to open it again.
struct Scene {
    store: Option<RedisStore>,
    settings: RedisSettings,
}

#[async_trait]
impl Fixture for Scene {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().expect("an open store")
    }

    async fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(open(self.settings.clone()).await);
    }
}

/// Drives a store that it opens.
pub(crate) async fn drive(settings: RedisSettings) -> Driver {
    Driver::new(Scene { store: Some(open(settings.clone()).await), settings }).await
}

/// A server that is a cluster by itself.
pub(crate) async fn lone_cluster(setup: ServerSetup) -> RedisServer {
    let server = setup.option("cluster-enabled", "yes").start().expect("a server");
    server.command(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1"]).expect("an address");
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).expect("all slots");
    until("the cluster is complete", async || {
        server.command(&["CLUSTER", "INFO"]).expect("an answer").contains("cluster_state:ok")
    })
    .await;
    server
}

/// Waits until a thing is so, by looking at it.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let patience = Instant::now() + AMPLE;
        while !is_so().await {
            assert!(Instant::now() < patience, "{place}: it never came that {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits until the store works: it can be written to.
pub(crate) async fn until_it_works(store: &dyn Store) {
    until("the store works", async || store.check().await.is_ok()).await;
}

/// Waits until a primary knows that its replica has everything: what it acknowledged outlives it.
pub(crate) async fn until_in_step(primary: &RedisServer) {
    until("the replica has everything", async || {
        let info = primary.command(&["INFO", "replication"]).unwrap();
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let offset = field("master_repl_offset:").unwrap();
        field("slave0:").is_some_and(|replica| replica.contains(&format!("offset={offset},")))
    })
    .await;
}

/// Fails unless a call says that the store is unavailable; gives what it says.
#[track_caller]
pub(crate) fn unavailable<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Err(error @ StoreError::Unavailable { .. }) => error.to_string(),
        other => panic!("the store should be unavailable: {other:?}"),
    }
}

/// What a future came to, and how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (work.await, began.elapsed())
}
