use async_trait::async_trait;
use posthaste_model::{Attempt, Delivery, DeliveryId, EndpointId, Event, EventId, TenantId, Timestamp};

use crate::{DeliveryFilter, EventFilter, Page, Paged, Result};

/// What operators read. What another tenant owns does not exist.
///
/// A search looks at a bounded number of rows, by an index where there is one: a page may have fewer rows than were asked
/// for, even none, and still a place where the next one begins. Whoever goes on until there is none has seen everything.
/// Bounds of time are exact, wherever the clocks of those who accepted the events differ by up to
/// [`CLOCK_SLACK`](crate::CLOCK_SLACK).
#[async_trait]
pub trait Queries {
    /// Reads an event.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord>;

    /// Searches the events of a tenant, or of all, newest first. Those of different partitions are in the order of their
    /// acceptance as far as clocks agree.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist;
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn events(
        &self,
        tenant: Option<&TenantId>,
        filter: EventFilter,
        page: Page,
    ) -> Result<Paged<EventRecord>>;

    /// Reads a delivery.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery>;

    /// Searches the deliveries of a tenant, or of all, in the order of their events. An event with all its deliveries is
    /// found at once where the filter names it and the tenant is given.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist;
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn deliveries(
        &self,
        tenant: Option<&TenantId>,
        filter: DeliveryFilter,
        order: Order,
        page: Page,
    ) -> Result<Paged<Delivery>>;

    /// Lists the attempts of a delivery in the order of their numbers. The retry policy bounds those that it makes from one
    /// opening to the next; attempts by hand and replays add to them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn attempts(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>>;

    /// Counts what is open. What deleted tenants and endpoints left behind is not counted.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) for the tenant or the endpoint.
    async fn backlog(&self, of: Scope, now: Timestamp) -> Result<Backlog>;
}

/// In which order deliveries are searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Those of the newest event first.
    #[default]
    NewestFirst,
    /// Those of the oldest event first.
    OldestFirst,
}

/// Of whom something is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Of the whole service.
    All,
    /// Of a tenant.
    Tenant(TenantId),
    /// Of an endpoint.
    Endpoint(TenantId, EndpointId),
}

/// What is open: scheduled, held or in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many deliveries are open, those in flight included. Counting ends at [`Backlog::MOST`].
    pub open: u64,
    /// Whether more are open than were counted, or may be, because not all queues were looked at.
    pub more: bool,
    /// How many of them are in flight.
    pub in_flight: u64,
    /// Since when the one has been due that has been so for longest, held ones left out; none: none is due.
    pub oldest_due: Option<Timestamp>,
}

impl Backlog {
    /// How far open deliveries are counted.
    pub const MOST: u64 = 10_000;
}

/// An event, and how far it reached.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// The event.
    pub event: Event,
    /// To how many endpoints it goes; 0: it matched nobody.
    pub deliveries: u32,
}
