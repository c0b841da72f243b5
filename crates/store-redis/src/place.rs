//! Where a search goes on, as its cursor says it: a place for each partition that is searched.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use posthaste_store::{Cursor, Order, Page, Result, StoreError};

/// A place in the order of a partition's numbers: that of an event's `n`-th delivery. Oldest first, the search goes on with
/// it; newest first, with what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) n: u32,
}

impl Place {
    /// The oldest place; newest first, there is nothing before it.
    pub(crate) const FIRST: Self = Self { number: 0, n: 0 };
    /// Beyond every number that is given.
    const LAST: Self = Self { number: 1 << 46, n: 0 };

    /// Where a search begins.
    pub(crate) fn beginning(order: Order) -> Self {
        match order {
            Order::NewestFirst => Self::LAST,
            Order::OldestFirst => Self::FIRST,
        }
    }

    /// Whether a delivery, or an event, is still to come.
    pub(crate) fn is_before(self, order: Order, row: Self) -> bool {
        match order {
            Order::NewestFirst => row < self,
            Order::OldestFirst => row >= self,
        }
    }

    /// Where a search goes on behind a delivery.
    pub(crate) fn behind(order: Order, row: Self) -> Self {
        match order {
            Order::NewestFirst => row,
            Order::OldestFirst => Self { n: row.n + 1, ..row },
        }
    }
}

/// The places at which a page begins.
pub(crate) fn read(page: &Page, order: Order, partitions: usize) -> Result<Vec<Place>> {
    let Some(Cursor(text)) = &page.after else { return Ok(vec![Place::beginning(order); partitions]) };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| StoreError::InvalidCursor)?;
    let mut rest = &bytes[..];
    let mut places = Vec::new();
    while !rest.is_empty() {
        let number = take(&mut rest)?;
        // Mostly a search goes on between two events.
        let n = if number & 1 == 1 { take(&mut rest)? } else { 0 };
        places
            .push(Place { number: number >> 1, n: u32::try_from(n).map_err(|_| StoreError::InvalidCursor)? });
    }
    if places.len() == partitions { Ok(places) } else { Err(StoreError::InvalidCursor) }
}

/// The cursor that says where to go on.
pub(crate) fn cursor(places: impl Iterator<Item = Place>) -> Cursor {
    let mut bytes = Vec::new();
    for Place { number, n } in places {
        push(&mut bytes, number << 1 | u64::from(n != 0));
        if n != 0 {
            push(&mut bytes, n.into());
        }
    }
    Cursor(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Appends a number, 7 bits to a byte, the low ones first (LEB128).
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..56).step_by(7) {
        let (byte, others) = rest.split_first().ok_or(StoreError::InvalidCursor)?;
        *rest = others;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(StoreError::InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { limit: 1, after: Some(Cursor(text.into())) }
    }

    #[test]
    fn places_survive_their_cursor() {
        let places = [
            Place::FIRST,
            Place { number: 1, n: 0 },
            Place { number: (1 << 40) - 1, n: 65_535 },
            Place { number: 300, n: 1 },
            Place::LAST,
        ];
        let cursor = cursor(places.into_iter());
        let read = read(&page(&cursor.0), Order::NewestFirst, places.len()).unwrap();
        assert_eq!(read, places);
    }

    #[test]
    fn a_cursor_of_something_else_is_refused() {
        let of_three = cursor([Place { number: 1_000, n: 0 }; 3].into_iter()).0;
        for text in ["", "7", "no cursor", "gICAgICAgICA", "AQ", &of_three] {
            let refused = read(&page(text), Order::NewestFirst, 2);
            assert!(matches!(refused, Err(StoreError::InvalidCursor)), "{text}: {refused:?}");
        }
    }

    #[test]
    fn a_cursor_of_many_partitions_is_short() {
        let busy = (0..1_024).map(|n| Place { number: 10_000_000 + n, n: 0 });
        assert!(cursor(busy).0.len() < 6_000);
    }
}
