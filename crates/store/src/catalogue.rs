use async_trait::async_trait;
use posthaste_model::{Endpoint, EndpointId, Tenant, TenantId, Timestamp, Topic, TopicName};

use crate::{Page, Paged, Result};

/// Tenants, topics and endpoints.
#[async_trait]
pub trait Catalogue {
    /// Creates the tenant, or changes it if it exists. `created_at` of an existing tenant stays.
    async fn put_tenant(&self, tenant: Tenant) -> Result<Put<Tenant>>;

    /// Reads a tenant.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn tenant(&self, id: &TenantId) -> Result<Tenant>;

    /// Lists tenants, newest first.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>>;

    /// Deletes a tenant with its endpoints and cancels its open deliveries, but for those in flight, whose settlement
    /// decides. A tenant put under the same id later is a new one that sees nothing of the old.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn delete_tenant(&self, id: &TenantId, now: Timestamp) -> Result<()>;

    /// Creates the topic, or changes it if it exists. `created_at` of an existing topic stays.
    async fn put_topic(&self, topic: Topic) -> Result<Put<Topic>>;

    /// Reads a topic.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn topic(&self, name: &TopicName) -> Result<Topic>;

    /// Lists topics by name.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn topics(&self, page: Page) -> Result<Paged<Topic>>;

    /// Deletes a topic. Events of it that were accepted before are still delivered.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn delete_topic(&self, name: &TopicName) -> Result<()>;

    /// Creates an endpoint of an existing tenant.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist.
    async fn create_endpoint(&self, endpoint: Endpoint) -> Result<()>;

    /// Reads an endpoint.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint>;

    /// Lists the endpoints of a tenant, newest first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist;
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn endpoints(&self, tenant: &TenantId, page: Page) -> Result<Paged<Endpoint>>;

    /// Writes a changed endpoint, which carries the version it was read with, and answers with what stands now.
    ///
    /// A change of state takes the endpoint's open deliveries along: disabling skips them, but for those in flight,
    /// pausing holds them, enabling releases what was held. A new state or URL lifts a pause that the endpoint had
    /// asked for, and makes it well: what was noted of its health is forgotten. The change is dated by `updated_at`;
    /// `created_at`, `parked_until` and `health` are the store's own.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound);
    /// [`StoreError::StaleEndpoint`](crate::StoreError::StaleEndpoint) when the version is not the current one.
    async fn update_endpoint(&self, endpoint: Endpoint) -> Result<Endpoint>;

    /// Deletes an endpoint and cancels its open deliveries, but for those in flight, whose settlement decides.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId, now: Timestamp) -> Result<()>;
}

/// What putting something came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Put<T> {
    /// What stands now.
    pub now: T,
    /// Whether it did not exist before.
    pub created: bool,
}
