use posthaste_model::{ApiKey, ApiKeyId, KeyTenant, Role};

use super::{Driver, catalogue::is_missing, paging::check_list};
use crate::{KeyDigest, Missing};

/// A key of which nothing is said but what it must have, and what it is found by.
fn bare(driver: &mut Driver) -> (ApiKey, KeyDigest) {
    let number = driver.mint().to_be_bytes();
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number);
    let mut digest = [0xa5; 32];
    digest[24..].copy_from_slice(&number);
    let key = ApiKey {
        id: ApiKeyId::mint(driver.now(), random),
        name: String::new(),
        role: Role::Admin,
        tenant: None,
        created_at: driver.now(),
        expires_at: None,
    };
    (key, KeyDigest(digest))
}

/// The same of which everything is said.
fn full(driver: &mut Driver) -> (ApiKey, KeyDigest) {
    let (key, digest) = bare(driver);
    let tenant = Some(KeyTenant { id: "acme".parse().unwrap(), created_at: driver.secs(-7) });
    let (name, expires_at) = ("ü \"'; --\\".to_owned(), Some(driver.secs(60)));
    (ApiKey { name, tenant, role: Role::Tenant, expires_at, ..key }, digest)
}

pub(super) async fn a_key_is_found_by_the_digest_of_its_secret(driver: &mut Driver) {
    let made = [bare(driver), full(driver)];
    for (key, digest) in &made {
        assert_eq!(driver.store().key(digest).await.unwrap(), None);
        driver.store().create_key(key.clone(), *digest).await.unwrap();
    }
    for (_, KeyDigest(known)) in &made {
        for place in [0, 31] {
            let mut other = *known;
            other[place] ^= 0x80;
            assert_eq!(driver.store().key(&KeyDigest(other)).await.unwrap(), None);
        }
    }
    driver.crash().await;
    for (key, digest) in &made {
        assert_eq!(driver.store().key(digest).await.unwrap().as_ref(), Some(key));
    }
    // That its time is over is not the store's affair.
    driver.pass(61);
    assert_eq!(driver.store().key(&made[1].1).await.unwrap().as_ref(), Some(&made[1].0));
}

pub(super) async fn a_key_is_created_once(driver: &mut Driver) {
    let (key, digest) = bare(driver);
    for name in ["", "changed"] {
        // Its answer may have been lost.
        let again = ApiKey { name: name.to_owned(), ..key.clone() };
        driver.store().create_key(again, digest).await.unwrap();
    }
    assert_eq!(driver.store().key(&digest).await.unwrap(), Some(key.clone()));
    let store = driver.store();
    check_list(|page| store.keys(page), |key: &ApiKey| key.id, &[key.id]).await;
}

pub(super) async fn keys_are_newest_first(driver: &mut Driver) {
    let mut made = Vec::new();
    for n in 0..7 {
        let (key, digest) = if n % 2 == 0 { bare(driver) } else { full(driver) };
        driver.store().create_key(key.clone(), digest).await.unwrap();
        made.insert(0, key.id);
        driver.pass(1);
    }
    driver.store().delete_key(made.remove(2)).await.unwrap();
    let store = driver.store();
    check_list(|page| store.keys(page), |key: &ApiKey| key.id, &made).await;
}

pub(super) async fn a_deleted_key_opens_nothing(driver: &mut Driver) {
    let ((key, digest), (other, others)) = (bare(driver), full(driver));
    driver.store().create_key(key.clone(), digest).await.unwrap();
    driver.store().create_key(other.clone(), others).await.unwrap();
    assert_eq!(driver.store().delete_key(key.id).await.unwrap(), key);
    driver.crash().await;
    assert_eq!(driver.store().key(&digest).await.unwrap(), None);
    assert_eq!(driver.store().key(&others).await.unwrap().as_ref(), Some(&other));
    is_missing(driver.store().delete_key(key.id).await, Missing::Key);
    let store = driver.store();
    check_list(|page| store.keys(page), |key: &ApiKey| key.id, &[other.id]).await;
}
