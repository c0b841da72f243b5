use posthaste_model::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Client, ClientError, ListOptions, Paged};

/// What a tenant is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantFields {
    /// What people call it.
    pub name: String,
    /// How deliveries of its new endpoints are signed, as JSON; none: as the service has it by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Value>,
}

/// A change to a tenant. What is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How deliveries of its new endpoints are signed, as JSON; null: as the service has it by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Value>,
}

/// A customer of the SaaS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Chosen by the caller.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// How deliveries of its new endpoints are signed; none: as the service has it by default.
    pub signature: Option<Value>,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Client {
    /// Creates a tenant, or changes it: `PUT /v1/tenants/{tenant}`.
    pub async fn put_tenant(&self, id: &TenantId, fields: &TenantFields) -> Result<Tenant, ClientError> {
        self.at(&["v1", "tenants", id.as_str()]).put(fields).await
    }

    /// Reads a tenant: `GET /v1/tenants/{tenant}`.
    pub async fn tenant(&self, id: &TenantId) -> Result<Tenant, ClientError> {
        self.at(&["v1", "tenants", id.as_str()]).get().await
    }

    /// Lists tenants, newest first: `GET /v1/tenants`.
    pub async fn tenants(&self, options: &ListOptions) -> Result<Paged<Tenant>, ClientError> {
        self.at(&["v1", "tenants"]).page(options).get().await
    }

    /// Changes a tenant: `PATCH /v1/tenants/{tenant}`.
    pub async fn patch_tenant(&self, id: &TenantId, patch: &TenantPatch) -> Result<Tenant, ClientError> {
        self.at(&["v1", "tenants", id.as_str()]).patch(patch).await
    }

    /// Deletes a tenant with its endpoints and cancels its open deliveries: `DELETE /v1/tenants/{tenant}`.
    pub async fn delete_tenant(&self, id: &TenantId) -> Result<(), ClientError> {
        self.at(&["v1", "tenants", id.as_str()]).delete().await
    }
}
