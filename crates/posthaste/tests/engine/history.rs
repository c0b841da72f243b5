use std::time::Instant;

use posthaste_model::{DeliveryId, EndpointId, EndpointState, EventId};
use posthaste_store::NewEvent;

/// What publishers and operators did, each thing after the one before it.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) accepted: Vec<NewEvent>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) retries: Vec<Retry>,
    /// Deliveries that were given up, and when that was asked for and answered.
    pub(crate) cancelled: Vec<(DeliveryId, Instant, Instant)>,
    /// Events that were sent to one more endpoint.
    pub(crate) sent: Vec<(EventId, EndpointId)>,
}

/// A new state of an endpoint.
pub(crate) struct Turn {
    pub(crate) endpoint: EndpointId,
    /// None: it was deleted.
    pub(crate) state: Option<EndpointState>,
    pub(crate) asked: Instant,
    pub(crate) done: Instant,
}

/// A manual attempt that was asked for.
pub(crate) struct Retry {
    pub(crate) delivery: DeliveryId,
    pub(crate) force: bool,
    pub(crate) asked: Instant,
}

impl History {
    /// Whether a delivery was made later than its event.
    pub(crate) fn was_sent(&self, event: &EventId, endpoint: EndpointId) -> bool {
        self.sent.iter().any(|(sent, to)| sent == event && *to == endpoint)
    }
}
