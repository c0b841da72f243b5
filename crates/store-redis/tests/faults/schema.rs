//! What a store is, is written in the server, and every process keeps to it.

use posthaste_model::{Next, ReplayId, Tenant};
use posthaste_store::{
    Catalogue as _, Deliveries as _, DeliveryFilter, KeyId, Page, Replay, ReplayState, Store as _,
    StoreError,
    conformance::{START, all, replied},
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
    server.command(&["HSET", "posthaste:store", "schema", "3"]).unwrap();
    let error = RedisStore::open(at(server.url())).await.err().unwrap();
    assert!(matches!(error, StoreError::NewerSchema { found: 3, supported: 2 }), "{error}");
    assert_eq!(server.command(&["KEYS", "*"]).unwrap(), "posthaste:store");
    assert_eq!(server.command(&["HGETALL", "posthaste:store"]).unwrap(), "schema\n3");
}

#[tokio::test]
async fn who_opens_an_older_store_shuts_older_builds_out() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let schema = || server.command(&["HGET", "posthaste:store", "schema"]).unwrap();
    put(&open(at(server.url())).await, "acme").await;
    assert_eq!(schema(), "2", "a new store");
    server.command(&["HSET", "posthaste:store", "schema", "1"]).unwrap();
    // A store that is full can be opened, too.
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    assert_eq!(tenants(&open(at(server.url())).await).await, ["acme"]);
    assert_eq!(schema(), "2");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    // It is noticed while the store is open that a newer build has it now.
    let store = open(at(server.url())).await;
    server.command(&["HSET", "posthaste:store", "schema", "3"]).unwrap();
    let checked = store.check().await;
    assert!(matches!(checked, Err(StoreError::NewerSchema { found: 3, .. })), "{checked:?}");
    assert_eq!(schema(), "3");
}

#[tokio::test]
async fn a_damaged_replay_hides_no_other() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(RedisSettings { partitions: 1, ..at(server.url()) }).await;
    let tenant = driver.tenant("acme").await;
    let mut made = Vec::new();
    for random in 1..=4 {
        let replay = Replay {
            id: ReplayId::mint(driver.now(), [random; 10]),
            tenant: tenant.clone(),
            filter: DeliveryFilter::default(),
            rate: None,
            state: ReplayState::Running,
            found: 0,
            found_more: false,
            reopened: 0,
            passed_over: 0,
            cursor: None,
            version: 1,
            created_at: driver.now(),
            updated_at: driver.now(),
        };
        driver.store().create_replay(replay.clone()).await.unwrap();
        made.push(replay);
    }
    let damage = "local list = redis.call('KEYS', '*:running')[1] \
        local which = redis.call('ZRANGE', list, 1, 2) \
        local key = string.gsub(list, 'running$', 'j:r') \
        local version = string.match(redis.call('GET', key .. which[1]), '^%d+ %d+ ') \
        redis.call('SET', key .. which[1], version .. '{}') \
        return redis.call('DEL', key .. which[2])";
    assert_eq!(server.command(&["EVAL", damage, "0"]).unwrap(), "1");
    let (partition, _) = driver.epochs()[0];
    let running = driver.store().running_replays(partition).await.unwrap();
    assert_eq!(running, [made[0].clone(), made[3].clone()]);
    for of in [Some(&tenant), None] {
        for limit in [1, 2, 10] {
            let found = all(limit, |page| driver.store().replays(of, page)).await.unwrap();
            assert_eq!(found, [made[3].clone(), made[0].clone()], "in pages of {limit}");
        }
    }
    let read = driver.store().replay(&tenant, made[1].id).await;
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
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
