//! What Prometheus reads.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web::Data};
use posthaste_store::KeyDigest;
use posthaste_telemetry::Telemetry;

use crate::{
    auth::{fits, key, refused},
    problem::Problem,
};

/// What is written, and how: OpenMetrics text 1.0, which Prometheus asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of the process, and who may read them.
pub struct Metrics {
    /// What counts.
    pub telemetry: Arc<Telemetry>,
    /// The key that whoever reads them has to show; none: they are for everybody who reaches the listener. Nothing in them
    /// is about a tenant.
    pub key: Option<KeyDigest>,
}

/// What does the service do, in numbers?
///
/// Metrics of this process for Prometheus, without anything of a tenant. A key is needed only where `metrics.key` is set,
/// and it is that one.
#[utoipa::path(tag = "health",
    responses((status = 200, content_type = "application/openmetrics-text", body = String),
              (status = 401, description = "The key is missing or wrong")))]
#[get("/metrics")]
pub(crate) async fn get_metrics(
    request: HttpRequest,
    metrics: Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    if let Some(wanted) = &metrics.key
        && !fits(wanted, key(request.headers())?)
    {
        return Err(refused("the key is not valid"));
    }
    Ok(HttpResponse::Ok().content_type(OPEN_METRICS).body(metrics.telemetry.render()))
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App,
        http::header::CONTENT_TYPE,
        test::{TestRequest, call_service, init_service, read_body},
    };

    use super::*;
    use crate::{fixture::clock, key_digest};

    /// What it answers to somebody who shows `shown`: the status, and whether it tells anything.
    async fn check(key: Option<&str>, shown: Option<&str>, expect: (u16, bool)) {
        let telemetry = Arc::new(Telemetry::new(clock(), "1.2.3"));
        let metrics = Data::new(Metrics { telemetry, key: key.map(key_digest) });
        let app = init_service(App::new().service(get_metrics).app_data(metrics)).await;
        let mut request = TestRequest::with_uri("/metrics");
        if let Some(shown) = shown {
            request = request.insert_header(("authorization", shown));
        }
        let answer = call_service(&app, request.to_request()).await;
        let status = answer.status().as_u16();
        let open_metrics = answer.headers().get(CONTENT_TYPE).is_some_and(|known| known == OPEN_METRICS);
        let body = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
        let tells = body.contains("posthaste_build_info{version=\"1.2.3\"} 1\n") && body.ends_with("# EOF\n");
        assert_eq!((status, tells, open_metrics), (expect.0, expect.1, expect.1), "{shown:?}: {body}");
    }

    #[actix_web::test]
    async fn metrics_are_for_whoever_may_read_them() {
        check(None, None, (200, true)).await;
        check(None, Some("Bearer anything"), (200, true)).await;
        let key = Some("a key of twenty-four bytes");
        check(key, None, (401, false)).await;
        check(key, Some("Bearer another"), (401, false)).await;
        check(key, Some("Basic abc"), (401, false)).await;
        check(key, Some("Bearer a key of twenty-four bytes"), (200, true)).await;
    }
}
