use posthaste_model::{Actor, ApiKeyId, AuditEntry, AuditId, AuditOutcome, Role, TenantId};

use super::{Driver, paging::check_list};

/// So many that none is forgotten.
const PLENTY: u32 = 1_000;

/// An entry of which as little is said as can be.
fn bare(driver: &mut Driver) -> AuditEntry {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&driver.mint().to_be_bytes());
    AuditEntry {
        id: AuditId::mint(driver.now(), random),
        at: driver.now(),
        by: Actor::AdminKey,
        address: None,
        action: "put_topic".to_owned(),
        subject: "/v1/topics/order.paid".to_owned(),
        tenant: None,
        fields: Vec::new(),
        detail: None,
        outcome: AuditOutcome::Done,
    }
}

/// The same of which everything is said.
fn full(driver: &mut Driver, tenant: &str) -> AuditEntry {
    let by = Actor::ApiKey {
        id: ApiKeyId::mint(driver.now(), [7; 10]),
        name: "ü \"'; --\\".to_owned(),
        role: Role::Operator,
    };
    let (address, tenant) = (Some("::1".to_owned()), Some(tenant.parse().unwrap()));
    let fields = vec!["url".to_owned(), "".to_owned(), "ü \\\"".to_owned()];
    let (detail, outcome) = (Some("ü\n\\".to_owned()), AuditOutcome::Unknown);
    AuditEntry { by, address, tenant, fields, detail, outcome, ..bare(driver) }
}

/// Somebody with a portal link.
fn link(made_by: Option<ApiKeyId>) -> Actor {
    Actor::PortalLink { tenant: "acme".parse().unwrap(), made_by }
}

pub(super) async fn an_entry_reads_back_whole(driver: &mut Driver) {
    let portal = AuditEntry { by: link(None), ..bare(driver) };
    let mut made = vec![portal];
    driver.pass(1);
    made.push(bare(driver));
    driver.pass(1);
    made.push(full(driver, "acme"));
    for entry in &made {
        driver.store().record(entry.clone(), PLENTY).await.unwrap();
    }
    made.reverse();
    driver.crash().await;
    let store = driver.store();
    check_list(|page| store.audit(None, page), AuditEntry::clone, &made).await;
}

pub(super) async fn an_entry_is_kept_once(driver: &mut Driver) {
    let entry = full(driver, "acme");
    for subject in [&entry.subject, "changed"] {
        // Its answer may have been lost.
        let again = AuditEntry { subject: subject.to_owned(), ..entry.clone() };
        driver.store().record(again, PLENTY).await.unwrap();
    }
    let store = driver.store();
    check_list(|page| store.audit(None, page), AuditEntry::clone, &[entry]).await;
}

pub(super) async fn entries_are_newest_first(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("acme-2").await);
    let mut made = Vec::new();
    for n in 0..9 {
        made.push(match n % 3 {
            0 => full(driver, "acme"),
            1 => full(driver, "acme-2"),
            _ => bare(driver),
        });
        driver.pass(1);
    }
    // Of several processes, one that was made first may be kept last.
    let (late, soon) = made.split_at(2);
    for entry in soon.iter().chain(late) {
        driver.store().record(entry.clone(), PLENTY).await.unwrap();
    }
    let ids = |of: Option<&TenantId>| -> Vec<AuditId> {
        let meant = made.iter().rev().filter(|entry| of.is_none() || entry.tenant.as_ref() == of);
        meant.map(|entry| entry.id).collect()
    };
    // What was done to it is told when it is there no more.
    driver.delete_tenant(&acme).await;
    let store = driver.store();
    let id = |entry: &AuditEntry| entry.id;
    for of in [None, Some(&acme), Some(&other)] {
        check_list(|page| store.audit(of, page), id, &ids(of)).await;
    }
    let nobody = "nobody".parse().unwrap();
    assert!(super::all(100, |page| store.audit(Some(&nobody), page)).await.unwrap().is_empty());
}

pub(super) async fn the_oldest_entries_are_forgotten(driver: &mut Driver) {
    let (most, slack) = (50, 100);
    let mut made = Vec::new();
    for n in 0..3 * (most + slack) {
        let tenant = if n < most { "acme" } else { "other" };
        let entry = full(driver, tenant);
        driver.store().record(entry.clone(), most as u32).await.unwrap();
        made.insert(0, entry);
        let newest = super::all(100, |page| driver.store().audit(None, page)).await.unwrap();
        let expected = made.len().min(most)..=made.len().min(most + slack);
        assert!(expected.contains(&newest.len()), "{} entries are left of {}", newest.len(), made.len());
        assert_eq!(newest, made[..newest.len()]);
        driver.pass(1);
    }
    let acme = "acme".parse().unwrap();
    assert!(super::all(100, |page| driver.store().audit(Some(&acme), page)).await.unwrap().is_empty());
}

pub(super) async fn what_tenants_did_pushes_out_nothing_of_others(driver: &mut Driver) {
    let (most, slack) = (20, 100);
    let mut others = Vec::new();
    for n in 0..3 * (most + slack) {
        driver.pass(1);
        let id = ApiKeyId::mint(driver.now(), [7; 10]);
        let key = Actor::ApiKey { id, name: "theirs".to_owned(), role: Role::Tenant };
        let by = [link(None), link(Some(id)), key][n % 3].clone();
        let entry = AuditEntry { by, ..full(driver, "acme") };
        driver.store().record(entry, most as u32).await.unwrap();
        if n < most {
            driver.pass(1);
            let entry = full(driver, "acme");
            driver.store().record(entry.clone(), most as u32).await.unwrap();
            others.insert(0, entry);
        }
    }
    let acme = "acme".parse().unwrap();
    for of in [None, Some(&acme)] {
        let entries = super::all(100, |page| driver.store().audit(of, page)).await.unwrap();
        let (theirs, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(AuditEntry::is_by_tenant);
        assert_eq!(rest, others);
        assert!((most..=most + slack).contains(&theirs.len()), "{} of theirs are left", theirs.len());
    }
}

/// As its id says: the clock of who wrote it was behind.
pub(super) async fn an_entry_that_seems_old_is_kept_when_there_are_many(driver: &mut Driver) {
    let (most, slack) = (20, 100);
    let mut made = Vec::new();
    for _ in 0..2 * (most + slack) {
        made.insert(0, full(driver, "acme"));
        driver.pass(1);
    }
    for entry in &made {
        driver.store().record(entry.clone(), most as u32).await.unwrap();
    }
    let left = super::all(100, |page| driver.store().audit(None, page)).await.unwrap();
    assert!((most..=most + slack).contains(&left.len()), "{} are left", left.len());
    assert_eq!(left, made[made.len() - left.len()..]);
}
