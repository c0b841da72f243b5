use std::{borrow::Cow, cmp::Ordering};

use super::number::Number;

/// What a JSON value is. `T` are the values in it, which may be read or still text.
#[derive(Debug, Clone)]
pub(super) enum Kind<'a, T> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    List(Vec<T>),
    /// By their keys, of which none appears twice.
    Object(Vec<(Cow<'a, str>, T)>),
}

impl<T> Kind<'_, T> {
    /// Types differ where this does. It also puts values of different types in an order.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
            Self::List(_) => 4,
            Self::Object(_) => 5,
        }
    }
}

/// A JSON value that can say what it is.
pub(super) trait Node<'a>: Sized {
    fn kind(&self) -> &Kind<'a, Self>;
}

/// An order of all values in which only those are equal that are the same: numbers by their value, texts by their code
/// points, lists element by element, objects whatever the order of their keys.
///
/// It goes no deeper than the shallower of the two, and stops where they differ.
pub(super) fn compare<'l, 'r>(left: &impl Node<'l>, right: &impl Node<'r>) -> Ordering {
    match (left.kind(), right.kind()) {
        (Kind::Bool(left), Kind::Bool(right)) => left.cmp(right),
        (Kind::Number(left), Kind::Number(right)) => left.compare(right),
        // The order of UTF-8 is that of code points.
        (Kind::Text(left), Kind::Text(right)) => left.cmp(right),
        (Kind::List(left), Kind::List(right)) => {
            let elements = left.iter().zip(right).map(|(left, right)| compare(left, right));
            left.len().cmp(&right.len()).then_with(|| first_difference(elements))
        }
        (Kind::Object(left), Kind::Object(right)) => {
            let members = left.iter().zip(right).map(|((left_key, left), (right_key, right))| {
                left_key.cmp(right_key).then_with(|| compare(left, right))
            });
            left.len().cmp(&right.len()).then_with(|| first_difference(members))
        }
        (left, right) => left.rank().cmp(&right.rank()),
    }
}

fn first_difference(mut orderings: impl Iterator<Item = Ordering>) -> Ordering {
    orderings.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}
