use std::marker::PhantomData;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IntoDeserializer, Visitor},
    forward_to_deserialize_any,
};
use serde_json::Value;

/// Reads an enum whose variants are words, from one of these words.
///
/// By itself it would be read from `{"raw": null}`, too, and a number in its place would be called no JSON. What is there
/// instead of a word is not repeated: it may be a secret in the wrong place.
pub(crate) fn word<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let given = Value::deserialize(deserializer)?;
    T::deserialize(Word { given: given.as_str().unwrap_or_default(), of: PhantomData })
}

struct Word<'a, E> {
    given: &'a str,
    of: PhantomData<E>,
}

impl<'de, E: Error> Deserializer<'de> for Word<'_, E> {
    type Error = E;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        if words.contains(&self.given) {
            return visitor.visit_enum(self.given.into_deserializer());
        }
        Err(E::custom(format_args!("must be one of {}", words.join(", "))))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_str(self.given)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use posthaste_model::{BodyFormat, EndpointState, HandshakeKind, Method};

    use super::*;

    #[track_caller]
    fn check<'de, T: Deserialize<'de> + PartialEq + std::fmt::Debug>(
        json: &'de str,
        expect: Result<T, &str>,
    ) {
        let read = word(&mut serde_json::Deserializer::from_str(json));
        let read = read.map_err(|error: serde_json::Error| error.to_string());
        assert_eq!(read, expect.map_err(str::to_owned), "{json}");
    }

    #[test]
    fn a_variant_is_named_by_a_word_and_by_nothing_else() {
        check(r#""cloudevents-binary""#, Ok(BodyFormat::CloudEventsBinary));
        check(r#""PUT""#, Ok(Method::Put));
        check(r#""paused""#, Ok(EndpointState::Paused));
        check(r#""cloudevents""#, Ok(HandshakeKind::CloudEvents));
        let expect = "must be one of standard, raw, cloudevents, cloudevents-binary";
        let others = ["5", "-5", "5.5", "true", "null", "[]", r#"["raw"]"#, r#"{"raw": null}"#];
        for other in others.into_iter().chain([r#""""#, r#""Raw""#, r#""xml""#]) {
            check::<BodyFormat>(other, Err(expect));
        }
    }
}
