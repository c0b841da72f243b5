//! Servers do what tests of a store on Redis will rely on.

// A test fails when its server does.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use posthaste_testkit::redis::{
    Persistence, RedisCluster, RedisServer, shared_cluster, shared_standalone, unique_prefix,
};

#[track_caller]
fn check_crash(persistence: Persistence, found_afterwards: &str) {
    let server = RedisServer::start(persistence).unwrap();
    assert_eq!(server.command(&["SET", "key", "value"]).unwrap(), "OK");
    let url = server.url();
    server.kill();
    let error = server.command(&["GET", "key"]).unwrap_err();
    assert!(format!("{error:#}").contains("Connection refused"), "{error:?}");
    server.restart().unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(server.command(&["GET", "key"]).unwrap(), found_afterwards);
}

#[test]
fn a_crash_loses_what_was_not_to_be_kept() {
    check_crash(Persistence::AofAlways, "value");
    check_crash(Persistence::None, "");
}

#[test]
fn a_paused_server_answers_when_it_goes_on() {
    let server = RedisServer::start(Persistence::AofEverysec).unwrap();
    server.pause().unwrap();
    let error = server.command_within(Duration::from_millis(300), &["PING"]).unwrap_err();
    assert!(format!("{error:#}").contains("too long"), "{error:?}");
    server.resume().unwrap();
    assert_eq!(server.command(&["PING"]).unwrap(), "PONG");
}

#[test]
fn a_server_runs_as_it_is_set_up() {
    let setup = RedisServer::with(Persistence::None).option("maxmemory", "10mb").password("secret").tls();
    let server = setup.start().unwrap();
    assert_eq!(server.url(), format!("rediss://:secret@127.0.0.1:{}/", server.port()));
    assert_eq!(server.command(&["CONFIG", "GET", "maxmemory"]).unwrap(), "maxmemory\n10485760");
    assert_eq!(server.command(&["CONFIG", "GET", "port"]).unwrap(), "port\n0");
    let error = server.command(&["NONSENSE"]).unwrap_err();
    assert!(format!("{error:#}").contains("ERR unknown command"), "{error:?}");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let setup = RedisServer::with(Persistence::None).option("maxmemory", "plenty");
    let error = setup.start().err().unwrap();
    assert!(format!("{error:#}").contains("argument must be a memory value"), "{error:?}");
}

/// Looks until there is something to see.
#[track_caller]
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < patience, "it never came");
    }
}

#[test]
fn a_replica_takes_over_from_a_dead_primary() {
    let cluster = RedisCluster::start(3, 1).unwrap();
    let key = unique_prefix();
    let primary = cluster.primary_of(&key).unwrap();
    assert_eq!(primary.command(&["SET", &key, "value"]).unwrap(), "OK");
    let has_it = |node: &&RedisServer| node.command(&["DBSIZE"]).unwrap() == "1";
    wait_for(|| (cluster.nodes().iter().filter(has_it).count() == 2).then_some(()));

    primary.kill();
    let successor = wait_for(|| cluster.primary_of(&key));
    assert_eq!(successor.command(&["GET", &key]).unwrap(), "value");
    primary.restart().unwrap();
    wait_for(|| primary.command(&["ROLE"]).unwrap().starts_with("slave").then_some(()));
}

#[test]
fn whoever_shares_has_the_same_database() {
    let (one, other) = (shared_standalone().unwrap(), shared_standalone().unwrap());
    assert_eq!(one.url(), other.url());
    let (one, other) = (shared_cluster().unwrap(), shared_cluster().unwrap());
    assert_eq!(one.url(), other.url());
    assert!(one.url().starts_with("redis+cluster://127.0.0.1:"), "{}", one.url());
    assert_ne!(unique_prefix(), unique_prefix());
}
