//! A typed client of the Posthaste REST API.
//!
//! [`Client`] has one method for each route, named as the route is; requests and answers are plain structs, and whatever
//! goes wrong is a [`ClientError`].
//!
//! Invariants:
//! - A call sends one request, and ends with its timeout. Nothing is sent twice, no redirect is followed.
//! - An event's `data` and an endpoint's `filter` are sent and read byte for byte.
//! - Answers may have fields that are not known here: a service newer than its client is understood.
//! - Neither a key nor an endpoint's secret shows in `Debug`.
//!
//! What is *not* here: no retries, no reading ahead of pages, no proxy from the environment. Nothing is validated that the
//! service validates.

mod answer;
mod api_keys;
mod audit;
mod call;
mod client;
mod connection;
mod deliveries;
mod dry_run;
mod endpoint_state;
mod endpoints;
mod error;
mod events;
mod filter;
mod handshake;
mod health;
mod key;
mod moment;
mod paging;
mod portal;
mod problem;
mod recovery;
mod repairs;
mod replays;
mod role;
mod secrets;
mod stats;
mod tenants;
mod test_event;
mod topics;
mod wire;

pub use api_keys::{ApiKey, CreatedApiKey, NewApiKey};
pub use audit::{Actor, AuditEntry, AuditOutcome};
pub use client::{Client, DEFAULT_TIMEOUT};
pub use deliveries::{
    Attempt, AttemptError, AttemptRequest, AttemptResponse, AttemptTimings, Delivery, DeliveryFilter,
    NextAttempt, Order, Why,
};
pub use dry_run::{EndpointMatch, Explained, Explanation, Found, MatchQuestion, Matching};
pub use endpoints::{CreatedEndpoint, Endpoint, EndpointHealth, NewEndpoint};
pub use error::ClientError;
pub use events::{Accepted, Event, EventDetail, EventFilter, NewEvent, PublishOptions};
pub use filter::EndpointFilter;
pub use handshake::{EndpointHandshake, NewHandshake};
pub use health::{Finding, Health, Level, Readiness};
pub use key::{Key, KeyKind, KeyTenant};
pub use moment::Moment;
pub use paging::{ListOptions, Paged};
pub use portal::PortalLink;
pub use problem::{Place, Problem, ProblemKind};
pub use recovery::Recovery;
pub use repairs::Sent;
pub use replays::{DryReplay, NewReplay, Replay, ReplayFilter, ReplayState};
pub use role::Role;
pub use secrets::{CutOver, RetiringSecret, RotatedSecrets, Rotation, SecretText, Secrets};
pub use stats::{Backlog, Counts, Quantiles, Stats, StatsRow, StatsSpan};
pub use tenants::{Tenant, TenantFields, TenantPatch};
pub use test_event::{TestEvent, Tested};
pub use topics::{Topic, TopicFields};
pub use wire::{EndpointAuth, EndpointTls, HeaderField, SecretField, SignatureSample};

pub use posthaste_model::{
    ApiKeyId, AttemptId, AuditId, BodyFormat, DeliveryId, DeliveryReason, DeliveryState, EndpointId,
    EndpointState, ErrorClass, EventId, HandshakeKind, Method, Period, RateLimit, ReplayId, RetryPolicy,
    TenantId, Timestamp, TopicName, TopicPattern,
};
