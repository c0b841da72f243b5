//! Each predicate sees its invariant broken, and nothing else.

use std::sync::Arc;

use posthaste_model::{
    Decision, DeliveryReason, DeliveryState, EndpointEffects, ErrorClass, Event, EventOptions, Health, Next,
    TenantId,
};

use super::{
    super::{START, attempt, disable, failed, replied, sample_endpoint, sample_event},
    *,
};
use crate::{EventRecord, LeaseId};

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
        reason: None,
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

/// Lets the delivery wait, as far as it tells.
fn wait(shown: &mut Shown, state: DeliveryState) {
    let (delivery, _) = &mut shown.deliveries[0];
    (delivery.state, delivery.due_at, delivery.completed_at) = (state, Some(at(9)), None);
    delivery.reason = (state == DeliveryState::Held).then_some(DeliveryReason::EndpointPaused);
}

/// Lets the delivery be over for a reason.
fn end(shown: &mut Shown, state: DeliveryState, reason: Option<DeliveryReason>) {
    let (delivery, _) = &mut shown.deliveries[0];
    (delivery.state, delivery.reason) = (state, reason);
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
    check_shown(1, |shown| end(shown, DeliveryState::Skipped, None));
    check_shown(1, |shown| end(shown, DeliveryState::Skipped, Some(DeliveryReason::Operator)));
    check_shown(1, |shown| end(shown, DeliveryState::Delivered, Some(DeliveryReason::Operator)));
    check_shown(1, |shown| end(shown, DeliveryState::Cancelled, Some(DeliveryReason::EndpointPaused)));
    check_shown(2, |shown| shown.deliveries[0].0.attempts = 3);
    check_shown(2, |shown| shown.deliveries[0].1[0].number = 7);
    check_shown(2, |shown| shown.deliveries[0].1[1].outcome = replied(302));
    check_shown(3, |shown| shown.deliveries[0].0.failures = 3);
    check_shown(3, |shown| shown.deliveries[0].1.iter_mut().for_each(|attempt| attempt.manual = true));
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
    check_shown(8, |shown| end(shown, DeliveryState::Cancelled, Some(DeliveryReason::EndpointDeleted)));
    check_shown(9, |shown| shown.endpoints[0].health.failures = 1);
    check_shown(9, |shown| shown.endpoints[0].health.warned = 50);
    check_shown(9, |shown| shown.endpoints[0].health.failing_since = Some(at(1)));
    check_shown(9, |shown| {
        shown.endpoints[0].health =
            Health { failing_since: Some(at(1)), failures: 1, exhausted: 2, warned: 0 };
    });
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
fn a_repetition_of_what_was_opened_again_is_none() {
    let mut shown = shown();
    shown.deliveries[0].1 =
        vec![numbered(1, replied(200)), numbered(2, replied(200)), numbered(3, replied(200))];
    shown.deliveries[0].0.attempts = 3;
    let delivery = shown.deliveries[0].0.clone();
    let another = Delivery { id: DeliveryId::mint(at(0), [2; 10]), ..delivery.clone() };
    let times = |times: usize, of: &Delivery| vec![Step::Reopened(of.clone()); times];
    let broken = |steps: &[Step]| broken_after(steps, &shown).iter().map(|b| b.invariant).collect::<Vec<_>>();
    assert_eq!(broken(&times(2, &delivery)), [0; 0]);
    assert_eq!(broken(&times(1, &delivery)), [5], "once for each time");
    assert_eq!(broken(&times(2, &another)), [5], "for itself alone");
}

#[test]
fn a_repetition_by_hand_is_none() {
    let mut shown = shown();
    shown.deliveries[0].0.attempts = 5;
    // By hand while one was under way, and once more when all was over.
    let by_hand = |number| Attempt { manual: true, ..numbered(number, replied(200)) };
    shown.deliveries[0].1 = vec![
        numbered(1, replied(500)),
        by_hand(2),
        numbered(3, replied(200)),
        by_hand(4),
        Attempt { manual: true, ..numbered(5, replied(500)) },
    ];
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
        manual: false,
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
        manual: lease.manual,
        endpoint_version: lease.endpoint.version,
        attempt: Some(numbered(1, replied(200))),
        decision: Decision { next, endpoint: EndpointEffects::default() },
        now: at(2),
    };
    Step::Settled { settlement, settled }
}

