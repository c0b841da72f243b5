//! The only door to customers: target URLs, the address guard, the HTTP transport and its caps.
//!
//! Every URL, header, status, byte and second of a subscriber is taken to be hostile. A [`Guard`] holds the policy; a
//! [`TargetUrl`] is a URL that the guard has accepted; a [`Transport`] sends a [`Request`] to one and tells in an
//! [`Exchange`] what came of it, under a [`TlsIdentity`] if the endpoint has one. [`HttpTransport`] is the one for real
//! traffic.
//!
//! Invariants:
//! - No socket is opened to an address that the guard has not judged for that very dial: literals are judged when a
//!   target is parsed and again when it is sent to, names whenever they are resolved.
//! - An exchange ends with its deadline, and keeps a bounded part of the answer, whatever the receiver does.
//! - A connection that was made under one [`TlsIdentity`], or under none, carries no request of another.
//! - No redirect is followed, nothing is sent twice, nothing is decompressed, no proxy comes from the environment.
//! - What a customer gets to read names no address, neither the service's nor one that a name resolved to.
//!
//! What is *not* here: no signing, no retries, no decision about what a status means, no storage.

mod clients;
mod dial;
mod embedding;
mod failure;
mod guard;
mod http_transport;
mod pool;
mod ports;
mod reply;
mod resolver;
mod settings;
mod special;
mod target;
mod tls;
mod transport;
mod vetting;

pub use guard::{EgressPolicy, Forbidden, Guard};
pub use http_transport::HttpTransport;
pub use ports::PortPolicy;
pub use resolver::{Resolver, SystemResolver};
pub use settings::{EgressError, TransportSettings};
pub use target::{InvalidTarget, MAX_URL_BYTES, TargetUrl};
pub use tls::{
    ClientIdentity, InvalidCertificates, InvalidIdentity, InvalidKey, MAX_CERTIFICATES, MAX_PEM_BYTES,
    TlsIdentity, TrustedRoots,
};
pub use transport::{Exchange, Method, Request, Transport};
