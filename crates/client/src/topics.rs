use posthaste_model::{Timestamp, TopicName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Client, ClientError, ListOptions, Paged};

/// What a topic is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicFields {
    /// What an event of this type means, for people.
    pub description: String,
    /// A sample of the data of such an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// What the data of such an event must be: a JSON Schema; none: anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Whether it takes no more events.
    pub archived: bool,
}

/// An event type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its dotted name.
    pub name: TopicName,
    /// What an event of this type means, for people.
    pub description: String,
    /// A sample of the data of such an event.
    pub example: Option<Value>,
    /// What the data of such an event must be: a JSON Schema; none: anything.
    pub schema: Option<Value>,
    /// Whether it takes no more events.
    pub archived: bool,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Client {
    /// Registers a topic, or changes it: `PUT /v1/topics/{topic}`.
    pub async fn put_topic(&self, name: &TopicName, fields: &TopicFields) -> Result<Topic, ClientError> {
        self.at(&["v1", "topics", name.as_str()]).put(fields).await
    }

    /// Reads a topic: `GET /v1/topics/{topic}`.
    pub async fn topic(&self, name: &TopicName) -> Result<Topic, ClientError> {
        self.at(&["v1", "topics", name.as_str()]).get().await
    }

    /// Lists topics by name: `GET /v1/topics`.
    pub async fn topics(&self, options: &ListOptions) -> Result<Paged<Topic>, ClientError> {
        self.at(&["v1", "topics"]).page(options).get().await
    }

    /// Deletes a topic: `DELETE /v1/topics/{topic}`. Events of it that were accepted before are still delivered.
    pub async fn delete_topic(&self, name: &TopicName) -> Result<(), ClientError> {
        self.at(&["v1", "topics", name.as_str()]).delete().await
    }
}
