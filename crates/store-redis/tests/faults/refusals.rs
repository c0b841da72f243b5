//! The server is there, and does not do what it is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use posthaste_model::Next;
use posthaste_store::{
    Missing, NewEvent, Store, StoreError,
    conformance::{Driver, TTL, replied, sample_event},
};
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::{
    proxy::Parrot,
    scene::{AMPLE, at, drive, open, unavailable, until, until_it_works},
    witness::Witness,
};

/// Makes a write, and gives the reason why it cannot be made.
async fn refusal(store: &dyn Store) -> String {
    unavailable(store.check().await)
}

/// Whatever stood in the way is gone: work goes on with what there was.
async fn check_work_goes_on(driver: &mut Driver) {
    until_it_works(driver.store()).await;
    let tenant = "acme".parse().unwrap();
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "afterwards", &[&endpoint]).await;
    for lease in driver.lease().await {
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    driver.check_invariants().await;
}

async fn drive_one(server: &RedisServer) -> Driver {
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "before", &[&endpoint]).await;
    driver
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_waited_for() {
    let slowly = RedisServer::with(Persistence::AofAlways)
        .option("enable-debug-command", "yes")
        .option("key-load-delay", "1000")
        .option("loading-process-events-interval-bytes", "1024");
    let server = Arc::new(slowly.start().unwrap());
    let mut driver = drive_one(&server).await;
    let witness = Witness::new();
    // Only what a rewrite has put together is loaded key by key.
    server.command(&["DEBUG", "POPULATE", "1500"]).unwrap();
    server.command(&["BGREWRITEAOF"]).unwrap();
    server.wait_for_log("Background AOF rewrite finished successfully", AMPLE).unwrap();
    server.kill();
    let again = Arc::clone(&server);
    let started = tokio::task::spawn_blocking(move || again.restart());
    until("it is said that Redis loads its data", async || {
        refusal(driver.store()).await == "the store is unavailable: Redis is loading its data"
    })
    .await;
    started.await.unwrap().unwrap();
    check_work_goes_on(&mut driver).await;
    assert_eq!(witness.lines().len(), 1, "{:?}", witness.lines());
}

/// Brings a server into a state, sees what the store says of it, and brings it out again.
async fn check_waited_out(server: &RedisServer, into: &[&[&str]], says: &str, out: &[&[&str]]) {
    let mut driver = drive_one(server).await;
    let connections = async || {
        let stats = server.command(&["INFO", "stats"]).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse::<usize>().unwrap()
    };
    let witness = Witness::new();
    for command in into {
        server.command(command).unwrap();
    }
    until("the store is told", async || driver.store().check().await.is_err()).await;
    let before = connections().await;
    for _ in 0..100 {
        assert_eq!(refusal(driver.store()).await, format!("the store is unavailable: {says}"));
    }
    let made = connections().await - before;
    assert!(made < 20, "{made} connections for 100 calls");
    assert_eq!(witness.lines().len(), 1, "{:?}", witness.lines());
    for command in out {
        server.command(command).unwrap();
    }
    check_work_goes_on(&mut driver).await;
}

#[tokio::test]
async fn a_replica_is_waited_out() {
    let server = RedisServer::start(Persistence::None).unwrap();
    // Of a primary that is not there: it keeps what it has.
    let into: &[&[&str]] = &[&["REPLICAOF", "127.0.0.1", "1"]];
    let out: &[&[&str]] = &[&["REPLICAOF", "NO", "ONE"]];
    check_waited_out(&server, into, "this Redis is a replica and takes no writes", out).await;
}

#[tokio::test]
async fn a_server_without_enough_replicas_is_waited_out() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let into: &[&[&str]] = &[&["CONFIG", "SET", "min-replicas-to-write", "1"]];
    let out: &[&[&str]] = &[&["CONFIG", "SET", "min-replicas-to-write", "0"]];
    let says = "Redis answers NOREPLICAS Not enough good replicas to write.";
    check_waited_out(&server, into, says, out).await;
}

