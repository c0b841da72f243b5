//! What operators are told: events of the tenant `posthaste`, which they subscribe to like anybody else.

use std::{convert::Infallible, sync::Arc, time::Duration};

use posthaste_model::{
    DeliveryId, Endpoint, Event, EventId, EventOptions, Payload, TenantId, Timestamp, TopicName, told,
};
use posthaste_policy::{Filter, Subject, wants};
use posthaste_store::{NewEvent, Notice, Result, StoreError, Told};
use posthaste_telemetry::Operation;
use serde_json::{Value, json};
use tokio::{sync::Notify, time::timeout};

use crate::{hold::Hold, shared::Shared};

/// How many notices are read at once.
const BATCH: u32 = 100;
/// How long to rely on being told of notices before looking for them.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How often an event is matched anew when the catalogue changed meanwhile.
const TRIES: usize = 20;

/// Publishes the notices of a partition for as long as it is held, in their order.
pub(crate) async fn run(shared: &Shared, hold: Hold, noticed: &Arc<Notify>) -> Infallible {
    let mut patience = shared.patience("telling operators");
    loop {
        match tell(shared, hold).await {
            Ok(()) => {
                patience.over();
                let _ = timeout(LOOK_AGAIN, noticed.notified()).await;
            }
            Err(error) => patience.wait(&error).await,
        }
    }
}

/// Publishes all that there is.
async fn tell(shared: &Shared, Hold { partition, .. }: Hold) -> Result<()> {
    loop {
        let notices = shared.store.notices(partition, BATCH).await?;
        let Some(last) = notices.last().map(|notice| notice.number) else { return Ok(()) };
        for notice in &notices {
            if let Some(event) = announcement(shared, notice).await? {
                publish(shared, event).await?;
            }
        }
        shared.store.forget_notices(partition, last).await?;
    }
}

/// The event that tells of a notice. Its id follows from the notice, so that one that is published again is no other.
///
/// None: that a delivery of this very kind is exhausted is not told, or it would be told for ever.
async fn announcement(shared: &Shared, notice: &Notice) -> Result<Option<Event>> {
    let Notice { tenant, endpoint: id, at, told: what, .. } = notice;
    let endpoint = found(shared.store.endpoint(tenant, *id).await)?;
    let of = subject(notice, endpoint.as_ref());
    let (topic, event_id, data) = match what {
        Told::Failing { since, percent } => {
            let disabled_at = since.checked_add(shared.settings.auto_disable.after).ok();
            let facts = json!({ "failing_since": since, "percent": percent, "disabled_at": disabled_at });
            let event_id = format!("failing-{id}-{}-{percent}", since.as_millisecond());
            (told::ENDPOINT_FAILING, event_id, with(of, facts))
        }
        Told::Disabled { reason } => {
            let event_id = format!("disabled-{id}-{}", at.as_millisecond());
            (told::ENDPOINT_DISABLED, event_id, with(of, json!({ "reason": reason })))
        }
        Told::Recovered { failing_since } => {
            let event_id = format!("recovered-{id}-{}", failing_since.as_millisecond());
            (told::ENDPOINT_RECOVERED, event_id, with(of, json!({ "failing_since": failing_since })))
        }
        Told::Exhausted { .. } if *tenant == TenantId::posthaste() => return Ok(None),
        Told::Exhausted { delivery } => {
            let Some(facts) = exhausted(shared, tenant, *delivery).await? else { return Ok(None) };
            let event_id = format!("exhausted-{delivery}-{}", at.as_millisecond());
            (told::DELIVERY_EXHAUSTED, event_id, with(of, facts))
        }
    };
    event(topic, &event_id, &data, shared.clock.now()).map(Some)
}

/// Whom a notice is about, and since when.
fn subject(notice: &Notice, endpoint: Option<&Endpoint>) -> Value {
    json!({
        "at": notice.at,
        "tenant": notice.tenant,
        "endpoint": notice.endpoint,
        "url": endpoint.map(|endpoint| &endpoint.url),
        "description": endpoint.map(|endpoint| &endpoint.description),
    })
}

fn with(mut of: Value, facts: Value) -> Value {
    if let (Value::Object(of), Value::Object(facts)) = (&mut of, facts) {
        of.extend(facts);
    }
    of
}

/// What there is to say of an exhausted delivery. None: it was forgotten meanwhile, or only tried its endpoint out.
async fn exhausted(shared: &Shared, tenant: &TenantId, id: DeliveryId) -> Result<Option<Value>> {
    let Some(delivery) = found(shared.store.delivery(tenant, id).await)? else { return Ok(None) };
    let Some(event) = found(shared.store.event(tenant, &delivery.event).await)? else { return Ok(None) };
    let facts = json!({
        "delivery": delivery.id,
        "event": delivery.event,
        "topic": delivery.topic,
        "attempts": delivery.attempts,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
    });
    Ok(Some(facts).filter(|_| !event.event.options.test))
}

fn event(topic: &str, id: &str, data: &Value, now: Timestamp) -> Result<Event> {
    let topic: TopicName = topic.parse().map_err(StoreError::damaged)?;
    let id: EventId = id.parse().map_err(StoreError::damaged)?;
    Ok(Event {
        tenant: TenantId::posthaste(),
        id,
        topic,
        payload: Payload::Data(data.to_string().into()),
        accepted_at: now,
        options: EventOptions::default(),
    })
}

/// Accepts an event for whoever wants it.
async fn publish(shared: &Shared, event: Event) -> Result<()> {
    for _ in 0..TRIES {
        let view = shared.store.view(&event.tenant).await?;
        let subject = Subject::new(&event.topic, &event.options.metadata, &event.payload);
        let wanting = view.endpoints.iter().filter(|endpoint| {
            wants(&endpoint.topics, &event.topic) && passes(endpoint.filter.as_deref(), &subject)
        });
        let endpoints: Vec<_> = wanting.map(|endpoint| endpoint.id).collect();
        let new = NewEvent { event: event.clone(), endpoints };
        let wanted = new.endpoints.clone();
        let accepted = shared.store.accept(&event.tenant, view.version, vec![new]);
        match shared.telemetry.timed(Operation::Accept, accepted).await {
            Err(StoreError::StaleView) => {}
            Ok(answers) => {
                answers.iter().for_each(|answer| shared.telemetry.accepted(&event, &wanted, answer));
                return Ok(());
            }
            // It was told before, when there was something else to say of the same thing.
            Err(StoreError::EventConflict { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::StaleView)
}

/// Whether an endpoint's filter lets an event through. There are few of operators, so that none is kept ready.
fn passes(filter: Option<&str>, subject: &Subject<'_>) -> bool {
    // It was read before it was stored. One that cannot be read any more hides nothing.
    filter.and_then(|text| text.parse().ok()).is_none_or(|filter: Filter| filter.matches(subject))
}

/// What was found; none: it does not exist.
fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
