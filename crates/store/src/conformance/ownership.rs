use std::{fmt::Debug, time::Duration};

use super::{Driver, TTL, sample_request};
use crate::{Epoch, Partition, Result, StoreError};

#[track_caller]
fn is_fenced<T: Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::NotOwner)), "{result:?}");
}

async fn claim(driver: &Driver, partition: Partition, owner: &str) -> Option<Epoch> {
    driver.store().claim(partition, owner, driver.now(), TTL).await.unwrap()
}

/// Nothing that an owner does works with an epoch that is not the partition's.
async fn check_fenced(driver: &Driver, hold: (Partition, Epoch)) {
    let (store, (partition, epoch)) = (driver.store(), hold);
    is_fenced(store.lease(sample_request(hold, driver.now())).await);
    is_fenced(store.renew(partition, epoch, driver.now(), TTL).await);
    is_fenced(store.recover(partition, epoch, driver.now()).await);
}

/// Everything that an owner does works.
async fn check_owned(driver: &Driver, hold: (Partition, Epoch)) {
    let (store, (partition, epoch)) = (driver.store(), hold);
    store.lease(sample_request(hold, driver.now())).await.unwrap();
    store.recover(partition, epoch, driver.now()).await.unwrap();
    store.renew(partition, epoch, driver.now(), TTL).await.unwrap();
}

pub(super) async fn a_partition_has_one_owner(driver: &mut Driver) {
    assert!(!driver.epochs().is_empty(), "a store has a partition at least");
    driver.pass(TTL.as_secs() as i64 - 1);
    for &(partition, _) in driver.epochs() {
        assert_eq!(claim(driver, partition, "other").await, None, "the owner's time is not over");
    }
    driver.pass(1);
    for &(partition, epoch) in driver.epochs() {
        let taken = claim(driver, partition, "other").await.unwrap();
        assert!(taken > epoch, "{taken:?} does not come after {epoch:?}");
        check_fenced(driver, (partition, epoch)).await;
        check_owned(driver, (partition, taken)).await;
        assert_eq!(claim(driver, partition, "driver").await, None);
    }
}

pub(super) async fn an_old_epoch_is_fenced_off(driver: &mut Driver) {
    let (partition, first) = driver.epochs()[0];
    let unknown = Epoch(first.0 + 7);
    check_fenced(driver, (partition, unknown)).await;
    let second = claim(driver, partition, "driver").await.unwrap();
    assert!(second > first);
    check_fenced(driver, (partition, first)).await;
    check_owned(driver, (partition, second)).await;
}

pub(super) async fn renewing_keeps_a_partition(driver: &mut Driver) {
    let (partition, epoch) = driver.epochs()[0];
    for _ in 0..3 {
        driver.pass(TTL.as_secs() as i64 - 1);
        driver.store().renew(partition, epoch, driver.now(), TTL).await.unwrap();
    }
    driver.pass(TTL.as_secs() as i64 - 1);
    assert_eq!(claim(driver, partition, "other").await, None);
    driver.pass(1);
    assert!(claim(driver, partition, "other").await.is_some());
}

pub(super) async fn who_was_not_overtaken_goes_on(driver: &mut Driver) {
    driver.pass(TTL.as_secs() as i64 * 10);
    let hold = driver.epochs()[0];
    check_owned(driver, hold).await;
    assert_eq!(claim(driver, hold.0, "other").await, None, "it renewed");
}

pub(super) async fn releasing_frees_a_partition(driver: &mut Driver) {
    let (partition, first) = driver.epochs()[0];
    driver.store().release(partition, first, driver.now()).await.unwrap();
    check_fenced(driver, (partition, first)).await;
    let second = claim(driver, partition, "other").await.unwrap();
    assert!(second > first);
    driver.store().release(partition, first, driver.now()).await.unwrap();
    check_owned(driver, (partition, second)).await;
}

/// A time until which leases are spared keeps nobody from taking the partition, nor from leasing.
pub(super) async fn who_is_asked_to_spare_leases_is_free_to_lease(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let held = driver.epochs().to_vec();
    let until = driver.secs(30);
    driver.release(until).await;
    for (partition, epoch) in held.iter().copied() {
        check_fenced(driver, (partition, epoch)).await;
        let taken = claim(driver, partition, "other").await.expect("it is free");
        assert!(taken > epoch, "{taken:?} does not come after {epoch:?}");
        // Said again, it takes nothing from the owner.
        driver.store().release(partition, epoch, until).await.unwrap();
        assert_eq!(claim(driver, partition, "driver").await, None);
        driver.store().release(partition, taken, driver.now()).await.unwrap();
    }
    driver.claim().await;
    assert_eq!(driver.recover().await, 0);
    assert_eq!(driver.lease_only().await.event.id.as_str(), "evt");
}

pub(super) async fn epochs_grow_across_a_crash(driver: &mut Driver) {
    let before = driver.epochs().to_vec();
    driver.crash().await;
    for (&(partition, old), &(_, new)) in before.iter().zip(driver.epochs()) {
        assert!(new > old, "{new:?} does not come after {old:?}");
        check_fenced(driver, (partition, old)).await;
    }
}

async fn attend(driver: &Driver, owner: &str, ttl: Duration) -> Vec<String> {
    driver.store().attend(owner, driver.now(), ttl).await.unwrap()
}

pub(super) async fn attending_lists_who_is_there(driver: &mut Driver) {
    assert_eq!(attend(driver, "b", TTL).await, ["b"]);
    assert_eq!(attend(driver, "c", TTL).await, ["b", "c"]);
    assert_eq!(attend(driver, "a", TTL).await, ["a", "b", "c"], "in their order");
    driver.pass(1);
    assert_eq!(attend(driver, "b", TTL).await, ["a", "b", "c"], "nobody is there twice");
    // Who is there need not own anything, and who owns something need not be there.
    assert!(!driver.epochs().is_empty());
}

pub(super) async fn who_attends_no_more_is_forgotten(driver: &mut Driver) {
    attend(driver, "brief", Duration::from_secs(10)).await;
    attend(driver, "long", Duration::from_secs(20)).await;
    driver.pass(9);
    assert_eq!(attend(driver, "z", TTL).await, ["brief", "long", "z"]);
    driver.pass(1);
    assert_eq!(attend(driver, "z", TTL).await, ["long", "z"]);
    // Whoever says so again in time stays.
    attend(driver, "long", Duration::from_secs(20)).await;
    driver.pass(19);
    assert_eq!(attend(driver, "z", TTL).await, ["long", "z"]);
    driver.pass(1);
    assert_eq!(attend(driver, "z", TTL).await, ["z"]);
    assert_eq!(attend(driver, "brief", TTL).await, ["brief", "z"], "who was forgotten may come back");
}

pub(super) async fn who_leaves_is_not_there(driver: &mut Driver) {
    for owner in ["a", "b"] {
        attend(driver, owner, TTL).await;
    }
    assert_eq!(attend(driver, "a", Duration::ZERO).await, ["b"]);
    assert_eq!(attend(driver, "b", TTL).await, ["b"]);
    assert_eq!(attend(driver, "stranger", Duration::ZERO).await, ["b"], "who was not there leaves, too");
    assert_eq!(attend(driver, "b", Duration::ZERO).await, [""; 0]);
    assert_eq!(attend(driver, "a", TTL).await, ["a"]);
}
