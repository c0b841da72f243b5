//! The REST API.
//!
//! One file for each resource: `tenants`, `topics`, `endpoints` (with `wire`, `signature`, `secrets`, `endpoint_state`,
//! `test_event`, `trial` and `places`, `handshake` and `verification`), `events`, `deliveries` (with `repairs`), `health`. What an event
//! goes through before it is accepted is in `intake`, `wishes`, `filters` and `schemas`, which know nothing of HTTP: `inbox`
//! publishes through them, too, what producers left in the store (`letter`), and `dry_run` says what would come of an event.
//! Around them: who may ask (`auth`), how bodies and parameters are read (`body`, `params`, `metadata`), which methods a
//! path has (`methods`), what every error looks like (`problem`), and whether the service can do its work (`readiness`).
//!
//! Invariants:
//! - Every error is an RFC 9457 problem that names the field, parameter or header that is wrong.
//! - HTTP status codes of our own API appear in `problem` and in the handlers, nowhere else in the project.
//! - A request that is refused has written nothing.
//!
//! What is *not* here: no delivery (that is `dispatch`, which this crate never imports), no database, no clock.

mod auth;
mod body;
mod cursor;
mod deliveries;
mod dry_run;
mod endpoint_patch;
mod endpoint_state;
mod endpoints;
mod entropy;
mod events;
mod filters;
#[cfg(test)]
mod fixture;
mod handshake;
mod health;
mod inbox;
mod intake;
mod letter;
mod merge_patch;
mod metadata;
mod methods;
mod openapi;
mod own_topics;
mod params;
mod patience;
mod places;
mod problem;
mod readiness;
mod repairs;
mod schemas;
mod secrets;
mod server;
mod service;
mod signature;
mod stop;
mod tenants;
mod test_event;
mod topics;
mod trial;
mod validation;
mod verification;
mod wire;
mod wishes;

pub use auth::KeyDigest;
pub use entropy::Entropy;
pub use places::Places;
pub use readiness::{Readiness, dangers};
pub use server::{Server, openapi};
pub use service::{ApiSettings, Compiled, Service};
