//! An endpoint: how it fares, and what can be done about it.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use futures_util::future::try_join3;
use posthaste_client::{
    ClientError, CutOver, DeliveryFilter, Endpoint, EndpointId, EndpointState, ProblemKind, Rotation,
    Secrets, TenantId, TestEvent,
};
use serde_json::value::RawValue;

use super::{
    both,
    figures::{Span, Tile, charts, span, tiles},
    health::{Health, is_unverified},
    rows::{Row, rows},
    settings::settings,
};
use crate::{
    charts::Chart,
    elements::{Badge, Mood, When},
    explain,
    fault::Fault,
    names::short,
    page::Page,
    paging::first,
    posted::Posted,
    visitor::{Visitor, html},
    words,
};

/// How many of its deliveries are shown.
const ROWS: u32 = 10;
/// How long a test or a handshake may take: the longest timeout of an endpoint, and what it waits for its turn.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

#[derive(Template)]
#[template(path = "endpoint.html")]
struct Shown {
    page: Page,
    /// Its path.
    here: String,
    endpoint: Endpoint,
    name: String,
    topics: String,
    badge: Badge,
    enabled: bool,
    paused: bool,
    disabled: bool,
    /// Whether it takes nothing though it is sent everything.
    failing: bool,
    health: Health,
    /// How the receiver gives its handshake; empty: it need not.
    wanted: &'static str,
    /// When it last gave its handshake.
    verified: Option<When>,
    created: When,
    settings: Vec<(&'static str, String)>,
    spans: Vec<Span>,
    tiles: Vec<Tile>,
    charts: Vec<Chart>,
    rows: Vec<Row>,
}

pub(super) async fn show(
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Fault> {
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let client = &visitor.client;
    let (asked, spans) = span(request.query_string(), "24h");
    let filter = DeliveryFilter { endpoint: Some(id), ..DeliveryFilter::default() };
    let options = first(ROWS);
    let (endpoint, stats, found) = try_join3(
        client.endpoint(&tenant, id),
        client.endpoint_stats(&tenant, id, &asked),
        client.deliveries(&tenant, &filter, &options),
    )
    .await?;
    let rows = rows(&visitor, found.data).await;
    let health = Health::of(&visitor, &endpoint);
    let topics: Vec<_> = endpoint.topics.iter().map(ToString::to_string).collect();
    let name = short(&endpoint.url);
    html(&Shown {
        page: visitor.page("endpoints", format!("Endpoint {name}")),
        name,
        topics: topics.join(", "),
        badge: Badge::endpoint(endpoint.state, health.failing_since.is_some(), health.unverified),
        enabled: endpoint.state == EndpointState::Enabled,
        paused: endpoint.state == EndpointState::Paused,
        disabled: endpoint.state == EndpointState::Disabled,
        failing: endpoint.state == EndpointState::Enabled && health.failing_since.is_some(),
        health,
        wanted: endpoint.handshake.as_ref().map_or("", |handshake| explain::handshake(handshake.kind)),
        verified: endpoint
            .handshake
            .as_ref()
            .and_then(|handshake| handshake.verified_at)
            .map(|at| visitor.when(at)),
        created: visitor.when(endpoint.created_at),
        settings: settings(&endpoint),
        tiles: tiles(&stats, false, visitor.now),
        charts: charts(&stats, false),
        here: format!("{}/tenants/{tenant}/endpoints/{id}", visitor.door.prefix()),
        endpoint,
        spans,
        rows,
    })
}

/// Pauses, resumes, enables or disables it.
pub(super) async fn set(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let client = &visitor.client;
    let said = match fields.get("to") {
        "paused" => client.pause_endpoint(&tenant, id).await.map(|_| "paused"),
        "resumed" => client.resume_endpoint(&tenant, id).await.map(|_| "resumed"),
        "enabled" => {
            let enabled = client.enable_endpoint(&tenant, id).await;
            enabled.map(|endpoint| if is_unverified(&endpoint) { "waits" } else { "enabled" })
        }
        "disabled" => {
            let reason = Some(fields.get("reason")).filter(|reason| !reason.is_empty());
            client.disable_endpoint(&tenant, id, reason).await.map(|_| "disabled")
        }
        other => return Err(Fault::field("to", other, "something that an endpoint can be")),
    };
    Ok(visitor.go(&format!("/tenants/{tenant}/endpoints/{id}"), Some(said?)))
}

/// What came of a handshake that was not given.
#[derive(Template)]
#[template(path = "unverified.html")]
struct Unverified {
    page: Page,
    /// Where the endpoint is.
    back: String,
    /// What was done beside; none: nothing.
    said: Option<&'static str>,
    /// Why it was not given.
    failure: String,
}

/// Runs the handshake of an endpoint, and waits for what comes of it.
pub(super) async fn verify(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let visitor = posted.visitor;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let client = visitor.client.clone().with_timeout(ANSWERED_WITHIN);
    match client.verify_endpoint(&tenant, id).await {
        Ok(_) => Ok(visitor.go(&format!("/tenants/{tenant}/endpoints/{id}"), Some("verified"))),
        Err(ClientError::Problem(problem)) if problem.kind == ProblemKind::HandshakeFailed => {
            unverified(&visitor, &tenant, id, None, problem.detail)
        }
        Err(error) => Err(error.into()),
    }
}

/// The page that says why an endpoint goes on waiting for its handshake, after something that was done beside.
pub(super) fn unverified(
    visitor: &Visitor,
    tenant: &TenantId,
    id: EndpointId,
    said: Option<&'static str>,
    failure: String,
) -> Result<HttpResponse, Fault> {
    let back = format!("{}/tenants/{tenant}/endpoints/{id}", visitor.door.prefix());
    html(&Unverified { page: visitor.page("endpoints", "Handshake"), back, said, failure })
}

#[derive(Template)]
#[template(path = "tested.html")]
struct Tested {
    page: Page,
    /// Where the endpoint is.
    back: String,
    /// Where its delivery is.
    story: String,
    badge: Badge,
    /// What came of it.
    is: String,
    means: &'static str,
    advice: &'static str,
    /// What came back.
    body: Option<String>,
}

/// Sends a test event, and shows what comes of it.
pub(super) async fn test(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let data = match fields.get("data") {
        "" => None,
        text => Some(
            RawValue::from_string(text.to_owned())
                .map_err(|_| Fault::field("data", "what was written", "JSON"))?,
        ),
    };
    let event = TestEvent {
        topic: fields.parse("topic", "the name of a topic")?,
        data,
        force: fields.get("force") == "true",
    };
    let client = visitor.client.clone().with_timeout(ANSWERED_WITHIN);
    let tested = client.test_endpoint(&tenant, id, &event).await?;
    let of = format!("{}/tenants/{tenant}", visitor.door.prefix());
    let (badge, is, meaning, body) = match tested.attempt {
        None => {
            let is = "It could not be sent in time.".to_owned();
            (Badge::new("not sent", Mood::Warning), is, None, None)
        }
        Some(attempt) => {
            let (badge, meaning) = (Badge::attempt(&attempt), explain::attempt(&attempt));
            let time = words::millis(attempt.timings.total_ms);
            let (is, body) = match (attempt.response, attempt.error) {
                (Some(response), _) => {
                    (format!("It was answered with {} within {time}.", response.status), response.body)
                }
                (None, error) => {
                    let detail = error.map(|error| error.detail).unwrap_or_default();
                    (format!("There was no answer: {detail}."), None)
                }
            };
            (badge, is, Some(meaning), body)
        }
    };
    let (means, advice) = meaning.map_or(("", ""), |meaning| (meaning.means, meaning.advice));
    html(&Tested {
        page: visitor.page("endpoints", "Test"),
        back: format!("{of}/endpoints/{id}"),
        story: format!("{of}/deliveries/{}", tested.delivery.id),
        badge,
        is,
        means,
        advice,
        body: body.filter(|body| !body.is_empty()),
    })
}

#[derive(Template)]
#[template(path = "secret.html")]
struct Secret {
    page: Page,
    back: String,
    secrets: Vec<String>,
    public_key: Option<String>,
    retiring: Vec<(String, When)>,
    /// What a rotation came to; none: they were only revealed.
    rotated: Option<&'static str>,
}

/// Shows the secrets. It is asked for by a form, because each look is recorded.
pub(super) async fn reveal(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let visitor = posted.visitor;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let secrets = visitor.client.secret(&tenant, id).await?;
    html(&secret(&visitor, &tenant, id, secrets, None))
}

/// Makes a new secret, and shows it.
pub(super) async fn rotate(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let rotation =
        Rotation { overlap: fields.parse("overlap", "a length of time such as 24h")?, secret: None };
    let rotated = visitor.client.rotate_secret(&tenant, id, &rotation).await?;
    let said = match rotated.cut_over {
        CutOver::AtOnce => "Requests are signed with the new secret alone from now on.",
        CutOver::AfterOverlap => "Requests are signed with the old secret, too, until it expires.",
    };
    html(&secret(&visitor, &tenant, id, rotated.secrets, Some(said)))
}

fn secret(
    visitor: &Visitor,
    tenant: &TenantId,
    id: EndpointId,
    secrets: Secrets,
    rotated: Option<&'static str>,
) -> Secret {
    let Secrets { secret, public_key, secrets, retiring } = secrets;
    let current = if secrets.is_empty() { vec![secret] } else { secrets };
    let retiring = retiring.iter().map(|old| (old.secret.expose().to_owned(), visitor.when(old.expires_at)));
    Secret {
        page: visitor.page("endpoints", "Secret"),
        back: format!("{}/tenants/{tenant}/endpoints/{id}", visitor.door.prefix()),
        secrets: current.iter().map(|secret| secret.expose().to_owned()).collect(),
        public_key,
        retiring: retiring.collect(),
        rotated,
    }
}

pub(super) async fn delete(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let visitor = posted.visitor;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    visitor.client.delete_endpoint(&tenant, id).await?;
    Ok(visitor.go(&format!("/endpoints?tenant={tenant}"), Some("deleted")))
}
