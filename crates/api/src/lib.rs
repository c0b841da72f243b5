//! The REST API.
//!
//! One file for each resource: `tenants`, `topics`, `endpoints`, `secrets`, `events`, `deliveries`, `health`. What an
//! event goes through before it is accepted is in `intake`, which knows nothing of HTTP. Around them: who may ask
//! (`auth`), how bodies and parameters are read (`body`, `params`), and what every error looks like (`problem`).
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
mod endpoints;
mod entropy;
mod events;
mod health;
mod intake;
mod merge_patch;
mod openapi;
mod params;
mod problem;
mod secrets;
mod server;
mod service;
mod tenants;
mod topics;
mod validation;

pub use auth::KeyDigest;
pub use entropy::Entropy;
pub use server::{Server, openapi};
pub use service::{ApiSettings, Service};
