//! Which deliveries are meant, as callers say it: by a search, and by a replay.

use std::fmt;

use posthaste_model::{DeliveryState, EndpointId, ErrorClass, EventId, Timestamp, TopicName};
use posthaste_store::DeliveryFilter;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};
use utoipa::ToSchema;

use crate::moment::{Contradiction, Moment, span};

/// Which deliveries are meant: those that meet every condition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeliveryConditions)]
pub(crate) struct Conditions {
    /// In one of these states.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["exhausted", "skipped"]))]
    pub(crate) states: Vec<DeliveryState>,
    /// To this endpoint.
    #[schema(value_type = Option<String>)]
    pub(crate) endpoint: Option<EndpointId>,
    /// Of this event.
    #[schema(value_type = Option<String>)]
    pub(crate) event: Option<EventId>,
    /// Of this topic.
    #[schema(value_type = Option<String>)]
    pub(crate) topic: Option<TopicName>,
    /// Whose last attempt was answered with such a status: `503`, `5xx` or `400-499`.
    #[schema(value_type = Option<String>, example = "5xx")]
    pub(crate) status: Option<Statuses>,
    /// Whose last attempt got no answer, because of this. It does not go with `status`.
    #[schema(value_type = Option<String>, example = "timeout")]
    pub(crate) error: Option<ErrorClass>,
    /// Only those of which an attempt has failed that counts, since it was made, or opened again.
    #[serde(default)]
    pub(crate) failed: bool,
    /// Whose event was accepted at this time or later: RFC 3339, or how long ago, such as `1h` or `7d`.
    #[schema(value_type = Option<String>, example = "7d")]
    pub(crate) since: Option<Moment>,
    /// Whose event was accepted before this time.
    #[schema(value_type = Option<String>)]
    pub(crate) until: Option<Moment>,
}

impl Conditions {
    /// The same, as the store knows it.
    pub(crate) fn filter(&self, now: Timestamp) -> Result<DeliveryFilter, Contradiction> {
        let Self { states, endpoint, event, topic, status, error, failed, since, until } = self;
        if error.is_some() && status.is_some() {
            let detail = "cannot stand beside 'status': the last attempt was answered, or it was not";
            return Err(Contradiction { field: "error", detail });
        }
        let (since, until) = span(*since, *until, now)?;
        Ok(DeliveryFilter {
            states: states.clone(),
            endpoint: *endpoint,
            event: event.clone(),
            topic: topic.clone(),
            status: status.map(|Statuses { first, last }| (first, last)),
            error: *error,
            failed: *failed,
            since,
            until,
        })
    }
}

/// Statuses of HTTP answers: `503`, `5xx` for all that begin so, or `400-499`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statuses {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl Statuses {
    fn parse(text: &str) -> Option<Self> {
        let status = |text: &str| {
            // A sign would pass as part of a number.
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|status| digits && *status >= 100)
        };
        let (first, last) = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(digit), _) => (status(&format!("{digit}00"))?, status(&format!("{digit}99"))?),
            (None, Some((first, last))) => (status(first)?, status(last)?),
            (None, None) => (status(text)?, status(text)?),
        };
        (first <= last).then_some(Self { first, last })
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Statuses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a status such as '503', a class of them such as '5xx', or a range such as '400-499'",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Statuses, E> {
                Statuses::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            /// A status by itself is a number in JSON.
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Statuses, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(u16, u16)>) {
        let read = Statuses::parse(text);
        assert_eq!(read.map(|Statuses { first, last }| (first, last)), expect, "{text}");
        if let Some(read) = read {
            assert_eq!(Statuses::parse(&read.to_string()), Some(read), "{text} as it is written");
        }
    }

    #[test]
    fn statuses() {
        check("503", Some((503, 503)));
        check("5xx", Some((500, 599)));
        check("400-499", Some((400, 499)));
        check("404-404", Some((404, 404)));
        check("100-999", Some((100, 999)));
        for text in [
            "",
            "99",
            "099",
            "1000",
            "xx",
            "0xx",
            "55xx",
            "5XX",
            "5x",
            "+50",
            "-503",
            "400-",
            "-",
            "499-400",
            "4xx-5xx",
            "400-450-499",
            " 503",
            "five",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_status_may_be_a_number() {
        let read = |json: &str| serde_json::from_str::<Statuses>(json);
        assert_eq!(read("503").unwrap(), Statuses { first: 503, last: 503 });
        assert_eq!(read(r#""5xx""#).unwrap(), Statuses { first: 500, last: 599 });
        for json in ["99", "-503", "50.3", "null", "[503]", r#""""#] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains("expected a status such as '503'"), "{json}: {error}");
        }
    }
}
