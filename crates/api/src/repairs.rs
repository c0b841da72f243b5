//! What operators put right by hand: one more attempt, none any more, one more endpoint.

use actix_web::{
    HttpResponse, post,
    web::{Data, Json},
};
use posthaste_model::{DeliveryId, EndpointId, EventId, TenantId};
use posthaste_store::{Missing, StoreError};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    body::{JsonBody, Nothing, OptionalJson},
    deliveries::DeliveryBody,
    handshake::require_verified,
    params::BothInPath,
    problem::{Kind, Problem},
    recording::{created, unchanged},
    service::Service,
};

/// How a delivery is tried again.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Retry {
    /// Whether it goes out although the endpoint is paused or disabled.
    force: bool,
}

/// Where an event is sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sending {
    /// One of the tenant's endpoints, whatever it wants.
    #[schema(value_type = String)]
    endpoint: EndpointId,
}

/// Make one more attempt of a delivery at once, beside those that its retry policy makes.
///
/// The answer does not wait for it: what comes of it is among the delivery's attempts later. Asking twice is two attempts,
/// also where the first answer was lost.
#[utoipa::path(tag = "deliveries", params(("tenant" = String, Path), ("delivery" = String, Path)),
    request_body = Option<Retry>, responses((status = 202, body = DeliveryBody)))]
#[post("/tenants/{tenant}/deliveries/{delivery}/retry")]
pub(crate) async fn retry_delivery(
    service: Data<Service>,
    path: BothInPath<TenantId, DeliveryId>,
    retry: OptionalJson<Retry>,
) -> Result<HttpResponse, Problem> {
    let OptionalJson(Retry { force }) = retry;
    let endpoint = service.store.delivery(&path.0, path.1).await?.endpoint;
    require_verified(&service.store.endpoint(&path.0, endpoint).await?)?;
    let asked = service.store.retry(&path.0, path.1, force, service.clock.now()).await;
    asked.map_err(|error| match error {
        StoreError::EndpointClosed(_) => {
            let detail = format!("{error}; with \"force\": true the attempt is made all the same");
            Problem::new(Kind::EndpointClosed, detail)
        }
        error => Problem::not_repeatable(error),
    })?;
    let delivery = service.store.delivery(&path.0, path.1).await.map_err(Problem::not_repeatable)?;
    Ok(HttpResponse::Accepted().json(DeliveryBody::from(delivery)))
}

/// Give a delivery up. What comes of a request that is under way is recorded, and changes nothing.
#[utoipa::path(tag = "deliveries", params(("tenant" = String, Path), ("delivery" = String, Path)),
    responses((status = 200, body = DeliveryBody)))]
#[post("/tenants/{tenant}/deliveries/{delivery}/cancel")]
pub(crate) async fn cancel_delivery(
    service: Data<Service>,
    path: BothInPath<TenantId, DeliveryId>,
    _: OptionalJson<Nothing>,
) -> Result<Json<DeliveryBody>, Problem> {
    service.store.cancel(&path.0, path.1, service.clock.now()).await?;
    Ok(Json(service.store.delivery(&path.0, path.1).await?.into()))
}

/// Send an event to one more endpoint, whatever that wants. Where it was sent there already, nothing changes.
///
/// It is sent at once, whatever the event's `deliver_at` is.
#[utoipa::path(tag = "events", params(("tenant" = String, Path), ("event" = String, Path)),
    request_body = Sending, responses(
        (status = 200, description = "There was a delivery already", body = DeliveryBody),
        (status = 201, description = "It was made", body = DeliveryBody)))]
