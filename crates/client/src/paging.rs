use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paged<T> {
    /// The rows.
    pub data: Vec<T>,
    /// The cursor of the next page; none: this is the last.
    pub next: Option<String>,
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Rows of the page: 1 to 500; none: 50.
    pub limit: Option<u32>,
    /// Where to go on: [`Paged::next`] of the page before; none: at the beginning.
    pub cursor: Option<String>,
}
