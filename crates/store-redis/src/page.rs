use posthaste_store::{Cursor, Page, Paged, Result, StoreError};

/// The place behind which a page begins, counting down; `end` when it is the first.
pub(crate) fn place(page: &Page, end: i64) -> Result<i64> {
    match &page.after {
        None => Ok(end),
        Some(Cursor(text)) => text.parse().ok().filter(|place| *place >= 0).ok_or(StoreError::InvalidCursor),
    }
}

/// A page of rows with their places, of which there is one more than the page holds if there is another page.
pub(crate) fn numbered<T>(mut rows: Vec<(i64, T)>, limit: u32) -> Paged<T> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().map(|(place, _)| Cursor(place.to_string()));
    Paged { rows: rows.into_iter().map(|(_, row)| row).collect(), next: last.filter(|_| more) }
}
