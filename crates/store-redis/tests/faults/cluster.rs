//! A cluster that loses primaries, and moves slots.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use posthaste_model::{Endpoint, Next, TenantId};
use posthaste_store::{
    Intake as _, NewEvent, Page, Settled, StoreError,
    conformance::{Driver, TTL, replied, sample_event},
};
use posthaste_store_redis::RedisSettings;
use posthaste_testkit::redis::{RedisCluster, RedisServer};
use redis::Value;
use tokio::time::timeout;

use crate::{
    scene::{SOON, at, drive, open, unavailable, until, until_in_step, until_it_works},
    witness::Witness,
};

/// Tenants enough to be in every partition.
async fn populate(driver: &mut Driver) -> BTreeMap<TenantId, Endpoint> {
    let mut tenants = BTreeMap::new();
    for n in 0..24 {
        let tenant = driver.tenant(&format!("tenant-{n}")).await;
        let endpoint = driver.endpoint(&tenant).await;
        tenants.insert(tenant, endpoint);
    }
    tenants
}

/// An owner is woken by what another process accepts, in time for what is due at once.
async fn check_they_hear_of_each_other(
    driver: &mut Driver,
    settings: RedisSettings,
    whom: (&TenantId, &Endpoint),
) {
    let (tenant, endpoint) = whom;
    let other = open(settings).await;
    driver.lease().await;
    let partitions = driver.epochs().to_vec();
    let woken = || {
        futures_util::future::select_all(
            partitions.iter().map(|(partition, _)| driver.store().woken(*partition)),
        )
    };
    while timeout(Duration::from_millis(50), woken()).await.is_ok() {}
    let view = other.view(tenant).await.unwrap();
    let event = sample_event(tenant, "heard", driver.now());
    other.accept(tenant, view.version, vec![NewEvent { event, endpoints: vec![endpoint.id] }]).await.unwrap();
    timeout(SOON, woken()).await.expect("the owner is woken");
}

#[tokio::test]
async fn a_replica_takes_over_and_nothing_that_was_acknowledged_is_lost() {
    let cluster = RedisCluster::start(3, 1).unwrap();
    let mut driver = drive(RedisSettings { partitions: 6, replicas: 1, ..at(cluster.url()) }).await;
    let tenants = populate(&mut driver).await;
    let mut acknowledged: BTreeMap<TenantId, Vec<String>> = BTreeMap::new();
    let mut failed = 0;
    let mut accept_for_all = async |driver: &mut Driver, name: &str| {
        let mut accepted = 0;
        for (tenant, endpoint) in &tenants {
            let event = sample_event(tenant, name, driver.now());
            let events = vec![NewEvent { event, endpoints: vec![endpoint.id] }];
            match driver.accept_all(tenant, events).await {
                Ok(_) => {
                    acknowledged.entry(tenant.clone()).or_default().push(name.to_owned());
                    accepted += 1;
                }
                Err(StoreError::Unavailable { .. }) => failed += 1,
                Err(other) => panic!("{tenant}: {other}"),
            }
        }
        accepted
    };
    assert_eq!(accept_for_all(&mut driver, "before").await, tenants.len());
    let witness = Witness::new();

    // The one to which all listen who hear of others' work.
    let dead = &cluster.nodes()[0];
    assert!(dead.command(&["ROLE"]).unwrap().starts_with("master"));
    let began = Instant::now();
    dead.kill();
    // Others go on meanwhile.
    let others = accept_for_all(&mut driver, "meanwhile").await;
    assert!((1..tenants.len()).contains(&others), "{others} of {}", tenants.len());
    until_it_works(driver.store()).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    // The new primary has no replica: what it takes is not as safe as promised.
    accept_for_all(&mut driver, "unsafe").await;
    dead.restart().unwrap();
    until("every acknowledgement is safe again", async || {
        accept_for_all(&mut driver, "afterwards").await == tenants.len()
    })
    .await;
    assert!(failed > 0);

    for (tenant, names) in &acknowledged {
        for name in names {
            driver.store().event(tenant, &name.parse().unwrap()).await.unwrap();
        }
    }
    for (partition, epoch) in driver.epochs().to_vec() {
        driver.store().renew(partition, epoch, driver.now(), TTL).await.unwrap();
    }
    let leases = driver.lease().await;
    for lease in leases {
        assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Applied);
    }
    for (tenant, names) in &acknowledged {
        for name in names {
            let delivery = driver.delivery_of(tenant, name).await;
            assert_eq!(delivery.state, posthaste_model::DeliveryState::Delivered, "{tenant}, {name}");
        }
    }
    let lines = witness.lines();
    let said = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(said("trying again until it is back"), 1, "{lines:?}");
    assert_eq!(said("0 of 1 replicas have confirmed"), 1, "{lines:?}");
    check_they_hear_of_each_other(&mut driver, at(cluster.url()), tenants.first_key_value().unwrap()).await;
}

