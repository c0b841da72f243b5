//! JSON as it was given.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Number;

use crate::InvalidProfile;

/// A JSON value, with the fields of its objects in the order in which they were written.
///
/// A profile is read from this rather than into structs, because whoever wrote it is told by its JSON pointer what is
/// wrong, and because it is shown again as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Given>),
    Object(Vec<(String, Given)>),
}

/// The fields of an object, each at most once.
pub(crate) struct Fields<'g> {
    pointer: String,
    fields: &'g [(String, Given)],
}

impl Given {
    /// The text that this is.
    pub(crate) fn text(&self, pointer: &str) -> Result<&str, InvalidProfile> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(InvalidProfile::new(pointer, format!("must be a text, not {}", other.what()))),
        }
    }

    /// The list that this is.
    pub(crate) fn list(&self, pointer: &str) -> Result<&[Given], InvalidProfile> {
        match self {
            Self::List(list) => Ok(list),
            other => Err(InvalidProfile::new(pointer, format!("must be a list, not {}", other.what()))),
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'g> Fields<'g> {
    /// The fields of the object that stands at `pointer`.
    pub(crate) fn of(given: &'g Given, pointer: &str) -> Result<Self, InvalidProfile> {
        let Given::Object(fields) = given else {
            return Err(InvalidProfile::new(pointer, format!("must be an object, not {}", given.what())));
        };
        let fields = Self { pointer: pointer.to_owned(), fields };
        for (index, (name, _)) in fields.fields.iter().enumerate() {
            if fields.fields[..index].iter().any(|(before, _)| before == name) {
                return Err(fields.wrong(name, "occurs twice"));
            }
        }
        Ok(fields)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'g str, &'g Given)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'g Given> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A text that may be left out.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'g str>, InvalidProfile> {
        self.get(name).map(|value| value.text(&self.pointer(name))).transpose()
    }

    /// A value that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&'g Given, InvalidProfile> {
        self.get(name).ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A text that must be there.
    pub(crate) fn required_text(&self, name: &str) -> Result<&'g str, InvalidProfile> {
        self.required(name)?.text(&self.pointer(name))
    }

    /// Where a field stands (RFC 6901).
    pub(crate) fn pointer(&self, name: &str) -> String {
        join(&self.pointer, name)
    }

    /// What is wrong with a field.
    pub(crate) fn wrong(&self, name: &str, reason: impl Into<String>) -> InvalidProfile {
        InvalidProfile::new(self.pointer(name), reason)
    }
}

/// The pointer to a field of what stands at a pointer.
pub(crate) fn join(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Given, E> {
        Ok(Given::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Given, E> {
        Ok(Given::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Given, E> {
        Ok(Given::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Given, E> {
        Ok(Given::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Given, E> {
        Number::from_f64(value).map(Given::Number).ok_or_else(|| E::custom("not a number of JSON"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Given, E> {
        Ok(Given::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Given, E> {
        Ok(Given::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Given, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Given::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Given::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(json: &str) -> Given {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn comes_out_as_it_went_in() {
        let json = r#"{"b":[1,-2,0.5,true,null,{}],"a":{"z":"ž\"","y":[]}}"#;
        assert_eq!(serde_json::to_string(&given(json)).unwrap(), json);
    }

    #[track_caller]
    fn check(json: &str, expect: &str) {
        let object = given(json);
        let wrong = Fields::of(&object, "/x")
            .and_then(|fields| Ok((fields.required_text("a")?, fields.required("b")?.list("/x/b")?)))
            .unwrap_err();
        assert_eq!(wrong.to_string(), expect);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_pointer() {
        check("[]", "/x: must be an object, not a list");
        check("{}", "/x/a: is missing");
        check(r#"{"a": 1}"#, "/x/a: must be a text, not a number");
        check(r#"{"a": "1", "b": {}}"#, "/x/b: must be a list, not an object");
        check(r#"{"a": "1", "b": null}"#, "/x/b: must be a list, not null");
        check(r#"{"a": "1", "a/~": 1, "a/~": 2}"#, "/x/a~1~0: occurs twice");
    }
}
