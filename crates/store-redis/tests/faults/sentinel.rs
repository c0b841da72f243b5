//! Sentinels say which server is the primary, and the store follows.

use posthaste_model::Next;
use posthaste_store::{
    Settled,
    conformance::{TTL, replied},
};
use posthaste_testkit::redis::{Persistence, RedisSentinel, RedisServer};

use crate::{
    scene::{at, drive, until, until_in_step, until_it_works},
    witness::Witness,
};

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
    until_in_step(&first).await;
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
    until_in_step(&second).await;
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
    // Each trouble is said once, and so is its end.
    let errors: Vec<bool> = witness.lines().iter().map(|line| line.starts_with("ERROR")).collect();
    assert!(errors[0] && errors.windows(2).all(|two| two[0] != two[1]), "{:?}", witness.lines());
}
