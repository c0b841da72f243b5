use bytes::Bytes;
use posthaste_model::{Event, Payload};

/// The content type of the standard envelope.
pub const ENVELOPE_TYPE: &str = "application/json";

/// The body that subscribers receive, and its content type.
///
/// A JSON value travels in the envelope of Standard Webhooks ("Webhook payload"):
/// `{"type": ..., "timestamp": ..., "data": ...}`, with the value's bytes as they were published. A raw body travels
/// as it is. The same event gives the same bytes every time.
pub fn envelope(event: &Event) -> (&str, Bytes) {
    match &event.payload {
        Payload::Raw { content_type, body } => (content_type, body.clone()),
        Payload::Data(data) => {
            // A topic and a time have no character that JSON escapes.
            let head = format!(r#"{{"type":"{}","timestamp":"{}","data":"#, event.topic, event.accepted_at);
            let mut body = Vec::with_capacity(head.len() + data.len() + 1);
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(data);
            body.push(b'}');
            (ENVELOPE_TYPE, body.into())
        }
    }
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

    #[test]
    fn a_json_value_keeps_its_spelling() {
        let data = Bytes::from_static(br#"{"b": 1.0, "a":[ 1e3 ]}"#);
        let event = event(Payload::Data(data));
        let (content_type, body) = envelope(&event);
        assert_eq!(content_type, "application/json");
        assert_eq!(
            body,
            &br#"{"type":"order.paid","timestamp":"2026-11-21T10:00:00.123Z","data":{"b": 1.0, "a":[ 1e3 ]}}"#[..]
        );
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }

    #[test]
    fn a_raw_body_goes_as_it_came() {
        let raw = Payload::Raw { content_type: "text/xml".into(), body: Bytes::from_static(b"<a/>") };
        let event = event(raw);
        assert_eq!(envelope(&event), ("text/xml", Bytes::from_static(b"<a/>")));
    }
}
