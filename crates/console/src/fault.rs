//! What went wrong, in words, and what to do about it.

use actix_web::{ResponseError, http::StatusCode};
use posthaste_client::{ClientError, Place, Problem, ProblemKind};

/// Why there is no page to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The API refused, or did not answer.
    #[error(transparent)]
    Api(#[from] ClientError),
    /// There is no session, or not any more.
    #[error("nobody is signed in")]
    SignedOut,
    /// A form was not made for the session that it came with.
    #[error("the form was not made for this session")]
    Forged,
    /// A form is longer than any form of ours.
    #[error("the form is too long")]
    TooLong,
    /// There is no such page.
    #[error("no page has this address")]
    Nowhere,
    /// A field of a form or an address cannot be read.
    #[error("{field}: '{text}' is not {expected}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it holds.
        text: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A page could not be written.
    #[error("the page cannot be written")]
    Template(#[from] askama::Error),
    /// A session could not be sealed.
    #[error("the session cannot be sealed")]
    Unsealed,
}

/// A fault as it is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) title: &'static str,
    /// What is wrong.
    pub(crate) detail: String,
    /// What to do.
    pub(crate) advice: &'static str,
    /// What those who run the service can do beside; empty: nothing.
    pub(crate) operators: &'static str,
    /// The fields that are wrong, as far as they are known.
    pub(crate) fields: Vec<String>,
}

impl Told {
    /// Whether a field of that name is wrong.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field == name)
    }
}

impl Fault {
    pub(crate) fn field(field: &'static str, text: &str, expected: &'static str) -> Self {
        Self::Field { field, text: text.to_owned(), expected }
    }

    /// Whether the key of the session is not valid, or not any more.
    pub(crate) fn needs_sign_in(&self) -> bool {
        match self {
            Self::SignedOut => true,
            Self::Api(ClientError::Problem(problem)) => problem.kind == ProblemKind::Unauthorized,
            _ => false,
        }
    }

    /// Whether what was asked for is wrong, so that who asked can mend it.
    pub(crate) fn is_askers(&self) -> bool {
        matches!(self, Self::Field { .. }) || self.status_code().is_client_error() && !self.needs_sign_in()
    }

    /// Whether it is the service's own, and nobody has logged it yet.
    pub(crate) fn is_ours(&self) -> bool {
        match self {
            // The API logs what it answers for.
            Self::Api(error) => !matches!(error, ClientError::Problem(_) | ClientError::InvalidHeader { .. }),
            Self::Template(_) | Self::Unsealed => true,
            _ => false,
        }
    }

    pub(crate) fn told(&self) -> Told {
        let (title, advice) = match self {
            Self::Api(ClientError::Problem(problem)) => of_problem(problem),
            Self::Api(ClientError::Connect { .. } | ClientError::Timeout { .. }) => {
                ("The service does not answer", "Try again in a moment.")
            }
            Self::Api(_) | Self::Template(_) | Self::Unsealed => (WRONG, "Try again."),
            Self::SignedOut => ("Nobody is signed in", "Sign in first."),
            Self::Forged => (
                "The form was not accepted",
                "It was made for another session, or lay open for too long. Go back, load the page again, and send it again.",
            ),
            Self::TooLong => ("The form is too long", "Use the API for what is as long as that."),
            Self::Nowhere => {
                ("There is nothing here", "The address may be mistyped, or what was here may be gone.")
            }
            Self::Field { .. } => ("That cannot be read", "Correct the field, and send it again."),
        };
        let detail = match self {
            Self::Api(ClientError::Problem(problem)) => {
                let places: Vec<_> = problem.errors.iter().map(ToString::to_string).collect();
                if places.is_empty() {
                    problem.detail.clone()
                } else {
                    format!("{} ({})", problem.detail, places.join(", "))
                }
            }
            fault @ Self::Field { .. } => fault.to_string(),
            fault => capital(&fault.to_string()),
        };
        let detail = if detail.ends_with(['.', '!', '?']) { detail } else { detail + "." };
        Told { title, detail, advice, operators: self.operators(), fields: self.fields() }
    }

    /// The fields of a form, or of the API, that are wrong.
    fn fields(&self) -> Vec<String> {
        match self {
            Self::Field { field, .. } => vec![(*field).to_owned()],
            Self::Api(ClientError::Problem(problem)) => problem.errors.iter().filter_map(field).collect(),
            _ => Vec::new(),
        }
    }

    /// What those who run the service can do.
    fn operators(&self) -> &'static str {
        let problem = match self {
            Self::Api(ClientError::Problem(problem)) => &problem.kind,
            Self::Api(ClientError::Connect { .. } | ClientError::Timeout { .. }) => {
                return "If it lasts, look at /readyz and at the log.";
            }
            fault if fault.is_ours() => return LOGGED,
            _ => return "",
        };
        match problem {
            ProblemKind::Full => "The store needs more memory or disk.",
            ProblemKind::Unavailable => "If it lasts, look at /readyz.",
            ProblemKind::Internal => LOGGED,
            _ => "",
        }
    }
}

/// The field that a place lies in; none: it lies in none.
fn field(place: &Place) -> Option<String> {
    match place {
        Place::Pointer(pointer) => pointer.split('/').nth(1).map(str::to_owned),
        Place::Parameter(name) => Some(name.clone()),
        _ => None,
    }
}

/// A sentence as it begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const LOGGED: &str = "If it happens again, the log of the service says more.";
/// What is said of what should not be.
const WRONG: &str = "Something went wrong";

