//! The bytes that a receiver was sent: made of the event as the dispatcher makes them, since they are not kept.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthaste_client::{BodyFormat, Event};
use serde_json::Value;

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) content_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    /// The body of an event's deliveries in a format. `source` names the service in CloudEvents.
    pub(crate) fn of(event: &Event, format: BodyFormat, source: &str) -> Self {
        let plain = Self::published(event);
        match (format, &event.data) {
            (BodyFormat::Standard, Some(data)) => {
                let (topic, at) = (&event.topic, event.accepted_at);
                let text = format!(r#"{{"type":"{topic}","timestamp":"{at}","data":{data}}}"#);
                Self { bytes: text.into_bytes(), ..plain }
            }
            (BodyFormat::CloudEvents, data) => {
                let quoted = |text: &str| Value::from(text).to_string();
                let (id, at, topic) = (event.id.as_str(), event.accepted_at, &event.topic);
                let source = quoted(&format!("{source}/{}", event.tenant));
                let content_type = quoted(&plain.content_type);
                let payload = match data {
                    Some(data) => format!(r#""data":{data}"#),
                    None => format!(r#""data_base64":"{}""#, STANDARD.encode(&plain.bytes)),
                };
                let text = format!(
                    r#"{{"specversion":"1.0","id":{},"source":{source},"type":"{topic}","time":"{at}","datacontenttype":{content_type},{payload}}}"#,
                    quoted(id)
                );
                let content_type = "application/cloudevents+json; charset=utf-8".into();
                Self { content_type, bytes: text.into_bytes() }
            }
            _ => plain,
        }
    }

    /// The payload as it was published.
    pub(crate) fn published(event: &Event) -> Self {
        if let Some(data) = &event.data {
            return Self { content_type: "application/json".into(), bytes: data.get().as_bytes().to_vec() };
        }
        let bytes = match (&event.body, &event.body_base64) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(encoded)) => STANDARD.decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        Self { content_type: event.content_type.clone().unwrap_or_default(), bytes }
    }

    /// The same as text; none: it is none.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(payload: &Value) -> Event {
        let mut event = json!({
            "id": "e1", "tenant": "default", "topic": "order.paid", "accepted_at": "2026-11-21T10:00:00.123Z",
            "delivery_count": 1, "metadata": {}, "deliver_at": null, "retention": null, "test": false,
        });
        let fields = event.as_object_mut().unwrap();
        fields.extend(payload.as_object().unwrap().clone());
        // JSON that is published keeps its spelling, so it is not read on the way.
        let data = fields.remove("data").map(|data| format!(r#""data":{},"#, data.as_str().unwrap()));
        let rest = event.to_string();
        serde_json::from_str(&format!("{{{}{}", data.unwrap_or_default(), &rest[1..])).unwrap()
    }

    #[test]
    fn bodies_are_as_the_dispatcher_makes_them() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../dispatch/src/body/cases.json")).unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let format = serde_json::from_value(case["format"].clone()).unwrap();
            let body = Body::of(&event(&case["published"]), format, "/posthaste");
            assert_eq!(
                (body.content_type.as_str(), String::from_utf8_lossy(&body.bytes)),
                (case["content_type"].as_str().unwrap(), case["body"].as_str().unwrap().into()),
                "{case}"
            );
        }
    }

    #[test]
    fn what_is_no_text_is_none() {
        let published =
            |encoded| Body::published(&event(&json!({"content_type": "a/b", "body_base64": encoded})));
        assert_eq!(
            (published("/wA=").bytes.as_slice(), published("/wA=").text()),
            ([0xff, 0].as_slice(), None)
        );
        assert_eq!(published("YQBi").text(), Some("a\0b"));
    }
}
