//! The topics that are Posthaste's own.

use posthaste_model::{TenantId, TopicName, told};

/// The topic of a test event where none is named.
pub(crate) const TEST: &str = "posthaste.test";

/// Whether a test event of the tenant may have the topic whatever topics are registered.
pub(crate) fn tests(tenant: &TenantId, topic: &TopicName) -> bool {
    let topic = topic.as_str();
    topic == TEST || (*tenant == TenantId::posthaste() && told::TOPICS.contains(&topic))
}

/// The topics that test events of the tenant `posthaste` may have, for people.
pub(crate) fn listed() -> String {
    format!("'{TEST}', '{}'", told::TOPICS.join("', '"))
}
