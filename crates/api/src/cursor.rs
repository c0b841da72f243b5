//! Lists: cursor-paged, newest first.

use posthaste_store::{Cursor, Page, Paged};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// Rows of a page, where the caller does not say.
const DEFAULT_LIMIT: u32 = 50;
/// Rows of a page at the most.
const MAX_LIMIT: u32 = 500;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The rows. A search may find fewer than were asked for, even none, and still have a `next`.
    data: Vec<T>,
    /// The cursor of the next page; null: this is the last.
    next: Option<String>,
}

impl<T> Listed<T> {
    /// A list that is on one page.
    pub(crate) fn whole(data: Vec<T>) -> Self {
        Self { data, next: None }
    }
}

/// The parameters of a plain list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Rows of a page: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// One list, and which rows it has: a cursor of another one does not fit.
pub(crate) struct List(String);

impl List {
    /// `name` and `filter` say what the list consists of.
    pub(crate) fn new(name: &str, filter: &impl std::fmt::Debug) -> Self {
        let digest = Sha256::digest(format!("{name}\n{filter:?}").as_bytes());
        Self(digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads what the caller asked for.
    pub(crate) fn page(&self, limit: Option<u32>, cursor: Option<&str>) -> Result<Page, Problem> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::parameter("limit", format!("must lie between 1 and {MAX_LIMIT}")));
        }
        let after = match cursor {
            None => None,
            Some(text) => Some(
                text.strip_prefix(self.0.as_str())
                    .and_then(|rest| rest.strip_prefix('-'))
                    .map(|rest| Cursor(rest.to_owned()))
                    .ok_or_else(|| Problem::parameter("cursor", "not a cursor of this list"))?,
            ),
        };
        Ok(Page { limit, after })
    }

    pub(crate) fn query(&self, query: &ListQuery) -> Result<Page, Problem> {
        self.page(query.limit, query.cursor.as_deref())
    }

    /// Writes what the store found.
    pub(crate) fn answer<R, T>(&self, page: Paged<R>, show: impl Fn(R) -> T) -> Listed<T> {
        Listed {
            data: page.rows.into_iter().map(show).collect(),
            next: page.next.map(|Cursor(next)| format!("{}-{next}", self.0)),
        }
    }
}
