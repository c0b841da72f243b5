/// Which part of a list is wanted. Lists are newest first, but for topics, which are in the order of their names.
///
/// Rows that are added while a list is paged through move nothing: the pages that follow are what they would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many rows at the most, at least 1.
    pub limit: u32,
    /// Where the page before ended; none: the first page.
    pub after: Option<Cursor>,
}

/// A place in a list, opaque to everyone but the store that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Paged<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<Cursor>,
}

impl Page {
    /// The first page.
    pub fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }
}
