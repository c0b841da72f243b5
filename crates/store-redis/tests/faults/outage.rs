//! The server is killed, and comes back.

use std::time::Duration;

use posthaste_model::Next;
use posthaste_store::{
    Catalogue as _, Deliveries as _, NewEvent, Page, Settled, Store as _, StoreError,
    conformance::{Driver, Shown, TTL, replied, sample_event, sample_request},
};
use posthaste_store_redis::RedisSettings;
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::{
    proxy::{Proxy, WHILE, Weather, lone_cluster_behind_a_proxy},
    scene::{at, drive, open, timed, unavailable, until, until_it_works},
    witness::Witness,
};

/// How fast a call fails when nothing listens.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Every kind of call fails at once, and says that it may be tried again.
async fn check_everything_fails(driver: &mut Driver, tenant: &posthaste_model::TenantId) {
    let (now, store) = (driver.now(), driver.store());
    let (partition, epoch) = driver.epochs()[0];
    let request = sample_request((partition, epoch), now);
    let view = store.view(tenant).await;
    let accept = async {
        let new = NewEvent { event: sample_event(tenant, "lost", now), endpoints: Vec::new() };
        store.accept(tenant, view?.version, vec![new]).await
    };
    let (said, took) = timed(async {
        [
            unavailable(accept.await),
            unavailable(store.lease(request).await),
            unavailable(store.renew(partition, epoch, now, TTL).await),
            unavailable(store.claim(partition, "other", now, TTL).await),
            unavailable(store.recover(partition, epoch, now).await),
            unavailable(store.attend("driver", now, TTL).await),
            unavailable(store.tenant(tenant).await),
            unavailable(Shown::of(store, tenant).await),
            unavailable(store.check().await),
            unavailable(store.examine(now).await),
            unavailable(store.inbox().unwrap().receive("reader", 1).await),
        ]
    })
    .await;
    assert!(took < AT_ONCE, "{took:?}");
    for said in said {
        assert!(said.starts_with("the store is unavailable: ") && !said.contains('\n'), "{said}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_server_and_the_store_resumes_by_itself() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for event in ["one", "two", "three"] {
        driver.accept(&tenant, event, &[&endpoint]).await;
    }
    let delivered = driver.lease_up_to(1, 1).await.remove(0);
    driver.settle(&delivered, replied(200), Next::Delivered).await;
    let in_flight = driver.lease_up_to(1, 1).await.remove(0);
    let before = driver.shown(&tenant).await;

    server.kill();
    check_everything_fails(&mut driver, &tenant).await;
    let late = driver.settlement(&in_flight, replied(200), Next::Delivered);
    unavailable(driver.store().settle(vec![late.clone()].into()).await);

    server.restart().unwrap();
    until_it_works(driver.store()).await;
    assert_eq!(driver.shown(&tenant).await, before);
    // The hold of the partitions and the lease are what they were.
    for (partition, epoch) in driver.epochs().to_vec() {
        driver.store().renew(partition, epoch, driver.now(), TTL).await.unwrap();
    }
    assert_eq!(driver.settle_as(late).await, Settled::Applied);
    let rest = driver.lease_only().await;
    assert_eq!(rest.event.id.as_str(), "three");
    driver.settle(&rest, replied(200), Next::Delivered).await;
    driver.accept(&tenant, "four", &[&endpoint]).await;
    driver.check_invariants().await;
}

#[tokio::test]
async fn an_outage_is_said_once_however_many_calls_find_it() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let witness = Witness::new();
    for outage in 1..=2 {
        server.kill();
        for _ in 0..50 {
            unavailable(driver.store().tenant(&tenant).await);
            unavailable(driver.store().check().await);
        }
        server.restart().unwrap();
        until_it_works(driver.store()).await;
        until("it is said that Redis is back", async || {
            driver.store().check().await.unwrap();
            witness.lines().len() == outage * 2
        })
        .await;
        let lines = witness.lines();
        assert!(lines[outage * 2 - 2].starts_with("ERROR"), "{lines:?}");
        assert!(lines[outage * 2 - 2].contains("trying again until it is back"), "{lines:?}");
        assert!(lines[outage * 2 - 1].ends_with("Redis is back"), "{lines:?}");
    }
}

#[tokio::test]
async fn what_works_still_does_not_make_an_outage_be_said_again_and_again() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let witness = Witness::new();
    // Reads are answered, and writes are refused.
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]).unwrap();
    for _ in 0..20 {
        unavailable(driver.store().check().await);
        driver.store().tenant(&tenant).await.unwrap();
    }
    assert_eq!(witness.lines().len(), 1, "{:?}", witness.lines());
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]).unwrap();
    until("it is said that Redis is back", async || {
        driver.store().check().await.unwrap();
        witness.lines().len() == 2
    })
    .await;
}

/// Calls by callers that do not wait at all make no more connections than a few each second.
async fn check_it_is_not_stormed(settings: RedisSettings, proxy: &Proxy) {
    let store = open(settings).await;
    proxy.turn(Weather::Closed);
    proxy.break_all();
    let (before, tenant) = (proxy.connections(), "acme".parse().unwrap());
    let inbox = store.inbox().unwrap();
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let hammer = async {
        loop {
            // On every connection that the store has.
            assert!(store.tenant(&tenant).await.is_err());
            assert!(store.tenants(Page::first(1)).await.is_err());
            assert!(store.attend("owner", now, TTL).await.is_err());
            assert!(inbox.receive("reader", 1).await.is_err());
            tokio::task::yield_now().await;
            if proxy.connections() - before > 200 {
                return;
            }
        }
    };
    let stormed = tokio::time::timeout(WHILE, hammer).await;
    let made = proxy.connections() - before;
    assert!(stormed.is_err() && (3..60).contains(&made), "{made} connections in {WHILE:?}");

    proxy.turn(Weather::Fair);
    until_it_works(&store).await;
    until("tenants are looked up again", async || {
        matches!(store.tenant(&tenant).await, Err(StoreError::NotFound(_)))
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_is_not_stormed() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let proxy = Proxy::to(server.port()).await;
    check_it_is_not_stormed(at(proxy.url()), &proxy).await;
}

#[tokio::test]
async fn a_cluster_that_is_away_is_not_stormed() {
    let (_server, proxy) = lone_cluster_behind_a_proxy().await;
    check_it_is_not_stormed(at(proxy.cluster_url()), &proxy).await;
}
