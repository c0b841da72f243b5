//! How to make the request of a delivery again.

use posthaste_client::{Attempt, AttemptRequest, BodyFormat, Delivery, Endpoint, EndpointTls, Event, Method};
use posthaste_model::HandshakeKind;

use crate::{body::Body, curl, explain::Purpose};

/// How to make the request again.
pub(super) struct Again {
    pub(super) command: String,
    /// The file that it reads; none: all of it is in the command.
    pub(super) file: Option<String>,
    /// Whether it stands for a request that was made.
    pub(super) sent: bool,
    /// Whether something in it was sent in confidence, and is not shown.
    pub(super) masked: bool,
    /// Whether the endpoint's format was changed since, so that another body was sent.
    pub(super) reformatted: bool,
    /// Which options of curl the endpoint's own certificates need.
    pub(super) certificates: Vec<&'static str>,
}

/// What the body of a delivery is made of.
pub(super) struct Material<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) purpose: Purpose,
    pub(super) event: &'a Event,
    pub(super) endpoint: &'a Endpoint,
    /// What names the service in CloudEvents.
    pub(super) source: &'a str,
}

impl Material<'_> {
    /// The body. A handshake goes raw, whatever events look like.
    pub(super) fn body(&self) -> Body {
        let format = match self.purpose {
            Purpose::Handshake => BodyFormat::Raw,
            _ => self.endpoint.format,
        };
        Body::of(self.event, format, self.source)
    }

    /// The last request of these attempts that is kept, or one that is made up.
    pub(super) fn again(&self, attempts: &[Attempt]) -> Again {
        let body = self.body();
        let sent = attempts.iter().rev().find_map(|attempt| attempt.request.as_ref());
        let of_type = [("content-type".to_owned(), body.content_type.clone())];
        let (method, url, headers) = match sent {
            Some(AttemptRequest { method, url, headers }) => (method.as_str(), url, headers.as_slice()),
            None => (self.method(), &self.endpoint.url, of_type.as_slice()),
        };
        // What asks for consent has no body.
        let bare = method == "OPTIONS";
        let headers = if bare && sent.is_none() { &[] } else { headers };
        let file = format!("{}.body", self.delivery.id);
        let request = curl::Request { method, url, headers, body: (!bare).then_some(&body), file: &file };
        let sent_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        Again {
            command: curl::command(&request),
            file: (!bare && curl::inline(&body).is_none()).then_some(file),
            sent: sent.is_some(),
            masked: headers.iter().any(|(_, value)| value == "***"),
            reformatted: !bare && sent_type.is_some_and(|(_, sent)| *sent != body.content_type),
            certificates: self.endpoint.tls.as_ref().map(certificates).unwrap_or_default(),
        }
    }

    fn method(&self) -> &'static str {
        let asks = self.endpoint.handshake.as_ref().map(|handshake| handshake.kind);
        match (self.purpose, asks, self.endpoint.method) {
            (Purpose::Handshake, Some(HandshakeKind::CloudEvents), _) => "OPTIONS",
            (_, _, Method::Post) => "POST",
            (_, _, Method::Put) => "PUT",
        }
    }
}

fn certificates(tls: &EndpointTls) -> Vec<&'static str> {
    let mut options = Vec::new();
    if tls.certificate.is_some() {
        options.extend(["--cert", "--key"]);
    }
    if tls.ca.is_some() {
        options.push("--cacert");
    }
    options
}

#[cfg(test)]
mod tests {
    use posthaste_client::EndpointHandshake;
    use posthaste_model::Handshake;
    use serde_json::json;

    use super::*;
    use crate::pages::example;

    fn delivery(topic: &str) -> Delivery {
        let json = json!({
            "id": "dlv_00000000000000000000000000000000", "tenant": "acme", "event": "e1", "topic": topic,
            "endpoint": "ep_00000000000000000000000000000000", "state": "exhausted", "reason": null,
            "attempts": 1, "failures": 1, "due_at": null, "last_status": 503, "last_error": null,
            "created_at": "2026-11-21T10:00:00Z", "completed_at": null,
        });
        serde_json::from_value(json).unwrap()
    }

