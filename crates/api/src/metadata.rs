use std::collections::BTreeMap;

use serde::Deserialize;

/// A caller's own facts about something, by their names.
pub(crate) type Metadata = BTreeMap<String, String>;

/// What is wrong with metadata; none: nothing.
pub(crate) fn excess(metadata: &Metadata) -> Option<&'static str> {
    let too_long = |(name, value): (&String, &String)| name.len() > 100 || value.len() > 500;
    if metadata.len() > 50 {
        Some("must not have more than 50 entries")
    } else if metadata.iter().any(too_long) {
        Some("must not have names longer than 100 bytes, or values longer than 500")
    } else {
        None
    }
}

/// Metadata that comes as text: a JSON object of texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct MetadataText(pub(crate) Metadata);

/// A text that is no metadata.
#[derive(Debug, thiserror::Error)]
#[error("is not a JSON object of texts: {0}")]
pub(crate) struct NoMetadata(String);

impl std::str::FromStr for MetadataText {
    type Err = NoMetadata;

    fn from_str(text: &str) -> Result<Self, NoMetadata> {
        serde_json::from_str(text).map(Self).map_err(|error| NoMetadata(error.to_string()))
    }
}

impl TryFrom<String> for MetadataText {
    type Error = NoMetadata;

    fn try_from(text: String) -> Result<Self, NoMetadata> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metadata: Metadata, wrong: Option<&str>) {
        let found = excess(&metadata);
        assert_eq!(found.is_some(), wrong.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(wrong.unwrap_or_default()), "{found:?}");
    }

    #[test]
    fn bounds() {
        let entry = |name: usize, value: usize| Metadata::from([("n".repeat(name), "v".repeat(value))]);
        let entries = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect::<Metadata>();
        check(Metadata::new(), None);
        check(entry(100, 500), None);
        check(entry(101, 1), Some("names longer than 100 bytes"));
        check(entry(1, 501), Some("values longer than 500"));
        check(entries(50), None);
        check(entries(51), Some("more than 50 entries"));
    }

    #[test]
    fn text() {
        let read = |text: &str| text.parse::<MetadataText>().map(|metadata| metadata.0.len());
        assert_eq!(read(r#"{"a": "1", "b": "2"}"#).unwrap(), 2);
        assert_eq!(read("{}").unwrap(), 0);
        for text in ["", "[]", "a=1", r#"{"a": 1}"#, r#"{"a": {"b": "c"}}"#, r#"{"a": null}"#] {
            assert!(read(text).unwrap_err().to_string().contains("is not a JSON object of texts"), "{text}");
        }
    }
}
