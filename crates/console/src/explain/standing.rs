//! Where a delivery stands, and what comes next.

use posthaste_client::{
    Delivery, DeliveryReason, DeliveryState, Endpoint, EndpointState, Event, NextAttempt, Timestamp, Why,
};
use posthaste_model::Handshake;

use super::last;
use crate::words;

/// Where a delivery stands.
pub(crate) struct Standing {
    /// In a sentence.
    pub(crate) is: String,
    /// What comes next, and why.
    pub(crate) next: String,
    /// What who reads it can do; empty: nothing needs doing.
    pub(crate) advice: &'static str,
}

/// What a delivery is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To tell of an event.
    Event,
    /// To try its endpoint out.
    Test,
    /// To ask its endpoint for its handshake.
    Handshake,
}

impl Purpose {
    /// What a delivery is for. `event`: none, it was forgotten.
    pub(crate) fn of(delivery: &Delivery, event: Option<&Event>) -> Self {
        if delivery.topic.as_str() == Handshake::TOPIC {
            Self::Handshake
        } else if event.is_some_and(|event| event.test) {
            Self::Test
        } else {
            Self::Event
        }
    }

    /// The word for it beside a topic; empty: there need be none.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Event => "",
            Self::Test => "test",
            Self::Handshake => "handshake",
        }
    }
}

/// Whether nothing but its handshake is sent to an endpoint.
pub(crate) fn is_unverified(endpoint: &Endpoint) -> bool {
    endpoint.handshake.as_ref().is_some_and(|handshake| handshake.verified_at.is_none())
}

/// Where a delivery stands, and what comes next. `endpoint`: none, it was deleted.
pub(crate) fn standing(
    delivery: &Delivery,
    purpose: Purpose,
    endpoint: Option<&Endpoint>,
    now: Timestamp,
) -> Standing {
    let over = |is: String, advice| Standing { is, next: "Nothing more is sent.".into(), advice };
    match delivery.state {
        DeliveryState::Delivered if purpose == Purpose::Handshake => {
            over("It was answered.".into(), "Whether the answer is a consent, the endpoint's page says.")
        }
        DeliveryState::Delivered => over(format!("It arrived, with {}.", attempts(delivery)), ""),
        DeliveryState::InFlight => Standing {
            is: "An attempt is under way.".into(),
            next: "Its outcome appears here in a moment.".into(),
            advice: "",
        },
        DeliveryState::Cancelled if delivery.reason == Some(DeliveryReason::EndpointDeleted) => {
            over("It was given up, because its endpoint was deleted.".into(), "")
        }
        DeliveryState::Cancelled | DeliveryState::Exhausted if purpose != Purpose::Event => {
            tried_out(delivery, purpose, endpoint.is_none())
        }
        DeliveryState::Cancelled => {
            let advice = if endpoint.is_none() { "" } else { "If that was a mistake, replay it." };
            over("An operator gave it up.".into(), advice)
        }
        DeliveryState::Exhausted => Standing {
            is: format!(
                "It was given up after {}: the retry policy allows no more. {}",
                attempts_that_count(delivery),
                because(delivery)
            ),
            next: "Nothing more is sent by itself.".into(),
            advice: if endpoint.is_none() {
                ""
            } else {
                "Mend what is wrong at the receiver, then replay it."
            },
        },
        DeliveryState::Skipped => Standing {
            is: skipped(delivery),
            next: "Nothing is sent by itself, even after the endpoint is enabled again.".into(),
            advice: endpoint.map_or("", |endpoint| after_skipping(purpose, endpoint)),
        },
        DeliveryState::Scheduled | DeliveryState::Held => match &delivery.next_attempt {
            Some(next) => waiting(next, because(delivery), endpoint.is_some_and(is_unverified), now),
            None => Standing { is: "It waits for its next attempt.".into(), next: String::new(), advice: "" },
        },
    }
}

fn attempts(delivery: &Delivery) -> String {
    words::counted(delivery.attempts.into(), "attempt")
}

/// Attempts as the retry policy counts them: those before a replay, and those asked for by hand, are beside it.
fn attempts_that_count(delivery: &Delivery) -> String {
    match delivery.failures {
        0 => attempts(delivery),
        all if all == delivery.attempts => attempts(delivery),
        some => format!("{}, of {} in all", words::counted(some.into(), "attempt"), delivery.attempts),
    }
}

