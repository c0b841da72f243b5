use std::cmp::Ordering;

use super::{
    containers::elements,
    invalid::{InvalidFilter, Place},
    json::Json,
    node::{Kind, Node as _, compare},
    operator::Operator,
    path::Path,
    pattern::Pattern,
    subject::Subject,
    value::{Value, Values},
};

/// How many values a list to compare with may have.
const MAX_VALUES: usize = 500;
/// How much text of one event a regular expression reads, in bytes. Each text takes one more than it has, since asking
/// costs something even where there is nothing to read.
const PATTERN_READS: usize = 16 * 1024;

/// An operator with its operand: what is asked of the values that a path leads to.
#[derive(Clone)]
pub(super) enum Check {
    /// One of them is one of these.
    Is(Values),
    /// None of them is one of these.
    IsNot(Values),
    /// One of them compares with this so.
    Compares(fn(Ordering) -> bool, Value),
    /// One of them is a text that begins so.
    StartsWith(String),
    /// One of them is a text that ends so.
    EndsWith(String),
    /// One of them is a list with this element, or a text with this part.
    Contains(Value),
    /// There are any, or not.
    Exists(bool),
    /// One of them is a text with this pattern in it.
    Matches(Pattern),
}

impl Check {
    pub(super) fn read(operator: Operator, operand: &Json<'_>, place: &Place) -> Result<Self, InvalidFilter> {
        let text = || match operand.kind() {
            Kind::Text(text) => Ok(text.clone().into_owned()),
            _ => Err(place.refuse("must be a text")),
        };
        let value = || Value::read(operand, place);
        let compares = |holds| match operand.kind() {
            Kind::Number(_) | Kind::Text(_) => Ok(Self::Compares(holds, value()?)),
            _ => Err(place.refuse("must be a number or a text")),
        };
        Ok(match operator {
            Operator::Eq => Self::Is(Values::new(vec![value()?])),
            Operator::Neq => Self::IsNot(Values::new(vec![value()?])),
            Operator::Gt => compares(Ordering::is_gt)?,
            Operator::Gte => compares(Ordering::is_ge)?,
            Operator::Lt => compares(Ordering::is_lt)?,
            Operator::Lte => compares(Ordering::is_le)?,
            Operator::In => Self::Is(values(operand, place)?),
            Operator::Nin => Self::IsNot(values(operand, place)?),
            Operator::StartsWith => Self::StartsWith(text()?),
            Operator::EndsWith => Self::EndsWith(text()?),
            Operator::Contains => Self::Contains(value()?),
            Operator::Exists => match operand.kind() {
                Kind::Bool(exists) => Self::Exists(*exists),
                _ => return Err(place.refuse("must be true or false")),
            },
            Operator::Regex => {
                Self::Matches(Pattern::read(&text()?).map_err(|problem| place.refuse(problem))?)
            }
        })
    }

    pub(super) fn holds(&self, path: &Path, subject: &Subject<'_>) -> bool {
        match self {
            Self::Is(values) => is_among(values, path, subject),
            Self::IsNot(values) => !is_among(values, path, subject),
            Self::Compares(holds, bound) => path.any(subject, |found| {
                itself_or_element(found, |found| {
                    found.kind().rank() == bound.kind().rank() && holds(compare(found, bound))
                })
            }),
            Self::StartsWith(start) => any_text(path, subject, |text| text.starts_with(start)),
            Self::EndsWith(end) => any_text(path, subject, |text| text.ends_with(end)),
            Self::Contains(part) => path.any(subject, |found| match (found.kind(), part.kind()) {
                (Kind::List(elements), _) => elements.iter().any(|element| compare(element, part).is_eq()),
                (Kind::Text(text), Kind::Text(part)) => text.contains(part.as_ref()),
                _ => false,
            }),
            Self::Exists(exists) => path.any(subject, |_| true) == *exists,
            Self::Matches(pattern) => {
                let mut left = PATTERN_READS;
                any_text(path, subject, |text| match left.checked_sub(text.len() + 1) {
                    Some(rest) => {
                        left = rest;
                        pattern.is_found_in(text)
                    }
                    None => false,
                })
            }
        }
    }

    /// What a person would not guess from the values that were found, if the check did not hold.
    pub(super) fn caveat(&self, path: &Path, subject: &Subject<'_>) -> Option<String> {
        let Self::Matches(_) = self else { return None };
        let mut length = 0;
        any_text(path, subject, |text| {
            length += text.len() + 1;
            false
        });
        let limit = PATTERN_READS / 1024;
        (length > PATTERN_READS)
            .then(|| format!("not everything was read: $regex reads at most {limit} KiB of text here"))
    }
}

fn values(operand: &Json<'_>, place: &Place) -> Result<Values, InvalidFilter> {
    let wrong = || place.refuse(format!("must be a list of 1 to {MAX_VALUES} values"));
    let elements = elements(operand, place)?.ok_or_else(wrong)?;
    if !(1..=MAX_VALUES).contains(&elements.len()) {
        return Err(wrong());
    }
    let values = elements.into_iter().map(|(json, place)| Value::read(json, &place));
    Ok(Values::new(values.collect::<Result<_, _>>()?))
}

/// What is missing counts as null.
fn is_among(values: &Values, path: &Path, subject: &Subject<'_>) -> bool {
    let mut missing = true;
    let found = path.any(subject, |found| {
        missing = false;
        itself_or_element(found, |found| values.contains(found))
    });
    found || missing && values.contains_null()
}

fn any_text(path: &Path, subject: &Subject<'_>, mut test: impl FnMut(&str) -> bool) -> bool {
    path.any(subject, |found| {
        itself_or_element(found, |found| match found.kind() {
            Kind::Text(text) => test(text),
            _ => false,
        })
    })
}

/// Whether the test holds for the value, or, where it is a list, for one of its elements.
fn itself_or_element<'a>(found: &Json<'a>, mut test: impl FnMut(&Json<'a>) -> bool) -> bool {
    test(found) || matches!(found.kind(), Kind::List(elements) if elements.iter().any(test))
}
