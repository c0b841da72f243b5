use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_model::{Attempt, Decision, DeliveryId, Endpoint, EndpointId, Event, TenantId, Timestamp};

use crate::Result;

/// The life of a delivery between accept and its final state.
///
/// A delivery is *leased* by the owner of its partition, and *settled* when its attempt is over. An owner holds a
/// partition under an [`Epoch`]; every lease carries it, and what an older epoch leased is given back by
/// [`recover`](Deliveries::recover).
#[async_trait]
pub trait Deliveries {
    /// Into how many partitions this store is divided, fixed when it was made.
    fn partitions(&self) -> u16;

    /// Says that `owner` is there to drive partitions until `now + ttl`, and answers with the names of all who are, in
    /// their order. Without any time left, it leaves.
    async fn attend(&self, owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>>;

    /// Takes a partition for `owner` until `now + ttl`. None: another owner has it.
    ///
    /// Whoever had it before is fenced off, the same owner with an older epoch included. An owner whose time ran out
    /// has the partition still, until another claims it.
    async fn claim(
        &self,
        partition: Partition,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Epoch>>;

    /// Keeps a partition until `now + ttl`.
    ///
    /// # Errors
    /// [`StoreError::NotOwner`](crate::StoreError::NotOwner) when another epoch has it.
    async fn renew(&self, partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()>;

    /// Gives a partition up, so that the next owner need not wait. Not being the owner any more is no error.
    ///
    /// What was leased under the epoch is left to whoever leased it until `until`: the next owner's
    /// [`recover`](Self::recover) spares it for so long. Called again, it moves that time.
    async fn release(&self, partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()>;

    /// Gives back what older epochs, and leases that ran out, left behind: an attempt of unknown outcome is recorded
    /// for each, dated `now`, and the delivery is due at once, unless its endpoint is disabled or deleted. Such an
    /// attempt is not charged. A manual one is recorded likewise, and not made again. So is one whose delivery was given up,
    /// or delivered by hand, meanwhile, and nothing is given back. What older epochs throttled is not throttled any more.
    ///
    /// # Errors
    /// [`StoreError::NotOwner`](crate::StoreError::NotOwner).
    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered>;

    /// Leases deliveries that are due.
    ///
    /// First the manual attempts that were asked for ([`Repairs::retry`](crate::Repairs::retry)), in their order. Then
    /// endpoints take turns, the one that has waited longest first, each at most once in a call: a turn gives deliveries
    /// in the order in which they are due, up to `per_endpoint`, to the endpoint's
    /// [`burst`](posthaste_model::Endpoint::burst) and to its [`Throttle`]. Paused, disabled, parked and throttled
    /// endpoints get no turn. A tenant is given up to `per_tenant` while others wait, and what is left over when all have
    /// had their turns; never more than its [`TenantRoom`]. Who got less than was due for that goes behind the others, and
    /// costs no later call anything until its tenant may have more. A call that would have to look at more than a thousand
    /// endpoints or requests in vain may end before, and says so ([`Leases::unseen`]).
    ///
    /// An ordered endpoint gets one lease at a time, and none while one of it is live. Its deliveries go in the order in
    /// which their events were accepted, but for those that are to be delivered later: their time is their place. One
    /// that is to be tried again keeps its place, and the others wait for it. Events that were accepted by processes
    /// whose clocks differ by up to [`CLOCK_SLACK`] keep their order.
    ///
    /// A lease is live until it is settled or given back by [`recover`](Deliveries::recover): neither its expiry nor
    /// a newer epoch ends it, and a restart of the process does not either. While it is live nobody gets another.
    ///
    /// # Errors
    /// [`StoreError::NotOwner`](crate::StoreError::NotOwner).
    async fn lease(&self, request: LeaseRequest) -> Result<Leases>;

    /// Records attempts and what comes next, each with its delivery's new state in one atomic step.
    ///
    /// Idempotent: an attempt is known by its id and recorded once. A settlement whose lease is not live any more
    /// records its attempt, which counts in [`Delivery::attempts`](posthaste_model::Delivery), and changes nothing
    /// else. Attempts are numbered in the order in which they are recorded, whatever number they come with.
    ///
    /// What would be scheduled again is skipped when its endpoint is disabled, and cancelled when it is deleted.
    /// Disabling an endpoint skips its other open deliveries, but for those in flight; where it is disabled already,
    /// nothing of it changes.
    ///
    /// A manual attempt that succeeded makes its delivery delivered, whatever its state was: it is not attempted again,
    /// and a live lease of it ends. One that failed is recorded, not charged, and changes nothing else of the delivery.
    ///
    /// An endpoint that is told to be well forgets what was noted of its [`Health`](posthaste_model::Health). A failure
    /// is counted there, with the time of the settlement as its beginning if it is the first; a settlement that is stale
    /// counts nothing. [`Notices`](crate::Notices) says what of that is told to operators.
    async fn settle(&self, settlements: Arc<[Settlement]>) -> Result<Vec<Settled>>;

    /// Keeps an endpoint's deliveries back until `until`; of two such times the later one counts.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn park(&self, tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()>;

    /// Returns when deliveries of the partition may have become due for another reason than the passing of time
    /// since the last call returned. May return too often, never too seldom.
    async fn woken(&self, partition: Partition);
}

/// A part of the store: the unit of ownership, order and recovery. Counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

/// Names one owner's hold of a partition. Grows with every claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Names one lease of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId {
    /// Under which hold of the partition it was given.
    pub epoch: Epoch,
    /// Unique within the epoch.
    pub number: u64,
}

/// By how much the clocks of processes that accept events may differ without changing the order of an ordered endpoint.
pub const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// Asks for deliveries.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// From which partition.
    pub partition: Partition,
    /// The caller's hold of it.
    pub epoch: Epoch,
    /// What is due by then is leased.
    pub now: Timestamp,
    /// How many at the most.
    pub limit: usize,
    /// How many of them may be manual.
    pub manual: usize,
    /// How many of one endpoint, at least 1.
    pub per_endpoint: usize,
    /// How many of one tenant while others wait, at least 1.
    pub per_tenant: usize,
    /// The tenants that may not have as many as there are.
    pub rooms: Vec<TenantRoom>,
    /// Throttles that are new since the last call. They count before anything is leased.
    pub throttles: Vec<Throttle>,
    /// How long the leases live: longer than the longest attempt.
    pub lease_for: Duration,
}

/// How many deliveries a tenant may have of a lease call. Manual ones do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRoom {
    /// Who.
    pub tenant: TenantId,
    /// How many.
    pub room: usize,
}

/// What the owner of a partition says of an endpoint, by what it knows of the requests that are under way. It counts until
/// another one is given for the endpoint, until that is changed through the catalogue, or until an owner with a newer epoch
/// recovers the partition. With neither bound it lifts the one before. One for an endpoint that does not exist is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// Whose endpoint.
    pub tenant: TenantId,
    /// Which.
    pub endpoint: EndpointId,
    /// It gets no turn before then.
    pub until: Option<Timestamp>,
    /// A call gives no more than that of it; at least 1.
    pub at_most: Option<usize>,
}

