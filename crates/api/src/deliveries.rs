use std::time::Duration;

use actix_web::{
    get,
    web::{Data, Json},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthaste_model::{
    Attempt, AttemptId, Delivery, DeliveryId, DeliveryReason, DeliveryState, EndpointId, ErrorClass, EventId,
    Outcome, Reply, SentRequest, TenantId, Timestamp, Timings, TopicName,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{next_attempt::NextAttempt, params::BothInPath, problem::Problem, service::Service};

/// One event on its way to one endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryBody {
    #[schema(value_type = String)]
    id: DeliveryId,
    #[schema(value_type = String)]
    tenant: TenantId,
    #[schema(value_type = String)]
    event: EventId,
    #[schema(value_type = String)]
    topic: TopicName,
    #[schema(value_type = String)]
    endpoint: EndpointId,
    /// `scheduled`, `in_flight`, `delivered`, `exhausted`, `held`, `skipped` or `cancelled`.
    #[schema(value_type = String)]
    state: DeliveryState,
    /// Why it is held (`endpoint_paused`), skipped (`endpoint_disabled`) or cancelled (`endpoint_deleted`, `operator`).
    #[schema(value_type = Option<String>)]
    reason: Option<DeliveryReason>,
    /// How many attempts have been recorded.
    attempts: u32,
    /// How many of them count against the retry policy.
    failures: u32,
    /// When the next attempt is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// The status of the last attempt that was answered.
    last_status: Option<u16>,
    /// Why the last attempt was not answered; null: it was.
    #[schema(value_type = Option<String>)]
    last_error: Option<ErrorClass>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it reached its final state.
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
}

/// One HTTP request of a delivery, and what came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(crate) struct AttemptBody {
    #[schema(value_type = String)]
    id: AttemptId,
    /// Counts from 1.
    number: u32,
    /// Whether somebody asked for it, beside those that the retry policy makes.
    manual: bool,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    timings: TimingsBody,
    /// What was sent, but for the body. It is kept of attempts that did not succeed and of those that somebody asked for.
    request: Option<RequestBody>,
    /// The answer; null: there was none.
    response: Option<ResponseBody>,
    /// Why there was no answer.
    error: Option<ErrorBody>,
}

/// Where the time went, in milliseconds.
#[derive(Serialize, ToSchema)]
struct TimingsBody {
    /// From when the attempt was due until it began.
    queued_ms: f64,
    /// How long resolving the host's name took; null: a connection was there.
    dns_ms: Option<f64>,
    /// How long connecting took; null: a connection was there, or none could be made.
    connect_ms: Option<f64>,
    /// How long the TLS handshake took; null: there was none.
    tls_ms: Option<f64>,
    /// From its beginning until the head of the answer had arrived.
    first_byte_ms: Option<f64>,
    /// From its beginning until its end.
    total_ms: f64,
}

/// What was sent to an endpoint, but for the body.
#[derive(Serialize, ToSchema)]
#[schema(as = SentRequest)]
struct RequestBody {
    method: String,
    url: String,
    /// Names and values. `***` stands for what was sent in confidence.
    headers: Vec<(String, String)>,
}

/// An endpoint's answer, as much of it as is kept.
#[derive(Serialize, ToSchema)]
struct ResponseBody {
    status: u16,
    /// Names and values in the order of their arrival.
    headers: Vec<(String, String)>,
    /// A body that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// A body that is not text, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// Whether the body was longer than what is kept.
    truncated: bool,
}

/// Why an attempt was not answered.
#[derive(Serialize, ToSchema)]
struct ErrorBody {
    /// `blocked`, `dns`, `connect`, `tls`, `timeout`, `protocol`, `internal`, `unknown` or `auth`.
    #[schema(value_type = String)]
    class: ErrorClass,
    /// What happened.
    detail: String,
}

/// The attempts of a delivery.
#[derive(Serialize, ToSchema)]
struct Attempts {
    /// Oldest first.
    data: Vec<AttemptBody>,
}

/// A delivery, and what it waits for.
#[derive(Serialize, ToSchema)]
struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryBody,
    /// The next attempt of its retry policy; null: it is over, or an attempt is under way.
    next_attempt: Option<NextAttempt>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        let Delivery {
            id,
            tenant,
            event,
            topic,
            endpoint,
            state,
            reason,
            attempts,
            failures,
            due_at,
            last_status,
            last_error,
            created_at,
            completed_at,
        } = delivery;
        Self {
            id,
            tenant,
            event,
            topic,
            endpoint,
            state,
            reason,
            attempts,
            failures,
            due_at,
            last_status,
            last_error,
            created_at,
            completed_at,
        }
    }
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        let Timings { queued, dns, connect, tls, first_byte, total } = attempt.timings;
        let (response, error) = match attempt.outcome {
            Outcome::Replied(reply) => (Some(reply.into()), None),
            Outcome::Failed { class, detail } => (None, Some(ErrorBody { class, detail })),
        };
        Self {
            id: attempt.id,
            number: attempt.number,
            manual: attempt.manual,
            started_at: attempt.started_at,
            timings: TimingsBody {
                queued_ms: millis(queued),
                dns_ms: dns.map(millis),
                connect_ms: connect.map(millis),
                tls_ms: tls.map(millis),
                first_byte_ms: first_byte.map(millis),
                total_ms: millis(total),
            },
            request: attempt.request.map(|request| (*request).into()),
            response,
            error,
        }
    }
}

/// A length of time in milliseconds, to the microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

impl From<SentRequest> for RequestBody {
    fn from(SentRequest { method, url, headers }: SentRequest) -> Self {
        Self { method, url, headers }
    }
}

impl From<Reply> for ResponseBody {
    fn from(Reply { status, headers, body, truncated }: Reply) -> Self {
        let text = std::str::from_utf8(&body).ok().map(str::to_owned);
        let body_base64 = text.is_none().then(|| STANDARD.encode(&body));
        Self { status, headers, body: text, body_base64, truncated }
    }
}

/// Read a delivery, and what it waits for.
#[utoipa::path(tag = "deliveries", params(("tenant" = String, Path), ("delivery" = String, Path)),
    responses((status = 200, body = DeliveryDetail)))]
#[get("/tenants/{tenant}/deliveries/{delivery}")]
pub(crate) async fn get_delivery(
    service: Data<Service>,
    path: BothInPath<TenantId, DeliveryId>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let delivery = service.store.delivery(&path.0, path.1).await?;
    let next_attempt = NextAttempt::of(&service, &delivery).await?;
    Ok(Json(DeliveryDetail { delivery: delivery.into(), next_attempt }))
}

/// List the attempts of a delivery, oldest first.
#[utoipa::path(tag = "deliveries", params(("tenant" = String, Path), ("delivery" = String, Path)),
    responses((status = 200, body = Attempts)))]
#[get("/tenants/{tenant}/deliveries/{delivery}/attempts")]
pub(crate) async fn list_attempts(
    service: Data<Service>,
    path: BothInPath<TenantId, DeliveryId>,
) -> Result<Json<Attempts>, Problem> {
    let attempts = service.store.attempts(&path.0, path.1).await?;
    Ok(Json(Attempts { data: attempts.into_iter().map(AttemptBody::from).collect() }))
}

#[cfg(test)]
mod tests;
