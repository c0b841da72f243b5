//! Sentinels say which server is the primary, and the store follows.

use posthaste_model::Next;
use posthaste_store::{
    Settled,
    conformance::{TTL, replied},
};
use posthaste_testkit::redis::{Persistence, RedisSentinel, RedisServer};

use crate::{
    scene::{at, drive, until, until_it_works},
    witness::Witness,
};

/// How far a server's log of changes has got, as its primary sees it.
fn offset(server: &RedisServer, field: &str) -> u64 {
    let info = server.command(&["INFO", "replication"]).unwrap();
    let found = info.lines().find_map(|line| line.strip_prefix(field));
    found.unwrap().trim().parse().unwrap()
}

async fn until_in_step(primary: &RedisServer, replica: &RedisServer) {
    until("the replica has everything", async || {
        let info = replica.command(&["INFO", "replication"]).unwrap();
        info.contains("master_link_status:up")
            && offset(primary, "master_repl_offset:") == offset(replica, "slave_repl_offset:")
    })
    .await;
}

#[tokio::test]
async fn the_store_follows_the_primary() {
    let server =
        || RedisServer::with(Persistence::AofAlways).option("repl-diskless-sync-delay", "0").start().unwrap();
    let (first, second) = (server(), server());
    second.command(&["REPLICAOF", "127.0.0.1", &first.port().to_string()]).unwrap();
    until("the replica is in step", async || {
        second.command(&["INFO", "replication"]).unwrap().contains("master_link_status:up")
    })
    .await;
    let sentinel = RedisSentinel::start(&first).unwrap();
    let mut driver = drive(at(sentinel.url())).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "one", &[&endpoint]).await;
    driver.accept(&tenant, "two", &[&endpoint]).await;
    let lease = driver.lease_up_to(1, 1).await.remove(0);
    let before = driver.shown(&tenant).await;
    until_in_step(&first, &second).await;
    let witness = Witness::new();

    // Somebody changes their roles. The old primary lives on, and takes no more writes.
    sentinel.command(&["SENTINEL", "FAILOVER", RedisSentinel::SERVICE]).unwrap();
    until("the other one is the primary", async || sentinel.primary().unwrap() == second.port()).await;
    // The sentinel does this itself, some seconds later.
    first.command(&["REPLICAOF", "127.0.0.1", &second.port().to_string()]).unwrap();
    until_it_works(driver.store()).await;
    assert_eq!(driver.shown(&tenant).await, before);
    until("holds are renewed", async || {
        let (partition, epoch) = driver.epochs()[0];
        driver.store().renew(partition, epoch, driver.now(), TTL).await.is_ok()
    })
    .await;
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Applied);
    until("events are accepted", async || driver.accept_all(&tenant, Vec::new()).await.is_ok()).await;
    driver.accept(&tenant, "three", &[&endpoint]).await;
    let before = driver.shown(&tenant).await;
    until_in_step(&second, &first).await;
    assert_eq!(first.command(&["ROLE"]).unwrap().lines().next(), Some("slave"));

    second.kill();
    until("the old primary has taken over", async || sentinel.primary().unwrap() == first.port()).await;
    until_it_works(driver.store()).await;
    assert_eq!(driver.shown(&tenant).await, before);
    driver.accept(&tenant, "four", &[&endpoint]).await;
    for lease in driver.lease().await {
        assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Applied);
    }
    driver.check_invariants().await;
    let errors = witness.lines().iter().filter(|line| line.starts_with("ERROR")).count();
    assert!((1..=2).contains(&errors), "{:?}", witness.lines());
}
