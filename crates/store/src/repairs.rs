use async_trait::async_trait;
use posthaste_model::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};

use crate::Result;

/// What operators put right by hand.
#[async_trait]
pub trait Repairs {
    /// Asks for an attempt of a delivery at once, beside those that its retry policy makes: it neither ends nor restarts
    /// these. Asking twice is two attempts. Neither a pause that the endpoint asked for nor its throttle holds it up.
    ///
    /// `force` lets it go out although the endpoint is paused or disabled. Without it, an endpoint that is so by the time
    /// of the lease gets nothing, and what was asked for is forgotten; likewise where endpoint or event are gone by then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) for the delivery, or for its endpoint where that is deleted;
    /// [`StoreError::EndpointClosed`](crate::StoreError::EndpointClosed) where it is paused or disabled and nothing is
    /// forced.
    async fn retry(&self, tenant: &TenantId, delivery: DeliveryId, force: bool, now: Timestamp)
    -> Result<()>;

    /// Gives a delivery up: it is cancelled, and attempts that were asked for by hand and have not begun are forgotten. If it
    /// is in flight, its lease ends, so that what comes of the request is recorded and changes nothing. If nothing comes of
    /// it, [`recover`](crate::Deliveries::recover) records an attempt of unknown outcome.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound);
    /// [`StoreError::DeliveryOver`](crate::StoreError::DeliveryOver) when it is in a final state already.
    async fn cancel(&self, tenant: &TenantId, delivery: DeliveryId, now: Timestamp) -> Result<()>;

    /// Sends an event that was accepted before to one more endpoint, whatever the endpoint wants: makes a delivery, which
    /// is due at once, or held if the endpoint is paused. Where there is one already, nothing changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) for the event or the endpoint;
    /// [`StoreError::EndpointClosed`](crate::StoreError::EndpointClosed) when a delivery would have to be made and the
    /// endpoint is disabled; [`StoreError::TooManyDeliveries`](crate::StoreError::TooManyDeliveries) when the event has as
    /// many as it can have.
    async fn send(
        &self,
        tenant: &TenantId,
        event: &EventId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Sent>;
}

/// The delivery of an event to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub delivery: DeliveryId,
    /// Whether it was made now.
    pub created: bool,
}