#[tokio::test]
async fn a_server_that_cannot_save_is_waited_out() {
    let setup = RedisServer::with(Persistence::None).option("enable-protected-configs", "yes");
    let server = setup.start().unwrap();
    let folder = server.command(&["CONFIG", "GET", "dir"]).unwrap().lines().nth(1).unwrap().to_owned();
    // A folder in which nobody can make a file.
    let into: &[&[&str]] =
        &[&["CONFIG", "SET", "dir", "/proc"], &["CONFIG", "SET", "save", "3600 1"], &["BGSAVE"]];
    let out: &[&[&str]] = &[&["CONFIG", "SET", "dir", &folder], &["CONFIG", "SET", "save", ""]];
    let says = "Redis answers MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to \
                disk. Commands that may modify the data set are disabled, because this instance is configured to report \
                errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the \
                Redis logs for details about the RDB error.";
    check_waited_out(&server, into, says, out).await;
}

#[tokio::test]
async fn somebody_elses_endless_script_is_waited_out() {
    let setup = RedisServer::with(Persistence::None).option("busy-reply-threshold", "50");
    let server = Arc::new(setup.start().unwrap());
    let mut driver = drive_one(&server).await;
    let witness = Witness::new();
    let busy = Arc::clone(&server);
    let script = tokio::task::spawn_blocking(move || busy.command(&["EVAL", "while true do end", "0"]));
    until("Redis is busy", async || {
        let said = driver.store().check().await;
        said.is_err()
            && unavailable(said)
                .starts_with("the store is unavailable: Redis answers BUSY Redis is busy running a script")
    })
    .await;
    for _ in 0..20 {
        refusal(driver.store()).await;
    }
    server.command(&["SCRIPT", "KILL"]).unwrap();
    assert!(script.await.unwrap().is_err());
    check_work_goes_on(&mut driver).await;
    assert_eq!(witness.lines().len(), 1, "{:?}", witness.lines());
}

#[tokio::test]
async fn a_password_that_is_changed_is_waited_out() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive_one(&server).await;
    let witness = Witness::new();
    let with_it = |words: &[&str]| {
        server.command(&[&["-a", "another", "--no-auth-warning"], words].concat()).unwrap();
    };
    server.command(&["CONFIG", "SET", "requirepass", "another"]).unwrap();
    with_it(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("the store is told", async || {
        let said = driver.store().check().await;
        said.is_err()
            && unavailable(said) == "the store is unavailable: Redis refuses the user or the password"
    })
    .await;
    with_it(&["CONFIG", "SET", "requirepass", ""]);
    check_work_goes_on(&mut driver).await;
    assert_eq!(witness.lines().len(), 1, "{:?}", witness.lines());
}

#[tokio::test]
async fn scripts_that_are_flushed_in_the_middle_of_work_are_given_again() {
    let server = Arc::new(RedisServer::start(Persistence::None).unwrap());
    let mut driver = drive_one(&server).await;
    let times = Arc::new(AtomicUsize::new(0));
    let (flushed, counted) = (Arc::clone(&server), Arc::clone(&times));
    let flushing = tokio::task::spawn_blocking(move || {
        while counted.fetch_add(1, Ordering::Relaxed) < 30 {
            flushed.command(&["SCRIPT", "FLUSH"]).unwrap();
        }
    });
    let tenant = "acme".parse().unwrap();
    let endpoint = driver.endpoint(&tenant).await;
    for n in 0.. {
        driver.accept(&tenant, &n.to_string(), &[&endpoint]).await;
        for lease in driver.lease().await {
            driver.settle(&lease, replied(200), Next::Delivered).await;
        }
        if times.load(Ordering::Relaxed) > 30 {
            break;
        }
    }
    flushing.await.unwrap();
    driver.check_invariants().await;
}

