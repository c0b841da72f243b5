use posthaste_model::{DeliveryState, EndpointState, ErrorClass, HealthEffect, RateLimit};
use posthaste_store::Order;

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
        /// How it wants its deliveries.
        wants: Wants,
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
    /// What is due is leased.
    Lease {
        /// By the holder of which claim, counted back from the last.
        claim: u8,
        /// What is asked for.
        ask: Ask,
    },
    /// Leases are settled.
    Settle {
        /// Which, of all that were ever given, how, and what that says of the endpoint's health.
        settlements: Vec<(usize, Came, Option<HealthEffect>)>,
    },
    /// A manual attempt is asked for.
    Retry {
        /// Of which delivery, of all that were ever made.
        delivery: usize,
        /// Whether it is forced.
        force: bool,
    },
    /// A delivery is given up.
    Cancel {
        /// Which, of all that were ever made.
        delivery: usize,
    },
    /// Deliveries of a tenant are opened again.
    Reopen {
        /// Whose.
        tenant: u8,
        /// Which, of all that were ever made, whosever they are.
        deliveries: Vec<usize>,
        /// Whether only its own that are over are counted.
        over: bool,
    },
    /// Deliveries are searched.
    Search {
        /// Of which tenant; none: of all.
        tenant: Option<u8>,
        /// What is wanted.
        wanted: Wanted,
        /// In which order.
        order: Order,
        /// How many on a page.
        limit: u32,
    },
    /// Events are searched.
    SearchEvents {
        /// Of which tenant; none: of all.
        tenant: Option<u8>,
        /// Of which topic.
        topic: Option<u8>,
        /// Whether only those that matched nobody.
        unmatched: bool,
        /// When they were accepted.
        age: Age,
        /// How many on a page.
        limit: u32,
    },
    /// An event is sent to one more endpoint.
    Send {
        /// Its id, of a few.
        event: u8,
        /// To which, of all that were ever made.
        endpoint: usize,
    },
    /// Notices are forgotten.
    Forget {
        /// Up to which, counted from the oldest.
        notice: usize,
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

/// Which deliveries are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// In which states.
    pub states: Vec<DeliveryState>,
    /// To which endpoint, of all that were ever made.
    pub endpoint: Option<usize>,
    /// Of which event, of a few.
    pub event: Option<u8>,
    /// Of which topic.
    pub topic: Option<u8>,
    /// With which last status.
    pub status: Option<(u16, u16)>,
    /// With which last error.
    pub error: Option<ErrorClass>,
    /// Whether an attempt has failed.
    pub failed: bool,
    /// When their events were accepted.
    pub age: Age,
}

/// When something was accepted.
#[derive(Debug, Clone)]
pub struct Age {
    /// So many seconds ago at the most.
    pub since: Option<u8>,
    /// More than so many seconds ago.
    pub until: Option<u8>,
}

/// How an endpoint wants its deliveries.
#[derive(Debug, Clone, Default)]
pub struct Wants {
    /// Whether in order.
    pub ordered: bool,
    /// How many at once.
    pub max_in_flight: Option<u32>,
    /// How many within a time.
    pub rate_limit: Option<RateLimit>,
}

/// What is asked for in a lease call.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// How many in a turn.
    pub per_endpoint: usize,
    /// How many of a tenant while others wait.
    pub per_tenant: usize,
    /// Whether manual attempts are wanted.
    pub manual: bool,
    /// A tenant that has no room.
    pub cramped: Option<u8>,
    /// Throttles that are new.
    pub throttles: Vec<Throttled>,
}

/// A throttle.
#[derive(Debug, Clone)]
pub struct Throttled {
    /// Of which endpoint, of all that were ever made.
    pub endpoint: usize,
    /// For how long.
    pub secs: Option<u8>,
    /// How many in a call.
    pub at_most: Option<usize>,
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
    /// How it wants its deliveries.
    Wants(Wants),
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
    /// After how long it is to be delivered.
    pub later: Option<u8>,
    /// How long it is kept.
    pub kept: Option<u8>,
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