/// What the last attempt came to; empty: there was none.
fn because(delivery: &Delivery) -> &'static str {
    last(delivery).map(|meaning| meaning.means).unwrap_or_default()
}

/// What only tries an endpoint out is waited for, so it is given up where it is not sent soon, and sent once.
fn tried_out(delivery: &Delivery, purpose: Purpose, gone: bool) -> Standing {
    let sent = delivery.attempts > 0;
    let is = match sent {
        true => format!("It failed. {}", because(delivery)),
        false => "It could not be sent in time, so it was given up.".into(),
    };
    let next = match purpose {
        Purpose::Handshake => "A handshake is sent once.",
        _ => "A test is not tried again by itself.",
    };
    let advice = match (purpose, sent) {
        _ if gone => "",
        (Purpose::Handshake, true) => "Mend what is wrong, then verify the endpoint on its page.",
        (Purpose::Handshake, false) => "Verify the endpoint on its page.",
        (_, true) => "Mend what is wrong, then send another test from the endpoint's page.",
        (_, false) => "Send another test from the endpoint's page.",
    };
    Standing { is: is.trim_end().to_owned(), next: next.into(), advice }
}

fn skipped(delivery: &Delivery) -> String {
    match (delivery.attempts, delivery.last_status) {
        (0, _) => "It was not sent, because its endpoint was disabled.".into(),
        // What that means says that the endpoint was disabled.
        (_, Some(410)) => format!("It was given up after {}. {}", attempts(delivery), because(delivery)),
        _ => format!("It was given up after {}, because its endpoint was disabled.", attempts(delivery)),
    }
}

fn after_skipping(purpose: Purpose, endpoint: &Endpoint) -> &'static str {
    match (endpoint.state, is_unverified(endpoint)) {
        _ if purpose == Purpose::Handshake => "Verify the endpoint on its page.",
        (EndpointState::Disabled, false) => {
            "Enable the endpoint, then replay it, or recover the whole endpoint."
        }
        (EndpointState::Disabled, true) => {
            "Verify the endpoint and enable it, then replay it, or recover the whole endpoint."
        }
        (EndpointState::Paused | EndpointState::Enabled, true) => "Verify the endpoint, then replay it.",
        (EndpointState::Paused, false) => "Resume the endpoint, then replay it.",
        (EndpointState::Enabled, false) => "The endpoint is open again: replay it.",
    }
}

fn waiting(next: &NextAttempt, because: &str, unverified: bool, now: Timestamp) -> Standing {
    let NextAttempt { due_at, number, of, why } = next;
    let attempt = format!("Attempt {number} of {of}");
    let due = if *due_at <= now {
        "is due now".into()
    } else {
        format!("is due {}", words::from_now(*due_at, now))
    };
    let (is, next, advice) = match why {
        Why::FirstAttempt => ("It waits for its turn.".into(), format!("{attempt} {due}."), ""),
        Why::DeliverAt => {
            ("Its publisher wants nothing sent before a time.".into(), format!("{attempt} {due}."), "")
        }
        Why::Retry => (
            format!("The last attempt failed, and it is tried again. {because}"),
            format!("{attempt} {due}, by the retry policy."),
            "Once the receiver is mended, “Try again now” need not wait for that.",
        ),
        Why::EndpointPaused if unverified => (
            "It is held, because its endpoint has not given its handshake.".into(),
            format!("{attempt} goes out once the endpoint is verified, unless it is to be paused then."),
            "Verify the endpoint on its page.",
        ),
        Why::EndpointPaused => (
            "It is held, because its endpoint is paused.".into(),
            format!("{attempt} goes out once the endpoint is resumed."),
            "Resume the endpoint on its page.",
        ),
        Why::EndpointParked => (
            format!("The receiver asked for a pause. {because}"),
            format!("{attempt} {due}, when the pause is over."),
            "",
        ),
        Why::Other(why) => (format!("It waits: {why}."), format!("{attempt} {due}."), ""),
        _ => ("It waits.".into(), format!("{attempt} {due}."), ""),
    };
    Standing { is: is.trim_end().to_owned(), next, advice }
}

#[cfg(test)]
mod tests {
    use posthaste_client::ErrorClass;
    use serde_json::json;

    use super::*;

