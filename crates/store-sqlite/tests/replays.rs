//! A replay that cannot be read does not stop the others; a delivery that cannot be judged stops those of its call.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::Sqlite;
use posthaste_model::{Next, ReplayId};
use posthaste_store::{
    DeliveryFilter, Replay, ReplayState, StoreError,
    conformance::{Driver, all, replied},
};
use rusqlite::Connection;

#[tokio::test]
async fn a_damaged_replay_hides_no_other() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let mut made = Vec::new();
    for random in 1..=3 {
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
    let conn = Connection::open(path).unwrap();
    assert_eq!(conn.execute("UPDATE replays SET filter = 'all' WHERE no = 2", []).unwrap(), 1);
    let (partition, _) = driver.epochs()[0];
    let running = driver.store().running_replays(partition).await.unwrap();
    assert_eq!(running, [made[0].clone(), made[2].clone()]);
    for of in [Some(&tenant), None] {
        for limit in [1, 2, 10] {
            let found = all(limit, |page| driver.store().replays(of, page)).await.unwrap();
            assert_eq!(found, [made[2].clone(), made[0].clone()], "in pages of {limit}");
        }
    }
    let read = driver.store().replay(&tenant, made[1].id).await;
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
}

#[tokio::test]
async fn with_a_damaged_delivery_none_of_the_call_is_opened() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for n in 1..=3 {
        driver.accept(&tenant, &format!("evt-{n}"), &[&endpoint]).await;
    }
    let mut over = Vec::new();
    for lease in driver.lease().await {
        driver.settle(&lease, replied(500), Next::Exhausted).await;
        over.push(driver.show(&lease).await);
    }
    let conn = Connection::open(path).unwrap();
    assert_eq!(conn.execute("UPDATE deliveries SET state = 99 WHERE event_seq = 2", []).unwrap(), 1);
    driver.pass(1);
    let ids: Vec<_> = over.iter().map(|delivery| delivery.id).collect();
    let refused = driver.store().reopen(&tenant, ids, None, driver.now()).await;
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    for delivery in [&over[0], &over[2]] {
        assert_eq!(driver.store().delivery(&tenant, delivery.id).await.unwrap(), *delivery);
    }
    driver.crash().await;
    assert!(driver.lease().await.is_empty());
}
