use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is wrong with a request, in the words of the service (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of error, for programs.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The kind of error, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// Where it is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Place>,
    /// How long to wait before the same request is worth another try, where the service says so: the store is away
    /// ([`ProblemKind::Unavailable`]) or has no room ([`ProblemKind::Full`]). From the header `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// The kinds of error that the service tells apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The body is not JSON.
    #[serde(rename = "urn:posthaste:problem:malformed-json")]
    MalformedJson,
    /// A query or path parameter or a header is not valid.
    #[serde(rename = "urn:posthaste:problem:invalid-parameter")]
    InvalidParameter,
    /// There is no key, or not the right one.
    #[serde(rename = "urn:posthaste:problem:unauthorized")]
    Unauthorized,
    /// The key is not for this: its role, or the tenant that it is bound to.
    #[serde(rename = "urn:posthaste:problem:forbidden")]
    Forbidden,
    /// It is Posthaste's own: nobody else publishes for its tenant, or changes that.
    #[serde(rename = "urn:posthaste:problem:reserved")]
    Reserved,
    /// What the path names does not exist.
    #[serde(rename = "urn:posthaste:problem:not-found")]
    NotFound,
    /// The method does not exist for this path.
    #[serde(rename = "urn:posthaste:problem:method-not-allowed")]
    MethodNotAllowed,
    /// The event's id was used before for other content.
    #[serde(rename = "urn:posthaste:problem:event-conflict")]
    EventConflict,
    /// The endpoint is paused or disabled.
    #[serde(rename = "urn:posthaste:problem:endpoint-closed")]
    EndpointClosed,
    /// The endpoint has not given its handshake: nothing else is sent to it.
    #[serde(rename = "urn:posthaste:problem:unverified")]
    Unverified,
    /// The endpoint's answer to its handshake is no consent.
    #[serde(rename = "urn:posthaste:problem:handshake-failed")]
    HandshakeFailed,
    /// The delivery is in a final state.
    #[serde(rename = "urn:posthaste:problem:delivery-over")]
    DeliveryOver,
    /// It cannot be done as things stand.
    #[serde(rename = "urn:posthaste:problem:conflict")]
    Conflict,
    /// The request or an event's payload is too large.
    #[serde(rename = "urn:posthaste:problem:too-large")]
    TooLarge,
    /// The content type is not supported.
    #[serde(rename = "urn:posthaste:problem:unsupported-media-type")]
    UnsupportedMediaType,
    /// A field of the body is not valid.
    #[serde(rename = "urn:posthaste:problem:invalid-field")]
    InvalidField,
    /// The service failed.
    #[serde(rename = "urn:posthaste:problem:internal")]
    Internal,
    /// The service cannot do its work now. Where the store was away, whether it was written is not known: an event is
    /// published again with the id that it had.
    #[serde(rename = "urn:posthaste:problem:unavailable")]
    Unavailable,
    /// The store has no room, and nothing was written.
    #[serde(rename = "urn:posthaste:problem:full")]
    Full,
    /// One that is newer than this client: its whole name.
    #[serde(untagged)]
    Other(String),
}

/// What in the request is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// Name of a query or path parameter.
    Parameter(String),
    /// Name of a header.
    Header(String),
    /// A kind of place that is newer than this client, as it was told.
    #[serde(untagged)]
    Other(Value),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, status, detail, errors, kind: _, retry_after: _ } = self;
        write!(f, "{title} ({status}): {detail}")?;
        errors.iter().try_for_each(|place| write!(f, " [{place}]"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => write!(f, "field {pointer}"),
            Self::Parameter(name) => write!(f, "parameter {name}"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Other(place) => write!(f, "{place}"),
        }
    }
}
