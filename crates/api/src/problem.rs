//! What every error looks like: `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode, http::header};
use posthaste_store::StoreError;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::recording::Note;

/// The store may have done what was asked, or not: to ask again does no harm.
const TRY_AGAIN: &str = "the store is unavailable; try again, an event with the id that it had now";
/// The same, where what is asked again is done again.
const UNKNOWN: &str = "the store is unavailable; whether it was done is not known";

/// An error, as the caller reads it.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    place: Option<Place>,
    /// What was done before it was refused, in words for the audit.
    done: Option<&'static str>,
}

/// The kinds of error. Each has a stable name that callers may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MalformedJson,
    InvalidParameter,
    Unauthorized,
    Forbidden,
    Reserved,
    NotFound,
    MethodNotAllowed,
    EventConflict,
    EndpointClosed,
    Unverified,
    HandshakeFailed,
    DeliveryOver,
    Conflict,
    TooLarge,
    UnsupportedMediaType,
    InvalidField,
    Internal,
    Unavailable,
    Full,
}

/// What in the request is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// Name of a query or path parameter.
    Parameter(String),
    /// Name of a header.
    Header(String),
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// The kind of error: stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:posthaste:problem:invalid-field")]
    kind: String,
    /// The kind of error, for people.
    title: &'static str,
    /// The HTTP status, once more.
    status: u16,
    /// What is wrong with this request.
    detail: &'a str,
    /// Where it is wrong: a `pointer` into the body, a `parameter` or a `header`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Place],
}

impl Kind {
    /// Its stable name, its title, its status.
    fn facts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::MalformedJson => ("malformed-json", "The body is not valid JSON", StatusCode::BAD_REQUEST),
            Self::InvalidParameter => {
                ("invalid-parameter", "A parameter or header is not valid", StatusCode::BAD_REQUEST)
            }
            Self::Unauthorized => ("unauthorized", "A valid API key is needed", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", "The key is not for this", StatusCode::FORBIDDEN),
            Self::Reserved => ("reserved", "It is Posthaste's own", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "It does not exist", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "The method does not exist here", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::EventConflict => {
                ("event-conflict", "The id was used before for other content", StatusCode::CONFLICT)
            }
            Self::EndpointClosed => {
                ("endpoint-closed", "The endpoint is paused or disabled", StatusCode::CONFLICT)
            }
            Self::Unverified => {
                ("unverified", "The endpoint has not given its handshake", StatusCode::CONFLICT)
            }
            Self::HandshakeFailed => {
                ("handshake-failed", "The endpoint's answer is no consent", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::DeliveryOver => ("delivery-over", "The delivery is over", StatusCode::CONFLICT),
            Self::Conflict => ("conflict", "It cannot be done as things stand", StatusCode::CONFLICT),
            Self::TooLarge => ("too-large", "The request is too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                "The content type is not supported here",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::InvalidField => ("invalid-field", "A field is not valid", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Internal => ("internal", "The service failed", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => {
                ("unavailable", "The service is unavailable", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Full => ("full", "The store has no room", StatusCode::INSUFFICIENT_STORAGE),
        }
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), place: None, done: None }
    }

    /// A field of the body that is wrong, by its JSON pointer.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::new(Kind::InvalidField, detail.to_string()).at(Place::Pointer(pointer.into()))
    }

    /// A query or path parameter that is wrong.
    pub(crate) fn parameter(name: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::new(Kind::InvalidParameter, detail.to_string()).at(Place::Parameter(name.into()))
    }

    /// A header that is wrong.
    pub(crate) fn header(name: &str, detail: impl fmt::Display) -> Self {
        Self::new(Kind::InvalidParameter, detail.to_string()).at(Place::Header(name.to_owned()))
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same, where something was done before it was refused that the audit is to tell of. What becomes of a failure is
    /// told there anyway.
    pub(crate) fn having_done(mut self, what: &'static str) -> Self {
        self.done = Some(what);
        self
    }

    /// The same, for an item of a batch: its pointer begins with where the item is.
    pub(crate) fn within(mut self, prefix: &str) -> Self {
        if let Some(Place::Pointer(pointer)) = &mut self.place {
            pointer.insert_str(0, prefix);
        }
        self
    }

    fn body(&self) -> ProblemBody<'_> {
        let (name, title, status) = self.kind.facts();
        ProblemBody {
            kind: format!("urn:posthaste:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            errors: self.place.as_slice(),
        }
    }

    /// What went wrong with something that is done twice when it is asked for twice: where it may have been done, nobody is
    /// told to ask again.
    pub(crate) fn not_repeatable(error: impl Into<Self>) -> Self {
        let problem = error.into();
        if problem.detail == TRY_AGAIN { Self::new(problem.kind, UNKNOWN) } else { problem }
    }

    /// The same in other words where it is the store that failed.
    pub(crate) fn where_store_failed(self, detail: &str) -> Self {
        let failed = self.detail == TRY_AGAIN || self.kind == Kind::Full;
        if failed { Self::new(self.kind, detail) } else { self }
    }

    /// A failure that is not the caller's: logged here, and not described to the caller.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(Kind::Internal, "an unexpected error; it is in the service's log")
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body().serialize(serializer)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.facts().2
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self.kind {
            Kind::Unauthorized => response.insert_header((header::WWW_AUTHENTICATE, "Bearer")),
            Kind::Unavailable => response.insert_header((header::RETRY_AFTER, "1")),
            Kind::Full => response.insert_header((header::RETRY_AFTER, "10")),
            _ => &mut response,
        };
        let response = response.content_type("application/problem+json").json(self);
        match self.done.filter(|_| self.status_code().is_client_error()) {
            Some(what) => Note { detail: Some(what.to_owned()), ..Note::default() }.on(response),
            None => response,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::new(Kind::NotFound, error.to_string()),
            StoreError::EventConflict { .. } => Self::new(Kind::EventConflict, error.to_string()),
            StoreError::EndpointClosed(_) => Self::new(Kind::EndpointClosed, error.to_string()),
            StoreError::DeliveryOver(_) => Self::new(Kind::DeliveryOver, error.to_string()),
            StoreError::TooManyDeliveries | StoreError::TooManyReplays => {
                Self::new(Kind::Conflict, error.to_string())
            }
            StoreError::InvalidCursor => Self::parameter("cursor", error),
            // Only after many tries: a matter of moments, and no fault of the request's.
            StoreError::StaleView | StoreError::StaleEndpoint | StoreError::StaleReplay => {
                Self::new(Kind::Unavailable, format!("{error}; nothing was written, try again"))
            }
            StoreError::Unavailable { .. } => {
                // The store and the dispatcher say so once; every publisher would say it again.
                tracing::debug!(error = &error as &dyn std::error::Error, "the store is unavailable");
                Self::new(Kind::Unavailable, TRY_AGAIN)
            }
            StoreError::Full { .. } => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the store is full");
                Self::new(Kind::Full, "the store has no room; nothing was written, try again later")
            }
            StoreError::NotOwner
            | StoreError::ForeignKey
            | StoreError::InUse { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::Damaged { .. } => Self::internal(&error),
        }
    }
}