#[post("/tenants/{tenant}/events/{event}/send")]
pub(crate) async fn send_event(
    service: Data<Service>,
    path: BothInPath<TenantId, EventId>,
    sending: JsonBody<Sending>,
) -> Result<HttpResponse, Problem> {
    let BothInPath(tenant, event) = &path;
    let sent = service.store.send(tenant, event, sending.0.endpoint, service.clock.now()).await;
    let sent = sent.map_err(|error| match error {
        StoreError::NotFound(Missing::Endpoint) => Problem::field("/endpoint", error),
        error => error.into(),
    })?;
    let delivery = service.store.delivery(tenant, sent.delivery).await?;
    let body = DeliveryBody::from(delivery);
    if !sent.created {
        return Ok(unchanged(HttpResponse::Ok().json(body)));
    }
    let path = format!("/v1/tenants/{tenant}/deliveries/{}", sent.delivery);
    Ok(created(HttpResponse::Created().json(body), path))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::fixture::{Api, DELIVERIES, ENDPOINTS, EVENTS};

    /// An endpoint with an event on its way to it: their ids, and the delivery's.
    async fn delivery(api: &Api, state: &str) -> (String, String) {
        let endpoint = api.endpoint(json!({ "state": state })).await["id"].as_str().unwrap().to_owned();
        api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1, "id": "e1"}"#, 202).await;
        let listed = api.json(&format!("GET {DELIVERIES}?endpoint={endpoint}"), "", 200).await;
        (endpoint, listed["data"][0]["id"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_retry_is_asked_for() {
        for (state, body) in [
            ("enabled", ""),
            ("enabled", "{}"),
            ("enabled", r#"{"force": true}"#),
            ("paused", r#"{"force": true}"#),
            ("disabled", r#"{"force": true}"#),
        ] {
            let api = Api::new().await;
            let (_, id) = delivery(&api, state).await;
            let answer = api.json(&format!("POST {DELIVERIES}/{id}/retry"), body, 202).await;
            assert_eq!(answer["id"], id, "{state}");
        }
    }

    #[tokio::test]
    async fn a_retry_that_cannot_be_is_refused() {
        for (state, reason) in [("paused", "endpoint_paused"), ("disabled", "endpoint_disabled")] {
            let api = Api::new().await;
            let (_, id) = delivery(&api, state).await;
            let shown = api.json(&format!("GET {DELIVERIES}/{id}"), "", 200).await;
            assert_eq!(shown["reason"], reason);
            let retry = format!("POST {DELIVERIES}/{id}/retry");
            let refused = format!("409 endpoint-closed: the endpoint is {state}; with \"force\": true");
            api.refuses(&retry, "", &refused).await;
            api.refuses(&retry, r#"{"force": false}"#, &refused).await;
            api.refuses(&retry, r#"{"force": 1}"#, "422 invalid-field pointer /force: ").await;
            api.refuses(&retry, r#"{"forse": true}"#, "422 invalid-field pointer /forse: unknown field")
                .await;
        }
        let api = Api::new().await;
        let (endpoint, id) = delivery(&api, "enabled").await;
        api.json(&format!("DELETE {ENDPOINTS}/{endpoint}"), "", 204).await;
        let retry = format!("POST {DELIVERIES}/{id}/retry");
        api.refuses(&retry, "", "404 not-found: no such endpoint").await;
        let nothing = "dlv_00000000000000000000000000000000";
        let retry = format!("POST {DELIVERIES}/{nothing}/retry");
        api.refuses(&retry, "", "404 not-found: no such delivery").await;
        api.refuses(
            &format!("POST {DELIVERIES}/dlv_1/retry"),
            "",
            "400 invalid-parameter parameter delivery: ",
        )
        .await;
    }

    /// Whoever asks again when the answer is lost gets two attempts: it is not advised.
    #[tokio::test]
    async fn a_retry_whose_answer_is_lost_may_have_been_asked_for() {
        let api = Api::new().await;
        let (_, id) = delivery(&api, "enabled").await;
        api.store.loses_answers(true);
        let retry = format!("POST {DELIVERIES}/{id}/retry");
        let (status, answer) = api.call(&retry, "", "").await;
        assert_eq!(status, 503);
        assert_eq!(answer["detail"], "the store is unavailable; whether it was done is not known");
        api.store.loses_answers(false);
        api.json(&retry, "", 202).await;
        let event = r#"{"topic": "order.paid", "data": 1}"#;
        api.store.away(true);
        let refused = "503 unavailable: the store is unavailable; try again, an event with the id";
        api.refuses(&format!("POST {EVENTS}"), event, refused).await;
    }

    #[tokio::test]
    async fn a_delivery_is_cancelled_once() {
        let api = Api::new().await;
        let (_, id) = delivery(&api, "enabled").await;
        let cancel = format!("POST {DELIVERIES}/{id}/cancel");
        api.refuses(&cancel, r#"{"force": true}"#, "422 invalid-field pointer /force: unknown field").await;
        let answer = api.json(&cancel, "", 200).await;
        assert_eq!((&answer["state"], &answer["reason"]), (&json!("cancelled"), &json!("operator")));
        api.refuses(&cancel, "", "409 delivery-over: the delivery is cancelled already").await;
        let nothing = "dlv_00000000000000000000000000000000";
        let cancel = format!("POST {DELIVERIES}/{nothing}/cancel");
        api.refuses(&cancel, "", "404 not-found: no such delivery").await;
    }

    #[tokio::test]
    async fn an_event_is_sent_to_one_more_endpoint() {
        let api = Api::new().await;
        let (known, _) = delivery(&api, "enabled").await;
        let other = api.endpoint(json!({ "topics": ["refund"] })).await["id"].as_str().unwrap().to_owned();
        let paused = api.endpoint(json!({ "state": "paused" })).await["id"].as_str().unwrap().to_owned();
        let send = format!("POST {EVENTS}/e1/send");
        let to = |endpoint: &str| json!({ "endpoint": endpoint }).to_string();
        let made: Value = api.json(&send, &to(&other), 201).await;
        assert_eq!((&made["endpoint"], &made["state"]), (&json!(other), &json!("scheduled")));
        assert_eq!(api.json(&send, &to(&other), 200).await, made);
        assert_eq!(api.json(&send, &to(&known), 200).await["endpoint"], known);
        assert_eq!(api.json(&send, &to(&paused), 201).await["state"], "held");
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_sent_is_refused() {
        let api = Api::new().await;
        delivery(&api, "enabled").await;
        let disabled = api.endpoint(json!({ "state": "disabled" })).await["id"].as_str().unwrap().to_owned();
        let nothing = r#"{"endpoint": "ep_00000000000000000000000000000000"}"#;
        let to_disabled = json!({ "endpoint": disabled }).to_string();
        let send = format!("POST {EVENTS}/e1/send");
        for (line, body, refused) in [
            (&send, to_disabled.as_str(), "409 endpoint-closed: the endpoint is disabled"),
            (&send, nothing, "422 invalid-field pointer /endpoint: no such endpoint"),
            (&send, r#"{"endpoint": "ep_1"}"#, "422 invalid-field pointer /endpoint: "),
            (&send, "{}", "422 invalid-field pointer /endpoint: missing field"),
            (&send, "", "415 unsupported-media-type header content-type: "),
            (&format!("POST {EVENTS}/e2/send"), &to_disabled, "404 not-found: no such event"),
        ] {
            api.refuses(line, body, refused).await;
        }
    }
}
