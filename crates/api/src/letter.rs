//! What a letter of the store's inbox says: an event in plain fields.

use std::fmt;

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use posthaste_model::{Payload, TenantId};
use posthaste_store::Letter;
use serde_json::value::RawValue;

use crate::{
    intake::{Publication, json_payload},
    metadata::MetadataText,
    wishes::Wishes,
};

/// Characters of an unknown field's name that are shown.
const SHOWN: usize = 64;

/// What a letter asks for.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) tenant: TenantId,
    pub(crate) publication: Publication,
}

/// The field of a letter that is wrong, and how.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub(crate) struct WrongField {
    field: String,
    detail: String,
}

impl WrongField {
    pub(crate) fn new(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { field: field.into(), detail: detail.to_string() }
    }
}

/// The fields that a letter may have, each once.
#[derive(Default)]
struct Fields<'a> {
    tenant: Option<&'a Bytes>,
    id: Option<&'a Bytes>,
    topic: Option<&'a Bytes>,
    data: Option<&'a Bytes>,
    body: Option<&'a Bytes>,
    content_type: Option<&'a Bytes>,
    metadata: Option<&'a Bytes>,
    deliver_at: Option<&'a Bytes>,
    delay: Option<&'a Bytes>,
    retention: Option<&'a Bytes>,
    endpoint: Option<&'a Bytes>,
}

impl<'a> Fields<'a> {
    fn of(letter: &'a Letter) -> Result<Self, WrongField> {
        let mut fields = Self::default();
        for (name, value) in &letter.fields {
            let field = match name.as_ref() {
                b"tenant" => &mut fields.tenant,
                b"id" => &mut fields.id,
                b"topic" => &mut fields.topic,
                b"data" => &mut fields.data,
                b"body" => &mut fields.body,
                b"content_type" => &mut fields.content_type,
                b"metadata" => &mut fields.metadata,
                b"deliver_at" => &mut fields.deliver_at,
                b"delay" => &mut fields.delay,
                b"retention" => &mut fields.retention,
                b"endpoint" => &mut fields.endpoint,
                _ => return Err(WrongField::new(shown(name), "unknown field")),
            };
            if field.replace(value).is_some() {
                return Err(WrongField::new(shown(name), "is there twice"));
            }
        }
        Ok(fields)
    }
}

/// Reads a letter.
///
/// One that gives its event no id has it from its own name: a letter that is read twice is one event.
pub(crate) fn read(letter: &Letter) -> Result<Posted, WrongField> {
    let fields = Fields::of(letter)?;
    let tenant = match fields.tenant {
        Some(tenant) => parse("tenant", tenant)?,
        None => TenantId::default_tenant(),
    };
    let id = match fields.id {
        Some(id) => parse("id", id)?,
        None => format!("inbox-{}", letter.id.0)
            .parse()
            .map_err(|_| WrongField::new("id", "is missing, and the letter's own name makes none"))?,
    };
    let topic = parse("topic", fields.topic.ok_or_else(|| WrongField::new("topic", "is missing"))?)?;
    let payload = payload(&fields)?;
    let wishes = wishes(&fields)?;
    Ok(Posted { tenant, publication: Publication { topic, id: Some(id), payload, wishes } })
}

fn wishes(fields: &Fields<'_>) -> Result<Wishes, WrongField> {
    let metadata = fields.metadata.map(|text| parse::<MetadataText>("metadata", text)).transpose()?;
    Ok(Wishes {
        metadata: metadata.map(|MetadataText(metadata)| metadata).unwrap_or_default(),
        deliver_at: fields.deliver_at.map(|text| parse("deliver_at", text)).transpose()?,
        delay: fields.delay.map(|text| parse("delay", text)).transpose()?,
        retention: fields.retention.map(|text| parse("retention", text)).transpose()?,
        endpoint: fields.endpoint.map(|text| parse("endpoint", text)).transpose()?,
        // It may have lain there while nobody read letters.
        waited: true,
    })
}

