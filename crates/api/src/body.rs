//! How request bodies are read.

use std::{collections::BTreeMap, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, value::RawValue};

use crate::{
    problem::{Kind, Place, Problem},
    recording::FieldNames,
    service::Service,
};

type Reading<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// The bytes of a body, at most as many as a request may have.
pub(crate) struct RawBody(pub(crate) Bytes);

impl FromRequest for RawBody {
    type Error = Problem;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit =
            request.app_data::<web::Data<Service>>().map_or(0, |service| service.settings.request_limit);
        let mut payload = payload.take();
        let encoded = request.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
        Box::pin(async move {
            if encoded {
                let detail = "bodies are taken as they are: send it without Content-Encoding";
                let place = Place::Header(CONTENT_ENCODING.as_str().to_owned());
                return Err(Problem::new(Kind::UnsupportedMediaType, detail).at(place));
            }
            let mut body = BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|e| {
                    Problem::new(Kind::InvalidParameter, format!("the body could not be read: {e}"))
                })?;
                if body.len() + chunk.len() > limit {
                    let detail = format!("the body is larger than the {limit} bytes that a request may have");
                    return Err(Problem::new(Kind::TooLarge, detail));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Self(body.freeze()))
        })
    }
}

/// A JSON body. What is wrong with it is told by its JSON pointer.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = require_json(request);
        let body = RawBody::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            typed?;
            let RawBody(body) = body.await?;
            note_fields(&request, &body);
            parse(&body).map(Self)
        })
    }
}

/// A JSON body that may be left out: then everything has its default.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = require_json(request);
        let body = RawBody::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let RawBody(body) = body.await?;
            if body.is_empty() {
                return Ok(Self(T::default()));
            }
            typed?;
            note_fields(&request, &body);
            parse(&body).map(Self)
        })
    }
}

/// Notes the names of a body's fields where the request is recorded. Of one that is no object nothing comes.
fn note_fields(request: &HttpRequest, json: &[u8]) {
    if let Some(FieldNames(names)) = request.extensions_mut().get_mut() {
        let fields: BTreeMap<String, IgnoredAny> = serde_json::from_slice(json).unwrap_or_default();
        *names = fields.into_keys().collect();
    }
}

/// The body of a request that says everything by its path.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Whether the request says that its body is JSON.
pub(crate) fn require_json(request: &HttpRequest) -> Result<(), Problem> {
    let content_type = content_type(request);
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    // A merge patch has a type of its own (RFC 7396, section 4).
    if ["application/json", "application/merge-patch+json"]
        .iter()
        .any(|json| essence.eq_ignore_ascii_case(json))
    {
        return Ok(());
    }
    let detail = format!("expected 'Content-Type: application/json', not '{content_type}'");
    Err(Problem::new(Kind::UnsupportedMediaType, detail).at(Place::Header("content-type".into())))
}

/// The request's content type, as it was written; empty where there is none.
pub(crate) fn content_type(request: &HttpRequest) -> &str {
    request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Reads a JSON object.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    refuse_list(json)?;
    serde_json::from_slice(json).map_err(|error| describe::<T>(json, &error))
}

/// Refuses a list where an object is expected: it would be read as the fields in their order, which nobody means.
pub(crate) fn refuse_list(json: &[u8]) -> Result<(), Problem> {
    if json.trim_ascii_start().starts_with(b"[") && serde_json::from_slice::<IgnoredAny>(json).is_ok() {
        return Err(Problem::field("", "expected an object, not a list"));
    }
    Ok(())
}

/// Finds out where a body is wrong: read again, slowly, by a deserializer that remembers where it is.
fn describe<T: DeserializeOwned>(json: &[u8], error: &serde_json::Error) -> Problem {
    // serde_json also calls it no JSON where a number stands in the place of an enum, or is too large.
    if error.classify() != serde_json::error::Category::Data
        && serde_json::from_slice::<&RawValue>(json).is_err()
    {
        return Problem::new(Kind::MalformedJson, error.to_string());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => String::new(),
        Err(error) => pointer(error.path()),
    };
    let message = error.to_string();
    // The place in the text helps nobody who has the pointer.
    let message = message.split(" at line ").next().unwrap_or(&message);
    if let Some((field, wrong)) = of_object(json, &path, message) {
        return Problem::field(format!("{path}/{field}"), wrong);
    }
    Problem::field(with_named_field(path, message), message)
}

