use std::time::Duration;

use bytes::Bytes;
use posthaste_model::{
    Attempt, Decision, Delivery, DeliveryId, DeliveryReason, DeliveryState, ErrorClass, Next, Outcome, Reply,
    SentRequest, Timings,
};

use super::{Driver, TTL, failed, replied};
use crate::{Epoch, Lease, LeaseId, Settled, Settlement};

/// Makes a tenant with one endpoint and leases an event of it.
async fn leased(driver: &mut Driver) -> Lease {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    driver.lease_only().await
}

pub(super) async fn every_decision_leads_to_its_state(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let at = driver.secs(30);
    for (n, (outcome, next, state, failures)) in [
        (replied(204), Next::Delivered, DeliveryState::Delivered, 0),
        (replied(500), Next::Retry { at }, DeliveryState::Scheduled, 1),
        (failed(ErrorClass::Tls), Next::Retry { at }, DeliveryState::Scheduled, 1),
        (failed(ErrorClass::Dns), Next::Exhausted, DeliveryState::Exhausted, 1),
        (replied(410), Next::Skipped, DeliveryState::Skipped, 1),
        (failed(ErrorClass::Internal), Next::Release { at }, DeliveryState::Scheduled, 0),
    ]
    .into_iter()
    .enumerate()
    {
        driver.accept(&tenant, &format!("evt-{n}"), &[&endpoint]).await;
        let lease = driver.lease_only().await;
        let before = driver.show(&lease).await;
        driver.pass(1);
        let settlement = driver.settlement(&lease, outcome.clone(), next);
        let attempt = settlement.attempt.clone().unwrap();
        assert_eq!(driver.settle_as(settlement).await, Settled::Applied);
        let waits = state == DeliveryState::Scheduled;
        let expected = Delivery {
            state,
            reason: (state == DeliveryState::Skipped).then_some(DeliveryReason::EndpointDisabled),
            attempts: 1,
            failures,
            due_at: waits.then_some(at),
            last_status: outcome.status(),
            last_error: outcome.error(),
            completed_at: (!waits).then_some(driver.now()),
            ..before
        };
        assert_eq!(driver.show(&lease).await, expected, "{next:?}");
        assert_eq!(driver.attempts(&lease).await, [attempt], "{next:?}");
        assert!(driver.lease().await.is_empty(), "{next:?}");
    }
}

pub(super) async fn what_was_not_attempted_is_not_charged(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let at = driver.secs(3_600);
    for (n, (next, state)) in [
        (Next::Release { at }, DeliveryState::Scheduled),
        (Next::Retry { at }, DeliveryState::Scheduled),
        (Next::Exhausted, DeliveryState::Exhausted),
        (Next::Skipped, DeliveryState::Skipped),
    ]
    .into_iter()
    .enumerate()
    {
        driver.accept(&tenant, &format!("evt-{n}"), &[&endpoint]).await;
        let lease = driver.lease_only().await;
        let settlement = driver.unattempted(&lease, next);
        assert_eq!(driver.settle_as(settlement).await, Settled::Applied);
        let shown = driver.show(&lease).await;
        assert_eq!((shown.state, shown.attempts, shown.failures), (state, 0, 0), "{next:?}");
        assert_eq!(driver.attempts(&lease).await, []);
    }
}

pub(super) async fn the_last_status_outlives_a_silence(driver: &mut Driver) {
    let lease = leased(driver).await;
    let at = driver.now();
    for (outcome, status, error) in [
        (failed(ErrorClass::Connect), None, Some(ErrorClass::Connect)),
        (replied(503), Some(503), None),
        (failed(ErrorClass::Timeout), Some(503), Some(ErrorClass::Timeout)),
        (replied(500), Some(500), None),
    ] {
        let lease =
            if driver.attempts(&lease).await.is_empty() { lease.clone() } else { driver.lease_only().await };
        driver.settle(&lease, outcome, Next::Retry { at }).await;
        let shown = driver.show(&lease).await;
        assert_eq!((shown.last_status, shown.last_error), (status, error));
    }
}

