use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeliveryId, EndpointId, ErrorClass, EventId, TenantId, TopicName};

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Made by the store when the event was accepted.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What is delivered.
    pub event: EventId,
    /// The event's topic.
    pub topic: TopicName,
    /// To whom.
    pub endpoint: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it is held, skipped or cancelled; none in any other state.
    pub reason: Option<DeliveryReason>,
    /// How many attempts have been recorded.
    pub attempts: u32,
    /// How many of them count against the retry policy.
    pub failures: u32,
    /// When the next attempt is due; only while scheduled or held.
    pub due_at: Option<Timestamp>,
    /// The status of the last attempt that was answered.
    pub last_status: Option<u16>,
    /// Why the last attempt got no answer, if it got none.
    pub last_error: Option<ErrorClass>,
    /// When the event was accepted.
    pub created_at: Timestamp,
    /// When it reached its final state.
    pub completed_at: Option<Timestamp>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Due at a known time; first tries and retries alike.
    Scheduled,
    /// Leased: a dispatcher is at it.
    InFlight,
    /// The endpoint answered with a 2xx.
    Delivered,
    /// Every attempt that the retry policy allows has failed.
    Exhausted,
    /// The endpoint is paused; released when it is resumed.
    Held,
    /// The endpoint was disabled; kept for recovery.
    Skipped,
    /// Given up by an operator, or because the endpoint was deleted.
    Cancelled,
}

/// Why nothing is sent of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryReason {
    /// Held: its endpoint is paused.
    EndpointPaused,
    /// Skipped: its endpoint was disabled.
    EndpointDisabled,
    /// Cancelled: its endpoint was deleted.
    EndpointDeleted,
    /// Cancelled: an operator gave it up.
    Operator,
}

impl DeliveryReason {
    /// The reason's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EndpointPaused => "endpoint_paused",
            Self::EndpointDisabled => "endpoint_disabled",
            Self::EndpointDeleted => "endpoint_deleted",
            Self::Operator => "operator",
        }
    }
}

impl DeliveryState {
    /// Every state, in the order of a delivery's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::InFlight,
        Self::Delivered,
        Self::Exhausted,
        Self::Held,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        match self {
            Self::Scheduled | Self::InFlight | Self::Held => false,
            Self::Delivered | Self::Exhausted | Self::Skipped | Self::Cancelled => true,
        }
    }

    /// The state's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::InFlight => "in_flight",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Held => "held",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}
