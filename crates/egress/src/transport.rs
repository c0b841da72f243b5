use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use posthaste_model::Outcome;

use crate::TargetUrl;

/// One POST to a subscriber.
#[derive(Clone)]
pub struct Request {
    /// Where it goes.
    pub target: TargetUrl,
    /// What it says about itself. Headers that say where a message goes, where it ends or what becomes of its connection
    /// are the transport's own, and dropped here: `Host`, `Content-Length`, `Transfer-Encoding`, `Connection` and kin.
    pub headers: HeaderMap,
    /// What it carries.
    pub body: Bytes,
    /// How long the whole exchange may take, from resolving the name to the last byte of the answer.
    pub deadline: Duration,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The answer or the failure.
    pub outcome: Outcome,
    /// From the beginning until the head of the answer had arrived; none: it never did.
    pub first_byte: Option<Duration>,
    /// From the beginning until the end.
    pub total: Duration,
}

/// The way to subscribers.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request once, and tells what came of it within its deadline. Whatever goes wrong is an outcome.
    async fn send(&self, request: Request) -> Exchange;
}
