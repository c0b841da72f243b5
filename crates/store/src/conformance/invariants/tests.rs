//! Each predicate sees its invariant broken, and nothing else.

use std::sync::Arc;

use posthaste_model::{Decision, DeliveryId, Endpoint, ErrorClass, TenantId};

use super::{
    super::{START, attempt, failed, replied, sample_endpoint, sample_event},
    *,
};
use crate::EventRecord;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millisecond(START + secs * 1_000).unwrap()
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn numbered(number: u32, outcome: posthaste_model::Outcome) -> Attempt {
    Attempt { number, ..attempt(number.into(), at(number.into()), outcome) }
}

/// An event that arrived at the second attempt.
fn shown() -> Shown {
    let endpoint = sample_endpoint(&tenant(), 1, at(0));
    let event = sample_event(&tenant(), "evt", at(0));
    let delivery = Delivery {
        id: DeliveryId::mint(at(0), [1; 10]),
        tenant: tenant(),
        event: event.id.clone(),
        topic: event.topic.clone(),
        endpoint: endpoint.id,
        state: DeliveryState::Delivered,
        attempts: 2,
        failures: 1,
        due_at: None,
        last_status: Some(200),
        last_error: None,
        created_at: at(0),
        completed_at: Some(at(3)),
    };
    let attempts = vec![numbered(1, replied(500)), numbered(2, replied(200))];
    Shown {
        endpoints: vec![endpoint],
        events: vec![EventRecord { event, deliveries: 1 }],
        deliveries: vec![(delivery, attempts)],
    }
}

#[track_caller]
fn check_shown(invariant: u8, spoil: impl FnOnce(&mut Shown)) {
    let mut shown = shown();
    assert_eq!(broken_in(&shown), [], "before");
    spoil(&mut shown);
    let broken = broken_in(&shown);
    assert!(!broken.is_empty() && broken.iter().all(|b| b.invariant == invariant), "{broken:?}");
}

/// Lets the delivery wait, as far as its times go.
fn wait(shown: &mut Shown, state: DeliveryState) {
    let (delivery, _) = &mut shown.deliveries[0];
    (delivery.state, delivery.due_at, delivery.completed_at) = (state, Some(at(9)), None);
}

#[test]
fn what_is_shown_and_cannot_be() {
    check_shown(1, |shown| shown.deliveries[0].0.completed_at = None);
    check_shown(1, |shown| shown.deliveries[0].0.due_at = Some(at(9)));
    check_shown(1, |shown| shown.deliveries[0].0.state = DeliveryState::InFlight);
    check_shown(1, |shown| {
        wait(shown, DeliveryState::Scheduled);
        shown.deliveries[0].0.due_at = None;
    });
    check_shown(1, |shown| {
        let mut again = shown.deliveries[0].clone();
        again.0.id = DeliveryId::mint(at(0), [2; 10]);
        shown.deliveries.push(again);
    });
    check_shown(2, |shown| shown.deliveries[0].0.attempts = 3);
    check_shown(2, |shown| shown.deliveries[0].1[0].number = 7);
    check_shown(2, |shown| shown.deliveries[0].1[1].outcome = replied(302));
    check_shown(3, |shown| shown.deliveries[0].0.failures = 3);
    check_shown(3, |shown| shown.deliveries[0].1[0].started_at = at(-1));
    check_shown(5, |shown| shown.deliveries[0].1[0].outcome = replied(200));
    check_shown(7, |shown| shown.events[0].deliveries = 2);
    check_shown(7, |shown| shown.events.push(shown.events[0].clone()));
    check_shown(7, |shown| shown.events.clear());
    check_shown(7, |shown| shown.deliveries.clear());
    check_shown(8, |shown| {
        wait(shown, DeliveryState::Scheduled);
        shown.endpoints[0].state = EndpointState::Disabled;
    });
    check_shown(8, |shown| {
        wait(shown, DeliveryState::Scheduled);
        shown.endpoints.clear();
    });
    check_shown(8, |shown| wait(shown, DeliveryState::Held));
}

#[test]
fn a_repetition_after_a_fault_is_none() {
    let mut shown = shown();
    shown.deliveries[0].1 =
        vec![numbered(1, failed(ErrorClass::Unknown)), numbered(2, replied(200)), numbered(3, replied(200))];
    shown.deliveries[0].0.attempts = 3;
    assert_eq!(broken_in(&shown), []);
}

#[test]
fn the_policy_bounds_what_is_charged() {
    let broken = |max_attempts| beyond_policy(&shown(), |_| max_attempts).len();
    assert_eq!((broken(0), broken(1)), (1, 0));
}

fn leased(endpoint: &Endpoint) -> Lease {
    Lease {
        id: LeaseId { epoch: Epoch(1), number: 1 },
        delivery: DeliveryId::mint(at(0), [1; 10]),
        event: Arc::new(sample_event(&tenant(), "evt", at(0))),
        endpoint: Arc::new(endpoint.clone()),
        attempt: 1,
        failures: 0,
        due_at: at(0),
    }
}

fn give(lease: &Lease) -> Step {
    Step::Leased { partition: Partition(0), lease: lease.clone(), now: at(1), expires_at: at(60) }
}

