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
    use posthaste_model::{EventOptions, TenantId};

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

    fn data() -> Event {
        event(Payload::Data(Bytes::from_static(br#"{"b": 1.0, "a":[ 1e3 ]}"#)))
    }

    fn raw(content_type: &str, body: &'static str) -> Event {
        event(Payload::Raw { content_type: content_type.into(), body: Bytes::from_static(body.as_bytes()) })
    }

    #[track_caller]
    fn check(event: &Event, format: BodyFormat, content_type: &str, bytes: &str, headers: &[&str]) {
        let body = Body::new(event, format, "/posthaste");
        let said: Vec<String> =
            body.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!(
            (&*body.content_type, std::str::from_utf8(&body.bytes).unwrap(), said.as_slice()),
            (content_type, bytes, headers.iter().map(|&h| h.to_owned()).collect::<Vec<_>>().as_slice())
        );
        assert_eq!(body, Body::new(event, format, "/posthaste"));
    }

    #[test]
    fn a_json_value_keeps_its_spelling() {
        let json = r#"{"b": 1.0, "a":[ 1e3 ]}"#;
        let standard =
            format!(r#"{{"type":"order.paid","timestamp":"2026-11-21T10:00:00.123Z","data":{json}}}"#);
        check(&data(), BodyFormat::Standard, "application/json", &standard, &[]);
        check(&data(), BodyFormat::Raw, "application/json", json, &[]);
        assert!(serde_json::from_str::<serde_json::Value>(&standard).is_ok());
    }

    #[test]
    fn a_raw_body_goes_as_it_came() {
        for format in [BodyFormat::Standard, BodyFormat::Raw] {
            check(&raw("text/xml", "<a/>"), format, "text/xml", "<a/>", &[]);
        }
    }

    #[test]
    fn a_cloud_event_has_its_attributes_in_the_envelope() {
        let attributes = r#""specversion":"1.0","id":"e1","source":"/posthaste/default","type":"order.paid","time":"2026-11-21T10:00:00.123Z""#;
        for (event, rest) in [
            (data(), r#""datacontenttype":"application/json","data":{"b": 1.0, "a":[ 1e3 ]}"#),
            (raw("text/xml", "<a/>"), r#""datacontenttype":"text/xml","data_base64":"PGEvPg==""#),
            // A content type may quote.
            (raw("text/plain; x=\"y\"", ""), r#""datacontenttype":"text/plain; x=\"y\"","data_base64":"""#),
        ] {
            let bytes = format!("{{{attributes},{rest}}}");
            let content_type = "application/cloudevents+json; charset=utf-8";
            check(&event, BodyFormat::CloudEvents, content_type, &bytes, &[]);
            assert!(serde_json::from_str::<serde_json::Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn a_cloud_event_has_its_attributes_in_headers() {
        let headers = [
            "ce-specversion: 1.0",
            "ce-id: e1",
            "ce-source: /posthaste/default",
            "ce-type: order.paid",
            "ce-time: 2026-11-21T10:00:00.123Z",
        ];
        let format = BodyFormat::CloudEventsBinary;
        check(&data(), format, "application/json", r#"{"b": 1.0, "a":[ 1e3 ]}"#, &headers);
        check(&raw("text/xml", "<a/>"), format, "text/xml", "<a/>", &headers);
    }
}
