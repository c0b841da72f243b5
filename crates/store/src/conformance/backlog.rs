use posthaste_model::{
    DeliveryState, Endpoint, EndpointState, ErrorClass, EventOptions, Next, TenantId, Timestamp,
};

use super::{Driver, catalogue::is_missing, failed, replied};
use crate::{Backlog, Missing, Scope, StoreError};

async fn backlog(driver: &Driver, of: Scope) -> Backlog {
    driver.store().backlog(of, driver.now()).await.unwrap()
}

fn of(endpoint: &Endpoint) -> Scope {
    Scope::Endpoint(endpoint.tenant.clone(), endpoint.id)
}

/// What is open, in flight, and due for longest.
fn is(open: u64, in_flight: u64, oldest_due: Option<Timestamp>) -> Backlog {
    Backlog { open, more: false, in_flight, oldest_due }
}

/// The backlog of all, of each tenant and of each endpoint is what a look at everything counts; answers with that of all.
async fn check(driver: &Driver, when: &str) -> Backlog {
    let mut all = Backlog::default();
    for tenant in driver.tenants() {
        let shown = driver.shown(tenant).await;
        let mut of_tenant = Backlog::default();
        for endpoint in &shown.endpoints {
            let own = shown.deliveries.iter().map(|(delivery, _)| delivery);
            let open: Vec<_> = own.filter(|d| d.endpoint == endpoint.id && !d.state.is_final()).collect();
            let in_flight = open.iter().filter(|d| d.state == DeliveryState::InFlight).count() as u64;
            let scheduled = open.iter().filter(|d| d.state == DeliveryState::Scheduled);
            let due = scheduled.filter_map(|d| d.due_at).filter(|due| *due <= driver.now()).min();
            let expected = is(open.len() as u64, in_flight, due);
            assert_eq!(backlog(driver, of(endpoint)).await, expected, "of {endpoint:?}, {when}");
            add(&mut of_tenant, expected);
        }
        assert_eq!(backlog(driver, Scope::Tenant(tenant.clone())).await, of_tenant, "of {tenant}, {when}");
        add(&mut all, of_tenant);
    }
    assert_eq!(backlog(driver, Scope::All).await, all, "of all, {when}");
    all
}

fn add(sum: &mut Backlog, more: Backlog) {
    sum.open += more.open;
    sum.in_flight += more.in_flight;
    sum.oldest_due = sum.oldest_due.into_iter().chain(more.oldest_due).min();
}

pub(super) async fn an_idle_store_has_no_backlog(driver: &mut Driver) {
    assert_eq!(check(driver, "empty").await, is(0, 0, None));
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    assert_eq!(check(driver, "nothing was accepted").await, is(0, 0, None));
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    assert_eq!(check(driver, "all is delivered").await, is(0, 0, None));
}

