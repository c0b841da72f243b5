use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::AttemptId;

/// One HTTP request of a delivery, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Made by the dispatcher.
    pub id: AttemptId,
    /// Counts the attempts of its delivery from 1.
    pub number: u32,
    /// Whether somebody asked for it, beside the automatic ones.
    pub manual: bool,
    /// When the request began.
    pub started_at: Timestamp,
    /// Where the time went.
    pub timings: Timings,
    /// What was sent, where that is kept: of attempts that did not succeed, and of those that somebody asked for.
    pub request: Option<Box<SentRequest>>,
    /// What came back.
    pub outcome: Outcome,
}

/// What was sent to a receiver, but for the body, which is the event's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// With which method.
    pub method: String,
    /// To which URL.
    pub url: String,
    /// Header names and values as they were sent; what was sent in confidence is masked.
    pub headers: Vec<(String, String)>,
}

impl Attempt {
    /// The attempt of a delivery that was given back while its request may have been under way: nobody knows what came
    /// of it. Stores number it.
    pub fn interrupted(id: AttemptId, manual: bool, found_at: Timestamp) -> Self {
        Self {
            id,
            number: 0,
            manual,
            started_at: found_at,
            timings: Timings::default(),
            request: None,
            outcome: Outcome::Failed {
                class: ErrorClass::Unknown,
                detail: "the service stopped while the request was under way".into(),
            },
        }
    }
}

/// Where the time of an attempt went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From when the attempt was due until the request began.
    pub queued: Duration,
    /// How long resolving the host's name took, or trying to; none: a connection was there, the URL has an address, or a
    /// proxy resolves it.
    pub dns: Option<Duration>,
    /// How long connecting took, through the proxy if there is one; none: a connection was there, or none could be made.
    pub connect: Option<Duration>,
    /// How long the TLS handshake took; none: a connection was there, there is no TLS, or the handshake failed.
    pub tls: Option<Duration>,
    /// From the beginning of the request until the response's head had arrived; none: it never did.
    pub first_byte: Option<Duration>,
    /// From the beginning of the request until its end.
    pub total: Duration,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The receiver answered.
    Replied(Reply),
    /// It did not.
    Failed {
        /// The kind of failure.
        class: ErrorClass,
        /// What happened, in words that tell a customer nothing about our network.
        detail: String,
    },
}

/// The answer of a receiver, as much of it as is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status code.
    pub status: u16,
    /// Header names and values in the order of their arrival; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The first bytes of the body.
    pub body: Bytes,
    /// Whether the body was longer than what is kept.
    pub truncated: bool,
}

/// Why an attempt got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The URL or an address behind it is forbidden.
    Blocked,
    /// The host name could not be resolved.
    Dns,
    /// No connection could be made, or it broke.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The exchange was not over when its time was.
    Timeout,
    /// What came back was not HTTP, or beyond the bounds set for it.
    Protocol,
    /// The service itself failed; not charged to the endpoint.
    Internal,
    /// The service crashed while the request was under way: whether it arrived is unknown.
    Unknown,
    /// There was no token to show the receiver: no request was made.
    Auth,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Blocked,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Protocol,
        Self::Internal,
        Self::Unknown,
        Self::Auth,
    ];

    /// The class's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
            Self::Unknown => "unknown",
            Self::Auth => "auth",
        }
    }
}

impl Outcome {
    /// The status of the reply, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Replied(reply) => Some(reply.status),
            Self::Failed { .. } => None,
        }
    }

    /// The class of the failure, if there was no reply.
    pub fn error(&self) -> Option<ErrorClass> {
        match self {
            Self::Replied(_) => None,
            Self::Failed { class, .. } => Some(*class),
        }
    }
}
