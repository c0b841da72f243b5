use super::Driver;
use crate::{KeyId, StoreError};

pub(super) async fn the_store_is_bound_to_the_first_key(driver: &mut Driver) {
    driver.store().bind_key(KeyId([1; 4])).await.unwrap();
    driver.store().bind_key(KeyId([1; 4])).await.unwrap();
    let other = driver.store().bind_key(KeyId([2; 4])).await;
    assert!(matches!(other, Err(StoreError::ForeignKey)), "{other:?}");
    driver.crash().await;
    let other = driver.store().bind_key(KeyId([2; 4])).await;
    assert!(matches!(other, Err(StoreError::ForeignKey)), "after a crash: {other:?}");
    driver.store().bind_key(KeyId([1; 4])).await.unwrap();
}

pub(super) async fn a_healthy_store_says_so(driver: &mut Driver) {
    let durability = driver.store().durability();
    driver.store().check().await.unwrap();
    driver.crash().await;
    driver.store().check().await.unwrap();
    assert_eq!(driver.store().durability(), durability);
}