/// A manual lease beside another.
fn by_hand(lease: &Lease, number: u64) -> Lease {
    Lease { id: LeaseId { number, ..lease.id }, manual: true, due_at: at(1), ..lease.clone() }
}

fn ask(lease: &Lease, force: bool) -> Step {
    Step::Asked { delivery: lease.delivery, force, now: at(1) }
}

fn turn(lease: &Lease, state: Option<EndpointState>) -> Step {
    Step::Endpoint { id: lease.endpoint.id, state }
}

fn cancel(lease: &Lease) -> Step {
    let (delivery, _) = shown().deliveries.remove(0);
    Step::Cancelled(Delivery { id: lease.delivery, event: lease.event.id.clone(), ..delivery })
}

fn reopen(lease: &Lease) -> Step {
    let (delivery, _) = shown().deliveries.remove(0);
    let (id, event) = (lease.delivery, lease.event.id.clone());
    Step::Reopened(Delivery { id, event, endpoint: lease.endpoint.id, ..delivery })
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
        settlement.decision.endpoint = disable("gone");
        vec![give(&l), Step::Settled { settlement, settled }, give(&l)]
    });
}

#[test]
fn what_is_done_by_hand_and_may_not_be() {
    use EndpointState::{Disabled, Enabled, Paused};
    use Next::{Delivered, Stay};
    use Settled::{Applied, Stale};

    check_steps(&[], |l| {
        let (one, two) = (by_hand(&l, 2), by_hand(&l, 3));
        let asked = vec![ask(&l, false), ask(&l, false), give(&l), give(&one), give(&two)];
        let settled =
            [settle(&one, Stay, Applied), settle(&two, Delivered, Applied), settle(&l, Delivered, Stale)];
        asked.into_iter().chain(settled).collect()
    });
    check_steps(&[], |l| vec![ask(&l, true), turn(&l, Some(Disabled)), give(&by_hand(&l, 2))]);
    check_steps(&[], |l| vec![ask(&l, false), give(&by_hand(&l, 2)), give(&l), recover(2, at(1), 2)]);
    // What was removed is neither given back nor settled.
    let pruned = Step::Pruned { partition: Partition(0) };
    for found in [0, 1] {
        check_steps(&[], |l| {
            vec![ask(&l, false), give(&by_hand(&l, 2)), pruned.clone(), recover(2, at(1), found)]
        });
    }
    check_steps(&[], |l| {
        let manual = by_hand(&l, 2);
        vec![ask(&l, false), give(&manual), pruned.clone(), settle(&manual, Delivered, Stale)]
    });
    check_steps(&[4], |l| vec![ask(&l, false), give(&by_hand(&l, 2)), recover(2, at(1), 0)]);
    check_steps(&[], |l| vec![give(&l), cancel(&l), settle(&l, Delivered, Stale), recover(2, at(1), 0)]);

    check_steps(&[3], |l| vec![give(&by_hand(&l, 2))]);
    check_steps(&[3], |l| vec![ask(&l, false), give(&by_hand(&l, 2)), give(&by_hand(&l, 3))]);
    check_steps(&[3], |l| vec![ask(&l, false), give(&Lease { due_at: at(0), ..by_hand(&l, 2) })]);
    check_steps(&[4], |l| vec![ask(&l, false), give(&by_hand(&l, 2)), give(&l), recover(2, at(1), 0)]);
    check_steps(&[4], |l| vec![ask(&l, false), give(&by_hand(&l, 2)), recover(2, at(1), 2)]);
    check_steps(&[4], |l| vec![ask(&l, false), give(&by_hand(&l, 2)), settle(&by_hand(&l, 2), Stay, Stale)]);
    check_steps(&[4], |l| vec![give(&l), cancel(&l), settle(&l, Delivered, Applied)]);
    check_steps(&[4], |l| {
        let manual = by_hand(&l, 2);
        let settled = [settle(&manual, Delivered, Applied), settle(&l, Delivered, Applied)];
        [give(&l), ask(&l, false), give(&manual)].into_iter().chain(settled).collect()
    });
    check_steps(&[5], |l| {
        let manual = by_hand(&l, 2);
        vec![ask(&l, false), give(&manual), settle(&manual, Delivered, Applied), give(&l)]
    });
    for closed in [Some(Disabled), Some(Paused), None] {
        check_steps(&[8], |l| vec![ask(&l, false), turn(&l, closed), give(&by_hand(&l, 2))]);
    }
    check_steps(&[8], |l| vec![ask(&l, true), turn(&l, None), give(&by_hand(&l, 2))]);
    check_steps(&[], |l| {
        vec![ask(&l, false), turn(&l, Some(Paused)), turn(&l, Some(Enabled)), give(&by_hand(&l, 2))]
    });
}

