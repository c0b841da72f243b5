use posthaste_model::{EndpointState, HealthEffect, Period, RateLimit};
use proptest::{collection::vec, prelude::*};

use super::op::{Ask, Came, Change, Op, Publication, Throttled, Wants};

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
