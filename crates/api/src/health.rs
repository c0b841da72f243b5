use actix_web::{
    HttpResponse, get,
    web::{Data, Json},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::Service;

/// Whether the service is alive.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

/// Whether the service can do its work, and what an acknowledgement is worth.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ready` or `unavailable`.
    status: &'static str,
    /// `volatile`, `buffered`, `disk` or `replicated`: which accident an accepted event survives.
    durability: String,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Is the process alive?
#[utoipa::path(tag = "health", responses((status = 200, body = Health)))]
#[get("/healthz")]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// Can it accept events and deliver them?
#[utoipa::path(tag = "health", responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
#[get("/readyz")]
pub(crate) async fn readyz(service: Data<Service>) -> HttpResponse {
    let durability = service.store.durability().to_string();
    match service.store.check().await {
        Ok(()) => HttpResponse::Ok().json(Readiness { status: "ready", durability, reason: None }),
        Err(error) => HttpResponse::ServiceUnavailable().json(Readiness {
            status: "unavailable",
            durability,
            reason: Some(error.to_string()),
        }),
    }
}
