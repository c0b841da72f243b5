//! Ids that Posthaste makes: a prefix that says what it names, and a time-ordered UUID.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::Error as _};
use uuid::{Builder, Uuid};

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}: expected {prefix} followed by 32 hexadecimal digits")]
pub struct InvalidId {
    what: &'static str,
    prefix: &'static str,
}

/// A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits.
fn uuid_v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes a new id from the time and ten random bytes.
            pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// Wraps a UUID that was an id of this kind before, or that a store composed itself.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, as stores keep it.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    // One spelling for each id: the forms with hyphens or capitals are not ours.
                    .filter(|hex| hex.len() == 32 && !hex.bytes().any(|b| b.is_ascii_uppercase()))
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(InvalidId { what: $what, prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

uuid_id!(
    /// Names an endpoint: `ep_` and a UUID v7.
    EndpointId, "ep_", "an endpoint id"
);
uuid_id!(
    /// Names a delivery: `dlv_` and a UUID v7 that the store composes when it accepts the event.
    DeliveryId, "dlv_", "a delivery id"
);
uuid_id!(
    /// Names an attempt: `att_` and a UUID v7.
    AttemptId, "att_", "an attempt id"
);
uuid_id!(
    /// Names a replay: `rpl_` and a UUID v7.
    ReplayId, "rpl_", "a replay id"
);
uuid_id!(
    /// Names an API key: `key_` and a UUID v7. It is no secret.
    ApiKeyId, "key_", "a key id"
);
uuid_id!(
    /// Names an entry of the audit: `aud_` and a UUID v7.
    AuditId, "aud_", "an audit id"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn text_round_trips() {
        let id = EndpointId::mint(at(1_700_000_000_000), [7; 10]);
        assert_eq!(id.to_string().parse::<EndpointId>(), Ok(id));
        assert!(id.to_string().starts_with("ep_"));
    }

    #[test]
    fn ids_order_by_time() {
        let earlier = DeliveryId::mint(at(1_700_000_000_000), [255; 10]);
        let later = DeliveryId::mint(at(1_700_000_000_001), [0; 10]);
        assert!(earlier < later);
        assert!(earlier.to_string() < later.to_string());
    }

    #[test]
    fn only_the_one_spelling_is_accepted() {
        let id = AttemptId::mint(at(1), [0xab; 10]);
        for wrong in [
            id.uuid().simple().to_string(),
            format!("ep_{}", id.uuid().simple()),
            format!("att_{}", id.uuid().hyphenated()),
            id.to_string().to_uppercase(),
            format!("att_{}", id.uuid().simple().to_string().to_uppercase()),
            format!("{id}0"),
            String::new(),
        ] {
            assert!(wrong.parse::<AttemptId>().is_err(), "{wrong}");
        }
    }
}
