use posthaste_model::{DeliveryState, EndpointState, ErrorClass, HealthEffect, Period, RateLimit};
use posthaste_store::Order;
use proptest::{collection::vec, prelude::*, sample::select};

use super::op::{Age, Ask, Came, Change, Op, Publication, Throttled, Wanted, Wants};

/// Operations in an order that is likely to lead somewhere.
pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..60)
}

fn op() -> impl Strategy<Value = Op> {
    let index = 0..64_usize;
    // Mostly the last claim.
    let claim = || prop_oneof![9 => Just(0_u8), 1 => 0..4_u8];
    let events = vec(publication(), 1..4);
    let settlements = vec((index.clone(), came(), prop::option::of(health())), 1..4);
    prop_oneof![
        10 => (0..3_u8, prop::bool::weighted(0.1), events)
            .prop_map(|(tenant, stale, events)| Op::Accept { tenant, stale, events }),
        12 => (claim(), ask()).prop_map(|(claim, ask)| Op::Lease { claim, ask }),
        14 => settlements.prop_map(|settlements| Op::Settle { settlements }),
        8 => (1..15_u8).prop_map(|secs| Op::Pass { secs }),
        5 => (index.clone(), prop::bool::weighted(0.4)).prop_map(|(delivery, force)| Op::Retry { delivery, force }),
        2 => index.clone().prop_map(|delivery| Op::Cancel { delivery }),
        6 => (mostly_first(), vec(index.clone(), 1..6), prop::bool::weighted(0.7))
            .prop_map(|(tenant, deliveries, over)| Op::Reopen { tenant, deliveries, over }),
        5 => (searched(), wanted(), order(), limit())
            .prop_map(|(tenant, wanted, order, limit)| Op::Search { tenant, wanted, order, limit }),
        2 => (searched(), prop::option::weighted(0.3, 0..2_u8), any::<bool>(), age(), limit()).prop_map(
            |(tenant, topic, unmatched, age, limit)| Op::SearchEvents { tenant, topic, unmatched, age, limit }
        ),
        3 => (0..8_u8, index.clone()).prop_map(|(event, endpoint)| Op::Send { event, endpoint }),
        2 => (0..8_usize).prop_map(|notice| Op::Forget { notice }),
        4 => (0..3_u8, state(), wants())
            .prop_map(|(tenant, state, wants)| Op::CreateEndpoint { tenant, state, wants }),
        6 => (index.clone(), change(), prop::bool::weighted(0.1))
            .prop_map(|(endpoint, change, stale)| Op::ChangeEndpoint { endpoint, change, stale }),
        2 => index.clone().prop_map(|endpoint| Op::DeleteEndpoint { endpoint }),
        3 => (index, 0..20_u8).prop_map(|(endpoint, secs)| Op::Park { endpoint, secs }),
        2 => (0..3_u8).prop_map(|tenant| Op::PutTenant { tenant }),
        1 => (0..3_u8).prop_map(|tenant| Op::DeleteTenant { tenant }),
        1 => (0..2_u8, any::<bool>()).prop_map(|(topic, archived)| Op::PutTopic { topic, archived }),
        1 => (0..2_u8).prop_map(|topic| Op::DeleteTopic { topic }),
        2 => (0..2_u8).prop_map(|owner| Op::Claim { owner }),
        1 => claim().prop_map(|claim| Op::Renew { claim }),
        2 => (claim(), spared()).prop_map(|(claim, secs)| Op::Release { claim, secs }),
        2 => (0..3_u8, spared()).prop_map(|(owner, secs)| Op::Attend { owner, secs }),
        4 => claim().prop_map(|claim| Op::Recover { claim }),
        2 => prop::bool::weighted(0.8).prop_map(|recover| Op::Crash { recover }),
        3 => (1..4_u32).prop_map(|limit| Op::Prune { limit }),
    ]
}

/// Mostly the tenant that has endpoints from the beginning.
fn mostly_first() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0_u8), 1 => 0..3_u8]
}

fn searched() -> impl Strategy<Value = Option<u8>> {
    prop::option::weighted(0.6, mostly_first())
}

fn order() -> impl Strategy<Value = Order> {
    select(&[Order::NewestFirst, Order::OldestFirst][..])
}

fn limit() -> impl Strategy<Value = u32> {
    select(&[1, 2, 3, 100][..])
}

