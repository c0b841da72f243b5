use actix_web::{
    HttpResponse, get,
    web::{Data, Json},
};
use posthaste_store::Finding;
use serde::Serialize;
use utoipa::ToSchema;

use crate::readiness::Readiness;

/// Whether the service is alive.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

/// Whether the service can do its work, and what an acknowledgement is worth.
#[derive(Serialize, ToSchema)]
#[schema(as = Readiness)]
struct ReadinessBody {
    /// `ready` or `unavailable`.
    status: &'static str,
    /// `volatile`, `buffered`, `disk` or `replicated`: which accident an accepted event survives.
    durability: String,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the store stands on, the good and the bad. At most a second old; empty where it could not be looked at.
    findings: Vec<FindingBody>,
}

/// Something that is to be known about what the store stands on.
#[derive(Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingBody {
    /// What was looked at.
    #[schema(example = "durability")]
    check: &'static str,
    /// `fine`, `warning` or `danger`.
    level: &'static str,
    /// What was found, for people.
    found: String,
    /// What to do about it; null: nothing.
    remedy: Option<String>,
}

impl From<&Finding> for FindingBody {
    fn from(Finding { check, level, found, remedy }: &Finding) -> Self {
        Self { check, level: level.as_str(), found: found.clone(), remedy: remedy.clone() }
    }
}

/// Is the process alive?
#[utoipa::path(tag = "health", responses((status = 200, body = Health)))]
#[get("/healthz")]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// Can it accept events and deliver them?
#[utoipa::path(tag = "health",
    responses((status = 200, body = ReadinessBody), (status = 503, body = ReadinessBody)))]
#[get("/readyz")]
pub(crate) async fn readyz(readiness: Data<Readiness>) -> HttpResponse {
    let seen = readiness.seen().await;
    let (mut response, status) = match &seen.trouble {
        None => (HttpResponse::Ok(), "ready"),
        Some(_) => (HttpResponse::ServiceUnavailable(), "unavailable"),
    };
    response.json(ReadinessBody {
        status,
        durability: readiness.durability().to_string(),
        reason: seen.trouble.clone(),
        findings: seen.findings.iter().map(FindingBody::from).collect(),
    })
}
