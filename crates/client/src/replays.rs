use posthaste_model::{
    DeliveryState, EndpointId, ErrorClass, EventId, ReplayId, TenantId, Timestamp, TopicName,
};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, DeliveryFilter, ListOptions, Paged, call::Body};

/// What is to be sent again, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewReplay {
    /// Which deliveries. Where no states are named: those that are exhausted, skipped or cancelled.
    pub filter: DeliveryFilter,
    /// How many may be opened in a second, up to 10,000; none: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

/// A job that opens deliveries again, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Made by the service.
    pub id: ReplayId,
    /// Whose deliveries.
    pub tenant: TenantId,
    /// Which of them.
    pub filter: ReplayFilter,
    /// How many may be opened in a second; none: as many as there are.
    pub rate: Option<u32>,
    /// Where it stands.
    pub state: ReplayState,
    /// How many deliveries there were when it was asked for, as far as they were counted.
    pub found: u64,
    /// Whether there were more than were counted.
    pub more: bool,
    /// How many were opened.
    pub reopened: u64,
    /// How many were passed over: they were open as it is, or their endpoint is disabled or deleted.
    pub passed_over: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which deliveries a replay means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayFilter {
    /// In one of these states.
    pub states: Vec<DeliveryState>,
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// Of this topic.
    pub topic: Option<TopicName>,
    /// Whose last attempt was answered with such a status: `503` or `500-599`.
    pub status: Option<String>,
    /// Whose last attempt got no answer, because of this.
    pub error: Option<ErrorClass>,
    /// Only those of which an attempt has failed that counts.
    pub failed: bool,
    /// Whose event was accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Whose event was accepted before this time.
    pub until: Option<Timestamp>,
}

/// Where a replay stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayState {
    /// It goes on.
    Running,
    /// Everything that its filter found was looked at.
    Done,
    /// It was given up. What was opened until then stays open.
    Cancelled,
    /// One that is newer than this client.
    #[serde(untagged)]
    Other(String),
}

/// What a replay would open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryReplay {
    /// How many deliveries there are, as far as they were counted.
    pub found: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// What is asked for, and whether it is only counted.
#[derive(Serialize)]
pub(crate) struct Asked<'a, T> {
    #[serde(flatten)]
    what: &'a T,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

impl<'a, T: Serialize> Asked<'a, T> {
    pub(crate) fn body(what: &'a T, dry_run: bool) -> Result<Body, ClientError> {
        Body::json(&Self { what, dry_run })
    }
}

impl Client {
    /// Sends again what is over, oldest first, as a job: `POST /v1/tenants/{tenant}/replays`.
    pub async fn create_replay(&self, tenant: &TenantId, new: &NewReplay) -> Result<Replay, ClientError> {
        let body = Asked::body(new, false)?;
        self.at(&["v1", "tenants", tenant.as_str(), "replays"]).post(Some(body)).await
    }

    /// Counts what a replay would open: `POST /v1/tenants/{tenant}/replays` as a dry run.
    pub async fn count_replay(&self, tenant: &TenantId, new: &NewReplay) -> Result<DryReplay, ClientError> {
        let body = Asked::body(new, true)?;
        self.at(&["v1", "tenants", tenant.as_str(), "replays"]).post(Some(body)).await
    }

    /// Lists a tenant's replays, newest first: `GET /v1/tenants/{tenant}/replays`.
    pub async fn replays(
        &self,
        tenant: &TenantId,
        options: &ListOptions,
    ) -> Result<Paged<Replay>, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "replays"]).page(options).get().await
    }

    /// Lists the replays of all tenants, newest first: `GET /v1/replays`.
    pub async fn all_replays(&self, options: &ListOptions) -> Result<Paged<Replay>, ClientError> {
        self.at(&["v1", "replays"]).page(options).get().await
    }

    /// Reads a replay, and how far it has come: `GET /v1/tenants/{tenant}/replays/{replay}`.
    pub async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Replay, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "replays", &id.to_string()]).get().await
    }

    /// Gives a replay up: `POST /v1/tenants/{tenant}/replays/{replay}/cancel`.
    pub async fn cancel_replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Replay, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "replays", &id.to_string(), "cancel"]).post(None).await
    }
}
