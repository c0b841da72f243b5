//! The REST API.
//!
//! One file for each resource: `tenants`, `topics`, `endpoints` (with `wire`, `signature`, `secrets`, `endpoint_state`,
//! `test_event`, `trial` and `places`, `handshake` and `verification`), `events` (with `event_search`), `deliveries` (with
//! `delivery_search`, `next_attempt`, `repairs` and `recovery`), `replays`, `stats`, `portal`, `api_keys`, `key`, `audit`,
//! `health`. Which deliveries are meant, and since when, is read by `conditions` and `moment`. What an event goes through
//! before it is accepted is in `intake`, `wishes`, `filters` and `schemas`, which know nothing of HTTP: `inbox` publishes
//! through them, too, what producers left in the store (`letter`), and `dry_run` says what would come of an event.
//! Around them: who may ask (`auth`, `caller`, `known_keys`, `permissions`), that it is recorded who changed something
//! (`recording`), how bodies and parameters are read (`body`, `params`, `metadata`), which methods a path has (`methods`),
//! what every error looks like (`problem`), and whether the service can do its work (`readiness`).
//!
//! Invariants:
//! - Every error is an RFC 9457 problem that names the field, parameter or header that is wrong.
//! - HTTP status codes of our own API appear in `problem` and in the handlers, nowhere else in the project.
//! - A request that is refused has written nothing.
//! - A change is answered once it is recorded who made it, or the log says that it could not be.
//!
//! What is *not* here: no delivery (that is `dispatch`, which this crate never imports), no database, no clock.

mod api_keys;
mod audit;
mod auth;
mod body;
mod caller;
mod conditions;
mod cursor;
mod deliveries;
mod delivery_search;
mod dry_run;
mod endpoint_patch;
mod endpoint_state;
mod endpoints;
mod entropy;
mod event_search;
mod events;
mod filters;
#[cfg(test)]
mod fixture;
mod handshake;
mod health;
mod inbox;
mod intake;
mod key;
mod known_keys;
mod letter;
mod merge_patch;
mod metadata;
mod methods;
mod metrics;
mod moment;
mod next_attempt;
mod openapi;
mod own_topics;
mod params;
mod patience;
mod permissions;
mod places;
mod portal;
mod problem;
mod readiness;
mod recording;
mod recovery;
mod repairs;
mod replays;
mod schemas;
mod secrets;
mod server;
mod service;
mod signature;
mod stats;
mod stop;
mod tenants;
mod test_event;
mod topics;
mod trial;
mod validation;
mod verification;
mod wire;
mod wishes;

pub use auth::key_digest;
pub use entropy::Entropy;
pub use known_keys::KnownKeys;
pub use metrics::Metrics;
pub use places::Places;
pub use readiness::{Readiness, dangers};
pub use server::{Server, openapi};
pub use service::{ApiSettings, Compiled, Service};
