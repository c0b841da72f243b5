//! A delivery as it is shown: put together from its event, its slot, and where it waits.

use posthaste_model::{
    Delivery, DeliveryReason, DeliveryState, EndpointId, EventId, TenantId, Timestamp, TopicName,
};
use posthaste_store::{Result, StoreError};

use crate::{
    endpoints::time,
    layout::DeliveryKey,
    record::{End, Slot, end},
};

/// What an event says of a delivery of it: its key, the tenant, the event's id, its topic, the endpoint, and when the event
/// was accepted.
pub(crate) type About<'a> = (DeliveryKey, &'a TenantId, &'a EventId, &'a TopicName, EndpointId, Timestamp);

/// Puts a delivery together. `waiting` is where it waits if it is not final (`lua/common/shown.lua`).
pub(crate) fn show(about: About<'_>, slot: &Slot, waiting: &str) -> Result<Delivery> {
    let (key, tenant, event, topic, endpoint, created_at) = about;
    let ((state, reason), due_at, completed_at) = match slot.end {
        Some((end, at)) => (end, None, Some(at)),
        None => waiting_state(waiting)?,
    };
    Ok(Delivery {
        id: key.id(created_at.as_millisecond()),
        tenant: tenant.clone(),
        event: event.clone(),
        topic: topic.clone(),
        endpoint,
        state,
        reason,
        attempts: slot.attempts,
        failures: slot.failures,
        due_at,
        last_status: slot.last_status,
        last_error: slot.last_error,
        created_at,
        completed_at,
    })
}

/// What the place where a delivery waits says about its state: the state, when it is due, when it was completed.
fn waiting_state(place: &str) -> Result<(End, Option<Timestamp>, Option<Timestamp>)> {
    let at = |text: &str| time(text.parse().map_err(StoreError::damaged)?);
    Ok(match place.split_at_checked(1) {
        Some(("f", _)) => ((DeliveryState::InFlight, None), None, None),
        Some(("q", due)) => ((DeliveryState::Scheduled, None), Some(at(due)?), None),
        Some(("h", due)) => {
            ((DeliveryState::Held, Some(DeliveryReason::EndpointPaused)), Some(at(due)?), None)
        }
        Some(("c", closed)) => match closed.split_at_checked(1) {
            Some((code, when)) => (end(code.parse().map_err(StoreError::damaged)?)?, None, Some(at(when)?)),
            None => return Err(StoreError::damaged(format!("a queue was closed as '{closed}'"))),
        },
        // Nowhere: a crash of the server took its place and left the event.
        _ => ((DeliveryState::Cancelled, None), None, None),
    })
}