fn age() -> impl Strategy<Value = Age> {
    let secs = || prop::option::weighted(0.15, 0..40_u8);
    (secs(), secs()).prop_map(|(since, until)| Age { since, until })
}

/// Mostly few conditions, so that something is found.
fn wanted() -> impl Strategy<Value = Wanted> {
    let states = prop_oneof![3 => Just(Vec::new()), 2 => vec(select(&DeliveryState::ALL[..]), 1..4)];
    let status = select(&[(200, 299), (500, 599), (429, 429), (100, 599), (300, 499)][..]);
    let error =
        select(&[ErrorClass::Timeout, ErrorClass::Dns, ErrorClass::Internal, ErrorClass::Unknown][..]);
    let rarely = 0.06;
    (
        states,
        prop::option::weighted(rarely, 0..64_usize),
        prop::option::weighted(rarely, 0..8_u8),
        prop::option::weighted(rarely, 0..2_u8),
        prop::option::weighted(rarely, status),
        prop::option::weighted(rarely, error),
        prop::bool::weighted(0.3),
        age(),
    )
        .prop_map(|(states, endpoint, event, topic, status, error, failed, age)| Wanted {
            states,
            endpoint,
            event,
            topic,
            status,
            error,
            failed,
            age,
        })
}

/// None at all, or less than a crash takes: what an embedded store forgets then would be over anyhow.
fn spared() -> impl Strategy<Value = u8> {
    prop_oneof![1 => Just(0_u8), 3 => 1..16_u8]
}

fn state() -> impl Strategy<Value = EndpointState> {
    prop_oneof![
        4 => Just(EndpointState::Enabled),
        1 => Just(EndpointState::Paused),
        1 => Just(EndpointState::Disabled),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => Just(Change::Description),
        1 => Just(Change::Url),
        3 => state().prop_map(Change::State),
        2 => wants().prop_map(Change::Wants),
    ]
}

fn wants() -> impl Strategy<Value = Wants> {
    let rate_limit = (1..4_u32).prop_map(|limit| RateLimit::new(limit, Period::from_secs(1)).ok());
    let few = prop::option::weighted(0.2, 1..3_u32);
    (prop::bool::weighted(0.4), few, prop::option::weighted(0.2, rate_limit)).prop_map(
        |(ordered, max_in_flight, rate_limit)| Wants {
            ordered,
            max_in_flight,
            rate_limit: rate_limit.flatten(),
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let throttle = (0..64_usize, prop::option::of(0..20_u8), prop::option::of(1..3_usize))
        .prop_map(|(endpoint, secs, at_most)| Throttled { endpoint, secs, at_most });
    let cramped = prop::option::weighted(0.1, 0..3_u8);
    (1..5_usize, 1..5_usize, prop::bool::weighted(0.8), cramped, vec(throttle, 0..2)).prop_map(
        |(per_endpoint, per_tenant, manual, cramped, throttles)| Ask {
            per_endpoint,
            per_tenant,
            manual,
            cramped,
            throttles,
        },
    )
}

fn health() -> impl Strategy<Value = HealthEffect> {
    let warning = prop::option::of(prop_oneof![Just(50_u8), Just(70), Just(90)]);
    prop_oneof![
        1 => Just(HealthEffect::Well),
        2 => (any::<bool>(), warning)
            .prop_map(|(exhausted, warning)| HealthEffect::Failed { exhausted, warning }),
    ]
}

fn publication() -> impl Strategy<Value = Publication> {
    let rarely = || prop::bool::weighted(0.1);
    let later = prop::option::weighted(0.2, 1..20_u8);
    let kept = prop::option::weighted(0.2, 0..30_u8);
    (0..8_u8, rarely(), rarely(), any::<u8>(), later, kept).prop_map(
        |(id, topic, payload, targets, later, kept)| Publication {
            id,
            topic: topic.into(),
            payload,
            targets,
            later,
            kept,
        },
    )
}

fn came() -> impl Strategy<Value = Came> {
    let secs = || 0..30_u8;
    prop_oneof![
        4 => Just(Came::Arrived),
        3 => secs().prop_map(|secs| Came::Refused { secs }),
        2 => secs().prop_map(|secs| Came::Silence { secs }),
        1 => Just(Came::Exhausted),
        1 => Just(Came::Gone),
        2 => (secs(), secs()).prop_map(|(secs, park)| Came::Throttled { secs, park }),
        2 => (secs(), any::<bool>()).prop_map(|(secs, attempted)| Came::OurFault { secs, attempted }),
    ]
}