    fn delivery(state: DeliveryState) -> Delivery {
        let json = json!({
            "id": "dlv_00000000000000000000000000000000", "tenant": "acme", "event": "e1", "topic": "order.paid",
            "endpoint": "ep_00000000000000000000000000000000", "state": state, "reason": null, "attempts": 3,
            "failures": 3, "due_at": null, "last_status": 503, "last_error": null,
            "created_at": "2026-11-21T10:00:00Z", "completed_at": null,
        });
        serde_json::from_value(json).unwrap()
    }

    fn unsent(state: DeliveryState) -> Delivery {
        Delivery { attempts: 0, failures: 0, last_status: None, ..delivery(state) }
    }

    fn endpoint(state: EndpointState) -> Endpoint {
        let json = json!({
            "id": "ep_00000000000000000000000000000000", "tenant": "acme", "url": "https://example.com/",
            "topics": ["*"], "filter": null, "description": "", "metadata": {}, "timeout": null, "retry": null,
            "max_in_flight": null, "rate_limit": null, "ordered": false, "signature": {"profile": "standard"},
            "format": "standard", "method": "POST", "headers": {}, "metadata_headers": false, "auth": null,
            "tls": null, "handshake": null, "state": state, "state_reason": null, "parked_until": null,
            "health": {"failing_since": null, "failures": 0, "exhausted": 0, "warned": 0},
            "created_at": "2026-11-21T10:00:00Z", "updated_at": "2026-11-21T10:00:00Z",
        });
        serde_json::from_value(json).unwrap()
    }

    fn unverified(state: EndpointState) -> Endpoint {
        let handshake = serde_json::from_value(json!({"type": "echo", "verified_at": null})).unwrap();
        Endpoint { handshake: Some(handshake), ..endpoint(state) }
    }

    #[track_caller]
    fn check_for(purpose: Purpose, delivery: &Delivery, endpoint: Option<&Endpoint>, expect: [&str; 3]) {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let Standing { is, next, advice } = standing(delivery, purpose, endpoint, now);
        assert_eq!([is.as_str(), next.as_str(), advice], expect);
    }

    #[track_caller]
    fn check(delivery: &Delivery, endpoint: Option<&Endpoint>, expect: [&str; 3]) {
        check_for(Purpose::Event, delivery, endpoint, expect);
    }

    #[test]
    fn what_is_over_says_what_to_do() {
        let enabled = endpoint(EndpointState::Enabled);
        check(
            &delivery(DeliveryState::Delivered),
            Some(&enabled),
            ["It arrived, with 3 attempts.", "Nothing more is sent.", ""],
        );
        let is = "It was given up after 3 attempts: the retry policy allows no more. \
                  The receiver, or a proxy before it, is not there for the moment.";
        let next = "Nothing more is sent by itself.";
        let mend = "Mend what is wrong at the receiver, then replay it.";
        check(&delivery(DeliveryState::Exhausted), Some(&enabled), [is, next, mend]);
        check(&delivery(DeliveryState::Exhausted), None, [is, next, ""]);
        let replayed = Delivery { attempts: 6, ..delivery(DeliveryState::Exhausted) };
        let is = is.replace("3 attempts", "3 attempts, of 6 in all");
        check(&replayed, Some(&enabled), [is.as_str(), next, mend]);
        check(
            &delivery(DeliveryState::Cancelled),
            Some(&enabled),
            ["An operator gave it up.", "Nothing more is sent.", "If that was a mistake, replay it."],
        );
        let deleted =
            Delivery { reason: Some(DeliveryReason::EndpointDeleted), ..delivery(DeliveryState::Cancelled) };
        let is = "It was given up, because its endpoint was deleted.";
        check(&deleted, None, [is, "Nothing more is sent.", ""]);
    }

