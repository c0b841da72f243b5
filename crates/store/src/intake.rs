use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use posthaste_model::{Endpoint, EndpointId, Event, EventId, TenantId, Topic, TopicName};

use crate::Result;

/// The way in.
#[async_trait]
pub trait Intake {
    /// What a tenant's events are matched against. Cheap: a store keeps it at hand.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist.
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>>;

    /// Accepts events of one tenant with their deliveries, all or none, and durably once it returns.
    ///
    /// A delivery is due at once, or when its event asks for it ([`Event::due_at`]).
    ///
    /// An event whose id was accepted before with the same topic and bytes is a duplicate: nothing is written, and
    /// the answer is that of the first time.
    ///
    /// # Errors
    /// [`StoreError::StaleView`](crate::StoreError::StaleView) when the catalogue is no longer what the events were
    /// matched against; [`StoreError::EventConflict`](crate::StoreError::EventConflict) when an id was used before
    /// for other content, in this batch or earlier; [`StoreError::NotFound`](crate::StoreError::NotFound) when the
    /// tenant does not exist, or an endpoint is not one of its own;
    /// [`StoreError::TooManyDeliveries`](crate::StoreError::TooManyDeliveries).
    async fn accept(
        &self,
        tenant: &TenantId,
        matched_against: ViewVersion,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Accepted>>;
}

/// The part of the catalogue that decides where a tenant's events go, as it was at one moment.
///
/// A pause that an endpoint asked for is no part of it: it makes no view stale, and its `parked_until` may be old here.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantView {
    /// Which moment.
    pub version: ViewVersion,
    /// The tenant's endpoints in the order in which they were made, whatever their state.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// The topics that exist.
    pub topics: Arc<BTreeMap<TopicName, Arc<Topic>>>,
}

/// Names a moment of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewVersion {
    /// Grows with every change to the tenant's endpoints; unique to this life of the tenant.
    pub tenant: u64,
    /// Grows with every change to the topics.
    pub topics: u64,
}

/// An event to accept, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The event.
    pub event: Event,
    /// The endpoints that want it. A paused one holds its delivery, a disabled one skips it.
    pub endpoints: Vec<EndpointId>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub id: EventId,
    /// To how many endpoints it goes.
    pub deliveries: u32,
    /// Whether it had been accepted before.
    pub duplicate: bool,
}
