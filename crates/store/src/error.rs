use std::{error::Error, fmt};

use posthaste_model::{DeliveryState, EndpointState, EventId};

use crate::Replay;

/// Why an operation of the store failed. Nothing was written, whichever it is, but for [`Self::Unavailable`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What the operation is about does not exist.
    #[error("no such {0}")]
    NotFound(Missing),
    /// The event's id was used before, with another topic or other bytes.
    #[error("event '{event}' was accepted before with other content")]
    EventConflict {
        /// The id.
        event: EventId,
    },
    /// The tenant's endpoints or the topics changed since the view was taken. Take a fresh one and try again.
    #[error("the catalogue changed meanwhile")]
    StaleView,
    /// The endpoint changed since it was read. Read it again and try again.
    #[error("the endpoint changed meanwhile")]
    StaleEndpoint,
    /// The replay changed since it was read. Read it again and try again.
    #[error("the replay changed meanwhile")]
    StaleReplay,
    /// The endpoint takes nothing now.
    #[error("the endpoint is {}", .0.as_str())]
    EndpointClosed(EndpointState),
    /// The delivery is in a final state.
    #[error("the delivery is {} already", .0.as_str())]
    DeliveryOver(DeliveryState),
    /// The event would go to more endpoints than one can.
    #[error("an event goes to {} endpoints at the most", Self::MOST_DELIVERIES)]
    TooManyDeliveries,
    /// As many replays of the tenant are running as may.
    #[error(
        "{} replays of the tenant are running, and no more may; wait for one to end, or cancel one",
        Replay::MOST_RUNNING
    )]
    TooManyReplays,
    /// The cursor was not made by this store.
    #[error("not a cursor of this list")]
    InvalidCursor,
    /// The caller does not own the partition, or does no longer.
    #[error("the partition is owned by another epoch")]
    NotOwner,
    /// The store's secrets are sealed with another key.
    #[error("the store's secrets are sealed with another encryption key")]
    ForeignKey,
    /// Another process has the store open, and it serves one at a time.
    #[error("{what} is in use by another process")]
    InUse {
        /// The store, for people.
        what: String,
    },
    /// The store was written by a newer version of Posthaste.
    #[error("the store has schema version {found}; this build of posthaste reads up to {supported}")]
    NewerSchema {
        /// What the store says.
        found: i64,
        /// What this build can read.
        supported: i64,
    },
    /// The store has no room. What is in it is still delivered, and takes up less room then.
    #[error("the store is full: {reason}")]
    Full {
        /// What the backend said.
        reason: String,
    },
    /// The store cannot be reached or written now. An answer may have been lost, and the operation done: each can be
    /// repeated, and is not done twice.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// What the backend said.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The store holds something that this build cannot have written.
    #[error("the store is damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
}

/// What was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A tenant.
    Tenant,
    /// A topic.
    Topic,
    /// An endpoint.
    Endpoint,
    /// An event.
    Event,
    /// A delivery.
    Delivery,
    /// A replay.
    Replay,
    /// An API key.
    Key,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::Topic => "topic",
            Self::Endpoint => "endpoint",
            Self::Event => "event",
            Self::Delivery => "delivery",
            Self::Replay => "replay",
            Self::Key => "key",
        })
    }
}

impl StoreError {
    /// To how many endpoints an event can go.
    pub const MOST_DELIVERIES: u16 = u16::MAX;

    /// The store cannot be used now, because of `source`.
    pub fn unavailable(reason: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Unavailable { reason: reason.into(), source: Some(Box::new(source)) }
    }

    /// The store holds something that cannot be.
    pub fn damaged(reason: impl fmt::Display) -> Self {
        Self::Damaged { reason: reason.to_string() }
    }
}
