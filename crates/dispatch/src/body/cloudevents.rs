//! CloudEvents 1.0.2: the JSON event format, and the HTTP protocol binding.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue};
use posthaste_model::{Event, Payload};

use super::{Body, JSON, enclose};

/// The content type of an event in structured mode.
const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";

/// An event in structured mode (HTTP protocol binding, section 3.2).
pub(super) fn structured<'a>(event: &'a Event, source: &str) -> Body<'a> {
    let mut head = String::from("{");
    for (name, value) in values(event, source) {
        head.push_str(&format!("\"{name}\":{},", quoted(&value)));
    }
    let bytes = match &event.payload {
        Payload::Data(data) => {
            head.push_str(&format!("\"datacontenttype\":\"{JSON}\",\"data\":"));
            enclose(&head, data, "}")
        }
        Payload::Raw { content_type, body } => {
            head.push_str(&format!("\"datacontenttype\":{},\"data_base64\":\"", quoted(content_type)));
            enclose(&head, BASE64_STANDARD.encode(body).as_bytes(), "\"}")
        }
    };
    Body { content_type: STRUCTURED.into(), bytes, headers: Vec::new() }
}

/// The headers of an event in binary mode (HTTP protocol binding, section 3.1).
pub(super) fn attributes(event: &Event, source: &str) -> Vec<(HeaderName, HeaderValue)> {
    let headers = values(event, source).into_iter().map(|(name, value)| {
        let name = HeaderName::try_from(format!("ce-{name}")).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    // All are ASCII without control characters by the making of their types, so that none is ever left out.
    headers.flatten().collect()
}

/// The attributes of an event, by name. An id is unique within a tenant: so is its source.
fn values(event: &Event, source: &str) -> [(&'static str, String); 5] {
    [
        ("specversion", "1.0".to_owned()),
        ("id", event.id.to_string()),
        ("source", format!("{source}/{}", event.tenant)),
        ("type", event.topic.to_string()),
        ("time", event.accepted_at.to_string()),
    ]
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
