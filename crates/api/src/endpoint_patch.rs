use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, value::RawValue};

/// A merge patch (RFC 7396) of an endpoint's fields, but for its filter and its signature profile: what is named is the new
/// one.
///
/// Merged, the conditions of two filters would make one that nobody wrote, and so would the fields of two profiles.
// Without `Debug`: among its fields are secrets.
pub(crate) struct EndpointPatch {
    /// What becomes of the filter; none: it stays, none within: it is removed.
    pub(crate) filter: Option<Option<Box<RawValue>>>,
    /// What becomes of the signature profile; none: it stays, none within: it is the default.
    pub(crate) signature: Option<Option<Box<RawValue>>>,
    /// The other fields.
    pub(crate) fields: Map<String, Value>,
}

impl<'de> Deserialize<'de> for EndpointPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut written = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
        let mut whole =
            |name: &str| written.remove(name).map(|value| Some(value).filter(|value| value.get() != "null"));
        let (filter, signature) = (whole("filter"), whole("signature"));
        let fields = written.into_iter().map(|(name, value)| {
            // What is said of a field begins with its name.
            let read =
                serde_json::from_str(value.get()).map_err(|e| D::Error::custom(format!("{name}: {e}")));
            read.map(|value| (name, value))
        });
        Ok(Self { filter, signature, fields: fields.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patch: &str, filter: Option<Option<&str>>, fields: &[&str]) {
        let read: EndpointPatch = serde_json::from_str(patch).unwrap();
        let found = read.filter.as_ref().map(|filter| filter.as_ref().map(|filter| filter.get()));
        assert_eq!(found, filter, "{patch}");
        assert_eq!(read.fields.keys().collect::<Vec<_>>(), fields, "{patch}");
    }

    #[test]
    fn a_filter_is_taken_as_it_was_written() {
        check("{}", None, &[]);
        check(r#"{"state": "paused", "retry": null}"#, None, &["retry", "state"]);
        check(r#"{"filter": null}"#, Some(None), &[]);
        check(r#"{"a": 1, "filter": {"data.a" : 1.50e400}}"#, Some(Some(r#"{"data.a" : 1.50e400}"#)), &["a"]);
        check(r#"{"filter": 5}"#, Some(Some("5")), &[]);
        let patch = r#"{"signature": {"profile" : "stripe"}, "filter": null}"#;
        check(patch, Some(None), &[]);
        let read: EndpointPatch = serde_json::from_str(patch).unwrap();
        assert_eq!(read.signature.unwrap().unwrap().get(), r#"{"profile" : "stripe"}"#);
        let error = serde_json::from_str::<EndpointPatch>(r#"{"timeout": 1e400}"#).err().unwrap().to_string();
        assert!(error.starts_with("timeout: number out of range"), "{error}");
        assert!(serde_json::from_str::<EndpointPatch>("5").is_err());
    }
}
