//! What a delivery waits for.

use posthaste_model::{Delivery, DeliveryState, Endpoint, Event, Timestamp};
use posthaste_policy::max_attempts;
use posthaste_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{problem::Problem, service::Service};

/// The next attempt that a delivery's retry policy makes.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NextAttempt {
    /// It is not made before this time.
    #[schema(value_type = String, format = DateTime)]
    due_at: Timestamp,
    /// Which one it is of those that the retry policy allows, from 1.
    number: u32,
    /// How many the retry policy allows.
    of: u32,
    /// What it waits for.
    why: Why,
}

/// What a delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Why {
    /// Its turn: no attempt has failed yet, or it was opened again.
    FirstAttempt,
    /// The time before which its publisher wants nothing sent.
    DeliverAt,
    /// The time at which it is tried again.
    Retry,
    /// The endpoint is paused: it goes out once that is resumed.
    EndpointPaused,
    /// The endpoint asked for a pause.
    EndpointParked,
}

impl NextAttempt {
    /// The next attempt of a delivery; none: the delivery is over, or an attempt is under way.
    pub(crate) async fn of(service: &Service, delivery: &Delivery) -> Result<Option<Self>, Problem> {
        let Some(due_at) = delivery.due_at else { return Ok(None) };
        let Some(endpoint) = there(service.store.endpoint(&delivery.tenant, delivery.endpoint).await)? else {
            return Ok(None);
        };
        let Some(record) = there(service.store.event(&delivery.tenant, &delivery.event).await)? else {
            return Ok(None);
        };
        let allowed = if record.event.options.test {
            1
        } else {
            max_attempts(endpoint.retry.as_ref().unwrap_or(&service.settings.retry))
        };
        Ok(judge(delivery, due_at, &endpoint, &record.event, allowed))
    }
}

/// What is there. What was deleted since the delivery was read is not.
fn there<T>(read: posthaste_store::Result<T>) -> Result<Option<T>, Problem> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn judge(
    delivery: &Delivery,
    due_at: Timestamp,
    endpoint: &Endpoint,
    event: &Event,
    of: u32,
) -> Option<NextAttempt> {
    let by_itself = || match delivery.failures {
        0 if event.options.deliver_at == Some(due_at) => Why::DeliverAt,
        0 => Why::FirstAttempt,
        _ => Why::Retry,
    };
    let parked = endpoint.parked_until.filter(|until| *until > due_at);
    let (due_at, why) = match (delivery.state, parked) {
        (DeliveryState::Held, _) => (due_at, Why::EndpointPaused),
        (DeliveryState::Scheduled, Some(until)) => (until, Why::EndpointParked),
        (DeliveryState::Scheduled, None) => (due_at, by_itself()),
        _ => return None,
    };
    Some(NextAttempt { due_at, number: delivery.failures.saturating_add(1), of, why })
}

#[cfg(test)]
mod tests;
