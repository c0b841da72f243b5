use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use posthaste_model::Outcome;

use crate::{TargetUrl, TlsIdentity};

/// What a request asks for. Nothing else is ever sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// To take what it carries.
    Post,
    /// The same, for receivers that want it so.
    Put,
    /// Whether it may be sent anything (CloudEvents, HTTP 1.1 Web Hooks for Event Delivery, section 4).
    Options,
}

/// One request to a subscriber.
#[derive(Clone)]
pub struct Request {
    /// What it asks for.
    pub method: Method,
    /// Where it goes.
    pub target: TargetUrl,
    /// What it says about itself. Headers that say where a message goes, where it ends or what becomes of its connection
    /// are the transport's own, and dropped here: `Host`, `Content-Length`, `Transfer-Encoding`, `Connection` and kin.
    pub headers: HeaderMap,
    /// What it carries.
    pub body: Bytes,
    /// How long the whole exchange may take, from resolving the name to the last byte of the answer.
    pub deadline: Duration,
    /// Who we are to the receiver, and whom we take it for; none: as for everybody.
    pub identity: Option<Arc<TlsIdentity>>,
}

impl Request {
    /// A POST without headers, under no identity.
    pub fn post(target: TargetUrl, body: Bytes, deadline: Duration) -> Self {
        Self { method: Method::Post, target, headers: HeaderMap::new(), body, deadline, identity: None }
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Options => Self::OPTIONS,
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The answer or the failure.
    pub outcome: Outcome,
    /// How long resolving the name took, or trying to; none: a connection was there, the URL has an address, or a proxy
    /// resolves it.
    pub dns: Option<Duration>,
    /// How long connecting took, through the proxy if there is one; none: a connection was there, or none could be made.
    pub connect: Option<Duration>,
    /// How long the TLS handshake took; none: a connection was there, there is no TLS, or the handshake failed.
    pub tls: Option<Duration>,
    /// From the beginning until the head of the answer had arrived; none: it never did.
    pub first_byte: Option<Duration>,
    /// From the beginning until the end.
    pub total: Duration,
}

impl Exchange {
    /// What came of a request for which nothing was dialled.
    pub fn unsent(outcome: Outcome, total: Duration) -> Self {
        Self { outcome, dns: None, connect: None, tls: None, first_byte: None, total }
    }
}

/// The way to subscribers.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request once, and tells what came of it within its deadline. Whatever goes wrong is an outcome.
    async fn send(&self, request: Request) -> Exchange;
}
