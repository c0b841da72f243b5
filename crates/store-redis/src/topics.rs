//! A topic as its field holds it: `created|` and the rest.

use posthaste_model::{Timestamp, Topic};
use posthaste_store::{Result, StoreError};
use redis::Value;
use serde::{Deserialize, Serialize};

use crate::{endpoints::time, reply::Reply};

#[derive(Serialize, Deserialize)]
struct Rest {
    description: String,
    /// The text of a JSON value, because one of them is null.
    example: Option<String>,
    #[serde(default)]
    schema: Option<String>,
    archived: bool,
    updated_ms: i64,
}

pub(crate) fn pack(topic: &Topic) -> Result<String> {
    let rest = Rest {
        description: topic.description.clone(),
        example: topic.example.as_ref().map(ToString::to_string),
        schema: topic.schema.as_ref().map(ToString::to_string),
        archived: topic.archived,
        updated_ms: topic.updated_at.as_millisecond(),
    };
    serde_json::to_string(&rest).map_err(StoreError::damaged)
}

/// Reads topics from names and fields in turn, in the order of their names.
pub(crate) fn read_all(value: Value) -> Result<Vec<Topic>> {
    let mut reply = Reply::items(value)?;
    let mut topics = Vec::new();
    while !reply.is_over() {
        topics.push(read(&reply.text()?, &reply.text()?)?);
    }
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(topics)
}

pub(crate) fn read(name: &str, packed: &str) -> Result<Topic> {
    let (created, rest) = packed.split_once('|').ok_or_else(|| StoreError::damaged("a topic has no time"))?;
    let created_at: Timestamp = time(created.parse().map_err(StoreError::damaged)?)?;
    let rest: Rest = serde_json::from_str(rest).map_err(StoreError::damaged)?;
    Ok(Topic {
        name: name.parse().map_err(StoreError::damaged)?,
        description: rest.description,
        example: json(rest.example)?,
        schema: json(rest.schema)?,
        archived: rest.archived,
        created_at,
        updated_at: time(rest.updated_ms)?,
    })
}

fn json(text: Option<String>) -> Result<Option<serde_json::Value>> {
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(StoreError::damaged)
}
