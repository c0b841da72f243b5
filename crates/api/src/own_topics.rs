//! The topics that are Posthaste's own.

use posthaste_model::{TenantId, TopicName, told};

/// What the names of topics begin with that nobody else publishes.
const PREFIX: &str = "posthaste.";

/// The topic of a test event where none is named.
pub(crate) const TEST: &str = "posthaste.test";

/// Whether a test event of the tenant may have the topic whatever topics are registered.
pub(crate) fn tests(tenant: &TenantId, topic: &TopicName) -> bool {
    let topic = topic.as_str();
    topic == TEST || (*tenant == TenantId::posthaste() && told::TOPICS.contains(&topic))
}

/// Whether nobody else publishes the topic.
pub(crate) fn is_reserved(topic: &TopicName) -> bool {
    topic.as_str().starts_with(PREFIX)
}

/// The topics that test events of the tenant `posthaste` may have, for people.
pub(crate) fn listed() -> String {
    format!("'{TEST}', '{}'", told::TOPICS.join("', '"))
}
