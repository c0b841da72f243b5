use posthaste_model::{Delivery, DeliveryState, EndpointId, ErrorClass, EventId, Timestamp, TopicName};
use serde::{Deserialize, Serialize};

use crate::EventRecord;

/// Which deliveries are wanted: those that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryFilter {
    /// In one of these states; none are named: in any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<DeliveryState>,
    /// To this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Of this topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// Whose last answer has one of these statuses, and whose last attempt was answered: the first and the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<(u16, u16)>,
    /// Whose last attempt got no answer, because of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorClass>,
    /// Of which an attempt has failed that counts, since it was made, or opened again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Whose event was accepted at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whose event was accepted before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl DeliveryFilter {
    /// Whether a delivery meets every condition that is set.
    pub fn admits(&self, delivery: &Delivery) -> bool {
        let Self { states, endpoint, event, topic, status, error, failed, since, until } = self;
        (states.is_empty() || states.contains(&delivery.state))
            && endpoint.is_none_or(|endpoint| delivery.endpoint == endpoint)
            && event.as_ref().is_none_or(|event| delivery.event == *event)
            && topic.as_ref().is_none_or(|topic| delivery.topic == *topic)
            && status.is_none_or(|(first, last)| {
                let answered = delivery.last_status.filter(|_| delivery.last_error.is_none());
                answered.is_some_and(|status| (first..=last).contains(&status))
            })
            && error.is_none_or(|error| delivery.last_error == Some(error))
            && (!failed || delivery.failures > 0)
            && since.is_none_or(|since| delivery.created_at >= since)
            && until.is_none_or(|until| delivery.created_at < until)
    }

    /// Whether only [troubled](is_troubled) deliveries can meet it, so that those alone need to be looked at.
    pub fn wants_trouble(&self) -> bool {
        let ended_badly = |state: &DeliveryState| state.is_final() && *state != DeliveryState::Delivered;
        self.failed
            || self.error.is_some()
            || self.status.is_some_and(|(first, last)| last < 200 || first > 299)
            || (!self.states.is_empty() && self.states.iter().all(ended_badly))
    }
}

/// Whether a delivery is one that operators look for: an attempt of it has failed, or it ended without arriving.
pub fn is_troubled(delivery: &Delivery) -> bool {
    let answered_well = delivery.last_status.is_none_or(|status| (200..=299).contains(&status));
    delivery.failures > 0
        || delivery.last_error.is_some()
        || !answered_well
        || (delivery.state.is_final() && delivery.state != DeliveryState::Delivered)
}

/// Which events are wanted: those that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// Of this topic.
    pub topic: Option<TopicName>,
    /// That matched nobody.
    pub unmatched: bool,
    /// Accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
}

impl EventFilter {
    /// Whether an event meets every condition that is set.
    pub fn admits(&self, EventRecord { event, deliveries }: &EventRecord) -> bool {
        let Self { topic, unmatched, since, until } = self;
        topic.as_ref().is_none_or(|topic| event.topic == *topic)
            && (!unmatched || *deliveries == 0)
            && since.is_none_or(|since| event.accepted_at >= since)
            && until.is_none_or(|until| event.accepted_at < until)
    }
}