#[tokio::test]
async fn a_primary_that_hangs_is_replaced() {
    let cluster = RedisCluster::start(3, 1).unwrap();
    let mut driver = drive(RedisSettings { partitions: 6, ..at(cluster.url()) }).await;
    let tenants = populate(&mut driver).await;
    let witness = Witness::new();
    let hung = cluster.primary_of("posthaste:1:{0}").unwrap();
    until_in_step(hung).await;
    hung.pause().unwrap();
    let began = Instant::now();
    // Every connection finds it out for itself.
    let (store, now) = (driver.store(), driver.now());
    let accepted = async {
        for (tenant, endpoint) in &tenants {
            until("an event is accepted", async || {
                let Ok(view) = store.view(tenant).await else { return false };
                let events =
                    vec![NewEvent { event: sample_event(tenant, "one", now), endpoints: vec![endpoint.id] }];
                store.accept(tenant, view.version, events).await.is_ok()
            })
            .await;
        }
    };
    let renewed = async {
        for (partition, epoch) in driver.epochs().to_vec() {
            until("a hold is renewed", async || store.renew(partition, epoch, now, TTL).await.is_ok()).await;
        }
    };
    tokio::join!(accepted, renewed, until_it_works(store));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(driver.lease().await.len(), tenants.len());
    let lines = witness.lines();
    assert!(lines.len() == 1 && lines[0].starts_with("ERROR"), "{lines:?}");
}

/// One node's own connection.
fn connect(node: &RedisServer) -> redis::Connection {
    redis::Client::open(node.url()).unwrap().get_connection().unwrap()
}

fn ask<T: redis::FromRedisValue>(node: &mut redis::Connection, words: &[&str]) -> T {
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        command.arg(word);
    });
    command.query(node).unwrap()
}

/// Moves up to `limit` keys of a slot; how many there were.
fn move_keys(from: &mut redis::Connection, to: &RedisServer, slot: &str, limit: usize) -> usize {
    let keys: Vec<Vec<u8>> = ask(from, &["CLUSTER", "GETKEYSINSLOT", slot, &limit.to_string()]);
    if !keys.is_empty() {
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(to.port()).arg("").arg(0).arg(5_000).arg("KEYS").arg(&keys);
        assert_eq!(migrate.query::<Value>(from).unwrap(), Value::Okay);
    }
    keys.len()
}

#[tokio::test]
async fn a_slot_that_is_being_moved_is_waited_for_and_stays_whole() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let mut driver = drive(RedisSettings { partitions: 1, ..at(cluster.url()) }).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for n in 0..20 {
        driver.accept(&tenant, &n.to_string(), &[&endpoint]).await;
    }
    let lease = driver.lease_up_to(1, 1).await.remove(0);
    let before = driver.shown(&tenant).await;

    let base = "posthaste:1:{0}";
    let from = cluster.primary_of(base).unwrap();
    let to = cluster.nodes().iter().find(|node| node.port() != from.port()).unwrap();
    let mut nodes: Vec<redis::Connection> = cluster.nodes().iter().map(connect).collect();
    let (mut here, mut there) = (connect(from), connect(to));
    let slot = ask::<u16>(&mut here, &["CLUSTER", "KEYSLOT", base]).to_string();
    let (from_id, to_id): (String, String) =
        (ask(&mut here, &["CLUSTER", "MYID"]), ask(&mut there, &["CLUSTER", "MYID"]));
    ask::<Value>(&mut there, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    ask::<Value>(&mut here, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);

    // At every stage of it nothing is done, by whoever has which keys.
    let settlement = driver.settlement(&lease, replied(200), Next::Delivered);
    let (partition, epoch) = driver.epochs()[0];
    loop {
        let store = driver.store();
        let event = sample_event(&tenant, "meanwhile", driver.now());
        let view = store.view(&tenant).await;
        if let Ok(view) = view {
            let events = vec![NewEvent { event, endpoints: vec![endpoint.id] }];
            let said = unavailable(store.accept(&tenant, view.version, events).await);
            assert_eq!(said, "the store is unavailable: the cluster is moving a slot");
        }
        unavailable(store.settle(vec![settlement.clone()].into()).await);
        unavailable(store.renew(partition, epoch, driver.now(), TTL).await);
        if move_keys(&mut here, to, &slot, 30) == 0 {
            break;
        }
    }
    for node in &mut nodes {
        ask::<Value>(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }
    until_it_works(driver.store()).await;
    until("what was there is there", async || {
        driver.store().endpoints(&tenant, Page::first(1)).await.is_ok()
    })
    .await;
    assert_eq!(driver.shown(&tenant).await, before);
    assert_eq!(driver.settle_as(settlement).await, Settled::Applied);
    driver.accept(&tenant, "afterwards", &[&endpoint]).await;
    for lease in driver.lease().await {
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    driver.check_invariants().await;
}
