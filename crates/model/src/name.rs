//! Names that callers choose: validated once, here, so that they are safe in a URL path, a header and a log line.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::Error as _};
use uuid::Builder;

/// A text that cannot be the name of something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}: expected {expected}")]
pub struct InvalidName {
    what: &'static str,
    expected: &'static str,
}

impl InvalidName {
    pub(crate) fn new(what: &'static str, expected: &'static str) -> Self {
        Self { what, expected }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(InvalidName::new($what, $expected)) }
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

name!(
    /// Names a tenant. Chosen by the caller.
    TenantId, "a tenant id", "1 to 64 letters, digits, '.', '_' or '-', not only dots",
    |text| in_charset(text, 64, b"._-") && text.bytes().any(|b| b != b'.')
);

name!(
    /// Names an event, and travels as `webhook-id`. Chosen by the caller, or minted.
    ///
    /// A full stop is refused: it separates the parts of the signed content
    /// (Standard Webhooks, "Signature scheme"), so an id with one could be read in two ways.
    EventId, "an event id", "1 to 128 letters, digits, '_', '-' or ':'",
    |text| in_charset(text, 128, b"_-:")
);

name!(
    /// Names a topic: an event type in dotted parts, such as `order.paid`.
    TopicName, "a topic", "1 to 128 characters: parts of letters, digits, '_' or '-', separated by single dots",
    |text| text.len() <= 128 && text.split('.').all(|part| in_charset(part, 128, b"_-"))
);

impl EventId {
    /// Makes a new id, `evt_` and a UUID v7, from the time and ten random bytes.
    pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let uuid = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        Self(format!("evt_{}", uuid.simple()).into())
    }
}

impl TenantId {
    /// The tenant that exists from the start.
    pub fn default_tenant() -> Self {
        Self("default".into())
    }

    /// The tenant that Posthaste's own events belong to. It exists from the start, too, and nobody else publishes for it.
    pub fn posthaste() -> Self {
        Self("posthaste".into())
    }
}

/// Whether `text` has 1 to `max` bytes, each an ASCII letter, a digit or one of `extra`.
pub(crate) fn in_charset(text: &str, max: usize, extra: &[u8]) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr>(valid: &[&str], invalid: &[&str]) {
        for text in valid {
            assert!(text.parse::<T>().is_ok(), "should be valid: {text:?}");
        }
        for text in invalid {
            assert!(text.parse::<T>().is_err(), "should be refused: {text:?}");
        }
    }

    #[test]
    fn tenants() {
        check::<TenantId>(
            &["default", "acme", "A-1_b.c", &"x".repeat(64)],
            &["", ".", "..", "a/b", "a b", "a\r\nb", "ü", &"x".repeat(65)],
        );
    }

    #[test]
    fn events() {
        check::<EventId>(
            &["ord-42-paid", "evt_1", "urn:x:1", &"x".repeat(128)],
            &["", "a.b", "a b", "a\nb", "é", "a/b", &"x".repeat(129)],
        );
        assert!(EventId::mint(Timestamp::UNIX_EPOCH, [1; 10]).as_str().parse::<EventId>().is_ok());
    }

    #[test]
    fn topics() {
        check::<TopicName>(
            &["order", "order.paid", "a.b.c-d_e"],
            &["", ".", "order.", ".paid", "a..b", "order.*", "a b", "a/b", &"x".repeat(129)],
        );
    }
}
