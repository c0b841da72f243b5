use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::Error as _};

use crate::{InvalidName, TopicName};

/// An event type that publishers may use. Topics belong to the service, not to a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its dotted name.
    pub name: TopicName,
    /// What an event of this type means, for people.
    pub description: String,
    /// A sample of the data of such an event.
    pub example: Option<serde_json::Value>,
    /// What the data of an event of this type must be: a JSON Schema. None: anything.
    pub schema: Option<serde_json::Value>,
    /// Whether it takes no more events. What was accepted before is still delivered.
    pub archived: bool,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Topic {
    /// A topic of which nothing is known but its name.
    pub fn new(name: TopicName, now: Timestamp) -> Self {
        let description = String::new();
        Self {
            name,
            description,
            example: None,
            schema: None,
            archived: false,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Which topics an endpoint wants: one topic (`order.paid`), all below a prefix (`order.*`), or all (`*`).
///
/// `order.*` stands for `order.paid` and `order.item.added`, not for `order` itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicPattern {
    /// Every topic: `*`.
    All,
    /// Every topic below this one: `order.*`.
    Below(TopicName),
    /// This topic alone.
    Exactly(TopicName),
}

impl FromStr for TopicPattern {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |_| InvalidName::new("a topic pattern", "a topic, a topic followed by '.*', or '*'");
        match text.strip_suffix(".*") {
            _ if text == "*" => Ok(Self::All),
            Some(prefix) => prefix.parse().map(Self::Below).map_err(invalid),
            None => text.parse().map(Self::Exactly).map_err(invalid),
        }
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}.*"),
            Self::Exactly(topic) => write!(f, "{topic}"),
        }
    }
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TopicPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TopicPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_round_trip() {
        for text in ["*", "order.*", "order.item.*", "order", "order.paid"] {
            assert_eq!(text.parse::<TopicPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wildcards_stand_only_at_the_end() {
        for text in ["", "**", "*.paid", "order.*.x", "order*", ".*", "order..*"] {
            assert!(text.parse::<TopicPattern>().is_err(), "{text}");
        }
    }
}