fn payload(fields: &Fields<'_>) -> Result<Payload, WrongField> {
    match (fields.data, fields.body, fields.content_type) {
        (Some(data), None, None) => {
            let json: &RawValue = serde_json::from_str(text("data", data)?)
                .map_err(|e| WrongField::new("data", format_args!("is not JSON: {e}")))?;
            Ok(json_payload(json))
        }
        (None, Some(body), Some(content_type)) => {
            let content_type = text("content_type", content_type)?;
            // It becomes a header.
            let valid = HeaderValue::from_str(content_type).is_ok_and(|value| value.to_str().is_ok());
            if content_type.is_empty() || !valid {
                return Err(WrongField::new("content_type", "is not a content type"));
            }
            Ok(Payload::Raw { content_type: content_type.to_owned(), body: body.clone() })
        }
        (Some(_), Some(_), _) => Err(WrongField::new("body", "does not go with 'data'")),
        (Some(_), None, Some(_)) => Err(WrongField::new("content_type", "does not go with 'data'")),
        (None, Some(_), None) => {
            Err(WrongField::new("content_type", "is missing: a body is sent as it came"))
        }
        (None, None, Some(_)) => Err(WrongField::new("body", "is missing")),
        (None, None, None) => {
            Err(WrongField::new("data", "is missing: a letter has 'data', or 'body' and 'content_type'"))
        }
    }
}

fn text<'a>(field: &str, value: &'a Bytes) -> Result<&'a str, WrongField> {
    std::str::from_utf8(value).map_err(|_| WrongField::new(field, "is not UTF-8"))
}

fn parse<T: std::str::FromStr<Err: fmt::Display>>(field: &str, value: &Bytes) -> Result<T, WrongField> {
    text(field, value)?.parse().map_err(|e| WrongField::new(field, e))
}