#[tokio::test]
async fn a_store_that_is_flushed_is_empty_and_works() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive_one(&server).await;
    let tenant = "acme".parse().unwrap();
    let lease = driver.lease_only().await;
    let (view, late) = (
        driver.store().view(&tenant).await.unwrap(),
        driver.settlement(&lease, replied(200), Next::Delivered),
    );
    server.command(&["FLUSHALL"]).unwrap();

    let store = driver.store();
    let (now, (partition, epoch)) = (driver.now(), driver.epochs()[0]);
    let event = vec![NewEvent { event: sample_event(&tenant, "lost", now), endpoints: Vec::new() }];
    assert!(matches!(store.accept(&tenant, view.version, event).await, Err(StoreError::StaleView)));
    assert!(matches!(store.view(&tenant).await, Err(StoreError::NotFound(Missing::Tenant))));
    assert!(matches!(store.renew(partition, epoch, now, TTL).await, Err(StoreError::NotOwner)));
    assert!(matches!(store.recover(partition, epoch, now).await, Err(StoreError::NotOwner)));
    assert_eq!(store.settle(vec![late].into()).await.unwrap(), [posthaste_store::Settled::Stale]);

    // The process goes on with what there is, which is nothing.
    driver.pass(1);
    driver.claim().await;
    driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "afterwards", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, posthaste_store::Settled::Applied);
    driver.store().check().await.unwrap();
    // Whoever opens it now finds it as it was divided before.
    let other = posthaste_store_redis::RedisSettings { partitions: 7, ..at(server.url()) };
    assert_eq!(posthaste_store::Deliveries::partitions(&open(other).await), 2);
}

/// What is said when a store cannot be opened.
#[track_caller]
fn check_says(url: &str, says: &str) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    let (settings, says) = (at(url), format!("the store is unavailable: {says}"));
    async move {
        let opened =
            tokio::time::timeout(Duration::from_secs(9), posthaste_store_redis::RedisStore::open(settings));
        let error = opened.await.expect("an answer").err().expect("a refusal");
        let said = error.to_string();
        // What the system says of names differs.
        let said = said.split_once(": Name or service").map_or(said.as_str(), |(said, _)| said);
        assert_eq!(said, says, "{place}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_says_why_in_one_sentence() {
    let server = RedisServer::with(Persistence::None).password("secret").start().unwrap();
    let port = server.port();
    let refuses = "Redis refuses the user or the password";
    check_says("redis://127.0.0.1:1", "redis://127.0.0.1:1: nothing listens where Redis should be").await;
    check_says(&format!("redis://127.0.0.1:{port}"), &format!("redis://127.0.0.1:{port}: {refuses}")).await;
    check_says(&format!("redis://:wrong@127.0.0.1:{port}"), &format!("redis://127.0.0.1:{port}: {refuses}"))
        .await;
    check_says(
        &format!("redis://nobody:wrong@127.0.0.1:{port}"),
        &format!("redis://nobody@127.0.0.1:{port}: {refuses}"),
    )
    .await;
    check_says(
        &format!("redis://:secret@127.0.0.1:{port}/99"),
        &format!("redis://127.0.0.1:{port}/99: Redis answers ERR DB index is out of range"),
    )
    .await;
    check_says(
        &format!("redis+cluster://:secret@127.0.0.1:{port}"),
        &format!(
            "redis+cluster://127.0.0.1:{port}: Redis answers ERR This instance has cluster support disabled"
        ),
    )
    .await;
    check_says(
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2: the connection to Redis failed: Connection refused (os error 111)",
    )
    .await;
    check_says(
        "redis+sentinel://127.0.0.1:1/main",
        "redis+sentinel://127.0.0.1:1/main: nothing listens where Redis should be",
    )
    .await;
    check_says(
        "rediss://127.0.0.1:1?ca_file=/nowhere/ca.pem",
        "cannot use rediss://127.0.0.1:1: ca_file '/nowhere/ca.pem': No such file or directory (os error 2)",
    )
    .await;
    check_says(
        "redis://no-such-host.invalid",
        "redis://no-such-host.invalid:6379: the connection to Redis failed: failed to lookup address information",
    )
    .await;
}

#[tokio::test]
async fn a_server_that_is_no_redis_is_told_from_one() {
    for (answer, says) in [
        ("HTTP/1.1 400 Bad Request", "what listens where Redis should be does not speak its protocol"),
        ("-LOADING Redis is loading the dataset in memory", "Redis is loading its data"),
        ("-ERR max number of clients reached", "Redis answers ERR max number of clients reached"),
        ("-MOVED 1 127.0.0.1:7000", "this Redis is a node of a cluster, which is named by redis+cluster://"),
        (
            "-DENIED Redis is running in protected mode",
            "Redis answers DENIED Redis is running in protected mode",
        ),
    ] {
        let parrot = Parrot::saying(answer).await;
        let url = parrot.url();
        check_says(&url, &format!("{}: {says}", url.trim_end_matches('/'))).await;
    }
}
