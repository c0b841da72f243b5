//! What is more than a script does in one go is done in several, and nothing of it is lost.

// A test fails when its scene does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
#[path = "../fixture/line.rs"]
mod line;
mod notices;
mod order;
mod replays;
mod searching;
mod sending;
mod statistics;
mod trouble;
mod turns;
mod waiting;

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_model::{Endpoint, TenantId};
use posthaste_store::{
    Leases, NewEvent, Store,
    conformance::{Driver, Fixture, sample_event},
};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_testkit::redis::{Persistence, RedisServer};

use line::Line;

/// A store of one partition that has a server to itself.
struct Alone {
    store: Option<RedisStore>,
    settings: RedisSettings,
    server: Arc<RedisServer>,
}

impl Alone {
    fn new() -> Self {
        let server = Arc::new(RedisServer::start(Persistence::None).unwrap());
        let settings = RedisSettings { partitions: 1, ..RedisSettings::at(server.url().parse().unwrap()) };
        Self { store: None, settings, server }
    }

    async fn driver(mut self) -> Driver {
        self.reopen().await;
        Driver::new(self).await
    }

    fn line(&self) -> Line {
        Line::of(&self.server.url(), &self.settings.prefix, self.settings.partitions)
    }
}

#[async_trait]
impl Fixture for Alone {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    async fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(RedisStore::open(self.settings.clone()).await.unwrap());
    }
}

/// Accepts events of these numbers, in one call.
async fn accept(driver: &mut Driver, endpoint: &Endpoint, numbers: std::ops::Range<usize>) -> usize {
    let Endpoint { tenant, id, .. } = endpoint;
    let now = driver.now();
    let events =
        numbers.map(|n| NewEvent { event: sample_event(tenant, &name(n), now), endpoints: vec![*id] });
    let accepted = driver.accept_all(tenant, events.collect()).await.unwrap();
    accepted.iter().filter(|accepted| !accepted.duplicate).count()
}

fn name(n: usize) -> String {
    format!("evt-{n:05}")
}

/// Makes so many endpoints that have the same event waiting.
async fn crowd(driver: &mut Driver, tenant: &TenantId, count: usize) -> Vec<Endpoint> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(driver.endpoint(tenant).await);
    }
    driver.accept(tenant, "for-all", &crowd.iter().collect::<Vec<_>>()).await;
    crowd
}

/// Leases whatever can be leased, in as many calls as it takes.
async fn lease_all(driver: &mut Driver) -> Vec<posthaste_store::Lease> {
    let mut all = Vec::new();
    loop {
        let Leases { leases, unseen, .. } = driver.lease_until_due(1_000, 1_000).await;
        let over = leases.is_empty() && !unseen;
        all.extend(leases);
        if over {
            return all;
        }
    }
}
