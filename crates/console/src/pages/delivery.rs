//! A delivery: where it stands, what happened, and what can be done about it.

mod again;
mod story;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    web,
};
use askama::Template;
use futures_util::future::try_join3;
use posthaste_client::{
    Attempt, Delivery, DeliveryId, DeliveryState, Endpoint, EndpointState, EventDetail, ProblemKind, TenantId,
};

use self::{
    again::{Again, Material},
    story::{Happening, Story},
};
use super::{both, payload::Payload};
use crate::{
    elements::{Badge, When},
    explain::{self, Purpose, Standing},
    fault::Fault,
    names::short,
    page::Page,
    posted::Posted,
    visitor::{Visitor, html},
};

/// Names the part of a page that the script asks for anew.
const PART: &str = "posthaste-part";

#[derive(Template)]
#[template(path = "delivery.html")]
struct Shown {
    page: Page,
    delivery: Delivery,
    /// What it is for; empty: an event as any other.
    purpose: &'static str,
    badge: Badge,
    standing: Standing,
    /// What the endpoint is called; none: it was deleted.
    endpoint: Option<String>,
    accepted: When,
    completed: Option<When>,
    due: Option<When>,
    story: Story,
    payload: Option<Payload>,
    again: Option<Again>,
    actions: Actions,
    /// Whether it goes on by itself.
    open: bool,
    /// Whether it can be sent again though the receiver has taken it: that is asked about first.
    again_by_choice: bool,
}

/// What can be done about a delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Actions {
    retry: bool,
    /// Whether that is in spite of a closed endpoint.
    force: bool,
    replay: bool,
    cancel: bool,
}

impl Actions {
    /// Nobody waits for the answer to a handshake that is sent once more: it is asked for on the endpoint's page.
    fn of(delivery: &Delivery, purpose: Purpose, endpoint: Option<&Endpoint>) -> Self {
        let Some(endpoint) = endpoint else { return Self::default() };
        let (open, repeats) = (!delivery.state.is_final(), purpose != Purpose::Handshake);
        let retry = repeats && !explain::is_unverified(endpoint);
        Self {
            retry,
            force: retry && matches!(endpoint.state, EndpointState::Paused | EndpointState::Disabled),
            replay: repeats && !open,
            cancel: open,
        }
    }
}

/// What a page is made of.
struct Parts {
    delivery: Delivery,
    attempts: Vec<Attempt>,
    event: Option<EventDetail>,
    endpoint: Option<Endpoint>,
}