    #[test]
    fn what_a_disabled_endpoint_misses_was_sent_or_not() {
        let next = "Nothing is sent by itself, even after the endpoint is enabled again.";
        let not_sent = "It was not sent, because its endpoint was disabled.";
        let disabled = endpoint(EndpointState::Disabled);
        let enable = "Enable the endpoint, then replay it, or recover the whole endpoint.";
        check(&unsent(DeliveryState::Skipped), Some(&disabled), [not_sent, next, enable]);
        let between = "It was given up after 3 attempts, because its endpoint was disabled.";
        let open = "The endpoint is open again: replay it.";
        check(
            &delivery(DeliveryState::Skipped),
            Some(&endpoint(EndpointState::Enabled)),
            [between, next, open],
        );
        let gone = Delivery { attempts: 1, last_status: Some(410), ..delivery(DeliveryState::Skipped) };
        let is =
            "It was given up after 1 attempt. The receiver wants no more events: the endpoint was disabled.";
        check(&gone, Some(&disabled), [is, next, enable]);
        let verify = "Verify the endpoint, then replay it.";
        check(
            &unsent(DeliveryState::Skipped),
            Some(&unverified(EndpointState::Paused)),
            [not_sent, next, verify],
        );
        let resume = "Resume the endpoint, then replay it.";
        check(
            &unsent(DeliveryState::Skipped),
            Some(&endpoint(EndpointState::Paused)),
            [not_sent, next, resume],
        );
    }

    #[test]
    fn what_tries_an_endpoint_out_knows_no_retry_policy() {
        let enabled = endpoint(EndpointState::Enabled);
        let failed = "It failed. The receiver, or a proxy before it, is not there for the moment.";
        let late = "It could not be sent in time, so it was given up.";
        for state in [DeliveryState::Exhausted, DeliveryState::Cancelled] {
            let next = "A test is not tried again by itself.";
            let test = "Send another test from the endpoint's page.";
            let again = "Mend what is wrong, then send another test from the endpoint's page.";
            check_for(Purpose::Test, &delivery(state), Some(&enabled), [failed, next, again]);
            check_for(Purpose::Test, &delivery(state), None, [failed, next, ""]);
            check_for(Purpose::Test, &unsent(state), Some(&enabled), [late, next, test]);
            let next = "A handshake is sent once.";
            let verify = "Verify the endpoint on its page.";
            check_for(Purpose::Handshake, &unsent(state), Some(&enabled), [late, next, verify]);
        }
        let blocked = Delivery {
            last_status: None,
            last_error: Some(ErrorClass::Blocked),
            ..delivery(DeliveryState::Exhausted)
        };
        check_for(
            Purpose::Handshake,
            &blocked,
            Some(&enabled),
            [
                "It failed. Nothing was sent.",
                "A handshake is sent once.",
                "Mend what is wrong, then verify the endpoint on its page.",
            ],
        );
        check_for(
            Purpose::Handshake,
            &delivery(DeliveryState::Delivered),
            Some(&enabled),
            [
                "It was answered.",
                "Nothing more is sent.",
                "Whether the answer is a consent, the endpoint's page says.",
            ],
        );
    }

    #[test]
    fn what_waits_says_for_what() {
        let next = |why| {
            let due_at = "2026-11-21T10:04:00Z".parse().unwrap();
            let next_attempt = Some(NextAttempt { due_at, number: 4, of: 10, why });
            Delivery { next_attempt, last_status: None, ..delivery(DeliveryState::Scheduled) }
        };
        let enabled = endpoint(EndpointState::Enabled);
        check(
            &next(Why::FirstAttempt),
            Some(&enabled),
            ["It waits for its turn.", "Attempt 4 of 10 is due in 4 min.", ""],
        );
        check(
            &next(Why::EndpointPaused),
            Some(&endpoint(EndpointState::Paused)),
            [
                "It is held, because its endpoint is paused.",
                "Attempt 4 of 10 goes out once the endpoint is resumed.",
                "Resume the endpoint on its page.",
            ],
        );
        check(
            &next(Why::EndpointPaused),
            Some(&unverified(EndpointState::Paused)),
            [
                "It is held, because its endpoint has not given its handshake.",
                "Attempt 4 of 10 goes out once the endpoint is verified, unless it is to be paused then.",
                "Verify the endpoint on its page.",
            ],
        );
        check(
            &next(Why::EndpointParked),
            Some(&enabled),
            [
                "The receiver asked for a pause.",
                "Attempt 4 of 10 is due in 4 min, when the pause is over.",
                "",
            ],
        );
    }

    #[test]
    fn a_handshake_is_known_by_its_topic() {
        let asked =
            Delivery { topic: Handshake::TOPIC.parse().unwrap(), ..delivery(DeliveryState::Delivered) };
        assert_eq!(Purpose::of(&asked, None), Purpose::Handshake);
        assert_eq!(Purpose::of(&delivery(DeliveryState::Delivered), None), Purpose::Event);
    }
}