fn settle(lease: &Lease, next: Next, settled: Settled) -> Step {
    let settlement = Settlement {
        lease: lease.id,
        delivery: lease.delivery,
        attempt: Some(numbered(1, replied(200))),
        decision: Decision { next, endpoint: None },
        now: at(2),
    };
    Step::Settled { settlement, settled }
}

fn recover(epoch: u64, now: Timestamp, interrupted: u64) -> Step {
    Step::Recovered { partition: Partition(0), epoch: Epoch(epoch), now, interrupted }
}

fn release(epoch: u64, until: Timestamp) -> Step {
    Step::Released { partition: Partition(0), epoch: Epoch(epoch), until }
}

/// After an event was accepted for an enabled endpoint, `steps` break these invariants.
#[track_caller]
fn check_steps(broken: &[u8], steps: impl FnOnce(Lease) -> Vec<Step>) {
    let endpoint = sample_endpoint(&tenant(), 1, at(0));
    let event = sample_event(&tenant(), "evt", at(0));
    let mut all = vec![
        Step::Endpoint { id: endpoint.id, state: Some(EndpointState::Enabled) },
        Step::Accepted(NewEvent { event, endpoints: vec![endpoint.id] }),
    ];
    all.extend(steps(leased(&endpoint)));
    let found: Vec<u8> = broken_by(&all).iter().map(|broken| broken.invariant).collect();
    assert_eq!(found, broken, "{:?}", broken_by(&all));
}

#[test]
fn what_happened_and_may_not() {
    use Next::{Delivered, Exhausted};
    use Settled::{Applied, Stale};

    check_steps(&[], |l| vec![give(&l), settle(&l, Delivered, Applied), settle(&l, Delivered, Stale)]);
    check_steps(&[], |l| vec![give(&l), recover(2, at(1), 1), give(&l)]);
    check_steps(&[], |l| vec![give(&l), recover(1, at(60), 1), give(&l)]);
    check_steps(&[], |l| vec![give(&l), recover(1, at(59), 0), settle(&l, Exhausted, Applied)]);
    check_steps(&[], |l| vec![give(&l), release(1, at(5)), recover(2, at(4), 0), recover(2, at(5), 1)]);
    check_steps(&[], |l| vec![give(&l), release(1, at(5)), release(1, at(3)), recover(2, at(3), 1)]);
    check_steps(&[], |l| vec![give(&l), release(1, at(99)), recover(2, at(60), 1)]);

    check_steps(&[3], |l| vec![give(&Lease { due_at: at(2), ..l })]);
    check_steps(&[4], |l| vec![give(&l), give(&l)]);
    check_steps(&[4], |l| vec![give(&l), recover(1, at(59), 1)]);
    check_steps(&[4], |l| vec![give(&l), recover(2, at(1), 0)]);
    check_steps(&[4], |l| vec![give(&l), release(1, at(5)), recover(2, at(4), 1)]);
    check_steps(&[4], |l| vec![give(&l), release(1, at(5)), recover(2, at(5), 0)]);
    check_steps(&[4], |l| vec![release(1, at(5)), give(&l)]);
    check_steps(&[4], |l| vec![settle(&l, Delivered, Applied)]);
    check_steps(&[4], |l| vec![give(&l), settle(&l, Delivered, Stale)]);
    check_steps(&[4], |l| vec![give(&l), recover(2, at(1), 1), settle(&l, Exhausted, Applied)]);
    check_steps(&[5], |l| vec![give(&l), settle(&l, Delivered, Applied), give(&l)]);
    check_steps(&[6], |l| {
        let other = Event { topic: "order.lost".parse().unwrap(), ..(*l.event).clone() };
        vec![give(&Lease { event: Arc::new(other), ..l })]
    });
    check_steps(&[8], |l| vec![Step::Endpoint { id: l.endpoint.id, state: None }, give(&l)]);
    check_steps(&[8], |l| {
        vec![Step::Endpoint { id: l.endpoint.id, state: Some(EndpointState::Paused) }, give(&l)]
    });
    check_steps(&[8], |l| {
        let endpoint = Endpoint { parked_until: Some(at(2)), ..(*l.endpoint).clone() };
        vec![give(&Lease { endpoint: Arc::new(endpoint), ..l })]
    });
    check_steps(&[8], |l| {
        let Step::Settled { mut settlement, settled } = settle(&l, Next::Retry { at: at(1) }, Applied) else {
            unreachable!()
        };
        settlement.decision.endpoint = Some(EndpointEffect::Disable { reason: "gone".into() });
        vec![give(&l), Step::Settled { settlement, settled }, give(&l)]
    });
}

#[test]
fn a_reported_attempt_is_shown_once() {
    let mut shown = shown();
    let lease = leased(&shown.endpoints[0]);
    let steps = [settle(&lease, Next::Delivered, Settled::Applied)];
    assert_eq!(unrecorded(&steps, &shown), []);
    for attempts in [vec![], vec![numbered(1, replied(500)), numbered(1, replied(500))]] {
        shown.deliveries[0].1 = attempts;
        assert_eq!(unrecorded(&steps, &shown).len(), 1);
    }
}
