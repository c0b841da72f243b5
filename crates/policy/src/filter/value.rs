use std::borrow::Cow;

use super::{
    containers::{Member, elements, members},
    invalid::{InvalidFilter, Place},
    json::Json,
    node::{Kind, Node, compare},
};

/// The largest exponent of a number in a filter, either way. Those of a payload are cut off far beyond, so that
/// comparing the two is exact.
const MAX_MAGNITUDE: u64 = 100_000;

/// A value that a filter compares with, read as a whole.
#[derive(Debug, Clone)]
pub(super) struct Value(Kind<'static, Value>);

impl Value {
    pub(super) fn read(json: &Json<'_>, place: &Place) -> Result<Self, InvalidFilter> {
        Ok(Self(match json.kind() {
            Kind::Null => Kind::Null,
            Kind::Bool(is) => Kind::Bool(*is),
            Kind::Number(number) if number.magnitude() > MAX_MAGNITUDE => {
                return Err(place.refuse(format!("must not have an exponent beyond {MAX_MAGNITUDE}")));
            }
            Kind::Number(number) => Kind::Number(number.clone().into_owned()),
            Kind::Text(text) => Kind::Text(Cow::Owned(text.clone().into_owned())),
            Kind::List(_) => {
                let elements = elements(json, place)?.unwrap_or_default().into_iter();
                Kind::List(elements.map(|(json, place)| Self::read(json, &place)).collect::<Result<_, _>>()?)
            }
            Kind::Object(_) => {
                let mut values = Vec::new();
                for Member { key, json, place } in members(json, place)?.unwrap_or_default() {
                    values.push((Cow::Owned(key.into_owned()), Self::read(&json, &place)?));
                }
                values.sort_by(|(left, _): &(Cow<'static, str>, _), (right, _)| left.cmp(right));
                Kind::Object(values)
            }
        }))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.0, Kind::Null)
    }
}

impl Node<'static> for Value {
    fn kind(&self) -> &Kind<'static, Self> {
        &self.0
    }
}

/// Values to find others among. Finding one takes a number of comparisons that grows with the logarithm of how many there
/// are.
#[derive(Debug, Clone)]
pub(super) struct Values(Vec<Value>);

impl Values {
    pub(super) fn new(mut values: Vec<Value>) -> Self {
        values.sort_by(compare);
        Self(values)
    }

    pub(super) fn contains<'a>(&self, found: &impl Node<'a>) -> bool {
        self.0.binary_search_by(|value| compare(value, found)).is_ok()
    }

    pub(super) fn contains_null(&self) -> bool {
        // It comes before everything else.
        self.0.first().is_some_and(Value::is_null)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A value that counts how often it is looked at.
    struct Counted {
        value: Kind<'static, Counted>,
        looks: Cell<usize>,
    }

    impl Node<'static> for Counted {
        fn kind(&self) -> &Kind<'static, Self> {
            self.looks.set(self.looks.get() + 1);
            &self.value
        }
    }

    #[test]
    fn one_of_many_is_found_in_few_steps() {
        let number = |number: usize| format!("\"{number:04}\"");
        let list = format!("[{}]", (0..1_000).rev().map(number).collect::<Vec<_>>().join(","));
        let list = Json::parse(list.as_bytes()).unwrap();
        let Kind::List(values) = Value::read(&list, &Place::default()).unwrap().0 else { panic!() };
        let values = Values::new(values);
        for (text, found) in [("0000", true), ("0617", true), ("0999", true), ("", false), ("0617x", false)] {
            let text = Counted { value: Kind::Text(text.into()), looks: Cell::new(0) };
            assert_eq!(values.contains(&text), found);
            assert!(text.looks.get() <= 11, "{} looks", text.looks.get());
        }
    }
}
