//! The request of a delivery that is ended by hand may be under way: what came of it is recorded, or that nobody knows.

// A test fails when its scene does.
#![allow(clippy::unwrap_used)]

mod fixture;

use posthaste_model::{Delivery, ErrorClass, Next};
use posthaste_store::{
    Lease, Settled,
    conformance::{Driver, replied},
};

/// Ends a delivery that is in flight.
type End = for<'a> fn(&'a mut Driver, &'a Delivery) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

const ENDS: [(&str, End, u32); 2] = [
    ("cancelled", |driver, delivery| Box::pin(async { driver.cancel(delivery).await.unwrap() }), 0),
    ("delivered by hand", |driver, delivery| Box::pin(deliver_by_hand(driver, delivery)), 1),
];

async fn deliver_by_hand(driver: &mut Driver, delivery: &Delivery) {
    driver.ask(delivery, false).await.unwrap();
    let manual = driver.lease_only().await;
    assert_eq!(driver.settle(&manual, replied(200), Next::Delivered).await, Settled::Applied);
}

/// Ends a delivery in flight in each way, then something else happens: so many attempts are added to those of its end, the
/// last of which came to an error or not.
async fn check(
    ordered: bool,
    then: impl AsyncFn(&mut Driver, &Lease),
    added: u32,
    error: Option<ErrorClass>,
) {
    for (how, end, before) in ENDS {
        let mut driver = Driver::new(fixture::standalone().await).await;
        let tenant = driver.tenant("acme").await;
        let endpoint = driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = ordered).await;
        driver.accept(&tenant, "evt", &[&endpoint]).await;
        let lease = driver.lease_only().await;
        let shown = driver.show(&lease).await;
        end(&mut driver, &shown).await;
        let ended = driver.show(&lease).await;
        assert_eq!(ended.attempts, before, "{how}");
        then(&mut driver, &lease).await;
        assert_eq!(driver.show(&lease).await, Delivery { attempts: before + added, ..ended }, "{how}");
        let attempts = driver.attempts(&lease).await;
        assert_eq!(attempts.len() as u32, before + added, "{how}");
        if added > 0 {
            assert_eq!(attempts.last().unwrap().outcome.error(), error, "{how}");
            assert!(!attempts.last().unwrap().manual, "{how}");
        }
        driver.accept(&tenant, "next", &[&endpoint]).await;
        assert_eq!(driver.lease_only().await.event.id.as_str(), "next", "{how}");
        driver.check_invariants().await;
    }
}

async fn crash(driver: &mut Driver) {
    driver.crash().await;
    for _ in 0..2 {
        assert_eq!(driver.recover().await, 0, "nothing is given back");
    }
}

#[tokio::test]
async fn its_process_dies() {
    for ordered in [false, true] {
        check(ordered, async |driver, _| crash(driver).await, 1, Some(ErrorClass::Unknown)).await;
    }
}

#[tokio::test]
async fn its_time_runs_out() {
    let late = async |driver: &mut Driver, _: &Lease| {
        driver.pass(3_600);
        assert_eq!(driver.recover().await, 0);
    };
    check(false, late, 1, Some(ErrorClass::Unknown)).await;
}

#[tokio::test]
async fn it_is_told_what_came_of_it() {
    let settled = async |driver: &mut Driver, lease: &Lease| {
        let stale = driver.settle(lease, replied(500), Next::Exhausted).await;
        assert_eq!(stale, Settled::Stale);
        crash(driver).await;
    };
    check(false, settled, 1, None).await;
}

#[tokio::test]
async fn there_was_no_request() {
    let released = async |driver: &mut Driver, lease: &Lease| {
        let release = driver.unattempted(lease, Next::Release { at: driver.now() });
        assert_eq!(driver.settle_as(release).await, Settled::Stale);
        crash(driver).await;
    };
    check(false, released, 0, None).await;
}

#[tokio::test]
async fn its_process_has_handed_over() {
    let handed_over = async |driver: &mut Driver, lease: &Lease| {
        let until = driver.secs(30);
        driver.release(until).await;
        driver.claim().await;
        assert_eq!(driver.recover().await, 0);
        assert_eq!(driver.settle(lease, replied(500), Next::Exhausted).await, Settled::Stale);
        driver.pass(30);
        assert_eq!(driver.recover().await, 0);
    };
    check(false, handed_over, 1, None).await;
}
