//! What an endpoint wants to see in an event: conditions on its topic, its metadata and its data.
//!
//! `docs/filters.md` is the page for those who write filters, and its tables are tests. [`reading`] makes [`rule`]s
//! of a filter, which lead a [`path`] through the event and put a [`check`] to what they find there.

mod check;
mod containers;
mod explanation;
mod invalid;
mod json;
mod node;
mod number;
mod operator;
mod path;
mod pattern;
mod reading;
mod rule;
mod subject;
mod value;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod property_tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::{
    explanation::{Explained, ExplainedCondition, ExplainedGroup, Explanation, Found},
    invalid::InvalidFilter,
    subject::Subject,
};
use self::{operator::Join, rule::Rule};

/// Which events an endpoint wants, by what is in them: `{"data.amount": {"$gte": 100}}`.
///
/// As JSON it is what it was made of, to the letter; reading one validates it.
///
/// Deciding never fails, and its cost is bounded whatever the filter and the event. There are at most 64 conditions. Each
/// looks at a value that its path leads to once, so at no more values than the payload has bytes, and compares it with at
/// most ten others (500 in their order), as far as they are the same. At most four are regular expressions, and each of
/// these reads 16 KiB of text, at a cost for a byte that the length of a pattern bounds (256). Of the payload at most 32
/// levels are read for paths and 16 for comparing, each level once for all filters.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Box<RawValue>", into = "Box<RawValue>")]
pub struct Filter {
    json: Box<RawValue>,
    /// All must hold.
    rules: Vec<Rule>,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// When it makes no sense, or is beyond a bound that keeps deciding cheap.
    pub fn new(json: Box<RawValue>) -> Result<Self, InvalidFilter> {
        let rules = reading::read(&json)?;
        Ok(Self { json, rules })
    }

    /// As it was written.
    pub fn json(&self) -> &RawValue {
        &self.json
    }

    /// How many regular expressions it has. They are what makes a filter large.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.rules.iter().map(Rule::patterns).sum()
    }

    /// Whether it matches the event.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        Join::And.holds(self.rules.iter().map(|rule| rule.holds(subject)))
    }

    /// Whether it matches the event, and why. Says the same as [`matches`](Self::matches), but asks everything, also what
    /// does not matter any more.
    pub fn explain(&self, subject: &Subject<'_>) -> Explanation {
        let conditions: Vec<_> = self.rules.iter().map(|rule| rule.explain(subject)).collect();
        Explanation { matches: Join::And.holds(conditions.iter().map(Explained::held)), conditions }
    }
}

impl TryFrom<Box<RawValue>> for Filter {
    type Error = InvalidFilter;

    fn try_from(json: Box<RawValue>) -> Result<Self, InvalidFilter> {
        Self::new(json)
    }
}

impl From<Filter> for Box<RawValue> {
    fn from(filter: Filter) -> Self {
        filter.json
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let json = serde_json::from_str::<Box<RawValue>>(text);
        Self::new(json.map_err(|error| invalid::Place::default().refuse(format!("is not JSON: {error}")))?)
    }
}

/// Filters are equal that are written the same.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.json.get() == other.json.get()
    }
}

impl Eq for Filter {}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json.get())
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
