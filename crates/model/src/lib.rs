//! The nouns of Posthaste.
//!
//! Plain data that every other crate speaks of: typed ids, [`Tenant`], [`Topic`], [`Endpoint`], [`Event`],
//! [`Delivery`], [`Attempt`]. Whatever can be built here is well-formed: names are validated by their constructors.
//!
//! What is *not* here: no IO, no clock is read (a [`Clock`] is handed in), no randomness, no async, and nothing that knows HTTP or a database.

mod api_key;
mod attempt;
mod audit;
mod clock;
mod decision;
mod delivery;
mod endpoint;
mod event;
mod handshake;
mod health;
mod id;
mod name;
mod period;
mod rate;
mod retry;
mod sealed;
mod stats;
mod tenant;
pub mod told;
mod topic;
mod wire;

pub use api_key::{ApiKey, KeyTenant, Role};
pub use attempt::{Attempt, ErrorClass, Outcome, Reply, SentRequest, Timings};
pub use audit::{Actor, AuditEntry, AuditOutcome};
pub use clock::Clock;
pub use decision::{Decision, EndpointEffects, HealthEffect, Next};
pub use delivery::{Delivery, DeliveryReason, DeliveryState};
pub use endpoint::{Endpoint, EndpointSecret, EndpointState};
pub use event::{Event, EventOptions, Payload};
pub use handshake::{Handshake, HandshakeKind};
pub use health::Health;
pub use id::{ApiKeyId, AttemptId, AuditId, DeliveryId, EndpointId, InvalidId, ReplayId};
pub use name::{EventId, InvalidName, TenantId, TopicName};
pub use period::{InvalidPeriod, Period};
pub use rate::{InvalidRateLimit, RateLimit};
pub use retry::{ExponentialRetry, InvalidRetry, RetryPolicy};
pub use sealed::Sealed;
pub use stats::{Counts, Histogram};
pub use tenant::Tenant;
pub use topic::{Topic, TopicPattern};
pub use wire::{Auth, BodyFormat, Credentials, Method, Wire};

pub use jiff::Timestamp;
