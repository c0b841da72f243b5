use std::fmt::Debug;

use super::{Driver, TTL};
use crate::{Epoch, LeaseRequest, Partition, Result, StoreError};

#[track_caller]
fn is_fenced<T: Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::NotOwner)), "{result:?}");
}

fn request(driver: &Driver, (partition, epoch): (Partition, Epoch)) -> LeaseRequest {
    LeaseRequest { partition, epoch, now: driver.now(), limit: 10, per_endpoint: 10, lease_for: TTL }
}

async fn claim(driver: &Driver, partition: Partition, owner: &str) -> Option<Epoch> {
    driver.store().claim(partition, owner, driver.now(), TTL).await.unwrap()
}

/// Nothing that an owner does works with an epoch that is not the partition's.
async fn check_fenced(driver: &Driver, hold: (Partition, Epoch)) {
    let (store, (partition, epoch)) = (driver.store(), hold);
    is_fenced(store.lease(request(driver, hold)).await);
    is_fenced(store.renew(partition, epoch, driver.now(), TTL).await);
    is_fenced(store.recover(partition, epoch, driver.now()).await);
}

/// Everything that an owner does works.
async fn check_owned(driver: &Driver, hold: (Partition, Epoch)) {
    let (store, (partition, epoch)) = (driver.store(), hold);
    store.lease(request(driver, hold)).await.unwrap();
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
    driver.store().release(partition, first).await.unwrap();
    check_fenced(driver, (partition, first)).await;
    let second = claim(driver, partition, "other").await.unwrap();
    assert!(second > first);
    driver.store().release(partition, first).await.unwrap();
    check_owned(driver, (partition, second)).await;
}

pub(super) async fn epochs_grow_across_a_crash(driver: &mut Driver) {
    let before = driver.epochs().to_vec();
    driver.crash().await;
    for (&(partition, old), &(_, new)) in before.iter().zip(driver.epochs()) {
        assert!(new > old, "{new:?} does not come after {old:?}");
        check_fenced(driver, (partition, old)).await;
    }
}