#[test]
fn what_is_opened_again_and_may_not_be() {
    use EndpointState::{Disabled, Enabled, Paused};
    use Next::{Delivered, Exhausted, Retry};
    use Settled::{Applied, Stale};

    for next in [Delivered, Exhausted] {
        check_steps(&[], |l| vec![give(&l), settle(&l, next, Applied), reopen(&l), give(&l)]);
        check_steps(&[], |l| vec![give(&l), settle(&l, next, Applied), turn(&l, Some(Paused)), reopen(&l)]);
    }
    check_steps(&[], |l| vec![cancel(&l), reopen(&l), give(&l), settle(&l, Delivered, Applied), reopen(&l)]);
    check_steps(&[], |l| {
        let again = Lease { id: LeaseId { number: 2, ..l.id }, ..l.clone() };
        let stale = settle(&l, Delivered, Stale);
        vec![give(&l), cancel(&l), reopen(&l), give(&again), stale, settle(&again, Delivered, Applied)]
    });
    check_steps(&[], |l| {
        vec![turn(&l, Some(Disabled)), turn(&l, Some(Enabled)), reopen(&l), give(&l), recover(2, at(1), 1)]
    });

    check_steps(&[1], |l| vec![reopen(&l)]);
    check_steps(&[1], |l| vec![give(&l), reopen(&l)]);
    check_steps(&[1], |l| vec![give(&l), settle(&l, Retry { at: at(9) }, Applied), reopen(&l)]);
    check_steps(&[1], |l| vec![cancel(&l), reopen(&l), reopen(&l)]);
    check_steps(&[5], |l| {
        let delivered = settle(&l, Delivered, Applied);
        vec![give(&l), delivered.clone(), reopen(&l), give(&l), delivered, give(&l)]
    });
    for closed in [Some(Disabled), None] {
        check_steps(&[8], |l| vec![cancel(&l), turn(&l, closed), reopen(&l)]);
    }
}

#[test]
fn what_is_sent_before_its_time() {
    let later = |l: &Lease| {
        let options = EventOptions { deliver_at: Some(at(5)), ..EventOptions::default() };
        let event = Event { options, ..sample_event(&tenant(), "later", at(0)) };
        let new = NewEvent { event: event.clone(), endpoints: vec![l.endpoint.id] };
        (Step::Accepted(new), Lease { event: Arc::new(event), ..l.clone() })
    };
    check_steps(&[3], |l| {
        let (accepted, lease) = later(&l);
        vec![accepted, give(&lease)]
    });
    check_steps(&[], |l| {
        let (accepted, lease) = later(&l);
        let sent =
            Step::Sent { tenant: tenant(), event: lease.event.id.clone(), endpoint: lease.endpoint.id };
        vec![accepted, sent, give(&lease)]
    });
    // Opened again, it waits for its time, also where it did not before.
    check_steps(&[3], |l| {
        let (accepted, lease) = later(&l);
        vec![cancel(&l), accepted, cancel(&lease), reopen(&lease), give(&lease)]
    });
    check_steps(&[3], |l| {
        let (accepted, lease) = later(&l);
        let sent =
            Step::Sent { tenant: tenant(), event: lease.event.id.clone(), endpoint: lease.endpoint.id };
        vec![cancel(&l), accepted, sent, cancel(&lease), reopen(&lease), give(&lease)]
    });
}

