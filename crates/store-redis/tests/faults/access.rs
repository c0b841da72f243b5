//! Who may do what, and over what kind of connection.

use std::time::Duration;

use posthaste_model::Next;
use posthaste_store::{
    Deliveries as _, Durability, Partition, Store as _,
    conformance::{Driver, replied},
};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_testkit::redis::{Persistence, RedisServer};
use tokio::time::timeout;

use crate::scene::{AMPLE, at, drive, lone_cluster, open, unavailable};

/// Does a bit of everything.
async fn check_it_works(settings: RedisSettings) {
    let settings = RedisSettings { partitions: 1, ..settings };
    let mut driver: Driver = drive(settings.clone()).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let other = open(settings).await;
    assert!(driver.lease().await.is_empty());
    while timeout(Duration::from_millis(200), other.woken(Partition(0))).await.is_ok() {}
    driver.accept(&tenant, "one", &[&endpoint]).await;
    timeout(AMPLE, other.woken(Partition(0))).await.expect("the other one hears of it");
    let leases = driver.lease().await;
    assert_eq!(leases.len(), 1);
    driver.settle(&leases[0], replied(200), Next::Delivered).await;
    driver.store().check().await.unwrap();
    driver.store().examine(driver.now()).await.unwrap();
    driver.check_invariants().await;
}

#[tokio::test]
async fn a_password_is_given_by_the_url() {
    let server = RedisServer::with(Persistence::None).password("p%2Fss").start().unwrap();
    let url = format!("redis://:p%252Fss@127.0.0.1:{}", server.port());
    check_it_works(at(url)).await;
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_file_vouches_for() {
    let server = RedisServer::with(Persistence::AofAlways).password("secret").tls().start().unwrap();
    let url = |scheme: &str, file: &str| format!("{scheme}://:secret@127.0.0.1:{}/1{file}", server.port());
    let file = format!("?ca_file={}", server.certificate_file().display());
    check_it_works(at(url("rediss", &file))).await;
    let by_name = at(url("rediss", &file).replace("127.0.0.1", "localhost"));
    check_it_works(RedisSettings { prefix: "by-name".into(), ..by_name }).await;

    let refused = async |url: String| {
        let opened = timeout(AMPLE, RedisStore::open(at(url))).await.expect("an answer");
        unavailable(opened.map(drop))
    };
    // The system's roots do not know it.
    let said = refused(url("rediss", "")).await;
    assert!(said.ends_with("invalid peer certificate: UnknownIssuer"), "{said}");
    let stranger = RedisServer::with(Persistence::None).tls().start().unwrap();
    let said = refused(url("rediss", &format!("?ca_file={}", stranger.certificate_file().display()))).await;
    assert!(said.contains("invalid peer certificate"), "{said}");
    // Not spoken on one of the sides.
    let said = refused(url("redis", "")).await;
    assert!(said.contains("the connection to Redis failed"), "{said}");
    let plain = RedisServer::start(Persistence::None).unwrap();
    // It waits for the end of what it takes for a command.
    let said = refused(format!("rediss://127.0.0.1:{}{file}", plain.port())).await;
    assert!(
        said.contains("the connection to Redis failed") || said.contains("did not answer in time"),
        "{said}"
    );
}

/// The rights that a user needs, as docs/redis.md names them.
fn rights() -> Vec<String> {
    let docs = include_str!("../../../../docs/redis.md");
    let line = docs.lines().find_map(|line| line.trim().strip_prefix("user posthaste on >PASSWORD "));
    line.expect("a line for users").split(' ').map(str::to_owned).collect()
}

fn allow(server: &RedisServer, rights: &[String]) {
    let mut words = vec!["ACL", "SETUSER", "posthaste", "reset", "on", ">secret"];
    words.extend(rights.iter().map(String::as_str));
    server.command(&words).unwrap();
}

#[tokio::test]
async fn the_documented_rights_are_enough_on_a_cluster() {
    let server = lone_cluster(RedisServer::with(Persistence::AofAlways)).await;
    allow(&server, &rights());
    let url = format!("redis+cluster://posthaste:secret@127.0.0.1:{}", server.port());
    check_it_works(at(url)).await;
    assert_eq!(server.command(&["ACL", "LOG"]).unwrap(), "", "nothing was refused");
}

#[tokio::test]
async fn the_documented_rights_are_enough_and_do_no_harm_to_others() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let rights = rights();
    let allow = |rights: &[String]| allow(&server, rights);
    allow(&rights);
    let settings = at(format!("redis://posthaste:secret@127.0.0.1:{}", server.port()));
    server.command(&["XADD", "posthaste:{inbox}", "*", "field", "value"]).unwrap();
    check_it_works(settings.clone()).await;
    let store = open(settings.clone()).await;
    assert_eq!(store.durability(), Durability::Disk);
    let inbox = store.inbox().unwrap();
    let letters = inbox.receive("reader", 1).await.unwrap();
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    inbox.reject(letters[0].clone(), "it says nothing", now).await.unwrap();
    inbox.file(vec![letters[0].id.clone()]).await.unwrap();
    let refused = server.command(&["ACL", "LOG"]).unwrap();
    assert_eq!(refused, "", "nothing was refused");

    // It can do nothing to others.
    for words in [
        &["SET", "other", "value"][..],
        &["PUBLISH", "other", "value"],
        &["FLUSHALL"],
        &["CONFIG", "SET", "appendonly", "no"],
        &["KEYS", "*"],
        &["ACL", "LIST"],
    ] {
        let login = ["--user", "posthaste", "-a", "secret", "--no-auth-warning"];
        let error = server.command(&[&login[..], words].concat()).unwrap_err();
        assert!(format!("{error:#}").contains("NOPERM"), "{words:?}: {error:#}");
    }

    // Without the right to read one setting it works, and knows less.
    let without: Vec<String> = rights.iter().filter(|right| *right != "+config|get").cloned().collect();
    assert_eq!(without.len() + 1, rights.len());
    allow(&without);
    let store = open(settings.clone()).await;
    assert_eq!(store.durability(), Durability::Buffered);
    // Without the right to write, it says so.
    allow(&without.iter().filter(|right| *right != "+@write").cloned().collect::<Vec<_>>());
    let said = unavailable(store.check().await);
    assert!(said.starts_with("the store is unavailable: the Redis user may not do it: "), "{said}");
}
