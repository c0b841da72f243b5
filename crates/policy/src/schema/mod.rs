//! What the data of an event must be: a JSON Schema.
//!
//! `docs/schemas.md` is the page for those who write schemas. [`parts`] reads a schema and refuses what could lead outside
//! it, [`load`] tells how much work it can make of one value, and the crate `jsonschema` judges data by it.

mod load;
mod parts;

use std::fmt;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use self::parts::Parts;

/// How long a schema may be, in bytes of JSON.
const MAX_LENGTH: usize = 64 * 1024;
/// How large what a pattern compiles to may be, in bytes.
const MAX_COMPILED: usize = 64 * 1024;
/// How deep objects and lists may lie in each other in data that are judged.
const MAX_DATA_DEPTH: usize = 64;
/// Characters that are told of what is wrong.
const SHOWN: usize = 300;

/// A JSON Schema, ready to judge data.
///
/// Its cost is bounded whatever the schema and the data: no value is looked at more than a thousand times, no look goes further
/// than the value and the schema are long, and patterns are found in linear time. Nothing outside the schema is ever read.
pub struct Schema(Validator);

/// A schema that makes no sense, or is beyond a bound, with the place that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {problem}")]
pub struct InvalidSchema {
    /// Where: a JSON pointer into the schema (RFC 6901). Empty for the schema as a whole.
    pub pointer: String,
    /// What is wrong.
    pub problem: String,
}

/// Data that are not what a schema says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct Violation {
    /// The first place that is wrong: a JSON pointer into the data (RFC 6901). Empty for the data as a whole.
    pub pointer: String,
    /// What is wrong there. Does not repeat the value.
    pub message: String,
}

impl InvalidSchema {
    fn new(pointer: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), problem: problem.into() }
    }
}

impl Violation {
    fn of_all(message: impl Into<String>) -> Self {
        Self { pointer: String::new(), message: message.into() }
    }
}

impl Schema {
    /// Reads a schema. Where it does not say its draft (`$schema`), it is one of 2020-12.
    ///
    /// # Errors
    /// When it is no schema, refers to anything outside itself, or is beyond a bound that keeps judging cheap.
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        if !schema.is_object() {
            return Err(InvalidSchema::new("", "must be an object"));
        }
        if schema.to_string().len() > MAX_LENGTH {
            return Err(InvalidSchema::new("", format!("must not be longer than {MAX_LENGTH} bytes")));
        }
        let parts = Parts::read(schema)?;
        load::check(&parts)?;
        let patterns = PatternOptions::regex().size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED);
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            // It would compile what is in the data, whatever that costs.
            .with_format("regex", |_: &str| true)
            .with_pattern_options(patterns)
            .build(schema)
            .map_err(|error| InvalidSchema::new(error.instance_path().as_str(), told(&error)))?;
        Ok(Self(validator))
    }

    /// Judges data: the bytes of a JSON value. Of a key that appears twice the last counts.
    ///
    /// # Errors
    /// When they are not what the schema says, or are no JSON, or lie too deep to be judged: the first thing that is wrong.
    pub fn check(&self, data: &[u8]) -> Result<(), Violation> {
        let data: Value = serde_json::from_slice(data)
            .map_err(|error| Violation::of_all(format!("cannot be judged by its schema: {error}")))?;
        if depth(&data) > MAX_DATA_DEPTH {
            let message = format!("must not have more than {MAX_DATA_DEPTH} objects and lists in each other");
            return Err(Violation::of_all(message));
        }
        self.0.validate(&data).map_err(|error| Violation {
            pointer: error.instance_path().as_str().to_owned(),
            message: told(&error),
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// What is wrong, without the value: that may be long, and whoever sent it has it.
fn told(error: &ValidationError<'_>) -> String {
    let told = error.masked_with("the value").to_string();
    match told.char_indices().nth(SHOWN) {
        None => told,
        Some((end, _)) => format!("{}…", &told[..end]),
    }
}

/// How many objects and lists lie in each other. What was parsed is no deeper than its parser allows.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
