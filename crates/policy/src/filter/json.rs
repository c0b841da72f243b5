use std::{borrow::Cow, cell::OnceCell, fmt, mem};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    node::{Kind, Node},
    number::Number,
};

/// A JSON value that is read where somebody looks, one level at a time and each level once.
///
/// So a look costs no stack, however deep the value is, and what nobody asks for is only skipped.
#[derive(Debug)]
pub(super) struct Json<'a> {
    /// As it is spelled; null for what never was JSON, and is read from the start.
    raw: &'a RawValue,
    kind: OnceCell<Kind<'a, Json<'a>>>,
}

impl<'a> Json<'a> {
    /// None: that is not JSON.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice::<&RawValue>(bytes).ok().map(Self::new)
    }

    pub(super) fn new(raw: &'a RawValue) -> Self {
        Self { raw, kind: OnceCell::new() }
    }

    /// The text of a topic, or of an entry of metadata.
    pub(super) fn of_text(text: &'a str) -> Self {
        Self { raw: RawValue::NULL, kind: OnceCell::from(Kind::Text(Cow::Borrowed(text))) }
    }

    pub(super) fn of_texts(texts: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let members = texts.map(|(key, text)| (Cow::Borrowed(key), Self::of_text(text)));
        Self { raw: RawValue::NULL, kind: OnceCell::from(Kind::Object(by_key(members.collect()))) }
    }

    /// As it is spelled.
    pub(super) fn raw(&self) -> &'a RawValue {
        self.raw
    }

    /// The value under a key; none where this is no object, or has no such key.
    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        let Kind::Object(members) = self.kind() else { return None };
        let place = members.binary_search_by(|(other, _)| other.as_ref().cmp(key)).ok()?;
        members.get(place).map(|(_, value)| value)
    }

    /// The members in the order in which they are spelled, a key that appears twice included; none: this is no object.
    pub(super) fn spelled_members(&self) -> Option<Vec<(Cow<'a, str>, Self)>> {
        self.raw.get().starts_with('{').then(|| members(self.raw.get()))
    }

    #[cfg(test)]
    pub(super) fn levels_read(&self) -> usize {
        let below = |values: &mut dyn Iterator<Item = &Self>| values.map(Self::levels_read).sum::<usize>();
        match self.kind.get() {
            None => 0,
            Some(Kind::List(elements)) => 1 + below(&mut elements.iter()),
            Some(Kind::Object(members)) => 1 + below(&mut members.iter().map(|(_, value)| value)),
            Some(_) => 1,
        }
    }
}

impl<'a> Node<'a> for Json<'a> {
    fn kind(&self) -> &Kind<'a, Self> {
        self.kind.get_or_init(|| read(self.raw.get()))
    }
}

/// Reads one level of what is known to be JSON.
fn read(text: &str) -> Kind<'_, Json<'_>> {
    match text.bytes().next() {
        Some(b'{') => Kind::Object(by_key(members(text))),
        Some(b'[') => Kind::List(elements(text)),
        Some(b'"') => Kind::Text(decoded(text)),
        Some(b't') => Kind::Bool(true),
        Some(b'f') => Kind::Bool(false),
        Some(b'-' | b'0'..=b'9') => Kind::Number(Number::read(text)),
        _ => Kind::Null,
    }
}

fn elements(text: &str) -> Vec<Json<'_>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    elements.into_iter().map(Json::new).collect()
}

fn members(text: &str) -> Vec<(Cow<'_, str>, Json<'_>)> {
    serde_json::Deserializer::from_str(text).deserialize_map(Members).unwrap_or_default()
}

fn decoded(text: &str) -> Cow<'_, str> {
    Text.deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap_or_default()
}

/// Sorts by key. Where one appears twice the last counts, as it does for most who read JSON.
fn by_key<'a>(mut members: Vec<(Cow<'a, str>, Json<'a>)>) -> Vec<(Cow<'a, str>, Json<'a>)> {
    members.sort_by(|(left, _), (right, _)| left.cmp(right));
    members.dedup_by(|later, kept| {
        let again = later.0 == kept.0;
        if again {
            mem::swap(later, kept);
        }
        again
    });
    members
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, Json<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key_seed(Text)? {
            members.push((key, Json::new(map.next_value()?)));
        }
        Ok(members)
    }
}

/// Reads a text by its bytes: JSON can spell half a surrogate pair, which is no text, and must not make an event
/// unreadable. It counts as replacement characters.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn parse(text: &str) -> Json<'_> {
        Json::parse(text.as_bytes()).unwrap()
    }

    /// Reads everything, to compare it with what serde_json makes of it.
    fn value(json: &Json<'_>) -> Value {
        match json.kind() {
            Kind::Null => Value::Null,
            Kind::Bool(is) => Value::Bool(*is),
            Kind::Number(_) => serde_json::from_str(json.raw().get()).unwrap(),
            Kind::Text(text) => Value::String(text.clone().into_owned()),
            Kind::List(elements) => elements.iter().map(value).collect(),
            Kind::Object(members) => {
                members.iter().map(|(key, member)| (key.clone().into_owned(), value(member))).collect()
            }
        }
    }

    #[track_caller]
    fn check(text: &str) {
        assert_eq!(value(&parse(text)), serde_json::from_str::<Value>(text).unwrap(), "{text}");
    }

    #[test]
    fn reads_what_serde_json_reads() {
        check(r#"{"a": [1, -2.5e3, "x", true, false, null, {}], "b": {"c": []}}"#);
        check(r#" { "a" : 1 } "#);
        check(r#"{"b": 1, "a": 2, "b": 3, "a": 4, "b": 5}"#);
        check(r#"["\u00e9", "\ud83d\ude00", "\"\\\/\b\f\n\r\t", "é😀"]"#);
        check(r#"{"\u0061": 1, "é\n": 2}"#);
        check("\"text\"");
        check("null");
    }

    #[test]
    fn what_is_no_json_is_none() {
        for bytes in
            [&b""[..], b"{", b"{} {}", b"nul", b"01", b"[1,]", b"\"\xff\"", b"\xef\xbb\xbf{}", b"{a: 1}"]
        {
            assert!(Json::parse(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_spoils_nothing_beside_it() {
        let json = parse(r#"{"a": 1, "b\ud800": "x\udc00y"}"#);
        assert!(matches!(json.member("a").unwrap().kind(), Kind::Number(_)));
        let Kind::Object(members) = json.kind() else { panic!("{json:?}") };
        assert!(members[1].0.starts_with("b\u{fffd}"), "{members:?}");
        let Kind::Text(text) = members[1].1.kind() else { panic!("{members:?}") };
        assert!(text.starts_with("x\u{fffd}") && text.ends_with("\u{fffd}y"), "{text:?}");
    }

    #[test]
    fn only_what_is_looked_at_is_read() {
        let json = parse(r#"{"a": {"b": [1, 2, 3]}, "c": {"d": 1}}"#);
        assert_eq!(json.levels_read(), 0);
        assert!(json.member("a").unwrap().member("b").is_some());
        assert_eq!(json.levels_read(), 2);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,6}|[\\x00-\\x1f\"\\\\]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,3}", inner, 0..5)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_any_value(expect in values(), pretty: bool) {
            let text = if pretty { format!("{expect:#}") } else { expect.to_string() };
            let expect: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value(&parse(&text)), expect);
        }

        #[test]
        fn reads_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let is_json = serde_json::from_slice::<Value>(&bytes).is_ok();
            let read = Json::parse(&bytes).map(|json| value(&json));
            prop_assert!(read.is_some() || !is_json);
        }
    }
}