fn of_problem(problem: &Problem) -> (&'static str, &'static str) {
    match problem.kind {
        ProblemKind::NotFound => (
            "That does not exist",
            "It may have been deleted, or forgotten when its retention was over. Look for it in the list.",
        ),
        ProblemKind::InvalidParameter => {
            ("That cannot be asked", "Correct the field that is named, and ask again.")
        }
        ProblemKind::InvalidField | ProblemKind::MalformedJson => (
            "That was not accepted",
            "Correct the field that is named, and send it again. Nothing was changed.",
        ),
        ProblemKind::EndpointClosed => {
            ("The endpoint takes nothing", "Resume or enable the endpoint first, on its page.")
        }
        ProblemKind::Unverified => (
            "The endpoint has not given its handshake",
            "Until it has, nothing else is sent to it: verify it on its page.",
        ),
        ProblemKind::HandshakeFailed => (
            "The handshake failed",
            "Have the receiver answer as it should, then verify the endpoint on its page.",
        ),
        ProblemKind::DeliveryOver => ("The delivery is over", "To send it again, replay it."),
        ProblemKind::Conflict | ProblemKind::EventConflict => {
            ("Not as things stand", "Load the page again to see how things stand now.")
        }
        ProblemKind::Forbidden | ProblemKind::Reserved => {
            ("That is not yours to do", "Ask who runs this service, if it should be.")
        }
        ProblemKind::TooLarge => {
            ("That is too large", "Make it smaller, or ask who runs this service for more room.")
        }
        ProblemKind::Unavailable => {
            ("The store is away", "Try again in a moment. Whether it was done is not known.")
        }
        ProblemKind::Full => ("The store has no room", "Nothing was written. Try again later."),
        ProblemKind::Unauthorized => ("The key is not valid", "Sign in again."),
        _ => (WRONG, "Try again."),
    }
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Api(ClientError::Problem(problem)) => {
                StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY)
            }
            Self::Api(ClientError::InvalidHeader { .. }) | Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Api(ClientError::Timeout { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Self::Api(_) => StatusCode::BAD_GATEWAY,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Nowhere => StatusCode::NOT_FOUND,
            Self::Field { .. } => StatusCode::BAD_REQUEST,
            Self::Template(_) | Self::Unsealed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: ProblemKind, status: u16) -> Fault {
        let problem = Problem {
            kind,
            title: "t".into(),
            status,
            detail: "must lie before 'until'".into(),
            errors: vec![posthaste_client::Place::Parameter("since".into())],
            retry_after: None,
        };
        Fault::Api(ClientError::Problem(problem))
    }

    #[test]
    fn a_problem_is_told_with_its_place() {
        let fault = problem(ProblemKind::InvalidParameter, 400);
        assert_eq!(fault.told().detail, "must lie before 'until' (parameter since).");
        assert!(fault.told().is_of("since") && !fault.told().is_of("until"));
        assert_eq!(fault.status_code(), 400);
        assert!(fault.is_askers());
    }

    #[test]
    fn what_is_wrong_within_a_field_is_the_fields() {
        assert_eq!(field(&Place::Pointer("/topics/0".into())).as_deref(), Some("topics"));
        assert_eq!(field(&Place::Pointer(String::new())), None);
        assert_eq!(field(&Place::Header("Idempotency-Key".into())), None);
        assert!(Fault::field("role", "king", "the role of a key").told().is_of("role"));
    }

    #[test]
    fn what_is_wrong_is_told_in_sentences() {
        assert_eq!(Fault::Nowhere.told().detail, "No page has this address.");
        let detail = Fault::field("role", "king", "the role of a key").told().detail;
        assert_eq!(detail, "role: 'king' is not the role of a key.");
    }

    #[test]
    fn a_key_that_is_valid_no_more_needs_another() {
        let fault = problem(ProblemKind::Unauthorized, 401);
        assert!(fault.needs_sign_in() && !fault.is_askers());
        assert!(Fault::SignedOut.needs_sign_in());
        assert!(!Fault::Forged.needs_sign_in());
    }

    #[test]
    fn a_newer_service_is_understood() {
        let told = problem(ProblemKind::Other("urn:new".into()), 418).told();
        assert_eq!(told.title, "Something went wrong");
    }

    #[test]
    fn the_log_is_spoken_of_only_where_it_says_something_and_only_to_operators() {
        let unreadable = ClientError::Unexpected { status: 502, body: "<html>".into() };
        let ours = [Fault::Api(unreadable), Fault::Unsealed];
        for fault in &ours {
            assert!(fault.is_ours() && fault.told().operators.contains("the log"), "{fault:?}");
        }
        let others = [
            problem(ProblemKind::Full, 507),
            problem(ProblemKind::NotFound, 404),
            problem(ProblemKind::HandshakeFailed, 422),
            problem(ProblemKind::Other("urn:new".into()), 418),
            Fault::Forged,
        ];
        for fault in &others {
            assert!(!fault.is_ours() && !fault.told().operators.contains("log"), "{fault:?}");
        }
        for fault in ours.iter().chain(&others) {
            assert!(!fault.told().advice.contains("log"), "{fault:?}");
        }
    }

    #[test]
    fn a_handshake_has_words_of_its_own() {
        for kind in [ProblemKind::Unverified, ProblemKind::HandshakeFailed] {
            let told = problem(kind, 409).told();
            assert!(told.title.contains("handshake") && told.advice.contains("verify"), "{told:?}");
        }
    }
}