    fn event(topic: &str) -> Event {
        let json = format!(
            r#"{{"id": "e1", "tenant": "acme", "topic": "{topic}", "accepted_at": "2026-11-21T10:00:00Z",
            "delivery_count": 1, "metadata": {{}}, "deliver_at": null, "retention": null, "test": false, "data": {{"a":1}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn endpoint(format: BodyFormat) -> Endpoint {
        Endpoint { url: "https://example.com/".into(), method: Method::Put, format, ..example::endpoint() }
    }

    /// An attempt whose request is kept.
    fn sent(method: &str, headers: &[(&str, &str)]) -> Attempt {
        let json = json!({
            "id": "att_00000000000000000000000000000000", "number": 1, "manual": false,
            "started_at": "2026-11-21T10:00:01Z", "timings": {"queued_ms": 1.0, "dns_ms": null,
            "connect_ms": null, "tls_ms": null, "first_byte_ms": null, "total_ms": 2.0},
            "request": {"method": method, "url": "https://example.com/then", "headers": headers},
            "response": null, "error": {"class": "timeout", "detail": "no answer in time"},
        });
        serde_json::from_value(json).unwrap()
    }

    #[track_caller]
    fn check(topic: &str, endpoint: &Endpoint, attempts: &[Attempt], expect: &str) -> Again {
        let (delivery, event) = (delivery(topic), event(topic));
        let purpose = Purpose::of(&delivery, None);
        let material =
            Material { delivery: &delivery, purpose, event: &event, endpoint, source: "/posthaste" };
        let again = material.again(attempts);
        assert_eq!(again.command.replace(" \\\n  ", " "), expect);
        again
    }

    #[test]
    fn the_last_request_is_made_again() {
        let attempts = [sent("POST", &[("content-type", "application/json"), ("x-key", "***")])];
        let again = check(
            "order.paid",
            &endpoint(BodyFormat::Raw),
            &attempts,
            r#"curl --globoff -X POST https://example.com/then -H 'content-type: application/json' -H 'x-key: ***' --data-raw '{"a":1}'"#,
        );
        assert!(again.sent && again.masked && !again.reformatted && again.file.is_none());
        let again = check(
            "order.paid",
            &endpoint(BodyFormat::Raw),
            &[],
            r#"curl --globoff -X PUT https://example.com/ -H 'content-type: application/json' --data-raw '{"a":1}'"#,
        );
        assert!(!again.sent && !again.masked && !again.reformatted);
    }

    #[test]
    fn a_format_that_was_changed_since_is_told() {
        let json = "application/json";
        for (sent_as, format, expect) in
            [(json, BodyFormat::CloudEvents, true), (json, BodyFormat::Standard, false)]
        {
            let (delivery, event, endpoint) = (delivery("order.paid"), event("order.paid"), endpoint(format));
            let material = Material {
                delivery: &delivery,
                purpose: Purpose::Event,
                event: &event,
                endpoint: &endpoint,
                source: "/posthaste",
            };
            let again = material.again(&[sent("POST", &[("Content-Type", sent_as)])]);
            assert_eq!(again.reformatted, expect, "{format:?}");
        }
    }

    #[test]
    fn a_handshake_goes_raw_or_has_no_body() {
        let asks = |kind| {
            let handshake = Some(EndpointHandshake { kind, verified_at: None, failure: None });
            Endpoint { handshake, ..endpoint(BodyFormat::CloudEvents) }
        };
        check(
            Handshake::TOPIC,
            &asks(HandshakeKind::Echo),
            &[],
            r#"curl --globoff -X PUT https://example.com/ -H 'content-type: application/json' --data-raw '{"a":1}'"#,
        );
        let consent = asks(HandshakeKind::CloudEvents);
        check(Handshake::TOPIC, &consent, &[], "curl --globoff -X OPTIONS https://example.com/");
        let attempts = [sent("OPTIONS", &[("webhook-request-origin", "hooks.example")])];
        let again = check(
            Handshake::TOPIC,
            &consent,
            &attempts,
            "curl --globoff -X OPTIONS https://example.com/then -H 'webhook-request-origin: hooks.example'",
        );
        assert!(again.sent && !again.reformatted && again.file.is_none());
    }

    #[test]
    fn certificates_of_its_own_are_told_of() {
        let tls = |certificate: &str, ca: &str| EndpointTls {
            certificate: Some(certificate.to_owned()).filter(|text| !text.is_empty()),
            private_key: None,
            ca: Some(ca.to_owned()).filter(|text| !text.is_empty()),
        };
        assert_eq!(certificates(&tls("c", "")), ["--cert", "--key"]);
        assert_eq!(certificates(&tls("c", "a")), ["--cert", "--key", "--cacert"]);
        assert_eq!(certificates(&tls("", "a")), ["--cacert"]);
    }
}
