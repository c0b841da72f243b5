//! The server hangs, or what is between it and the store swallows everything.

use std::time::Duration;

use posthaste_store::{NewEvent, Store, conformance::sample_event};
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::{
    proxy::{Proxy, Weather},
    scene::{PROMPT, at, drive, timed, unavailable, until, until_it_works},
};

/// Within what a call fails that had to wait behind another one, and for a connection of its own.
const BEHIND: Duration = Duration::from_secs(8);

/// Calls fail in time, those of many callers at once, too.
async fn check_it_is_given_up(store: &dyn Store, tenant: &posthaste_model::TenantId) {
    let view = store.view(tenant).await.unwrap();
    let event = |id: String| {
        let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
        vec![NewEvent { event: sample_event(tenant, &id, now), endpoints: Vec::new() }]
    };
    let first = timed(store.accept(tenant, view.version, event("first".into())));
    let read = timed(store.tenant(tenant));
    let behind = (0..50).map(|n| timed(store.accept(tenant, view.version, event(n.to_string()))));
    let (first, read, behind) = tokio::join!(first, read, futures_util::future::join_all(behind));
    assert!(unavailable(first.0).contains("did not answer in time"));
    unavailable(read.0);
    assert!(first.1 < PROMPT && read.1 < PROMPT, "{:?}, {:?}", first.1, read.1);
    for (answer, took) in behind {
        unavailable(answer);
        assert!(took < BEHIND, "{took:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_works_again_when_it_goes_on() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    driver.store().view(&tenant).await.unwrap();
    server.pause().unwrap();
    check_it_is_given_up(driver.store(), &tenant).await;
    server.resume().unwrap();
    until_it_works(driver.store()).await;
    // What it was asked while it hung may have been done since then, and is no harm.
    let accepted = driver.accept(&tenant, "first", &[]).await;
    assert_eq!(accepted.deliveries, 0);
    driver.check_invariants().await;
}

#[tokio::test]
async fn a_connection_that_swallows_everything_is_given_up() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let proxy = Proxy::to(server.port()).await;
    let mut driver = drive(at(proxy.url())).await;
    let tenant = driver.tenant("acme").await;
    driver.store().view(&tenant).await.unwrap();
    proxy.turn(Weather::Silent);
    check_it_is_given_up(driver.store(), &tenant).await;
    proxy.break_all();
    proxy.turn(Weather::Fair);
    until_it_works(driver.store()).await;
    driver.accept(&tenant, "afterwards", &[]).await;
}

/// Whoever only listens sends nothing, and would never learn that the other side is gone without a word.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn every_connection_is_asked_whether_it_is_alive() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    driver.accept(&tenant, "one", &[]).await;
    let to_it = format!("0100007F:{:04X}", server.port());
    let listening = || server.command(&["PUBSUB", "NUMSUB", "posthaste:1:wake"]).unwrap().ends_with('1');
    until("it listens", async || listening()).await;
    // https://docs.kernel.org/networking/proc_net_tcp.html: the third column is the other side, the fourth 01 for a
    // connection that stands, the sixth begins with the timer that runs: 2 keeps alive.
    until("each has a timer that keeps it alive", async || {
        let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let timers: Vec<&str> = sockets
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|columns| columns.get(2) == Some(&&*to_it) && columns[3] == "01")
            .map(|columns| columns[5])
            .collect();
        timers.len() >= 4 && timers.iter().all(|timer| timer.starts_with("02:"))
    })
    .await;
}
