//! More entries than a page looks at in one go, and more that are too many than one call forgets.

use posthaste_model::{Actor, AuditEntry, AuditId, AuditOutcome};
use posthaste_store::{
    Page,
    conformance::{Driver, all},
};

use crate::Alone;

/// What was done to somebody, or to nobody in particular.
fn entry(driver: &mut Driver, tenant: Option<&str>) -> AuditEntry {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&driver.mint().to_be_bytes());
    AuditEntry {
        id: AuditId::mint(driver.now(), random),
        at: driver.now(),
        by: Actor::AdminKey,
        address: None,
        action: "pause_endpoint".to_owned(),
        subject: "/v1/tenants/acme/endpoints/ep_0".to_owned(),
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        fields: Vec::new(),
        detail: None,
        outcome: AuditOutcome::Done,
    }
}

async fn count(driver: &Driver) -> usize {
    all(1_000, |page| driver.store().audit(None, page)).await.unwrap().len()
}

#[tokio::test]
async fn a_page_of_the_audit_ends_where_enough_was_looked_at() {
    const AMONG: usize = 2_500;
    let mut driver = Alone::new().driver().await;
    let mut rare = Vec::new();
    for _ in 0..2 {
        rare.insert(0, entry(&mut driver, Some("acme")));
        driver.store().record(rare[0].clone(), u32::MAX).await.unwrap();
        for n in 0..AMONG {
            let other = entry(&mut driver, (n % 2 == 0).then_some("other"));
            driver.store().record(other, u32::MAX).await.unwrap();
        }
    }
    let (store, acme) = (driver.store(), "acme".parse().unwrap());
    let first = store.audit(Some(&acme), Page::first(10)).await.unwrap();
    assert!(first.rows.is_empty() && first.next.is_some(), "{first:?}");
    for limit in [1, 10] {
        assert_eq!(all(limit, |page| store.audit(Some(&acme), page)).await.unwrap(), rare);
    }
    assert_eq!(count(&driver).await, 2 * (AMONG + 1));
}

#[tokio::test]
async fn what_is_far_too_much_of_the_audit_is_forgotten_in_several_goes() {
    let (made, most) = (2_500, 100);
    let mut driver = Alone::new().driver().await;
    let mut newest = entry(&mut driver, None);
    for _ in 0..made {
        newest = entry(&mut driver, None);
        driver.store().record(newest.clone(), u32::MAX).await.unwrap();
    }
    for left in [made + 1 - 1_000, made + 2 - 2_000, most] {
        newest = entry(&mut driver, None);
        driver.store().record(newest.clone(), most as u32).await.unwrap();
        assert_eq!(count(&driver).await, left);
    }
    assert_eq!(driver.store().audit(None, Page::first(1)).await.unwrap().rows, [newest]);
}
