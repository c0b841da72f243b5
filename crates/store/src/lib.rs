//! What Posthaste asks of a store.
//!
//! [`Store`] is as coarse as the operations of the service, so that each is one transaction in an embedded database
//! and one script call in a networked one. It is put together from the parts of the service's life:
//!
//! | trait | what |
//! |---|---|
//! | [`Catalogue`] | tenants, topics, endpoints |
//! | [`Keys`] | keys of the API |
//! | [`Audit`] | who changed what |
//! | [`Intake`] | an event enters: fan-out and idempotency in one atomic step |
//! | [`Deliveries`] | leases, settlements, ownership of partitions, recovery |
//! | [`Repairs`] | what operators put right by hand |
//! | [`Replays`] | what is over is sent again, one or many |
//! | [`Queries`] | what operators read |
//! | [`Statistics`] | what happened, counted by stretches of time |
//! | [`Notices`] | what operators are to be told |
//! | [`Retention`] | what is forgotten, and when |
//! | [`Inbox`] | a way in beside the API, where the backend has one |
//!
//! Every backend passes the conformance suite (feature `conformance`).
//!
//! Times are kept in whole milliseconds and lengths of time of an attempt in whole microseconds: finer ones may come
//! back cut. An operation that failed has written nothing, unless its answer was lost on the way.
//!
//! What is *not* here: no clock (every operation takes `now`), no HTTP, no database, no executor.

mod about;
mod audit;
mod catalogue;
mod deliveries;
mod error;
mod filters;
mod finding;
mod inbox;
mod intake;
mod keys;
mod notices;
mod page;
mod queries;
mod repairs;
mod replays;
mod retention;
mod stats;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use about::{Durability, KeyId};
pub use audit::Audit;
pub use catalogue::{Catalogue, Put};
pub use deliveries::{
    CLOCK_SLACK, Deliveries, Epoch, Lease, LeaseId, LeaseRequest, Leases, Partition, Recovered, Settled,
    Settlement, TenantRoom, Throttle,
};
pub use error::{Missing, StoreError};
pub use filters::{DeliveryFilter, EventFilter, is_troubled};
pub use finding::{Finding, Level};
pub use inbox::{Inbox, Letter, LetterId};
pub use intake::{Accepted, Intake, NewEvent, TenantView, ViewVersion};
pub use keys::{KeyDigest, Keys};
pub use notices::{Notice, Notices, Told};
pub use page::{Cursor, Page, Paged};
pub use queries::{Backlog, EventRecord, Order, Queries, Scope};
pub use repairs::{Repairs, Sent};
pub use replays::{Reopened, Replay, ReplayState, Replays};
pub use retention::{Pruned, Retain, Retention};
pub use stats::{Bucket, NotAdded, Statistics, Stretch, Subject, Tally};

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_model::Timestamp;

/// What an operation of a store comes to.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Everything that the service asks of a store.
#[async_trait]
pub trait Store:
    Catalogue
    + Keys
    + Audit
    + Intake
    + Deliveries
    + Repairs
    + Replays
    + Queries
    + Statistics
    + Notices
    + Retention
    + Send
    + Sync
    + 'static
{
    /// What an acknowledgement of this store is worth.
    fn durability(&self) -> Durability;

    /// Whether the store can be written to now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason.
    async fn check(&self) -> Result<()>;

    /// Looks at what the store stands on: how durable it is, how much room it has, whether its clock agrees with `now`.
    /// Every check has a finding, the good ones too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be looked at.
    async fn examine(&self, now: Timestamp) -> Result<Vec<Finding>>;

    /// The way in beside the API; none: this backend has no such.
    fn inbox(&self) -> Option<Arc<dyn Inbox>> {
        None
    }

    /// Binds the store to the key that its secrets are sealed with: the first call remembers it, later calls compare.
    ///
    /// # Errors
    /// [`StoreError::ForeignKey`] when the store's secrets are sealed with another key.
    async fn bind_key(&self, key: KeyId) -> Result<()>;
}