/// The name of a field that nobody knows: whatever it is, it fits on a line.
fn shown(name: &Bytes) -> String {
    String::from_utf8_lossy(name).chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use posthaste_model::{EndpointId, Period, Timestamp};

    use super::*;
    use crate::fixture::letter;

    #[track_caller]
    fn refused(fields: &[(&str, &str)], expect: &str) {
        assert_eq!(read(&letter("1-0", fields)).unwrap_err().to_string(), expect);
    }

    const TOPIC: (&str, &str) = ("topic", "order.paid");

    #[test]
    fn a_json_value_keeps_its_spelling() {
        let posted = read(&letter("1-0", &[TOPIC, ("data", r#" { "b" : 1.50 } "#)])).unwrap();
        assert_eq!(posted.tenant, TenantId::default_tenant());
        assert_eq!(posted.publication.id.unwrap().as_str(), "inbox-1-0");
        assert_eq!(posted.publication.payload, Payload::Data(r#"{ "b" : 1.50 }"#.into()));
    }

    #[test]
    fn a_body_is_any_bytes() {
        let mut raw =
            letter("1-0", &[("content_type", "text/csv"), TOPIC, ("tenant", "acme"), ("id", "e:1")]);
        raw.fields.push(("body".into(), Bytes::from_static(b"\xff,1")));
        let posted = read(&raw).unwrap();
        assert_eq!(posted.tenant.as_str(), "acme");
        assert_eq!(posted.publication.id.unwrap().as_str(), "e:1");
        let payload = Payload::Raw { content_type: "text/csv".into(), body: Bytes::from_static(b"\xff,1") };
        assert_eq!(posted.publication.payload, payload);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let data = ("data", "1");
        refused(&[data], "topic: is missing");
        refused(&[TOPIC], "data: is missing: a letter has 'data', or 'body' and 'content_type'");
        refused(&[TOPIC, data, ("dta", "2")], "dta: unknown field");
        refused(&[TOPIC, data, ("a\nb", "")], r"a\nb: unknown field");
        refused(&[TOPIC, data, TOPIC], "topic: is there twice");
        refused(&[TOPIC, ("data", "{]")], "data: is not JSON: key must be a string at line 1 column 2");
        refused(&[TOPIC, ("data", "")], "data: is not JSON: EOF while parsing a value at line 1 column 0");
        refused(&[TOPIC, ("data", "1 2")], "data: is not JSON: trailing characters at line 1 column 3");
        refused(&[TOPIC, data, ("body", "x"), ("content_type", "x")], "body: does not go with 'data'");
        refused(&[TOPIC, data, ("content_type", "x")], "content_type: does not go with 'data'");
        refused(&[TOPIC, ("body", "x")], "content_type: is missing: a body is sent as it came");
        refused(&[TOPIC, ("content_type", "text/csv")], "body: is missing");
        for bad in ["", "a\r\nb", "ä"] {
            let fields = [TOPIC, ("body", "x"), ("content_type", bad)];
            refused(&fields, "content_type: is not a content type");
        }
        refused(
            &[("topic", "a..b"), data],
            "topic: not a topic: expected 1 to 128 characters: parts of letters, digits, '_' or '-', separated by \
             single dots",
        );
        refused(
            &[TOPIC, data, ("id", "a.b")],
            "id: not an event id: expected 1 to 128 letters, digits, '_', '-' or ':'",
        );
        refused(
            &[TOPIC, data, ("tenant", "a/b")],
            "tenant: not a tenant id: expected 1 to 64 letters, digits, '.', '_' or '-', not only dots",
        );
        refused(
            &[TOPIC, data, ("metadata", "[1]")],
            "metadata: is not a JSON object of texts: invalid type: sequence, expected a map at line 1 column 0",
        );
        refused(
            &[TOPIC, data, ("delay", "soon")],
            "delay: not a length of time: expected a number and a unit, such as '15s', '5m', '24h' or '7d'",
        );
        refused(
            &[TOPIC, data, ("retention", "-1d")],
            "retention: not a length of time: expected a number and a unit, such as '15s', '5m', '24h' or '7d'",
        );
        for field in ["deliver_at", "endpoint"] {
            let wrong = read(&letter("1-0", &[TOPIC, data, (field, "soon")])).unwrap_err().to_string();
            assert!(wrong.starts_with(&format!("{field}: ")), "{wrong}");
        }
    }

    #[test]
    fn what_is_asked_for_beside_is_read() {
        let endpoint = EndpointId::mint(Timestamp::UNIX_EPOCH, [7; 10]);
        let fields = [
            TOPIC,
            ("data", "1"),
            ("metadata", r#"{"source": "billing"}"#),
            ("deliver_at", "1970-01-02T00:00:00Z"),
            ("retention", "90d"),
            ("endpoint", &endpoint.to_string()),
        ];
        let wishes = read(&letter("1-0", &fields)).unwrap().publication.wishes;
        assert_eq!(wishes.metadata["source"], "billing");
        assert_eq!(wishes.deliver_at.unwrap().as_second(), 86_400);
        assert_eq!(wishes.retention, Some(Period::from_secs(90 * 86_400)));
        assert_eq!(wishes.endpoint, Some(endpoint));
        let later = read(&letter("1-0", &[TOPIC, ("data", "1"), ("delay", "10m")])).unwrap();
        assert_eq!(later.publication.wishes.delay, Some(Period::from_secs(600)));
    }

    #[test]
    fn bad_utf_8_is_named() {
        for field in
            ["tenant", "id", "topic", "data", "metadata", "deliver_at", "delay", "retention", "endpoint"]
        {
            let mut fields = vec![("topic", "a"), ("data", "1"), ("tenant", "a"), ("id", "a")];
            fields.retain(|(name, _)| *name != field);
            let mut letter = letter("1-0", &fields);
            letter.fields.push((field.into(), Bytes::from_static(b"\xff")));
            assert_eq!(read(&letter).unwrap_err(), WrongField::new(field, "is not UTF-8"));
        }
        let mut letter = letter("1-0", &[TOPIC, ("data", "1")]);
        letter.fields.push((Bytes::from_static(b"\xff"), "".into()));
        assert_eq!(read(&letter).unwrap_err(), WrongField::new("\u{fffd}", "unknown field"));
    }

    #[test]
    fn a_letter_whose_name_makes_no_id_needs_one() {
        let named = letter("a.b", &[TOPIC, ("data", "1"), ("id", "e1")]);
        assert!(read(&named).is_ok());
        let unnamed = letter("a.b", &[TOPIC, ("data", "1")]);
        let expect = "id: is missing, and the letter's own name makes none";
        assert_eq!(read(&unnamed).unwrap_err().to_string(), expect);
    }
}
