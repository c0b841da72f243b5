//! What a store is, is written in the server, and every process keeps to it.

use posthaste_model::{Next, Tenant};
use posthaste_store::{
    Catalogue as _, Deliveries as _, KeyId, Page, Store as _, StoreError,
    conformance::{START, replied},
};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::scene::{at, drive, open};

async fn tenants(store: &RedisStore) -> Vec<String> {
    store
        .tenants(Page::first(10))
        .await
        .unwrap()
        .rows
        .into_iter()
        .map(|tenant| tenant.id.to_string())
        .collect()
}

async fn put(store: &RedisStore, id: &str) {
    let now = jiff::Timestamp::from_millisecond(START).unwrap();
    let tenant = Tenant::new(id.parse().unwrap(), now);
    store.put_tenant(tenant).await.unwrap();
}

#[tokio::test]
async fn a_newer_store_is_not_touched() {
    let server = RedisServer::start(Persistence::None).unwrap();
    server.command(&["HSET", "posthaste:store", "schema", "2"]).unwrap();
    let error = RedisStore::open(at(server.url())).await.err().unwrap();
    assert!(matches!(error, StoreError::NewerSchema { found: 2, supported: 1 }), "{error}");
    assert_eq!(server.command(&["KEYS", "*"]).unwrap(), "posthaste:store");
    assert_eq!(server.command(&["HGETALL", "posthaste:store"]).unwrap(), "schema\n2");
}

#[tokio::test]
async fn what_an_earlier_build_wrote_is_read() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(RedisSettings { partitions: 1, ..at(server.url()) }).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "one", &[&endpoint]).await;
    driver.accept(&tenant, "two", &[&endpoint]).await;
    let before = driver.lease_up_to(1, 1).await.remove(0);
    // An earlier build knew nothing of limits and of an order.
    let forget = "for _, key in ipairs(redis.call('KEYS', '*:p:*')) do \
        local rest = cjson.decode(redis.call('HGET', key, 'd')) \
        rest.max_in_flight, rest.rate_limit, rest.ordered = nil, nil, nil \
        redis.call('HSET', key, 'd', cjson.encode(rest)) end";
    server.command(&["EVAL", forget, "0"]).unwrap();
    let rest =
        server.command(&["EVAL", "return redis.call('HGET', redis.call('KEYS', '*:p:*')[1], 'd')", "0"]);
    assert!(!rest.unwrap().contains("ordered"));
    assert_eq!(driver.reread(&endpoint).await, endpoint);
    driver.settle(&before, replied(200), Next::Delivered).await;
    let next = driver.lease_only().await;
    assert_eq!(*next.endpoint, endpoint);
    driver.settle(&next, replied(500), Next::Retry { at: driver.secs(5) }).await;
    driver.change(&endpoint, |endpoint| endpoint.ordered = true).await;
    driver.pass(5);
    assert_eq!(driver.lease_only().await.delivery, next.delivery);
    driver.check_invariants().await;
}

#[tokio::test]
async fn the_first_one_decides_how_it_is_divided() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let settings = |partitions| RedisSettings { partitions, ..at(server.url()) };
    assert!(!RedisStore::exists(&settings(5)).await.unwrap());
    assert_eq!(server.command(&["DBSIZE"]).unwrap(), "0", "looking makes nothing");
    let first = open(settings(5)).await;
    assert_eq!(first.partitions(), 5);
    assert_eq!(open(settings(9)).await.partitions(), 5);
    assert!(RedisStore::exists(&settings(1)).await.unwrap());
    // Many that make it at once agree.
    let at_once = (1..=8).map(|n| {
        let settings = RedisSettings { prefix: "another".into(), ..settings(n) };
        async move { open(settings).await.partitions() }
    });
    let partitions = futures_util::future::join_all(at_once).await;
    assert!(partitions.iter().all(|count| *count == partitions[0]), "{partitions:?}");

    server.command(&["HSET", "posthaste:store", "partitions", "0"]).unwrap();
    let error = RedisStore::open(settings(5)).await.err().unwrap();
    assert_eq!(error.to_string(), "the store is damaged: it has 0 partitions");
}

#[tokio::test]
async fn stores_of_other_prefixes_and_databases_are_others() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let one = at(server.url());
    let two = RedisSettings { prefix: "posthaste:2".into(), ..one.clone() };
    let elsewhere = at(format!("{}3", server.url()));
    let stores = [open(one.clone()).await, open(two).await, open(elsewhere).await];
    for (store, id) in stores.iter().zip(["one", "two", "three"]) {
        put(store, id).await;
        store.bind_key(KeyId([id.len() as u8; 4])).await.unwrap();
    }
    for (store, id) in stores.iter().zip(["one", "two", "three"]) {
        assert_eq!(tenants(store).await, [id]);
    }
    assert_eq!(tenants(&open(one).await).await, ["one"]);
    assert_eq!(server.command(&["-n", "3", "EXISTS", "posthaste:store"]).unwrap(), "1");
}
