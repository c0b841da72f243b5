use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{EventId, Handshake, Period, TenantId, TopicName};

/// What happened, as a publisher told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Whose it is.
    pub tenant: TenantId,
    /// Unique within the tenant; the idempotency key, and the `webhook-id` of every delivery.
    pub id: EventId,
    /// Its type.
    pub topic: TopicName,
    /// The bytes, exactly as they came.
    pub payload: Payload,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// What the publisher asked for beside.
    pub options: EventOptions,
}

/// What a publisher can ask for. The default is what nobody asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// The publisher's own facts about the event.
    pub metadata: BTreeMap<String, String>,
    /// Nothing of it is sent before this time; none: at once.
    pub deliver_at: Option<Timestamp>,
    /// How long it is kept once its last delivery is final; none: as long as the service says.
    pub retention: Option<Period>,
    /// Whether it only tries an endpoint out: what fails is not tried again.
    pub test: bool,
}

impl Event {
    /// Whether it carries a handshake. Only the service publishes test events of that topic.
    pub fn is_handshake(&self) -> bool {
        self.options.test && self.topic.as_str() == Handshake::TOPIC
    }

    /// When its deliveries are due first.
    pub fn due_at(&self) -> Timestamp {
        self.options.deliver_at.map_or(self.accepted_at, |at| at.max(self.accepted_at))
    }
}

/// The bytes of an event, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A JSON value. Subscribers receive it as `data` of the standard envelope.
    Data(Bytes),
    /// A body of any content type. Subscribers receive it as it is.
    Raw {
        /// Its `Content-Type`.
        content_type: String,
        /// The bytes.
        body: Bytes,
    },
}

impl Payload {
    /// The bytes that were published.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Data(bytes) | Self::Raw { body: bytes, .. } => bytes,
        }
    }

    /// The content type of a raw payload; none for a JSON value.
    pub fn content_type(&self) -> Option<&str> {
        match self {
            Self::Data(_) => None,
            Self::Raw { content_type, .. } => Some(content_type),
        }
    }

    /// Puts together what [`Self::bytes`] and [`Self::content_type`] took apart.
    pub fn from_parts(content_type: Option<String>, bytes: Bytes) -> Self {
        match content_type {
            None => Self::Data(bytes),
            Some(content_type) => Self::Raw { content_type, body: bytes },
        }
    }
}