/// An event at the ordered endpoint of a lease, which it wants at a time, or at once.
fn another(lease: &Lease, id: &str, deliver_at: Option<Timestamp>) -> (Step, Lease) {
    let options = EventOptions { deliver_at, ..EventOptions::default() };
    let event = Event { options, ..sample_event(&tenant(), id, at(0)) };
    let new = NewEvent { event: event.clone(), endpoints: vec![lease.endpoint.id] };
    let random = [id.as_bytes()[0]; 10];
    let delivery = DeliveryId::mint(at(0), random);
    (Step::Accepted(new), Lease { delivery, event: Arc::new(event), ..lease.clone() })
}

#[test]
fn an_ordered_endpoint_has_its_order() {
    use Next::{Delivered, Exhausted, Retry};
    use Settled::Applied;

    let ordered = |l: Lease| {
        let endpoint = Endpoint { ordered: true, ..(*l.endpoint).clone() };
        Lease { endpoint: Arc::new(endpoint), ..l }
    };
    let check = |broken: &[u8], steps: fn(Lease, Lease) -> Vec<Step>| {
        check_steps(broken, |l| {
            let l = ordered(l);
            let (accepted, next) = another(&l, "next", None);
            [accepted].into_iter().chain(steps(l, next)).collect()
        });
    };
    check(&[], |l, next| vec![give(&l), settle(&l, Delivered, Applied), give(&next)]);
    check(&[], |l, next| vec![give(&l), settle(&l, Exhausted, Applied), give(&next)]);
    check(&[], |l, next| vec![cancel(&l), give(&next)]);
    check(&[], |l, next| {
        vec![give(&l), recover(2, at(1), 1), give(&l), settle(&l, Delivered, Applied), give(&next)]
    });
    check(&[], |l, next| vec![give(&l), ask(&next, false), give(&by_hand(&next, 2))]);
    check(&[], |l, next| {
        let manual = by_hand(&l, 2);
        vec![ask(&l, false), give(&manual), settle(&manual, Delivered, Applied), give(&next)]
    });
    check(&[], |l, next| {
        let (over, after) = (settle(&l, Exhausted, Applied), settle(&l, Delivered, Applied));
        vec![give(&l), over, reopen(&l), give(&l), after, give(&next)]
    });
    check(&[4], |l, next| vec![give(&l), settle(&l, Exhausted, Applied), reopen(&l), give(&next)]);
    check(&[4], |_, next| vec![give(&next)]);
    check(&[4], |l, next| vec![give(&l), give(&next)]);
    check(&[4], |l, next| vec![give(&l), settle(&l, Retry { at: at(9) }, Applied), give(&next)]);
    check(&[4], |l, next| vec![give(&l), recover(2, at(1), 1), give(&next)]);
    check(&[], |l, next| {
        let closed = vec![turn(&l, Some(EndpointState::Disabled)), turn(&l, Some(EndpointState::Enabled))];
        let (accepted, later) = another(&next, "last", None);
        closed.into_iter().chain([accepted, give(&later)]).collect()
    });
    // Their times are the places of those that are to be delivered later.
    check_steps(&[], |l| {
        let (accepted, later) = another(&ordered(l.clone()), "later", Some(at(1)));
        vec![give(&l), accepted, settle(&l, Delivered, Applied), give(&later)]
    });
    check_steps(&[4], |l| {
        let l = ordered(l);
        let (first, at_once) = another(&l, "first", Some(at(-9)));
        let (second, later) = another(&l, "second", Some(at(1)));
        vec![cancel(&l), first, second, give(&later), settle(&later, Delivered, Applied), give(&at_once)]
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