pub(super) async fn what_is_open_is_counted(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (one, two) = (driver.endpoint(&acme).await, driver.endpoint(&acme).await);
    let theirs = driver.endpoint(&other).await;
    let begun = driver.now();
    driver.accept(&acme, "a", &[&one, &two]).await;
    driver.pass(5);
    driver.accept(&other, "a", &[&theirs]).await;
    driver.accept(&acme, "b", &[&one]).await;
    let options = EventOptions { deliver_at: Some(driver.secs(100)), ..EventOptions::default() };
    driver.accept_with(&acme, "later", &[&two], options).await;
    assert_eq!(check(driver, "accepted").await, is(5, 0, Some(begun)));
    assert_eq!(backlog(driver, of(&theirs)).await, is(1, 0, Some(driver.now())));

    let leases = driver.lease_up_to(1, 1).await;
    check(driver, "some are in flight").await;
    let retried = driver.lease().await;
    assert_eq!(check(driver, "those that are due are in flight").await, is(5, 4, None));
    let at = driver.secs(10);
    for lease in leases.iter().chain(&retried) {
        driver.settle(lease, failed(ErrorClass::Connect), Next::Retry { at }).await;
    }
    driver.pass(9);
    assert_eq!(check(driver, "they are to be tried again").await, is(5, 0, None));
    driver.pass(1);
    assert_eq!(check(driver, "they are due again").await, is(5, 0, Some(at)));
    // A pause that the endpoint asked for leaves it due.
    driver.store().park(&acme, one.id, driver.secs(30)).await.unwrap();
    assert_eq!(check(driver, "one is parked").await, is(5, 0, Some(at)));

    driver.turn(&one, EndpointState::Paused).await;
    driver.turn(&two, EndpointState::Paused).await;
    driver.turn(&theirs, EndpointState::Paused).await;
    assert_eq!(check(driver, "they are held").await, is(5, 0, None));
    driver.turn(&two, EndpointState::Enabled).await;
    driver.turn(&theirs, EndpointState::Disabled).await;
    assert_eq!(check(driver, "one is released, one is skipped").await, is(4, 0, Some(at)));
    let lease = driver.lease_only().await;
    driver.crash().await;
    assert_eq!(check(driver, "after a crash").await, is(4, 1, None));
    driver.recover().await;
    assert_eq!(check(driver, "given back").await, is(4, 0, Some(driver.now())));
    let waits = driver.show(&lease).await;
    driver.cancel(&waits).await.unwrap();
    assert_eq!(check(driver, "given up").await, is(3, 0, None));
    let opened_at = driver.now();
    driver.reopen(&waits).await;
    driver.pass(1);
    assert_eq!(check(driver, "opened again").await, is(4, 0, Some(opened_at)));
    // Attempts that were asked for are none of it.
    driver.ask(&waits, false).await.unwrap();
    check(driver, "attempted by hand").await;
    let leases = driver.lease().await;
    assert_eq!(check(driver, "a manual attempt is under way").await, is(4, 1, None));
    for lease in leases.iter().filter(|lease| !lease.manual) {
        let shown = driver.show(lease).await;
        driver.cancel(&shown).await.unwrap();
    }
    assert_eq!(check(driver, "given up in flight").await, is(3, 0, None));
    driver.pass(200);
    assert!(check(driver, "the last is due").await.oldest_due.is_some());
}

/// Makes an endpoint with a delivery in flight and one that waits.
async fn busy(driver: &mut Driver, tenant: &TenantId, events: [&str; 2]) -> Endpoint {
    let endpoint = driver.endpoint(tenant).await;
    driver.accept(tenant, events[0], &[&endpoint]).await;
    driver.lease_only().await;
    driver.accept(tenant, events[1], &[&endpoint]).await;
    driver.turn(&endpoint, EndpointState::Paused).await;
    endpoint
}

pub(super) async fn what_was_left_behind_is_not_counted(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let deleted = busy(driver, &acme, ["a", "b"]).await;
    busy(driver, &acme, ["c", "d"]).await;
    busy(driver, &other, ["a", "b"]).await;
    assert_eq!(check(driver, "all are there").await, is(6, 3, None));
    driver.delete(&deleted).await;
    assert_eq!(check(driver, "an endpoint was deleted").await, is(4, 2, None));
    driver.delete_tenant(&other).await;
    assert_eq!(check(driver, "a tenant was deleted").await, is(2, 1, None));
    driver.tenant("other").await;
    assert_eq!(check(driver, "it was made again").await, is(2, 1, None));
}

pub(super) async fn what_is_not_there_has_no_backlog(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (own, deleted) = (driver.endpoint(&acme).await, driver.endpoint(&acme).await);
    driver.delete(&deleted).await;
    let nobody: TenantId = "nobody".parse().unwrap();
    let ask = |of| driver.store().backlog(of, driver.now());
    is_missing(ask(Scope::Tenant(nobody.clone())).await, Missing::Tenant);
    let neither = ask(Scope::Endpoint(nobody, own.id)).await;
    assert!(matches!(neither, Err(StoreError::NotFound(_))), "{neither:?}");
    is_missing(ask(of(&deleted)).await, Missing::Endpoint);
    is_missing(ask(Scope::Endpoint(other, own.id)).await, Missing::Endpoint);
}
