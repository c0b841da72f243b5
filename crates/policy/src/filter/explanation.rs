use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    json::Json,
    node::{Kind, Node as _},
};

/// How many of the values that were found are shown.
const SHOWN: usize = 5;
/// How many characters of each.
const SHOWN_CHARS: usize = 100;

/// Whether a filter matches an event, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Whether it does: whether all conditions below held.
    pub matches: bool,
    /// What the filter asks, in its order.
    pub conditions: Vec<Explained>,
}

/// A part of a filter, and whether it held.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Explained {
    /// What one operator asks of one path.
    Condition(ExplainedCondition),
    /// Several, put together.
    Group(ExplainedGroup),
}

impl Explained {
    /// Whether it held.
    pub fn held(&self) -> bool {
        match self {
            Self::Condition(condition) => condition.held,
            Self::Group(group) => group.held,
        }
    }
}

/// A condition, what it found, and whether it held.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedCondition {
    /// Where it stands: a JSON pointer into the filter (RFC 6901).
    pub at: String,
    /// Which values it is about.
    pub path: String,
    /// What it asks of them; `$eq` where none was written.
    pub operator: &'static str,
    /// What it compares them with, as it was written.
    pub operand: Box<RawValue>,
    /// The values that its path leads to.
    pub found: Found,
    /// Whether it held.
    pub held: bool,
    /// What these do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Conditions put together, and whether they held so.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedGroup {
    /// Where it stands: a JSON pointer into the filter (RFC 6901).
    pub at: String,
    /// How: `$and`, `$or`, or `$not`, which holds where not all of them do.
    pub operator: &'static str,
    /// Whether they held so.
    pub held: bool,
    /// They, in their order.
    pub conditions: Vec<Explained>,
}

/// The values that a path leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// How many there are; none where what is asked for is missing.
    pub count: usize,
    /// The first of them, each as JSON, and its beginning alone where it is long.
    pub values: Vec<String>,
}

impl Found {
    pub(super) fn add(&mut self, json: &Json<'_>) {
        self.count += 1;
        if self.values.len() < SHOWN {
            self.values.push(shown(json));
        }
    }
}

fn shown(json: &Json<'_>) -> String {
    match json.kind() {
        // Shortened first, so that the quotes stay and no escape is cut in two.
        Kind::Text(text) => serde_json::Value::String(shortened(text)).to_string(),
        _ => shortened(json.raw().get()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
