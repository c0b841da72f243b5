//! The headers that an endpoint asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use posthaste_model::{BodyFormat, Credentials};
use posthaste_signing::Profile;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::{
    secret_field::{SecretField, unexpected},
    visible,
};
use crate::{body::escape, problem::Problem};

/// Most headers of an endpoint.
const MAX_HEADERS: usize = 20;
/// Most characters of a name.
const MAX_NAME: usize = 64;
/// Most characters of a value.
const MAX_VALUE: usize = 4_096;
/// Most characters of all names and values: many receivers take no more than 8 KiB of headers.
const MAX_TOGETHER: usize = 6 * 1_024;

/// Headers by their names.
pub(crate) type HeaderFields = BTreeMap<String, HeaderField>;

/// The value of a header: `"prod"`, or `{"secret": "abc"}`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum HeaderField {
    /// Everybody may see it.
    Shown(String),
    /// Nobody may.
    Secret(SecretField),
}

impl HeaderField {
    /// Whether it is a secret that was there already.
    pub(super) fn keeps_secret(&self) -> bool {
        matches!(self, Self::Secret(SecretField::Kept))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretHeader {
    secret: SecretField,
}

impl Serialize for HeaderField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Shown(value) => serializer.serialize_str(value),
            Self::Secret(secret) => SecretHeader { secret: secret.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for HeaderField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        // As in a secret's place, nothing is repeated by an error.
        impl<'de> Visitor<'de> for Text {
            type Value = HeaderField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a text, or {"secret": "…"}"#)
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<HeaderField, E> {
                Ok(HeaderField::Shown(value.to_owned()))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<HeaderField, E> {
                Err(unexpected(&self))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<HeaderField, E> {
                Err(unexpected(&self))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<HeaderField, E> {
                Err(unexpected(&self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderField, A::Error> {
                let header = SecretHeader::deserialize(MapAccessDeserializer::new(map))?;
                Ok(HeaderField::Secret(header.secret))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// What sets headers of its own beside those that an endpoint asks for.
pub(crate) struct Others<'a> {
    /// What the names of the service's own headers begin with.
    pub(crate) prefix: &'a str,
    pub(crate) profile: &'a Profile,
    pub(crate) format: BodyFormat,
}

impl Others<'_> {
    /// Asserts that the profile sets no header that others set, or that nobody may.
    pub(crate) fn collide(&self) -> Result<(), Problem> {
        // A preset's own headers win: where a service wears a preset's prefix, both say the same.
        if self.profile.name() != "custom" {
            return Ok(());
        }
        for name in self.profile.header_names() {
            let lower = name.to_ascii_lowercase();
            // Some formats sign in it, and `auth` makes way.
            let barred = || reserved(&lower).filter(|_| lower != "authorization").map(str::to_owned);
            if let Some(taken) = self.of_event(&lower).or_else(barred) {
                return Err(Problem::field(format!("/signature/headers/{}", escape(name)), taken));
            }
        }
        Ok(())
    }

    /// Why an endpoint cannot ask for a header; none: it can.
    fn taken(&self, name: &str) -> Option<String> {
        if self.profile.header_names().any(|own| own.eq_ignore_ascii_case(name)) {
            return Some(format!("is set by the signature profile '{}'", self.profile.name()));
        }
        self.of_event(name).or_else(|| reserved(name).map(str::to_owned))
    }

    /// Why a header is the service's own, which says with it what an event is.
    fn of_event(&self, name: &str) -> Option<String> {
        let prefix = self.prefix.to_ascii_lowercase();
        let own = name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('-'));
        if own.is_some_and(|own| ["topic", "attempt"].contains(&own) || own.starts_with("metadata-")) {
            return Some("is a header of the service's own".to_owned());
        }
        let binary = self.format == BodyFormat::CloudEventsBinary && name.starts_with("ce-");
        binary
            .then(|| "is an attribute of a CloudEvent, which the format 'cloudevents-binary' sets".to_owned())
    }
}

/// Why nobody may ask for a header, by its name in lower case; none: it depends on the endpoint.
fn reserved(name: &str) -> Option<&'static str> {
    match name {
        "authorization" => Some("is set by 'auth': give the endpoint's token, user or client there"),
        "content-type" => Some("says what the body is: it is set by 'format'"),
        "user-agent" => Some("names the service: it is set by 'http.user_agent' in its settings"),
        "accept-encoding" | "connection" | "content-encoding" | "content-length" | "expect" | "host"
        | "http2-settings" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" => {
            Some("belongs to the connection, not to the request")
        }
        "cookie" | "set-cookie" | "set-cookie2" => Some("is for browsers"),
        "forwarded" | "via" | "x-real-ip" => Some("is for proxies to set"),
        "x-http-method" | "x-http-method-override" | "x-method-override" => {
            Some("would make another request of it: give the 'method' of the endpoint")
        }
        _ if name.starts_with("proxy-") || name.starts_with("x-forwarded-") => Some("is for proxies to set"),
        _ => None,
    }
}

/// Names the headers that a patch changes as they are named already: names of headers have no case.
///
/// A name that is there to the letter stays what it is, and so do further ones that differ in nothing but their case.
pub(super) fn rename(changes: &mut Map<String, Value>, present: &Map<String, Value>) {
    for own in present.keys() {
        let other = changes.keys().find(|name| name.eq_ignore_ascii_case(own)).cloned();
        if let Some(other) = other.filter(|_| !changes.contains_key(own))
            && let Some(change) = changes.remove(&other)
        {
            changes.insert(own.clone(), change);
        }
    }
}

/// Checks names and values. What is secret goes to `credentials`, and may be what is `kept` there already.
pub(super) fn judge(
    fields: &HeaderFields,
    others: &Others<'_>,
    kept: &Credentials,
    credentials: &mut Credentials,
) -> Result<BTreeMap<String, Option<String>>, Problem> {
    if fields.len() > MAX_HEADERS {
        return Err(Problem::field("/headers", format!("must not be more than {MAX_HEADERS}")));
    }
    let (mut headers, mut names, mut together) = (BTreeMap::new(), BTreeSet::new(), 0);
    for (name, field) in fields {
        let pointer = format!("/headers/{}", escape(name));
        let lower = name.to_ascii_lowercase();
        if let Some(fault) = name_fault(name).or_else(|| others.taken(&lower)) {
            return Err(Problem::field(pointer, fault));
        }
        if !names.insert(lower) {
            return Err(Problem::field(pointer, "occurs twice: names of headers have no case"));
        }
        together += name.len();
        let shown = match field {
            HeaderField::Shown(value) => {
                visible(value, MAX_VALUE).map_err(|fault| Problem::field(pointer, fault))?;
                together += value.len();
                Some(value.clone())
            }
            HeaderField::Secret(secret) => {
                let value = secret.judge(&format!("{pointer}/secret"), MAX_VALUE, kept.headers.get(name))?;
                together += value.len();
                credentials.headers.insert(name.clone(), value);
                None
            }
        };
        headers.insert(name.clone(), shown);
    }
    if together > MAX_TOGETHER {
        let detail = format!("must not have more than {MAX_TOGETHER} characters together, names included");
        return Err(Problem::field("/headers", detail));
    }
    Ok(headers)
}

/// What is wrong with a name (RFC 9110, section 5.6.2); none: nothing.
fn name_fault(name: &str) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let right = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_token);
    (!right).then(|| format!("is no header name: 1 to {MAX_NAME} letters, digits or !#$%&'*+-.^_`|~"))
}
