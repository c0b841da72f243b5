//! The bytes that a subscriber receives.

mod cloudevents;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use posthaste_model::{BodyFormat, Event, Payload};

/// The content type of a JSON value, alone or in the standard envelope.
const JSON: &str = "application/json";

/// What a delivery carries. The same event in the same format is the same every time.
#[derive(Debug, Clone, PartialEq)]
pub struct Body<'a> {
    /// Its `Content-Type`.
    pub content_type: Cow<'a, str>,
    /// The bytes.
    pub bytes: Bytes,
    /// What is said about it in headers beside.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl<'a> Body<'a> {
    /// The body of an event's deliveries. `source` names this service in CloudEvents: a URI reference.
    ///
    /// A JSON value keeps its bytes as they were published, alone or inside an envelope. What was published raw goes as it
    /// came; CloudEvents in structured mode carry it in base64.
    pub fn new(event: &'a Event, format: BodyFormat, source: &str) -> Self {
        match (format, &event.payload) {
            (BodyFormat::CloudEvents, _) => cloudevents::structured(event, source),
            (BodyFormat::CloudEventsBinary, _) => {
                Self { headers: cloudevents::attributes(event, source), ..Self::plain(&event.payload) }
            }
            (BodyFormat::Standard, Payload::Data(data)) => {
                Self { bytes: standard(event, data), ..Self::plain(&event.payload) }
            }
            (BodyFormat::Standard | BodyFormat::Raw, payload) => Self::plain(payload),
        }
    }

    /// The bytes as they were published.
    fn plain(payload: &'a Payload) -> Self {
        let content_type = payload.content_type().unwrap_or(JSON);
        Self { content_type: content_type.into(), bytes: payload.bytes().clone(), headers: Vec::new() }
    }
}

/// The envelope of Standard Webhooks ("Webhook payload"): `{"type": ..., "timestamp": ..., "data": ...}`.
fn standard(event: &Event, data: &[u8]) -> Bytes {
    // A topic and a time have no character that JSON escapes.
    let head = format!(r#"{{"type":"{}","timestamp":"{}","data":"#, event.topic, event.accepted_at);
    enclose(&head, data, "}")
}

fn enclose(head: &str, data: &[u8], tail: &str) -> Bytes {
    let mut body = Vec::with_capacity(head.len() + data.len() + tail.len());
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(data);
    body.extend_from_slice(tail.as_bytes());
    body.into()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use posthaste_model::{EventOptions, TenantId};
    use serde_json::Value;

    use super::*;

    fn event(payload: Payload) -> Event {
        Event {
            tenant: TenantId::default_tenant(),
            id: "e1".parse().unwrap(),
            topic: "order.paid".parse().unwrap(),
            payload,
            accepted_at: "2026-11-21T10:00:00.123Z".parse().unwrap(),
            options: EventOptions::default(),
        }
    }

    /// What was published, as the API writes it.
    fn published(payload: &Value) -> Payload {
        let text = |field: &str| payload[field].as_str();
        let Some(content_type) = text("content_type") else {
            return Payload::Data(text("data").unwrap().to_owned().into());
        };
        let body = match text("body_base64") {
            Some(encoded) => BASE64_STANDARD.decode(encoded).unwrap(),
            None => text("body").unwrap().into(),
        };
        Payload::Raw { content_type: content_type.into(), body: body.into() }
    }

    // The console makes the same bodies to show them, and reads the same cases.
    #[test]
    fn bodies_are_as_the_cases_have_them() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("body/cases.json")).unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let format = serde_json::from_value(case["format"].clone()).unwrap();
            let event = event(published(&case["published"]));
            let body = Body::new(&event, format, "/posthaste");
            assert_eq!(
                (&*body.content_type, std::str::from_utf8(&body.bytes).unwrap()),
                (case["content_type"].as_str().unwrap(), case["body"].as_str().unwrap()),
                "{case}"
            );
            assert_eq!(body.headers.is_empty(), format != BodyFormat::CloudEventsBinary, "{case}");
            assert_eq!(body, Body::new(&event, format, "/posthaste"));
            if body.content_type.contains("json") {
                assert!(serde_json::from_slice::<Value>(&body.bytes).is_ok(), "{case}");
            }
        }
    }

    #[test]
    fn a_cloud_event_has_its_attributes_in_headers() {
        let event = event(Payload::Data(Bytes::from_static(b"1")));
        let said: Vec<String> = Body::new(&event, BodyFormat::CloudEventsBinary, "/posthaste")
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            said,
            [
                "ce-specversion: 1.0",
                "ce-id: e1",
                "ce-source: /posthaste/default",
                "ce-type: order.paid",
                "ce-time: 2026-11-21T10:00:00.123Z",
            ]
        );
    }
}