pub(super) async fn attempts_read_back_whole(driver: &mut Driver) {
    let mut lease = leased(driver).await;
    let full = Outcome::Replied(Reply {
        status: 599,
        headers: [("Content-Type", "text/plain"), ("x-a", ""), ("X-A", "\"ü\u{1F4E6}\"\\"), ("x-a", "again")]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        body: Bytes::from_static(&[0, 159, 146, 150, 255]),
        truncated: true,
    });
    let mut outcomes = vec![full, replied(200), replied(100)];
    outcomes.extend(ErrorClass::ALL.map(failed));
    outcomes.push(Outcome::Failed { class: ErrorClass::Protocol, detail: "'; --\n\u{0}ü".into() });

    let mut reported = Vec::new();
    for (number, outcome) in (1..).zip(outcomes) {
        let timings = Timings {
            queued: Duration::from_secs(86_400 * 30),
            dns: (number % 3 == 0).then_some(Duration::from_micros(7)),
            connect: (number % 5 == 0).then_some(Duration::from_millis(30)),
            tls: (number % 4 == 0).then_some(Duration::ZERO),
            first_byte: (number % 2 == 0).then_some(Duration::from_micros(1)),
            total: Duration::from_micros(29_999_999),
        };
        driver.pass(1);
        let request = (number % 2 == 1).then(|| {
            Box::new(SentRequest {
                method: "PUT".into(),
                url: "https://example.com/ü?a=b".into(),
                headers: vec![("content-type".into(), "text/plain".into()), ("x-a".into(), "\"ü\"".into())],
            })
        });
        let attempt = Attempt { number, timings, request, ..driver.attempt(outcome) };
        reported.push(attempt.clone());
        let retry = driver.unattempted(&lease, Next::Retry { at: driver.now() });
        driver.settle_as(Settlement { attempt: Some(attempt), ..retry }).await;
        lease = driver.lease_only().await;
    }
    assert_eq!(driver.attempts(&lease).await, reported);
    driver.crash().await;
    assert_eq!(driver.attempts(&lease).await, reported, "after a crash");
}

pub(super) async fn settling_again_changes_nothing(driver: &mut Driver) {
    let lease = leased(driver).await;
    let settlement = driver.settlement(&lease, replied(500), Next::Retry { at: driver.secs(9) });
    assert_eq!(driver.settle_as(settlement.clone()).await, Settled::Applied);
    let before = driver.shown(&lease.event.tenant).await;
    driver.pass(1);
    for next in [settlement.decision.next, Next::Delivered, Next::Exhausted] {
        let again = Settlement {
            decision: Decision { next, ..settlement.decision.clone() },
            now: driver.now(),
            ..settlement.clone()
        };
        assert_eq!(driver.settle_as(again).await, Settled::Stale);
    }
    let nothing = driver.unattempted(&lease, Next::Delivered);
    assert_eq!(driver.settle_as(nothing).await, Settled::Stale);
    assert_eq!(driver.shown(&lease.event.tenant).await, before);
}

pub(super) async fn settling_twice_in_a_call_counts_once(driver: &mut Driver) {
    let lease = leased(driver).await;
    let settlement = driver.settlement(&lease, replied(200), Next::Delivered);
    let settled = driver.settle_all(vec![settlement.clone(), settlement]).await;
    assert_eq!(settled, [Settled::Applied, Settled::Stale]);
    let shown = driver.show(&lease).await;
    assert_eq!((shown.state, shown.attempts), (DeliveryState::Delivered, 1));
    assert_eq!(driver.attempts(&lease).await.len(), 1);
}

