//! The server has no memory left.

use std::time::Duration;

use posthaste_model::{
    Actor, ApiKey, ApiKeyId, AuditEntry, AuditId, AuditOutcome, Counts, EndpointEffects, EndpointState,
    HealthEffect, Next, Payload, ReplayId, Role, Topic,
};
use posthaste_store::{
    DeliveryFilter, KeyDigest, KeyId, NewEvent, NotAdded, Order, Page, Partition, Reopened, Replay,
    ReplayState, Retain, Scope, Settled, Store, StoreError, Subject, Tally,
    conformance::{Driver, TTL, disable, fares, replied, sample_endpoint, sample_event},
};
use posthaste_store_redis::RedisSettings;
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::{
    scene::{at, drive, open, until},
    witness::Witness,
};

/// Leaves no room for anything, and takes it back.
fn fill(server: &RedisServer) {
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
}

fn make_room(server: &RedisServer) {
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
}

#[track_caller]
fn full<T: std::fmt::Debug>(answer: posthaste_store::Result<T>) {
    let said = answer.expect_err("nothing fits").to_string();
    assert_eq!(said, "the store is full: Redis has reached its maxmemory");
}

fn everything(server: &RedisServer) -> String {
    server
        .command(&[
            "EVAL",
            "local all = redis.call('KEYS', '*') table.sort(all) for i, key in ipairs(all) do \
        all[i] = key .. redis.sha1hex(redis.call('DUMP', key)) end return all",
            "0",
        ])
        .unwrap()
}

#[tokio::test]
async fn what_is_full_takes_no_event_and_has_written_nothing() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let other = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "before", &[&endpoint]).await;
    let waiting = driver.delivery_of(&tenant, "before").await;
    driver.accept(&tenant, "over", &[&other]).await;
    let over = driver.delivery_of(&tenant, "over").await;
    driver.cancel(&over).await.unwrap();
    let replay = Replay {
        id: ReplayId::mint(driver.now(), [1; 10]),
        tenant: tenant.clone(),
        filter: DeliveryFilter::default(),
        rate: None,
        state: ReplayState::Running,
        found: 1,
        found_more: false,
        reopened: 0,
        passed_over: 0,
        cursor: None,
        version: 1,
        created_at: driver.now(),
        updated_at: driver.now(),
    };
    driver.store().create_replay(replay.clone()).await.unwrap();
    let key = ApiKey {
        id: ApiKeyId::mint(driver.now(), [1; 10]),
        name: String::new(),
        role: Role::Viewer,
        tenant: None,
        created_at: driver.now(),
        expires_at: None,
    };
    driver.store().create_key(key.clone(), KeyDigest([1; 32])).await.unwrap();
    let witness = Witness::new();
    fill(&server);
    let before = everything(&server);
    for _ in 0..3 {
        let event =
            NewEvent { event: sample_event(&tenant, "new", driver.now()), endpoints: vec![endpoint.id] };
        full(driver.accept_all(&tenant, vec![event]).await);
    }
    let now = driver.now();
    full(driver.store().create_endpoint(sample_endpoint(&tenant, 9, now)).await);
    let topic = Topic {
        name: "order.paid".parse().unwrap(),
        description: String::new(),
        example: None,
        schema: None,
        archived: false,
        created_at: now,
        updated_at: now,
    };
    full(driver.store().put_topic(topic.clone()).await);
    full(driver.store().retry(&tenant, waiting.id, false, now).await);
    full(driver.store().send(&tenant, &waiting.event, other.id, now).await);
    full(driver.store().reopen(&tenant, vec![over.id], None, now).await);
    let another = Replay { id: ReplayId::mint(now, [2; 10]), ..replay.clone() };
    full(driver.store().create_replay(another).await);
    let another = ApiKey { id: ApiKeyId::mint(now, [2; 10]), ..key.clone() };
    full(driver.store().create_key(another, KeyDigest([2; 32])).await);
    let counts = Counts { events: 1, ..Counts::default() };
    let tallies = vec![Tally { of: Subject::All, at: now, counts }];
    let NotAdded { tallies: left, error } = driver.store().add_stats(tallies.clone()).await.remove(0);
    assert_eq!(left, tallies);
    full(Err::<(), _>(error));
    assert_eq!(everything(&server), before, "nothing was written");
    // It is ready: it delivers what it has, and answers who reads.
    driver.store().check().await.unwrap();
    assert_eq!(driver.shown(&tenant).await.events.len(), 2);
    let failed = DeliveryFilter { states: vec![over.state], ..DeliveryFilter::default() };
    driver.store().deliveries(None, failed, Order::NewestFirst, Page::first(1)).await.unwrap();
    assert_eq!(driver.store().backlog(Scope::All, now).await.unwrap().open, 1);
    // What is under way can be given up.
    let given_up = Replay { state: ReplayState::Cancelled, ..replay };
    driver.store().update_replay(given_up).await.unwrap();
    // A key can be taken from somebody, and who did it is told.
    assert_eq!(driver.store().delete_key(key.id).await.unwrap(), key);
    let entry = AuditEntry {
        id: AuditId::mint(now, [1; 10]),
        at: now,
        by: Actor::AdminKey,
        address: None,
        action: "delete_key".into(),
        subject: format!("/v1/keys/{}", key.id),
        tenant: None,
        fields: Vec::new(),
        detail: None,
        outcome: AuditOutcome::Done,
    };
    driver.store().record(entry.clone(), 10).await.unwrap();
    assert_eq!(driver.store().audit(None, Page::first(10)).await.unwrap().rows, [entry]);
    assert_eq!(witness.lines().len(), 1, "{:?}", witness.lines());
    assert!(witness.lines()[0].contains("raise maxmemory"), "{:?}", witness.lines());

    make_room(&server);
    driver.accept(&tenant, "new", &[&endpoint]).await;
    driver.store().put_topic(topic).await.unwrap();
    until("it is said that there is room", async || {
        driver.accept_all(&tenant, Vec::new()).await.unwrap();
        witness.lines().len() == 2 && witness.lines()[1].ends_with("Redis has room again")
    })
    .await;
    let events: Vec<String> =
        driver.shown(&tenant).await.events.iter().map(|record| record.event.id.to_string()).collect();
    assert_eq!(events, ["new", "over", "before"]);
    assert_eq!(driver.reopen(&over).await, Reopened::Reopened);
    driver.send("before", &other).await.unwrap();
    fill(&server);
    driver.cancel(&waiting).await.unwrap();
    driver.check_invariants().await;
}

