use crate::Problem;

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The base URL is none.
    // The URL is not shown: it may hold a password, which is one of the reasons to refuse it.
    #[error("the service's address must be an http or https URL without user, query and fragment")]
    InvalidBase {
        /// Why it is not a URL at all.
        source: Option<url::ParseError>,
    },
    /// The key or a content type has characters that no header may have (RFC 9110, section 5.5).
    #[error("the value of the header '{name}' is not valid")]
    InvalidHeader {
        /// The header.
        name: &'static str,
        /// What is wrong with it.
        source: reqwest::header::InvalidHeaderValue,
    },
    /// The HTTP client could not be set up: an https service and no trusted certificates on the platform.
    #[error("the HTTP client could not be set up")]
    Setup {
        /// Why.
        source: reqwest::Error,
    },
    /// What should be sent cannot be written as JSON.
    #[error("the request cannot be written as JSON")]
    Encode {
        /// Why.
        source: serde_json::Error,
    },
    /// There was no connection: nothing was sent.
    #[error("the service could not be reached")]
    Connect {
        /// Why.
        source: reqwest::Error,
    },
    /// The answer had not arrived in time: whether the request was carried out is unknown.
    #[error("the service did not answer in time")]
    Timeout {
        /// What it was waited for.
        source: reqwest::Error,
    },
    /// The connection broke, or what came back was not HTTP: whether the request was carried out is unknown.
    #[error("the exchange with the service broke off")]
    Transport {
        /// Why.
        source: reqwest::Error,
    },
    /// The service refused the request, and says why.
    #[error("{0}")]
    Problem(Problem),
    /// An answer that the API never gives: something else than Posthaste answered.
    #[error("unexpected answer with status {status}: {body}")]
    Unexpected {
        /// Its HTTP status.
        status: u16,
        /// The beginning of its body.
        body: String,
    },
    /// An answer that says it is a success, and is not what was asked for.
    // The body is not shown: it may hold a secret.
    #[error("unreadable answer with status {status}")]
    Unreadable {
        /// Its HTTP status.
        status: u16,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl ClientError {
    /// What a failed exchange means.
    pub(crate) fn exchange(source: reqwest::Error) -> Self {
        // First, because a connection that took too long is a timeout, too.
        if source.is_connect() {
            Self::Connect { source }
        } else if source.is_timeout() {
            Self::Timeout { source }
        } else {
            Self::Transport { source }
        }
    }
}
