//! What an acknowledgement is worth, and what is said of the servers that it stands on.

use std::time::Duration;

use posthaste_model::Timestamp;
use posthaste_store::{Durability, Finding, Level, NewEvent, Store, conformance::sample_event};
use posthaste_store_redis::RedisSettings;
use posthaste_testkit::redis::{Persistence, RedisServer, ServerSetup};

use crate::scene::{AMPLE, at, drive, open, timed, unavailable, until};

/// The server's time.
fn clock(server: &RedisServer) -> Timestamp {
    let time = server.command(&["TIME"]).unwrap();
    let mut parts = time.lines().map(|part| part.parse::<i64>().unwrap());
    Timestamp::from_microsecond(parts.next().unwrap() * 1_000_000 + parts.next().unwrap()).unwrap()
}

async fn find(store: &dyn Store, now: Timestamp, check: &str) -> Finding {
    let findings = store.examine(now).await.unwrap();
    let mut checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    checks.sort_unstable();
    assert_eq!(checks, ["clock", "durability", "eviction", "memory", "version"]);
    findings.into_iter().find(|finding| finding.check == check).unwrap()
}

async fn check_worth(setup: ServerSetup, worth: Durability, level: Level, says: &str) {
    let server = setup.start().unwrap();
    let store = open(at(server.url())).await;
    assert_eq!(store.durability(), worth);
    let found = find(&store, clock(&server), "durability").await;
    assert_eq!((found.level, found.found.as_str()), (level, says));
}

#[tokio::test]
async fn an_acknowledgement_is_worth_what_the_server_does_for_it() {
    let with = RedisServer::with;
    check_worth(
        with(Persistence::None),
        Durability::Volatile,
        Level::Danger,
        "volatile: what was accepted since the last snapshot is lost when Redis stops",
    )
    .await;
    check_worth(
        with(Persistence::AofEverysec),
        Durability::Buffered,
        Level::Warning,
        "buffered: a crash of the host or of Redis may lose about the last 2 seconds",
    )
    .await;
    check_worth(
        with(Persistence::AofAlways),
        Durability::Disk,
        Level::Fine,
        "disk: an event is on disk before it is acknowledged",
    )
    .await;
}

#[tokio::test]
async fn what_changes_at_the_server_is_found() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let store = open(at(server.url())).await;
    let set = |name: &str, value: &str| {
        server.command(&["CONFIG", "SET", name, value]).unwrap();
    };
    let now = clock(&server);
    assert!(find(&store, now, "version").await.found.starts_with("Redis "));
    assert_eq!(find(&store, now, "version").await.level, Level::Fine);

    set("appendfsync", "everysec");
    assert_eq!(find(&store, now, "durability").await.level, Level::Warning);
    assert_eq!(store.durability(), Durability::Buffered);

    assert_eq!(find(&store, now, "eviction").await.level, Level::Fine);
    set("maxmemory-policy", "allkeys-lru");
    let found = find(&store, now, "eviction").await;
    assert_eq!(
        (found.level, found.remedy.as_deref()),
        (Level::Danger, Some("set maxmemory-policy noeviction"))
    );

    let found = find(&store, now, "memory").await;
    assert!(found.level == Level::Warning && found.found.ends_with("no maxmemory is set"), "{found}");
    set("maxmemory", "1gb");
    assert_eq!(find(&store, now, "memory").await.level, Level::Fine);
    set("maxmemory-policy", "noeviction");
    set("maxmemory", "1mb");
    let found = find(&store, now, "memory").await;
    assert!(found.level == Level::Warning && found.found.ends_with("% of maxmemory"), "{found}");
}

#[tokio::test]
async fn clocks_that_are_apart_are_found() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let store = open(at(server.url())).await;
    assert_eq!(find(&store, clock(&server), "clock").await.level, Level::Fine);
    for (apart, says) in [(30, "behind"), (-30, "ahead of")] {
        let found = find(&store, clock(&server) + jiff::SignedDuration::from_secs(apart), "clock").await;
        assert!(found.level == Level::Warning && found.found.contains(says), "{found}");
        assert!(found.found.contains("30") || found.found.contains("29"), "{found}");
    }
}

/// A primary and a replica that has what it has.
async fn replicated() -> (RedisServer, RedisServer) {
    let primary =
        RedisServer::with(Persistence::AofAlways).option("repl-diskless-sync-delay", "0").start().unwrap();
    let replica = RedisServer::start(Persistence::AofAlways).unwrap();
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).unwrap();
    until("the replica has everything", async || {
        replica.command(&["INFO", "replication"]).unwrap().contains("master_link_status:up")
    })
    .await;
    (primary, replica)
}

#[tokio::test]
async fn an_event_is_acknowledged_when_as_many_replicas_have_it_as_promised() {
    let (primary, replica) = replicated().await;
    let settings = RedisSettings { replicas: 1, ..at(primary.url()) };
    let mut driver = drive(settings.clone()).await;
    assert_eq!(driver.store().durability(), Durability::Replicated);
    let found = find(driver.store(), clock(&primary), "durability").await;
    assert_eq!(found.level, Level::Fine, "{found}");
    let tenant = driver.tenant("acme").await;
    driver.accept(&tenant, "one", &[]).await;

    replica.pause().unwrap();
    let event =
        |id: &str| vec![NewEvent { event: sample_event(&tenant, id, driver.now()), endpoints: Vec::new() }];
    let view = driver.store().view(&tenant).await.unwrap();
    // It is there, and not as safe as promised, whoever asks again.
    for _ in 0..2 {
        let (answer, took) = timed(driver.store().accept(&tenant, view.version, event("two"))).await;
        let said = unavailable(answer);
        assert_eq!(said, "the store is unavailable: 0 of 1 replicas have confirmed an event within 1s");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    driver.store().event(&tenant, &"two".parse().unwrap()).await.unwrap();
    // What is not promised to be replicated is done meanwhile.
    driver.store().tenant(&tenant).await.unwrap();

    replica.resume().unwrap();
    until("the replica confirms", async || {
        driver.store().accept(&tenant, view.version, event("three")).await.is_ok()
    })
    .await;
    let again = driver.store().accept(&tenant, view.version, event("two")).await.unwrap();
    assert!(again[0].duplicate);
    replica.wait_for_log("Ready to accept connections", AMPLE).unwrap();

    drop(replica);
    until("the replica is missed", async || {
        find(driver.store(), clock(&primary), "durability").await.found.contains("redis.replicas is 1, and 0")
    })
    .await;
    assert_eq!(driver.store().durability(), Durability::Disk);
}