/// Leased deliveries.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    /// Each to be settled once.
    pub leases: Vec<Lease>,
    /// When there is more, as far as the passing of time decides, and `now` when something due was left; none: nothing is
    /// scheduled. May be too early, never too late.
    pub next_due: Option<Timestamp>,
    /// Whether the call ended before it had looked at everybody who is due, though it might have given more: the next one
    /// goes on from there.
    pub unseen: bool,
}

/// A delivery that its holder alone may attempt now.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Names the lease in its settlement.
    pub id: LeaseId,
    /// What is leased.
    pub delivery: DeliveryId,
    /// What is delivered.
    pub event: Arc<Event>,
    /// To whom, as it was when the lease was given.
    pub endpoint: Arc<Endpoint>,
    /// The number that the attempt will have, from 1.
    pub attempt: u32,
    /// How many attempts were charged before.
    pub failures: u32,
    /// Whether the attempt is a manual one.
    pub manual: bool,
    /// When the attempt was due; when it was asked for, if it is manual.
    pub due_at: Timestamp,
}

/// What came of a lease.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which lease.
    pub lease: LeaseId,
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Whether the lease was for a manual attempt.
    pub manual: bool,
    /// The version of the endpoint that was leased with it. What an attempt does to its endpoint does not count where that
    /// was changed meanwhile: it says nothing of the endpoint as it is now.
    pub endpoint_version: u64,
    /// The attempt; none: no request was made, and nothing is charged.
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub decision: Decision,
    /// When it was decided.
    pub now: Timestamp,
}

/// Whether a settlement changed its delivery's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It did.
    Applied,
    /// It did not: the lease was not live any more.
    Stale,
}

/// What a recovery gave back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Deliveries that are due again, and manual attempts that are not made again, because nobody knows what came of their
    /// requests.
    pub interrupted: u64,
}