#[tokio::test]
async fn what_is_full_delivers_and_can_be_emptied() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let mut endpoints = Vec::new();
    for _ in 0..5 {
        endpoints.push(driver.endpoint(&tenant).await);
    }
    for event in ["one", "two", "three"] {
        let all: Vec<_> = endpoints.iter().collect();
        driver.accept(&tenant, event, &all).await;
    }
    driver.store().bind_key(KeyId([1; 4])).await.unwrap();
    // The scripts are not there either: a server that was full when it was restarted.
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    fill(&server);

    let leases = driver.lease_up_to(5, 1).await;
    assert_eq!(leases.len(), 5);
    let retry = Next::Retry { at: driver.secs(30) };
    let warning = fares(HealthEffect::Failed { exhausted: false, warning: Some(50) });
    let pause = EndpointEffects { park_until: Some(driver.secs(60)), ..warning };
    assert_eq!(driver.settle(&leases[0], replied(200), Next::Delivered).await, Settled::Applied);
    assert_eq!(driver.settle(&leases[1], replied(500), retry).await, Settled::Applied);
    assert_eq!(driver.settle_with(&leases[2], replied(429), retry, pause).await, Settled::Applied);
    let gone = disable("it answered 410");
    assert_eq!(driver.settle_with(&leases[3], replied(410), Next::Skipped, gone).await, Settled::Applied);
    assert_eq!(driver.notices().await.len(), 2);
    for (partition, epoch) in driver.epochs().to_vec() {
        driver.store().renew(partition, epoch, driver.now(), TTL).await.unwrap();
    }
    driver.store().attend("driver", driver.now(), TTL).await.unwrap();
    driver.store().park(&tenant, endpoints[4].id, driver.secs(1)).await.unwrap();
    driver.turn(&endpoints[1], EndpointState::Paused).await;
    driver.turn(&endpoints[1], EndpointState::Enabled).await;
    driver.turn(&endpoints[2], EndpointState::Disabled).await;
    driver.delete(&endpoints[0]).await;
    // The process crashes, and another one takes over, on what is full still.
    driver.crash().await;
    driver.store().bind_key(KeyId([1; 4])).await.unwrap();
    assert_eq!(driver.recover().await, 1);
    for lease in driver.lease().await {
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    driver.pass(60);
    driver.release(driver.now()).await;
    driver.claim().await;
    for lease in driver.lease().await {
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    driver.check_invariants().await;

    let open = DeliveryFilter {
        states: vec![posthaste_model::DeliveryState::Scheduled],
        ..DeliveryFilter::default()
    };
    let found = driver.store().deliveries(Some(&tenant), open, Order::NewestFirst, Page::first(10)).await;
    assert!(found.unwrap().rows.is_empty());
    driver.pass(60);
    assert_eq!(prune(&driver).await, 3);
    driver.delete_tenant(&tenant).await;
    make_room(&server);
    driver.tenant("acme").await;
}

/// Forgets everything that is over.
async fn prune(driver: &Driver) -> u32 {
    let retain = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    let mut removed = 0;
    for partition in (0..driver.store().partitions()).map(Partition) {
        let mut from = None;
        loop {
            let pruned = driver.store().prune(partition, retain, driver.now(), from, 10).await.unwrap();
            removed += pruned.removed;
            from = pruned.next;
            if from.is_none() {
                break;
            }
        }
    }
    removed
}

/// Bytes that nobody can make fewer of.
fn noise(seed: u32, count: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let next = || {
        // A step of xorshift64 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[tokio::test]
async fn pruning_makes_room_for_events() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let used = server.command(&["INFO", "memory"]).unwrap();
    let used: u64 =
        used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", &(used + (8 << 20)).to_string()]).unwrap();
    let fill_up = async |driver: &mut Driver, name: &str| {
        for n in 0_u32.. {
            let mut event = sample_event(&tenant, &format!("{name}-{n}"), driver.now());
            event.payload =
                Payload::Raw { content_type: "text/plain".into(), body: noise(n, 200_000).into() };
            match driver.accept_all(&tenant, vec![NewEvent { event, endpoints: Vec::new() }]).await {
                Ok(_) => {}
                answer => {
                    full(answer);
                    return n;
                }
            }
        }
        unreachable!()
    };
    let first = fill_up(&mut driver, "first").await;
    assert!(first > 10, "{first}");
    driver.pass(1);
    assert_eq!(prune(&driver).await, first);
    let second = fill_up(&mut driver, "second").await;
    assert!(second > first / 2, "{second} fit after pruning, {first} before");
}

#[tokio::test]
async fn the_inbox_of_what_is_full_is_read_and_emptied() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let store = open(at(server.url())).await;
    let inbox = store.inbox().unwrap();
    for n in ["1", "2"] {
        server.command(&["XADD", "posthaste:{inbox}", "*", "n", n]).unwrap();
    }
    assert!(inbox.receive("reader", 1).await.unwrap().len() == 1, "the group is made");
    fill(&server);
    let letters = inbox.receive("reader", 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let error = inbox.reject(letters[0].clone(), "it says nothing", now).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(server.command(&["XLEN", "posthaste:{inbox}"]).unwrap(), "2", "it is not lost");
    inbox.file(vec![letters[0].id.clone()]).await.unwrap();
    assert_eq!(server.command(&["XLEN", "posthaste:{inbox}"]).unwrap(), "1");
    make_room(&server);
}

#[tokio::test]
async fn a_store_that_was_made_is_opened_when_it_is_full() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let settings = RedisSettings { partitions: 3, ..at(server.url()) };
    open(settings.clone()).await.bind_key(KeyId([1; 4])).await.unwrap();
    fill(&server);
    let store = open(settings.clone()).await;
    store.bind_key(KeyId([1; 4])).await.unwrap();
    assert!(matches!(store.bind_key(KeyId([2; 4])).await, Err(StoreError::ForeignKey)));
    let elsewhere = RedisSettings { prefix: "elsewhere".into(), ..settings };
    full(posthaste_store_redis::RedisStore::open(elsewhere).await.map(drop));
}
