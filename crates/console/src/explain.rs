//! What an outcome means, and what comes next: the words that a delivery's page tells its story with.

mod standing;

use posthaste_client::{Attempt, Delivery, ErrorClass};
use posthaste_model::HandshakeKind;

pub(crate) use standing::{Purpose, Standing, is_unverified, standing};

/// What a receiver's answer, or the lack of one, means, and what to do about it.
pub(crate) struct Meaning {
    /// In short: `503`, or `timeout`.
    pub(crate) short: String,
    /// What it means.
    pub(crate) means: &'static str,
    /// What to do about it; empty: nothing.
    pub(crate) advice: &'static str,
    /// What those who run the service can do beside; empty: nothing.
    pub(crate) operators: &'static str,
}

/// What came of an attempt.
pub(crate) fn attempt(attempt: &Attempt) -> Meaning {
    match (&attempt.response, &attempt.error) {
        (Some(response), _) => status(response.status),
        (None, Some(failed)) => error(failed.class),
        (None, None) => error(ErrorClass::Unknown),
    }
}

/// What an answer with this status means to a delivery.
pub(crate) fn status(status: u16) -> Meaning {
    let (means, advice) = match status {
        200..=299 => ("The receiver took the event.", ""),
        301 | 302 | 303 | 307 | 308 => (
            "The receiver sends requests elsewhere. Redirects are not followed.",
            "Set the endpoint's URL to where it redirects to.",
        ),
        400 | 422 => (
            "The receiver could not make sense of the event.",
            "Its answer below may say why. Often its code expects other fields.",
        ),
        401 | 403 => (
            "The receiver refused the request.",
            "Often it verifies signatures with another secret, or wants credentials: compare the secret.",
        ),
        404 | 405 => (
            "There is no webhook at this URL.",
            "Check the endpoint's URL, its path above all, and that the receiver takes this method.",
        ),
        408 | 504 => {
            ("The receiver, or a proxy before it, ran out of time.", "It should answer first and work later.")
        }
        410 => (
            "The receiver wants no more events: the endpoint was disabled.",
            "Enable the endpoint if that was a mistake.",
        ),
        413 => {
            ("The event is too large for the receiver.", "The receiver has to accept bodies of this size.")
        }
        429 => (
            "The receiver is asked too much.",
            "It is given a pause. A rate limit on the endpoint avoids it.",
        ),
        502 | 503 => (
            "The receiver, or a proxy before it, is not there for the moment.",
            "It is given a pause. If it lasts, the receiver is down or being deployed.",
        ),
        500..=599 => {
            ("The receiver failed over the event.", "Its own log says why. Its answer below may say it, too.")
        }
        _ => (
            "The receiver did not answer with a 2xx, so the event does not count as taken.",
            "It has to answer with a 2xx.",
        ),
    };
    Meaning { short: status.to_string(), means, advice, operators: "" }
}

/// What it means that there was no answer.
pub(crate) fn error(class: ErrorClass) -> Meaning {
    let (means, advice) = match class {
        // The attempt itself says which of these it is.
        ErrorClass::Blocked => (
            "Nothing was sent.",
            "The endpoint needs a public URL, and has to give its handshake where it has one.",
        ),
        ErrorClass::Dns => {
            ("The name of the host could not be resolved.", "Check the host in the endpoint's URL.")
        }
        ErrorClass::Connect => {
            ("No connection could be made, or it broke.", "The receiver is down, or a firewall is before it.")
        }
        ErrorClass::Tls => (
            "The TLS handshake failed.",
            "Its certificate may have expired, be for another name, or come from a CA that is not public.",
        ),
        ErrorClass::Timeout => (
            "The receiver did not answer in time. It may have taken the event all the same.",
            "It should answer first and work later. The endpoint's timeout can be raised up to 30 s.",
        ),
        ErrorClass::Protocol => {
            ("What came back was not HTTP, or too much of it.", "Something else may listen at this port.")
        }
        ErrorClass::Internal => (
            "The service itself failed, which is not charged to the endpoint. It is tried again shortly.",
            "",
        ),
        ErrorClass::Unknown => (
            "The service stopped while the request was under way. Whether it arrived is not known.",
            "It is tried again. A receiver tells repetitions by the id.",
        ),
        ErrorClass::Auth => (
            "There was no token to show the receiver, so nothing was sent.",
            "Check the token URL and the client's credentials of the endpoint.",
        ),
    };
    let operators = match class {
        ErrorClass::Blocked => "A network that is not public is allowed by the setting egress.allow.",
        ErrorClass::Internal => "If it lasts, the log of the service says why.",
        _ => "",
    };
    Meaning { short: class.as_str().to_owned(), means, advice, operators }
}

/// What a receiver has to answer to a handshake.
pub(crate) fn handshake(kind: HandshakeKind) -> &'static str {
    match kind {
        HandshakeKind::CloudEvents => {
            "It is asked by OPTIONS, and answers with a 2xx and the header WebHook-Allowed-Origin: the origin that it was \
             asked for, or *."
        }
        HandshakeKind::Echo => "It is sent a challenge, and answers with a 2xx and the same challenge.",
        HandshakeKind::Hmac => {
            "It is sent a challenge, and answers with a 2xx, the challenge, and a proof: the HMAC-SHA256 of the challenge \
             by the endpoint's secret."
        }
    }
}

/// What came of a delivery's last attempt; none: none was recorded.
pub(crate) fn last(delivery: &Delivery) -> Option<Meaning> {
    delivery.last_error.map(error).or_else(|| delivery.last_status.map(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_meaning() {
        for class in ErrorClass::ALL {
            let Meaning { means, advice, operators, .. } = error(class);
            assert!(!means.is_empty() && (!advice.is_empty() || !operators.is_empty()), "{class:?}");
        }
        for code in 100..600 {
            let meaning = status(code);
            assert_eq!(meaning.advice.is_empty(), (200..300).contains(&code), "{code}");
        }
    }

    #[test]
    fn subscribers_are_told_of_nothing_that_only_operators_have() {
        for meaning in ErrorClass::ALL.map(error).into_iter().chain((100..600).map(status)) {
            for word in ["setting", "log of the service", "egress"] {
                assert!(
                    !meaning.means.contains(word) && !meaning.advice.contains(word),
                    "{}",
                    meaning.advice
                );
            }
        }
    }
}
