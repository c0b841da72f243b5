//! The topics that are Posthaste's own.

use posthaste_model::{TenantId, TopicName};

/// The topic of a test event where none is named.
pub(crate) const TEST: &str = "posthaste.test";

/// The topics of what operators are told.
const TOLD: [&str; 4] = ["endpoint.failing", "endpoint.disabled", "endpoint.recovered", "delivery.exhausted"];

/// Whether a test event of the tenant may have the topic whatever topics are registered.
pub(crate) fn tests(tenant: &TenantId, topic: &TopicName) -> bool {
    let topic = topic.as_str();
    topic == TEST || (*tenant == TenantId::posthaste() && TOLD.contains(&topic))
}

/// The topics that test events of the tenant `posthaste` may have, for people.
pub(crate) fn listed() -> String {
    format!("'{TEST}', '{}'", TOLD.join("', '"))
}
