use std::{fmt, marker::PhantomData};

use posthaste_signing::Zeroizing;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::visible;
use crate::problem::Problem;

/// A field whose value is secret. It is never shown: `true` stands for it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretField {
    /// A text that is given now.
    Given(Zeroizing<String>),
    /// The text that is there already.
    Kept,
}

impl SecretField {
    /// The text, of at most so many characters of visible ASCII, for the field at a pointer; `kept` is what is there already.
    pub(super) fn judge(&self, pointer: &str, max: usize, kept: Option<&String>) -> Result<String, Problem> {
        if let Self::Given(text) = self {
            visible(text, max).map_err(|fault| Problem::field(pointer, fault))?;
        }
        self.text(pointer, kept)
    }

    /// The same, where the text is judged by others.
    pub(super) fn text(&self, pointer: &str, kept: Option<&String>) -> Result<String, Problem> {
        match self {
            Self::Given(text) => Ok(text.to_string()),
            Self::Kept => kept
                .cloned()
                .ok_or_else(|| Problem::field(pointer, "there is none to keep: give it as a text")),
        }
    }
}

impl Serialize for SecretField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl<'de> Deserialize<'de> for SecretField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        // Whatever else is there is not repeated by an error: it may be a secret that was written in a wrong way.
        impl<'de> Visitor<'de> for Text {
            type Value = SecretField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or true to keep the one that is there")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SecretField, E> {
                Ok(SecretField::Given(Zeroizing::new(text.to_owned())))
            }

            fn visit_bool<E: Error>(self, keep: bool) -> Result<SecretField, E> {
                if keep { Ok(SecretField::Kept) } else { Err(unexpected(&self)) }
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<SecretField, E> {
                Err(unexpected(&self))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<SecretField, E> {
                Err(unexpected(&self))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<SecretField, E> {
                Err(unexpected(&self))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// Reads an object that has secrets among its fields: what is in its place may be one of them, and is not repeated.
pub(crate) fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let expected = "an object";
    let read = deserializer.deserialize_any(Object { expected, of: PhantomData })?;
    read.ok_or_else(|| unexpected(&expected))
}

/// The same, or null.
pub(crate) fn object_or_null<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Object { expected: "an object or null", of: PhantomData })
}

struct Object<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<T>, E> {
        Err(unexpected(&self))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<T>, E> {
        Err(unexpected(&self))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<T>, E> {
        Err(unexpected(&self))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<T>, E> {
        Err(unexpected(&self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

pub(super) fn unexpected<E: Error>(expected: &dyn serde::de::Expected) -> E {
    E::custom(format_args!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expect: Result<SecretField, &str>) {
        let read = serde_json::from_str::<SecretField>(json);
        match (read, expect) {
            (Ok(read), Ok(expect)) => assert!(read == expect, "{json}"),
            (Err(error), Err(expect)) => {
                let error = error.to_string();
                assert!(error.starts_with(expect) && !error.contains("12345"), "{json}: {error}");
            }
            (read, _) => panic!("{json}: {}", read.is_ok()),
        }
    }

    #[test]
    fn a_text_is_given_and_true_keeps() {
        check(r#""hush""#, Ok(SecretField::Given(Zeroizing::new("hush".into()))));
        check("true", Ok(SecretField::Kept));
        let expected = "expected a text, or true to keep the one that is there";
        for json in ["false", "12345", "-12345", "12345.5"] {
            check(json, Err(expected));
        }
        check("[12345]", Err("invalid type: sequence, expected a text"));
        check("null", Err("invalid type: null, expected a text"));
    }

    #[test]
    fn it_is_never_written() {
        for field in [SecretField::Kept, SecretField::Given(Zeroizing::new("hush".into()))] {
            assert_eq!(serde_json::to_string(&field).unwrap(), "true");
        }
    }
}
