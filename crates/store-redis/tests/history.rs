//! What was delivered makes room for what is to be, when a Redis has little left.

// A test fails when its sabotage does.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_model::{Event, Next, Payload};
use posthaste_store::{
    EventFilter, NewEvent, Queries as _, Retain, Retention as _, Store,
    conformance::{Driver, Fixture, all, replied, sample_event},
};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_testkit::redis::{Persistence, RedisServer};

/// Longer than any test: nothing is forgotten because of its age.
const RETAIN: Retain = Retain { delivered: Duration::from_secs(86_400), failed: Duration::from_secs(86_400) };
/// Bytes of an event that cannot be compressed.
const PAYLOAD: usize = 100_000;

struct Small {
    store: RedisStore,
    server: RedisServer,
}

impl Small {
    async fn new(history_memory: u8) -> Self {
        let server = RedisServer::with(Persistence::None).option("maxmemory", "40mb").start().unwrap();
        let settings = RedisSettings {
            partitions: 1,
            history_memory,
            ..RedisSettings::at(server.url().parse().unwrap())
        };
        Self { store: RedisStore::open(settings).await.unwrap(), server }
    }
}

#[async_trait]
impl Fixture for Small {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn reopen(&mut self) {}
}

fn noise(seed: u64) -> Payload {
    let mut state = seed;
    let byte = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    Payload::Raw {
        content_type: "application/octet-stream".into(),
        body: (0..PAYLOAD).map(byte).collect::<Bytes>(),
    }
}

/// Delivers so many large events, then prunes once; answers with how many events of each of two tenants are left: those
/// that were delivered, and those that wait.
async fn left(history_memory: u8, delivered: u64) -> (usize, usize) {
    let fixture = Small::new(history_memory).await;
    let url = fixture.server.url();
    let mut driver = Driver::new(fixture).await;
    let (done, waiting) = (driver.tenant("done").await, driver.tenant("waiting").await);
    let (one, two) = (driver.endpoint(&done).await, driver.endpoint(&waiting).await);
    for n in 0..delivered {
        let event = Event { payload: noise(n), ..sample_event(&done, &format!("evt-{n}"), driver.now()) };
        driver.accept_all(&done, vec![NewEvent { event, endpoints: vec![one.id] }]).await.unwrap();
        let lease = driver.lease_only().await;
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    driver.accept(&waiting, "evt", &[&two]).await;
    let store = RedisStore::open(RedisSettings { history_memory, ..RedisSettings::at(url.parse().unwrap()) });
    let store = store.await.unwrap();
    // Long enough for every publisher to know that it was accepted.
    driver.pass(301);
    let (partition, _) = driver.epochs()[0];
    let mut from = None;
    loop {
        from = store.prune(partition, RETAIN, driver.now(), from, 10).await.unwrap().next;
        if from.is_none() {
            break;
        }
    }
    let list = |tenant, page| store.events(Some(tenant), EventFilter::default(), page);
    let count = async |tenant| all(100, |page| list(tenant, page)).await.unwrap().len();
    (count(&done).await, count(&waiting).await)
}

#[tokio::test]
async fn beyond_its_share_the_oldest_of_the_history_goes() {
    // 25 MB of 40: beyond a half.
    let (delivered, waiting) = left(50, 250).await;
    assert!((50..250).contains(&delivered), "{delivered} are left");
    assert_eq!(waiting, 1);
}

#[tokio::test]
async fn within_its_share_history_stays() {
    assert_eq!(left(90, 250).await, (250, 1));
}
