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
    /// attempt is not charged.
    ///
    /// # Errors
    /// [`StoreError::NotOwner`](crate::StoreError::NotOwner).
    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered>;

    /// Leases deliveries that are due.
    ///
    /// Endpoints take turns, the one that has waited longest first; a turn gives up to `per_endpoint` deliveries in
    /// the order in which they are due. Paused, disabled and parked endpoints get no turn.
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
    /// How many of one endpoint in a turn, at least 1.
    pub per_endpoint: usize,
    /// How long the leases live: longer than the longest attempt.
    pub lease_for: Duration,
}

/// Leased deliveries.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    /// Each to be settled once.
    pub leases: Vec<Lease>,
    /// When there is more, as far as the passing of time decides; none: nothing is scheduled. May be too early,
    /// never too late.
    pub next_due: Option<Timestamp>,
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
    /// When the attempt was due.
    pub due_at: Timestamp,
}

/// What came of a lease.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which lease.
    pub lease: LeaseId,
    /// Of which delivery.
    pub delivery: DeliveryId,
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
    /// Deliveries whose attempt was under way, with an unknown outcome.
    pub interrupted: u64,
}
