use async_trait::async_trait;
use posthaste_model::{
    Attempt, Delivery, DeliveryId, DeliveryState, EndpointId, Event, EventId, TenantId, TopicName,
};

use crate::{Page, Paged, Result};

/// What operators read. Everything is a tenant's: what another one owns does not exist.
#[async_trait]
pub trait Queries {
    /// Reads an event.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord>;

    /// Lists events, newest first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist;
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn events(&self, tenant: &TenantId, page: Page) -> Result<Paged<EventRecord>>;

    /// Reads a delivery.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery>;

    /// Lists deliveries, those of the newest event first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist;
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Paged<Delivery>>;

    /// Lists the attempts of a delivery in the order of their numbers. Their number is bounded by the retry policy.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn attempts(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>>;
}

/// An event, and how far it reached.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// The event.
    pub event: Event,
    /// To how many endpoints it goes; 0: it matched nobody.
    pub deliveries: u32,
}

/// Which deliveries are wanted: those that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// Of this topic.
    pub topic: Option<TopicName>,
}

impl DeliveryFilter {
    /// Whether a delivery meets every condition that is set.
    pub fn admits(&self, delivery: &Delivery) -> bool {
        let Self { state, endpoint, event, topic } = self;
        state.is_none_or(|state| delivery.state == state)
            && endpoint.is_none_or(|endpoint| delivery.endpoint == endpoint)
            && event.as_ref().is_none_or(|event| delivery.event == *event)
            && topic.as_ref().is_none_or(|topic| delivery.topic == *topic)
    }
}