pub(super) async fn show(
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Fault> {
    let (tenant, id) = both(&path)?;
    let Parts { delivery, attempts, event, endpoint } = read(&visitor, &tenant, id).await?;
    let (event, endpoint) = (event.as_ref().map(|detail| &detail.event), endpoint.as_ref());
    let purpose = Purpose::of(&delivery, event);
    // What only the whole page has does not change, and is not made for a part of it.
    let whole = event.filter(|_| !request.headers().contains_key(PART));
    let again = endpoint.zip(whole).map(|(endpoint, event)| {
        let source = &visitor.console.source;
        Material { delivery: &delivery, purpose, event, endpoint, source }.again(&attempts)
    });
    let actions = Actions::of(&delivery, purpose, endpoint);
    html(&Shown {
        page: visitor.page("deliveries", format!("Delivery of {}", delivery.topic)),
        purpose: purpose.word(),
        badge: Badge::delivery(delivery.state),
        standing: explain::standing(&delivery, purpose, endpoint, visitor.now),
        endpoint: endpoint.map(|endpoint| short(&endpoint.url)),
        accepted: visitor.when(delivery.created_at),
        completed: delivery.completed_at.map(|at| visitor.when(at)),
        due: delivery
            .next_attempt
            .as_ref()
            .filter(|_| delivery.state == DeliveryState::Scheduled)
            .map(|next| visitor.when(next.due_at)),
        story: Story::of(attempts, delivery.completed_at, visitor.now),
        payload: whole.map(Payload::of),
        again,
        again_by_choice: delivery.state == DeliveryState::Delivered && (actions.retry || actions.replay),
        actions,
        open: !delivery.state.is_final(),
        delivery,
    })
}

async fn read(visitor: &Visitor, tenant: &TenantId, id: DeliveryId) -> Result<Parts, Fault> {
    let client = &visitor.client;
    let delivery = client.delivery(tenant, id).await?;
    let (attempts, event, endpoint) = try_join3(
        async { Ok(client.attempts(tenant, id).await?) },
        async { there(client.event(tenant, &delivery.event).await.map_err(Fault::from)) },
        async { there(client.endpoint(tenant, delivery.endpoint).await.map_err(Fault::from)) },
    )
    .await?;
    Ok(Parts { delivery, attempts, event, endpoint })
}

/// What is there. What was deleted is not.
fn there<T>(read: Result<T, Fault>) -> Result<Option<T>, Fault> {
    use posthaste_client::ClientError::Problem;
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Fault::Api(Problem(problem))) if problem.kind == ProblemKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The body of the request as a file.
pub(super) async fn body(visitor: Visitor, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (tenant, id) = both(&path)?;
    let delivery = visitor.client.delivery(&tenant, id).await?;
    let event = visitor.client.event(&tenant, &delivery.event).await?.event;
    let endpoint = visitor.client.endpoint(&tenant, delivery.endpoint).await?;
    let purpose = Purpose::of(&delivery, Some(&event));
    let source = &visitor.console.source;
    let material = Material { delivery: &delivery, purpose, event: &event, endpoint: &endpoint, source };
    Ok(file(&format!("{id}.body"), material.body().bytes))
}

/// Bytes that a browser saves and does not show.
pub(super) fn file(name: &str, bytes: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(bytes)
}

pub(super) async fn retry(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (Posted { visitor, fields }, (tenant, id)) = (posted, both(&path)?);
    visitor.client.retry_delivery(&tenant, id, fields.get("force") == "true").await?;
    Ok(back(&visitor, &tenant, id, "retried"))
}

pub(super) async fn replay(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (Posted { visitor, .. }, (tenant, id)) = (posted, both(&path)?);
    visitor.client.replay_delivery(&tenant, id).await?;
    Ok(back(&visitor, &tenant, id, "replayed"))
}

pub(super) async fn cancel(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (Posted { visitor, .. }, (tenant, id)) = (posted, both(&path)?);
    visitor.client.cancel_delivery(&tenant, id).await?;
    Ok(back(&visitor, &tenant, id, "cancelled"))
}

fn back(visitor: &Visitor, tenant: &TenantId, id: DeliveryId, said: &str) -> HttpResponse {
    visitor.go(&format!("/tenants/{tenant}/deliveries/{id}"), Some(said))
}

#[cfg(test)]
mod tests {
    use posthaste_client::EndpointHandshake;
    use posthaste_model::HandshakeKind;
    use serde_json::json;

    use super::*;
    use crate::pages::example;

    fn delivery(state: DeliveryState) -> Delivery {
        let json = json!({
            "id": "dlv_00000000000000000000000000000000", "tenant": "acme", "event": "e1", "topic": "order.paid",
            "endpoint": "ep_00000000000000000000000000000001", "state": state, "reason": null, "attempts": 1,
            "failures": 1, "due_at": null, "last_status": 503, "last_error": null,
            "created_at": "2026-11-21T10:00:00Z", "completed_at": null,
        });
        serde_json::from_value(json).unwrap()
    }

    #[track_caller]
    fn check(state: DeliveryState, purpose: Purpose, endpoint: Option<&Endpoint>, expect: &[&str]) {
        let Actions { retry, force, replay, cancel } = Actions::of(&delivery(state), purpose, endpoint);
        let all = [(retry, "retry"), (force, "force"), (replay, "replay"), (cancel, "cancel")];
        let words: Vec<_> = all.into_iter().filter_map(|(can, word)| can.then_some(word)).collect();
        assert_eq!(words, expect);
    }

    #[test]
    fn only_what_can_be_done_is_offered() {
        use DeliveryState::{Exhausted, Held, Scheduled};
        let open = example::endpoint();
        let paused = Endpoint { state: EndpointState::Paused, ..example::endpoint() };
        let handshake = EndpointHandshake { kind: HandshakeKind::Echo, verified_at: None, failure: None };
        let unverified = Endpoint { handshake: Some(handshake), ..paused.clone() };
        for purpose in [Purpose::Event, Purpose::Test] {
            check(Scheduled, purpose, Some(&open), &["retry", "cancel"]);
            check(Exhausted, purpose, Some(&open), &["retry", "replay"]);
        }
        check(Held, Purpose::Event, Some(&paused), &["retry", "force", "cancel"]);
        check(Exhausted, Purpose::Handshake, Some(&open), &[]);
        check(Scheduled, Purpose::Handshake, Some(&open), &["cancel"]);
        check(Held, Purpose::Event, Some(&unverified), &["cancel"]);
        check(Exhausted, Purpose::Event, None, &[]);
    }
}