/// What is wrong with a field of an object that was judged as a whole: the judgement begins with the field's name.
fn of_object<'a>(json: &[u8], path: &str, message: &'a str) -> Option<(&'a str, &'a str)> {
    let (field, wrong) = message.split_once(": ")?;
    let is_name = field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let judged: Value = serde_json::from_slice(json).ok()?;
    (is_name && judged.pointer(path)?.is_object()).then_some((field, wrong))
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// Escapes a reference token of a JSON pointer (RFC 6901, section 3).
pub(crate) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// An unknown, missing or repeated field is named by the message, not by the path.
fn with_named_field(mut path: String, message: &str) -> String {
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|before| message.strip_prefix(before)?.split('`').next());
    if let Some(field) = named {
        let token = format!("/{}", escape(field));
        if !path.ends_with(&token) {
            path.push_str(&token);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use posthaste_model::{EndpointState, RetryPolicy};

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        list: Option<Vec<Inner>>,
        retry: Option<RetryPolicy>,
        data: Option<Box<RawValue>>,
        state: Option<EndpointState>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        a: u32,
    }

    #[track_caller]
    fn check(json: &str, kind: &str, pointer: Option<&str>) {
        use actix_web::ResponseError as _;
        let problem = parse::<Outer>(json.as_bytes()).unwrap_err();
        let shown = format!("{problem:?}");
        assert!(shown.contains(kind), "{json}: {shown}");
        if let Some(pointer) = pointer {
            assert!(shown.contains(&format!("Pointer({pointer:?})")), "{json}: {shown}");
        }
        assert!(problem.status_code().is_client_error());
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(r#"{"name": "#, "MalformedJson", None);
        check(r#"{"name": 1}"#, "InvalidField", Some("/name"));
        check(r#"{}"#, "InvalidField", Some("/name"));
        check(r#"{"name": "x", "nmae": 1}"#, "InvalidField", Some("/nmae"));
        check(r#"{"name": "x", "name": "y"}"#, "InvalidField", Some("/name"));
        check(r#"{"name": "x", "list": [{"a": 1}, {"a": "x"}]}"#, "InvalidField", Some("/list/1/a"));
        check(r#"{"name": "x", "list": [{"a": 1, "b/c": 2}]}"#, "InvalidField", Some("/list/0/b~1c"));
        check(r#"{"name": "x", "retry": {"schedule": []}}"#, "InvalidField", Some("/retry/schedule"));
        check(r#"{"name": "x", "retry": {}}"#, "InvalidField", Some("/retry/initial_interval"));
        check(r#"{"name": "x", "retry": {"schedule": ["a"]}}"#, "InvalidField", Some("/retry/schedule/0"));
        check(r#"{"name": "x", "retry": "a: b"}"#, "InvalidField", Some("/retry"));
        check(r#"[]"#, "InvalidField", Some(""));
        check(r#" ["x", null, null, null, null]"#, "InvalidField", Some(""));
        check(r#"["x""#, "MalformedJson", None);
        // All of this is JSON.
        for state in ["5", "true", "[]"] {
            check(&format!(r#"{{"name": "x", "state": {state}}}"#), "InvalidField", Some("/state"));
        }
        check(r#"{"name": "x", "list": [{"a": 1e400}]}"#, "InvalidField", Some("/list/0/a"));
        check(r#"{"name": "\ud800"}"#, "InvalidField", Some("/name"));
        check(r#"{"name": "x", "state": 5} x"#, "MalformedJson", None);
    }

    #[test]
    fn raw_values_pass() {
        let outer: Outer = parse(br#"{"name": "x", "data": { "b" : 1.50 }}"#).unwrap();
        assert_eq!(outer.data.unwrap().get(), r#"{ "b" : 1.50 }"#);
    }
}
