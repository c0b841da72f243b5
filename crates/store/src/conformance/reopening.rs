use std::time::Duration;

use posthaste_model::{
    Attempt, Delivery, DeliveryId, DeliveryReason, DeliveryState, Endpoint, EndpointState, ErrorClass,
    EventOptions, HealthEffect, Next, Timestamp,
};

use super::{
    Driver,
    catalogue::is_missing,
    failed, fares,
    ordered::{deliver, next, nothing, ordered},
    replied, sample_event,
};
use crate::{CLOCK_SLACK, Lease, Missing, NewEvent, Reopened, Retain, Settled, Told};

async fn show(driver: &Driver, delivery: &Delivery) -> Delivery {
    driver.store().delivery(&delivery.tenant, delivery.id).await.unwrap()
}

async fn attempts(driver: &Driver, delivery: &Delivery) -> Vec<Attempt> {
    driver.store().attempts(&delivery.tenant, delivery.id).await.unwrap()
}

/// Makes a tenant with an endpoint.
async fn endpoint(driver: &mut Driver) -> Endpoint {
    let tenant = driver.tenant("acme").await;
    driver.endpoint(&tenant).await
}

/// Accepts an event whose delivery is exhausted at its first attempt. Then a second passes.
async fn exhausted(driver: &mut Driver, endpoint: &Endpoint, event: &str) -> Delivery {
    driver.accept(&endpoint.tenant, event, &[endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    driver.pass(1);
    driver.show(&lease).await
}

/// Opens a delivery again, which can be.
async fn reopen(driver: &mut Driver, delivery: &Delivery) {
    assert_eq!(driver.reopen(delivery).await, Reopened::Reopened, "{delivery:?}");
}

/// How a delivery looks that is opened again now, at an enabled endpoint.
fn opened(before: &Delivery, driver: &Driver) -> Delivery {
    Delivery {
        state: DeliveryState::Scheduled,
        reason: None,
        failures: 0,
        due_at: Some(driver.now()),
        completed_at: None,
        ..before.clone()
    }
}

pub(super) async fn whatever_is_over_can_be_opened_again(driver: &mut Driver) {
    use DeliveryState::{Cancelled, Delivered, Exhausted, Skipped};
    let endpoint = endpoint(driver).await;
    let tenant = endpoint.tenant.clone();
    for (state, attempted) in [Delivered, Exhausted, Skipped, Cancelled]
        .into_iter()
        .flat_map(|state| [(state, true), (state, false)])
        .filter(|case| *case != (Delivered, false))
    {
        let event = format!("evt-{state:?}-{attempted}");
        driver.accept(&tenant, &event, &[&endpoint]).await;
        let lease = driver.lease_only().await;
        let (retry, release) = (Next::Retry { at: driver.now() }, Next::Release { at: driver.secs(600) });
        let mut last = lease.clone();
        if attempted {
            driver.settle(&lease, failed(ErrorClass::Timeout), retry).await;
            last = driver.lease_only().await;
        }
        let next = match state {
            Delivered => Next::Delivered,
            Exhausted => Next::Exhausted,
            Skipped => Next::Skipped,
            _ => release,
        };
        let mut settlement =
            driver.settlement(&last, replied(if state == Delivered { 200 } else { 404 }), next);
        settlement.attempt = settlement.attempt.filter(|_| attempted);
        driver.settle_as(settlement).await;
        if state == Cancelled {
            let waits = driver.show(&lease).await;
            driver.cancel(&waits).await.unwrap();
        }
        driver.pass(1);
        let before = driver.show(&lease).await;
        assert_eq!((before.state, before.attempts), (state, if attempted { 2 } else { 0 }));
        let (made, records) = (driver.attempts(&lease).await, driver.shown(&tenant).await.events);
        reopen(driver, &before).await;
        let expected = opened(&before, driver);
        assert_eq!(driver.show(&lease).await, expected, "{state:?}");
        assert_eq!(driver.attempts(&lease).await, made, "{state:?}");
        assert_eq!(driver.shown(&tenant).await.events, records, "{state:?}");

        let opened_at = driver.now();
        driver.pass(1);
        let again = driver.lease_only().await;
        assert_eq!(
            (again.delivery, &again.event, &again.endpoint),
            (before.id, &lease.event, &lease.endpoint)
        );
        assert_eq!((again.attempt, again.failures, again.manual), (before.attempts + 1, 0, false));
        assert_eq!(again.due_at, opened_at);
        driver.settle(&again, replied(201), Next::Delivered).await;
        let arrived = Delivery {
            state: Delivered,
            attempts: before.attempts + 1,
            due_at: None,
            last_status: Some(201),
            last_error: None,
            completed_at: Some(driver.now()),
            ..expected
        };
        assert_eq!(driver.show(&lease).await, arrived, "{state:?}");
        assert_eq!(driver.attempts(&lease).await.len(), made.len() + 1);
        assert!(driver.lease().await.is_empty());
    }
}

pub(super) async fn the_retry_policy_begins_anew(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    driver.accept(&endpoint.tenant, "evt", &[&endpoint]).await;
    let mut attempt = 0;
    for round in 1..4 {
        for failures in 0..3 {
            let lease = driver.lease_only().await;
            attempt += 1;
            assert_eq!((lease.attempt, lease.failures), (attempt, failures), "round {round}");
            let next = if failures < 2 { Next::Retry { at: driver.now() } } else { Next::Exhausted };
            assert_eq!(driver.settle(&lease, replied(500), next).await, Settled::Applied);
        }
        let over = driver.delivery_of(&endpoint.tenant, "evt").await;
        assert_eq!((over.state, over.attempts, over.failures), (DeliveryState::Exhausted, attempt, 3));
        // Whoever is to be told that it is exhausted is told each time.
        let told = driver
            .notices()
            .await
            .into_iter()
            .filter(|notice| matches!(notice.told, Told::Exhausted { delivery } if delivery == over.id));
        assert_eq!(told.count(), round);
        let numbers: Vec<_> = attempts(driver, &over).await.iter().map(|attempt| attempt.number).collect();
        assert!(numbers.into_iter().eq(1..=attempt));
        driver.pass(1);
        reopen(driver, &over).await;
    }
}

pub(super) async fn what_is_open_stays_as_it_is(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    let tenant = endpoint.tenant.clone();
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    driver.accept(&tenant, "retried", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(500), Next::Retry { at: driver.secs(600) }).await;
    driver.accept(&tenant, "in_flight", &[&endpoint]).await;
    let in_flight = driver.lease_only().await;
    driver.accept(&tenant, "held", &[&paused]).await;
    driver.pass(1);
    let before = driver.shown(&tenant).await;
    for (delivery, _) in &before.deliveries {
        assert_eq!(driver.reopen(delivery).await, Reopened::Open, "{delivery:?}");
    }
    // What ends there when it is over is in flight still.
    driver.turn(&endpoint, EndpointState::Disabled).await;
    let shown = driver.show(&in_flight).await;
    assert_eq!(driver.reopen(&shown).await, Reopened::Open);
    driver.turn(&endpoint, EndpointState::Enabled).await;
    assert_eq!(driver.show(&in_flight).await, shown);
    assert!(driver.lease().await.is_empty());
    assert_eq!(driver.settle(&in_flight, replied(200), Next::Delivered).await, Settled::Applied);
    // Opened again, it is open.
    let delivered = driver.show(&in_flight).await;
    reopen(driver, &delivered).await;
    driver.pass(1);
    let open = driver.show(&in_flight).await;
    assert_eq!(driver.reopen(&delivered).await, Reopened::Open);
    assert_eq!(driver.show(&in_flight).await, open);
}

pub(super) async fn at_a_closed_endpoint_nothing_is_opened(driver: &mut Driver) {
    let one = endpoint(driver).await;
    let two = driver.endpoint(&one.tenant).await;
    let (disabled, deleted) = (exhausted(driver, &one, "one").await, exhausted(driver, &two, "two").await);
    driver.turn(&one, EndpointState::Disabled).await;
    driver.delete(&two).await;
    for delivery in [&disabled, &deleted] {
        assert_eq!(driver.reopen(delivery).await, Reopened::Closed);
        assert_eq!(show(driver, delivery).await, *delivery);
    }
    driver.turn(&one, EndpointState::Enabled).await;
    assert!(driver.lease().await.is_empty());
    reopen(driver, &disabled).await;
    assert_eq!(driver.lease_only().await.delivery, disabled.id);
}

pub(super) async fn at_a_paused_endpoint_it_is_held(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    let before = exhausted(driver, &endpoint, "evt").await;
    driver.turn(&endpoint, EndpointState::Paused).await;
    reopen(driver, &before).await;
    let reason = Some(DeliveryReason::EndpointPaused);
    let held = Delivery { state: DeliveryState::Held, reason, ..opened(&before, driver) };
    assert_eq!(show(driver, &before).await, held);
    driver.pass(1);
    driver.crash().await;
    assert_eq!(show(driver, &before).await, held);
    nothing(driver, None).await;
    driver.turn(&endpoint, EndpointState::Enabled).await;
    let lease = driver.lease_only().await;
    assert_eq!((lease.delivery, Some(lease.due_at)), (before.id, held.due_at));
    // Disabled before it was released, it is skipped like any other.
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    driver.turn(&endpoint, EndpointState::Paused).await;
    reopen(driver, &before).await;
    driver.turn(&endpoint, EndpointState::Disabled).await;
    assert_eq!(show(driver, &before).await.state, DeliveryState::Skipped);
}

pub(super) async fn a_pause_that_the_endpoint_asked_for_counts(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    let before = exhausted(driver, &endpoint, "evt").await;
    let until = driver.secs(30);
    driver.store().park(&endpoint.tenant, endpoint.id, until).await.unwrap();
    reopen(driver, &before).await;
    nothing(driver, Some(until)).await;
    driver.pass(30);
    assert_eq!(driver.lease_only().await.delivery, before.id);
}

pub(super) async fn what_is_not_there_cannot_be_opened(driver: &mut Driver) {
    let one = endpoint(driver).await;
    let other = driver.tenant("other").await;
    let two = driver.endpoint(&other).await;
    let (own, theirs) = (exhausted(driver, &one, "evt").await, exhausted(driver, &two, "evt").await);
    let unknown = DeliveryId::mint(driver.now(), [9; 10]);
    let asked = driver.reopen_all(&one.tenant, vec![unknown, theirs.id]).await.unwrap();
    assert_eq!(asked, [Reopened::Missing; 2]);
    assert_eq!(driver.reopen_all(&other, vec![own.id]).await.unwrap(), [Reopened::Missing]);
    assert_eq!((show(driver, &own).await, show(driver, &theirs).await), (own.clone(), theirs.clone()));
    let nobody = "nobody".parse().unwrap();
    is_missing(driver.reopen_all(&nobody, vec![own.id]).await, Missing::Tenant);
    is_missing(driver.reopen_all(&nobody, Vec::new()).await, Missing::Tenant);

    driver.pass(60);
    let retain = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    assert_eq!(driver.prune(retain, driver.now(), 100).await, 2);
    driver.accept(&one.tenant, "evt", &[]).await;
    assert_eq!(driver.reopen(&own).await, Reopened::Missing, "it was removed");
    driver.delete_tenant(&other).await;
    is_missing(driver.reopen_all(&other, vec![theirs.id]).await, Missing::Tenant);
    driver.tenant("other").await;
    assert_eq!(driver.reopen_all(&other, vec![theirs.id]).await.unwrap(), [Reopened::Missing]);
    assert!(driver.lease().await.is_empty());
}

pub(super) async fn each_is_opened_for_itself(driver: &mut Driver) {
    let one = endpoint(driver).await;
    let tenant = one.tenant.clone();
    let two = driver.endpoint(&tenant).await;
    let over = [exhausted(driver, &one, "a").await, exhausted(driver, &one, "b").await];
    let closed = exhausted(driver, &two, "closed").await;
    driver.delete(&two).await;
    driver.accept(&tenant, "open", &[&one]).await;
    let open = driver.delivery_of(&tenant, "open").await;
    let unknown = DeliveryId::mint(driver.now(), [9; 10]);
    let ids = vec![open.id, over[1].id, unknown, closed.id, over[0].id, over[1].id];
    let opened = driver.reopen_all(&tenant, ids).await.unwrap();
    let expected = [
        Reopened::Open,
        Reopened::Reopened,
        Reopened::Missing,
        Reopened::Closed,
        Reopened::Reopened,
        Reopened::Open,
    ];
    assert_eq!(opened, expected);
    assert_eq!(driver.reopen_all(&tenant, Vec::new()).await.unwrap(), []);
    let mut leased: Vec<_> = driver.lease().await.iter().map(|lease| lease.delivery).collect();
    let mut expected = vec![open.id, over[0].id, over[1].id];
    leased.sort();
    expected.sort();
    assert_eq!(leased, expected);
}

/// Opens a delivery again if it was over before a time, which it was if `expected` says so.
#[track_caller]
fn check_answer(answer: &[Reopened], expected: bool, when: &str) {
    assert_eq!(answer, [if expected { Reopened::Reopened } else { Reopened::Open }], "{when}");
}

pub(super) async fn what_was_not_over_before_a_time_is_passed_over(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    let tenant = endpoint.tenant.clone();
    let attempted = exhausted(driver, &endpoint, "attempted").await;
    // What is over because its endpoint was closed is written down as such later on.
    driver.accept(&tenant, "closed", &[&endpoint]).await;
    driver.turn(&endpoint, EndpointState::Disabled).await;
    driver.pass(1);
    driver.turn(&endpoint, EndpointState::Enabled).await;
    driver.pass(1);
    let closed = driver.delivery_of(&tenant, "closed").await;
    assert_eq!(closed.state, DeliveryState::Skipped);
    for over in [attempted, closed] {
        let completed_at = over.completed_at.unwrap();
        let just = Duration::from_millis(1);
        for (before, expected) in
            [(completed_at - just, false), (completed_at, false), (completed_at + just, true)]
        {
            let answer = driver.reopen_over_before(&tenant, vec![over.id], Some(before)).await.unwrap();
            check_answer(&answer, expected, "before it was opened");
            if !expected {
                assert_eq!(show(driver, &over).await, over, "nothing was done");
            }
        }
        // It is over once more by now, and the same job comes by again.
        let lease = driver.lease_only().await;
        driver.settle(&lease, replied(500), Next::Exhausted).await;
        driver.pass(1);
        let before = Some(completed_at + just);
        let answer = driver.reopen_over_before(&tenant, vec![over.id], before).await.unwrap();
        check_answer(&answer, false, "after it was opened");
        assert!(driver.lease().await.is_empty(), "it is not attempted again");
    }
}

pub(super) async fn many_are_opened_in_a_call(driver: &mut Driver) {
    let one = endpoint(driver).await;
    let tenant = one.tenant.clone();
    let two = driver.endpoint(&tenant).await;
    for n in 0..150 {
        driver.accept(&tenant, &format!("evt-{n}"), &[&one, &two]).await;
    }
    let leases = driver.lease().await;
    let over = leases.iter().map(|lease| driver.unattempted(lease, Next::Exhausted)).collect();
    driver.settle_all(over).await;
    driver.pass(1);
    let ids: Vec<_> = leases.iter().map(|lease| lease.delivery).collect();
    let opened = driver.reopen_all(&tenant, ids.clone()).await.unwrap();
    assert!(opened.len() == 300 && opened.iter().all(|one| *one == Reopened::Reopened), "{opened:?}");
    assert_eq!(driver.lease().await.len(), 300);
    assert_eq!(driver.reopen_all(&tenant, ids).await.unwrap(), [Reopened::Open; 300]);
}

pub(super) async fn what_is_opened_again_survives_a_crash(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    let before = exhausted(driver, &endpoint, "evt").await;
    reopen(driver, &before).await;
    let expected = opened(&before, driver);
    driver.crash().await;
    assert_eq!(driver.recover().await, 0);
    assert_eq!(show(driver, &before).await, expected);
    assert_eq!(driver.lease_only().await.delivery, before.id);
    driver.crash().await;
    assert_eq!(driver.recover().await, 1);
    let lease = driver.lease_only().await;
    assert_eq!((lease.attempt, lease.failures), (3, 0));
}

pub(super) async fn opening_is_no_change_of_the_endpoint(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    driver.accept(&endpoint.tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let bad = fares(HealthEffect::Failed { exhausted: true, warning: Some(50) });
    driver.settle_with(&lease, replied(500), Next::Exhausted, bad).await;
    let before = (driver.reread(&endpoint).await, driver.notices().await);
    let view = driver.store().view(&endpoint.tenant).await.unwrap();
    let over = driver.show(&lease).await;
    reopen(driver, &over).await;
    assert_eq!((driver.reread(&endpoint).await, driver.notices().await), before);
    assert_eq!(driver.store().view(&endpoint.tenant).await.unwrap().version, view.version);
}

/// Accepts an event that is to be delivered at a time, and gives its delivery up.
async fn given_up_before(driver: &mut Driver, to: &Endpoint, event: &str, deliver_at: Timestamp) -> Delivery {
    let options = EventOptions { deliver_at: Some(deliver_at), ..EventOptions::default() };
    driver.accept_with(&to.tenant, event, &[to], options).await;
    let waits = driver.delivery_of(&to.tenant, event).await;
    driver.cancel(&waits).await.unwrap();
    waits
}

pub(super) async fn what_is_opened_again_waits_for_its_events_time(driver: &mut Driver) {
    let one = endpoint(driver).await;
    let tenant = one.tenant.clone();
    let in_order = driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = true).await;
    for to in [&one, &in_order] {
        let at = driver.secs(600);
        let waits = given_up_before(driver, to, &format!("evt-{}", to.id), at).await;
        driver.pass(1);
        reopen(driver, &waits).await;
        let shown = show(driver, &waits).await;
        assert_eq!((shown.state, shown.due_at), (DeliveryState::Scheduled, Some(at)));
        nothing(driver, Some(at)).await;
        driver.crash().await;
        driver.turn(to, EndpointState::Paused).await;
        driver.turn(to, EndpointState::Enabled).await;
        nothing(driver, Some(at)).await;
        // At an ordered endpoint it has the place of that time: what was accepted before goes first.
        driver.accept(&tenant, &format!("now-{}", to.id), &[to]).await;
        let lease = driver.lease_only().await;
        assert_ne!(lease.delivery, waits.id);
        driver.settle(&lease, replied(200), Next::Delivered).await;
        driver.pass(600);
        let lease = driver.lease_only().await;
        assert_eq!((lease.delivery, lease.due_at), (waits.id, at));
        // Once its time has come it is like any other.
        driver.settle(&lease, replied(500), Next::Exhausted).await;
        driver.pass(1);
        reopen(driver, &waits).await;
        let lease = driver.lease_only().await;
        assert_eq!((lease.delivery, lease.due_at), (waits.id, driver.now()));
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
}

pub(super) async fn a_job_passes_over_what_was_only_a_test(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    let tenant = endpoint.tenant.clone();
    let metadata = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let (test, nothing_else) = (true, EventOptions::default());
    let mut over = Vec::new();
    for (event, options) in [
        ("test", EventOptions { test, ..nothing_else.clone() }),
        (
            "test-with-more",
            EventOptions { test, metadata: metadata("test", "false"), ..nothing_else.clone() },
        ),
        (
            "looks-like-one",
            EventOptions { metadata: metadata("\"test\":true", "\"test\":true"), ..nothing_else },
        ),
    ] {
        driver.accept_with(&tenant, event, &[&endpoint], options).await;
        let lease = driver.lease_only().await;
        driver.settle(&lease, replied(500), Next::Exhausted).await;
        over.push(driver.show(&lease).await);
    }
    driver.pass(1);
    let ids: Vec<_> = over.iter().map(|delivery| delivery.id).collect();
    let now = driver.now();
    let answers = driver.reopen_over_before(&tenant, ids, Some(now)).await.unwrap();
    assert_eq!(answers, [Reopened::Open, Reopened::Open, Reopened::Reopened]);
    assert_eq!(driver.lease_only().await.delivery, over[2].id);
    for test in &over[..2] {
        assert_eq!(show(driver, test).await, *test, "nothing was done");
        // Whoever names it means it, also where it was sent to one more endpoint.
        reopen(driver, test).await;
        assert_eq!(driver.lease_only().await.delivery, test.id);
    }
    let other = driver.endpoint(&tenant).await;
    driver.send("test", &other).await.unwrap();
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    driver.pass(1);
    let now = driver.now();
    let answers = driver.reopen_over_before(&tenant, vec![lease.delivery], Some(now)).await.unwrap();
    assert_eq!(answers, [Reopened::Open]);
}

pub(super) async fn at_an_ordered_endpoint_it_takes_the_place_of_its_event(driver: &mut Driver) {
    let endpoint = ordered(driver, &["a", "b", "c", "d"]).await;
    let mut over = Vec::new();
    for event in ["a", "b"] {
        let lease = next(driver, event).await;
        driver.settle(&lease, replied(500), Next::Exhausted).await;
        over.push(driver.show(&lease).await);
    }
    // It waits for what is under way, and goes before the others.
    let live = next(driver, "c").await;
    driver.pass(1);
    driver.accept(&endpoint.tenant, "e", &[&endpoint]).await;
    for delivery in [&over[1], &over[0]] {
        reopen(driver, delivery).await;
    }
    nothing(driver, None).await;
    let at = driver.secs(10);
    driver.settle(&live, replied(500), Next::Retry { at }).await;
    let lease = next(driver, "a").await;
    // Tried again, it keeps its place.
    driver.settle(&lease, replied(500), Next::Retry { at }).await;
    nothing(driver, Some(at)).await;
    driver.crash().await;
    driver.recover().await;
    deliver(driver, &["a", "b", "c", "d", "e"]).await;
    // Also when nothing waits there, and when the endpoint was paused meanwhile.
    let shown = driver.shown(&endpoint.tenant).await.deliveries;
    driver.turn(&endpoint, EndpointState::Paused).await;
    for (delivery, _) in &shown {
        reopen(driver, delivery).await;
        driver.pass(1);
    }
    driver.turn(&endpoint, EndpointState::Enabled).await;
    deliver(driver, &["a", "b", "c", "d", "e"]).await;
}

pub(super) async fn at_an_ordered_endpoint_it_takes_the_place_that_it_had(driver: &mut Driver) {
    let endpoint = ordered(driver, &[]).await;
    let slack = CLOCK_SLACK.as_millis() as i64;
    // The clocks of those who accept them cross.
    for (event, ahead) in [("a", slack), ("b", 0), ("c", slack - 1), ("d", 1)] {
        let clock = driver.now() + Duration::from_millis(ahead as u64);
        let event = sample_event(&endpoint.tenant, event, clock);
        driver
            .accept_all(&endpoint.tenant, vec![NewEvent { event, endpoints: vec![endpoint.id] }])
            .await
            .unwrap();
    }
    driver.pass(10);
    let mut over = Vec::new();
    for event in ["a", "b", "c"] {
        let lease = next(driver, event).await;
        driver.settle(&lease, replied(500), Next::Exhausted).await;
        over.push(driver.show(&lease).await);
    }
    for delivery in over.iter().rev() {
        driver.pass(1);
        reopen(driver, delivery).await;
    }
    driver.crash().await;
    deliver(driver, &["a", "b", "c", "d"]).await;
    // Also when the endpoint ceases to be ordered, and is so again.
    for delivery in over.iter().rev() {
        driver.pass(1);
        reopen(driver, delivery).await;
    }
    driver.change(&endpoint, |endpoint| endpoint.ordered = false).await;
    driver.change(&endpoint, |endpoint| endpoint.ordered = true).await;
    deliver(driver, &["a", "b", "c"]).await;
    driver.pass(60);
    assert_eq!(prune(driver).await, 4);
}

/// What was delivered is kept for 10 s, what failed for 20 s.
const RETAIN: Retain = Retain { delivered: Duration::from_secs(10), failed: Duration::from_secs(20) };

/// Prunes everything that is over now; answers with how many events were removed.
async fn prune(driver: &mut Driver) -> u32 {
    driver.prune(RETAIN, driver.now(), 100).await
}

pub(super) async fn retention_keeps_what_was_opened_again(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    for (n, (next, period)) in
        [(Next::Delivered, 10), (Next::Exhausted, 20), (Next::Skipped, 20)].into_iter().enumerate()
    {
        let before = exhausted(driver, &endpoint, &format!("evt-{n}")).await;
        // It stands in line until its last moment.
        driver.pass(19);
        assert_eq!(prune(driver).await, 0);
        reopen(driver, &before).await;
        driver.pass(1);
        assert_eq!(prune(driver).await, 0, "it is open");
        driver.pass(1_000);
        assert_eq!(prune(driver).await, 0, "it is open");
        if n == 1 {
            driver.crash().await;
            assert_eq!(prune(driver).await, 0, "it is open after a crash");
        }
        let lease = driver.lease_only().await;
        driver.pass(100);
        assert_eq!(prune(driver).await, 0, "it is in flight");
        let status = if next == Next::Delivered { 200 } else { 500 };
        driver.settle(&lease, replied(status), next).await;
        driver.pass(period);
        assert_eq!(prune(driver).await, 0, "its period begins anew");
        driver.pass(1);
        assert_eq!(prune(driver).await, 1);
        assert_eq!(driver.reopen(&before).await, Reopened::Missing);
    }
}

pub(super) async fn retention_follows_a_delivery_that_ends_twice(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    let tenant = endpoint.tenant.clone();
    let other = driver.endpoint(&tenant).await;
    // Delivered to both, then given up at one: kept as what failed.
    driver.accept(&tenant, "evt", &[&endpoint, &other]).await;
    for lease in driver.lease().await {
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    driver.pass(5);
    let [one, two]: [Delivery; 2] = driver.deliveries_of(&tenant, "evt").await.try_into().unwrap();
    reopen(driver, &one).await;
    driver.cancel(&one).await.unwrap();
    driver.pass(11);
    assert_eq!(prune(driver).await, 0);
    // One of two that is open keeps them both.
    reopen(driver, &two).await;
    driver.pass(60);
    assert_eq!(prune(driver).await, 0);
    reopen(driver, &one).await;
    let leases = driver.lease().await;
    assert_eq!(leases.len(), 2);
    driver.settle(&leases[0], replied(200), Next::Delivered).await;
    driver.pass(60);
    assert_eq!(prune(driver).await, 0);
    driver.settle(&leases[1], replied(200), Next::Delivered).await;
    driver.pass(10);
    assert_eq!(prune(driver).await, 0, "kept as what was delivered");
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
    assert_eq!(driver.shown(&tenant).await.deliveries, []);

    // Opened and ended without delay, over and over.
    let mut over = exhausted(driver, &endpoint, "again").await;
    for _ in 0..3 {
        driver.pass(10);
        reopen(driver, &over).await;
        driver.cancel(&over).await.unwrap();
        over = show(driver, &over).await;
        assert_eq!(prune(driver).await, 0);
    }
    driver.pass(20);
    assert_eq!(prune(driver).await, 0);
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
}

pub(super) async fn what_was_settled_before_changes_nothing(driver: &mut Driver) {
    let endpoint = endpoint(driver).await;
    driver.accept(&endpoint.tenant, "evt", &[&endpoint]).await;
    let old = driver.lease_only().await;
    let settlement = driver.settlement(&old, replied(500), Next::Exhausted);
    assert_eq!(driver.settle_as(settlement.clone()).await, Settled::Applied);
    let over = driver.show(&old).await;
    driver.pass(1);
    reopen(driver, &over).await;
    let open = opened(&over, driver);
    // Told again, because an answer was lost.
    assert_eq!(driver.settle_as(settlement.clone()).await, Settled::Stale);
    assert_eq!(driver.show(&old).await, open);
    let new = driver.lease_only().await;
    assert_eq!(driver.settle_as(settlement).await, Settled::Stale);
    let shown = driver.show(&old).await;
    assert_eq!((shown.state, shown.attempts, shown.failures), (DeliveryState::InFlight, 1, 0));
    assert_eq!(driver.settle(&new, replied(200), Next::Delivered).await, Settled::Applied);
    assert_eq!(driver.attempts(&old).await.len(), 2);
}

/// Leases an event that is given up in flight, and opened again.
async fn given_up_in_flight(driver: &mut Driver) -> (Lease, Delivery) {
    let endpoint = endpoint(driver).await;
    driver.accept(&endpoint.tenant, "evt", &[&endpoint]).await;
    let old = driver.lease_only().await;
    let delivery = driver.show(&old).await;
    driver.cancel(&delivery).await.unwrap();
    driver.pass(1);
    reopen(driver, &delivery).await;
    (old, delivery)
}

pub(super) async fn a_lease_that_ended_stays_ended(driver: &mut Driver) {
    let (old, delivery) = given_up_in_flight(driver).await;
    let new = driver.lease_only().await;
    assert_eq!(new.delivery, old.delivery);
    assert_ne!(new.id, old.id);
    // What comes of its request is recorded, and that is all.
    assert_eq!(driver.settle(&old, replied(500), Next::Exhausted).await, Settled::Stale);
    let shown = show(driver, &delivery).await;
    assert_eq!((shown.state, shown.attempts, shown.failures), (DeliveryState::InFlight, 1, 0));
    assert_eq!((shown.last_status, shown.last_error), (None, None));
    assert!(driver.lease().await.is_empty());
    assert_eq!(driver.settle(&new, replied(200), Next::Delivered).await, Settled::Applied);
    assert_eq!(attempts(driver, &delivery).await.len(), 2);
    assert_eq!(driver.recover().await, 0);
}

pub(super) async fn a_late_success_does_not_end_what_was_opened_again(driver: &mut Driver) {
    let (old, delivery) = given_up_in_flight(driver).await;
    let open = show(driver, &delivery).await;
    assert_eq!(driver.settle(&old, replied(200), Next::Delivered).await, Settled::Stale);
    assert_eq!(show(driver, &delivery).await, Delivery { attempts: 1, ..open });
    let new = driver.lease_only().await;
    assert_eq!((new.attempt, new.failures), (2, 0));
    driver.settle(&new, replied(500), Next::Exhausted).await;
    assert_eq!(show(driver, &delivery).await.state, DeliveryState::Exhausted);
}

pub(super) async fn a_crash_gives_back_what_was_opened_again_once(driver: &mut Driver) {
    let (old, delivery) = given_up_in_flight(driver).await;
    let new = driver.lease_only().await;
    driver.crash().await;
    assert_eq!(driver.recover().await, 1, "the one that ended is not given back");
    assert_eq!(driver.recover().await, 0);
    // Both requests may have arrived.
    let shown = show(driver, &delivery).await;
    assert_eq!((shown.state, shown.due_at), (DeliveryState::Scheduled, Some(driver.now())));
    assert_eq!((shown.attempts, shown.failures), (2, 0));
    let unknown = attempts(driver, &delivery).await;
    assert!(
        unknown.iter().all(|attempt| attempt.outcome.error() == Some(ErrorClass::Unknown)),
        "{unknown:?}"
    );
    for lease in [&old, &new] {
        assert_eq!(driver.settle(lease, replied(200), Next::Delivered).await, Settled::Stale);
    }
    assert_eq!(show(driver, &delivery).await, Delivery { attempts: 4, ..shown });
    assert_eq!(driver.lease_only().await.attempt, 5);
}

/// Leases a manual attempt of a delivery that is exhausted, and opens it again meanwhile.
async fn under_way_by_hand(driver: &mut Driver) -> (Lease, Delivery) {
    let endpoint = endpoint(driver).await;
    let over = exhausted(driver, &endpoint, "evt").await;
    driver.ask(&over, false).await.unwrap();
    let manual = driver.lease_only().await;
    assert!(manual.manual, "{manual:?}");
    driver.pass(1);
    reopen(driver, &over).await;
    (manual, over)
}

pub(super) async fn a_manual_attempt_may_end_what_was_opened_again(driver: &mut Driver) {
    let (manual, over) = under_way_by_hand(driver).await;
    assert_eq!(driver.settle(&manual, replied(200), Next::Delivered).await, Settled::Applied);
    let shown = show(driver, &over).await;
    assert_eq!((shown.state, shown.completed_at), (DeliveryState::Delivered, Some(driver.now())));
    assert!(driver.lease().await.is_empty(), "it is not attempted again");

    // Also while its automatic attempt is under way.
    driver.ask(&shown, false).await.unwrap();
    reopen(driver, &shown).await;
    let leases = driver.lease().await;
    let [manual, automatic] = &leases[..] else { panic!("two attempts: {leases:?}") };
    assert!(manual.manual && !automatic.manual, "{leases:?}");
    assert_eq!(driver.settle(manual, replied(200), Next::Delivered).await, Settled::Applied);
    assert_eq!(driver.settle(automatic, replied(500), Next::Exhausted).await, Settled::Stale);
    assert_eq!(show(driver, &over).await.state, DeliveryState::Delivered);
}

pub(super) async fn a_manual_attempt_that_failed_leaves_it_open(driver: &mut Driver) {
    let (manual, over) = under_way_by_hand(driver).await;
    let open = show(driver, &over).await;
    assert_eq!(driver.settle(&manual, replied(404), Next::Stay).await, Settled::Applied);
    let expected = Delivery { attempts: 2, last_status: Some(404), ..open };
    assert_eq!(show(driver, &over).await, expected);
    let automatic = driver.lease_only().await;
    assert_eq!((automatic.manual, automatic.attempt, automatic.failures), (false, 3, 0));
    driver.settle(&automatic, replied(200), Next::Delivered).await;
}

pub(super) async fn a_crash_gives_back_both_kinds_of_attempts(driver: &mut Driver) {
    let (_, over) = under_way_by_hand(driver).await;
    assert!(!driver.lease_only().await.manual);
    driver.crash().await;
    assert_eq!(driver.recover().await, 2);
    let mut kinds: Vec<_> = attempts(driver, &over).await.iter().map(|attempt| attempt.manual).collect();
    kinds.sort();
    assert_eq!(kinds, [false, false, true]);
    assert!(!driver.lease_only().await.manual, "it is attempted again, but not by hand");
}