pub(super) async fn a_call_settles_each_for_itself(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    for id in ["a", "b"] {
        driver.accept(&tenant, id, &[&one, &two]).await;
    }
    let leases = driver.lease().await;
    let at = driver.secs(9);
    let nexts = [Next::Delivered, Next::Retry { at }, Next::Exhausted, Next::Skipped];
    let mut settlements = Vec::new();
    for (lease, next) in leases.iter().zip(nexts) {
        let status = if next == Next::Delivered { 200 } else { 500 };
        settlements.push(driver.settlement(lease, replied(status), next));
    }
    let stale = Settlement { lease: leases[1].id, attempt: None, ..settlements[0].clone() };
    settlements.insert(1, stale);
    let settled = driver.settle_all(settlements).await;
    use Settled::{Applied, Stale};
    assert_eq!(settled, [Applied, Stale, Applied, Applied, Applied]);
    let states = [
        DeliveryState::Delivered,
        DeliveryState::Scheduled,
        DeliveryState::Exhausted,
        DeliveryState::Skipped,
    ];
    for (lease, state) in leases.iter().zip(states) {
        assert_eq!(driver.show(lease).await.state, state);
    }
    assert_eq!(driver.settle_all(Vec::new()).await, []);
}

/// Lets a lease run out and gives its delivery back.
async fn expire(driver: &mut Driver) {
    driver.pass(TTL.as_secs() as i64);
    assert_eq!(driver.recover().await, 1);
}

pub(super) async fn a_stale_lease_writes_its_attempt_and_no_state(driver: &mut Driver) {
    let lease = leased(driver).await;
    expire(driver).await;
    let before = driver.show(&lease).await;
    driver.pass(1);
    let late = driver.settlement(&lease, replied(200), Next::Delivered);
    assert_eq!(driver.settle_as(late.clone()).await, Settled::Stale);
    assert_eq!(driver.settle_as(late.clone()).await, Settled::Stale);
    assert_eq!(driver.show(&lease).await, Delivery { attempts: 2, ..before });
    let attempts = driver.attempts(&lease).await;
    assert_eq!(attempts[0].outcome.error(), Some(ErrorClass::Unknown));
    assert_eq!(attempts[1..], [Attempt { number: 2, ..late.attempt.unwrap() }]);
    assert_eq!(driver.lease_only().await.attempt, 3);
}

pub(super) async fn a_late_attempt_does_not_disturb_the_live_lease(driver: &mut Driver) {
    let stale = leased(driver).await;
    expire(driver).await;
    let live = driver.lease_only().await;
    assert_eq!((live.attempt, live.failures), (2, 0));
    driver.settle(&stale, replied(500), Next::Exhausted).await;
    let shown = driver.show(&live).await;
    assert_eq!((shown.state, shown.attempts, shown.failures), (DeliveryState::InFlight, 2, 0));

    assert_eq!(driver.settle(&live, replied(200), Next::Delivered).await, Settled::Applied);
    let shown = driver.show(&live).await;
    assert_eq!((shown.state, shown.attempts, shown.failures), (DeliveryState::Delivered, 3, 0));
    let statuses: Vec<_> = driver
        .attempts(&live)
        .await
        .iter()
        .map(|attempt| (attempt.number, attempt.outcome.status()))
        .collect();
    assert_eq!(statuses, [(1, None), (2, Some(500)), (3, Some(200))]);
}

pub(super) async fn what_was_never_leased_is_not_settled(driver: &mut Driver) {
    let lease = leased(driver).await;
    let before = driver.shown(&lease.event.tenant).await;
    let settlement = driver.settlement(&lease, replied(200), Next::Delivered);
    let unknown = DeliveryId::mint(driver.now(), [3; 10]);
    assert_eq!(driver.settle_as(Settlement { delivery: unknown, ..settlement }).await, Settled::Stale);
    let LeaseId { epoch: Epoch(epoch), number } = lease.id;
    for id in
        [LeaseId { epoch: Epoch(epoch + 1), number }, LeaseId { epoch: Epoch(epoch), number: number + 1 }]
    {
        let other = Settlement { lease: id, ..driver.unattempted(&lease, Next::Delivered) };
        assert_eq!(driver.settle_as(other).await, Settled::Stale, "{id:?}");
    }
    assert_eq!(driver.shown(&lease.event.tenant).await, before);
}
