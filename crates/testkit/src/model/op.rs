use posthaste_model::EndpointState;
use proptest::{collection::vec, prelude::*};

/// Something that is done to a store. Numbers name one of what there is, counted round.
#[derive(Debug, Clone)]
pub enum Op {
    /// Time passes.
    Pass {
        /// How much.
        secs: u8,
    },
    /// A tenant is made or changed.
    PutTenant {
        /// Which.
        tenant: u8,
    },
    /// A tenant is deleted.
    DeleteTenant {
        /// Which.
        tenant: u8,
    },
    /// A topic is made or changed.
    PutTopic {
        /// Which.
        topic: u8,
        /// Whether it takes no more events.
        archived: bool,
    },
    /// A topic is deleted.
    DeleteTopic {
        /// Which.
        topic: u8,
    },
    /// An endpoint is made.
    CreateEndpoint {
        /// Whose.
        tenant: u8,
        /// Its state.
        state: EndpointState,
    },
    /// An endpoint is changed.
    ChangeEndpoint {
        /// Which, of all that were ever made.
        endpoint: usize,
        /// How.
        change: Change,
        /// Whether the version that it was made with is given.
        stale: bool,
    },
    /// An endpoint is deleted.
    DeleteEndpoint {
        /// Which, of all that were ever made.
        endpoint: usize,
    },
    /// An endpoint is parked.
    Park {
        /// Which, of all that were ever made.
        endpoint: usize,
        /// For how long.
        secs: u8,
    },
    /// Events are accepted.
    Accept {
        /// Of which tenant.
        tenant: u8,
        /// Whether they are matched against the view of the time before.
        stale: bool,
        /// The events.
        events: Vec<Publication>,
    },
    /// Everything that is due is leased.
    Lease {
        /// By the holder of which claim, counted back from the last.
        claim: u8,
        /// How many in a turn.
        per_endpoint: usize,
    },
    /// Leases are settled.
    Settle {
        /// Which, of all that were ever given, and how.
        settlements: Vec<(usize, Came)>,
    },
    /// The store is claimed.
    Claim {
        /// By whom.
        owner: u8,
    },
    /// A claim is renewed.
    Renew {
        /// Which, counted back from the last.
        claim: u8,
    },
    /// A claim is released.
    Release {
        /// Which, counted back from the last.
        claim: u8,
        /// For how long what was leased under it is spared.
        secs: u8,
    },
    /// Somebody says that it is there.
    Attend {
        /// Who.
        owner: u8,
        /// For how long.
        secs: u8,
    },
    /// What was left behind is given back.
    Recover {
        /// By the holder of which claim, counted back from the last.
        claim: u8,
    },
    /// The process crashes, and another takes over.
    Crash {
        /// Whether it recovers at once.
        recover: bool,
    },
    /// What is over is removed.
    Prune {
        /// How many events are looked at in one call.
        limit: u32,
    },
}

/// What is changed of an endpoint.
#[derive(Debug, Clone)]
pub enum Change {
    /// Its description.
    Description,
    /// Its URL.
    Url,
    /// Its state.
    State(EndpointState),
}

/// An event.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Its id, of a few.
    pub id: u8,
    /// Its topic, of two.
    pub topic: u8,
    /// Its payload, of two.
    pub payload: bool,
    /// Which endpoints of the view it goes to, a bit for each.
    pub targets: u8,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
pub enum Came {
    /// It was answered with a 2xx.
    Arrived,
    /// It was refused, and is tried again.
    Refused {
        /// When.
        secs: u8,
    },
    /// It got no answer, and is tried again.
    Silence {
        /// When.
        secs: u8,
    },
    /// It was refused for the last time.
    Exhausted,
    /// The endpoint wants no more.
    Gone,
    /// The endpoint wants a pause.
    Throttled {
        /// When it is tried again.
        secs: u8,
        /// How long the pause is.
        park: u8,
    },
    /// The service itself failed.
    OurFault {
        /// When it is tried again.
        secs: u8,
        /// Whether a request was made.
        attempted: bool,
    },
}

/// Operations in an order that is likely to lead somewhere.
pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..60)
}

fn op() -> impl Strategy<Value = Op> {
    let index = 0..64_usize;
    // Mostly the last claim.
    let claim = || prop_oneof![9 => Just(0_u8), 1 => 0..4_u8];
    let events = vec(publication(), 1..4);
    let settlements = vec((index.clone(), came()), 1..4);
    prop_oneof![
        10 => (0..3_u8, prop::bool::weighted(0.1), events)
            .prop_map(|(tenant, stale, events)| Op::Accept { tenant, stale, events }),
        12 => (claim(), 1..5_usize).prop_map(|(claim, per_endpoint)| Op::Lease { claim, per_endpoint }),
        14 => settlements.prop_map(|settlements| Op::Settle { settlements }),
        8 => (1..15_u8).prop_map(|secs| Op::Pass { secs }),
        4 => (0..3_u8, state()).prop_map(|(tenant, state)| Op::CreateEndpoint { tenant, state }),
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
    prop_oneof![1 => Just(Change::Description), 1 => Just(Change::Url), 3 => state().prop_map(Change::State)]
}

fn publication() -> impl Strategy<Value = Publication> {
    let rarely = || prop::bool::weighted(0.1);
    (0..8_u8, rarely(), rarely(), any::<u8>()).prop_map(|(id, topic, payload, targets)| Publication {
        id,
        topic: topic.into(),
        payload,
        targets,
    })
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
