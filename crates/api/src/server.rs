use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::{Server as Actix, ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data},
};
use utoipa::openapi::OpenApi;
use utoipa_actix_web::{AppExt as _, scope};

use crate::{
    auth::authorize,
    deliveries, endpoints, events, health,
    openapi::{self, Specification},
    problem::{Kind, Problem},
    secrets,
    service::Service,
    tenants, topics,
};

/// How long requests under way get to finish when the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The API, serving on a listener.
pub struct Server {
    running: tokio::task::JoinHandle<std::io::Result<()>>,
    handle: ServerHandle,
}

impl Server {
    /// Starts on the current tokio runtime, with threads of its own for the requests.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(listener: TcpListener, service: Service) -> std::io::Result<Self> {
        let workers = service.settings.workers;
        let service = Data::from(Arc::new(service));
        let server: Actix = HttpServer::new(move || app(Some(service.clone())).0)
            .workers(workers)
            .shutdown_timeout(STOP_WITHIN.as_secs())
            // The composition root hears the signals and stops everything in order.
            .disable_signals()
            .listen(listener)?
            .run();
        let handle = server.handle();
        Ok(Self { running: tokio::spawn(server), handle })
    }

    /// Takes no more requests and finishes those under way.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        if let Ok(Err(error)) = self.running.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the API stopped with an error");
        }
    }
}

/// The specification of the API (OpenAPI 3.1), as it is served at `/v1/openapi.json`.
pub fn openapi() -> OpenApi {
    app(None).1
}

/// Every route of the API, and what the specification says of them.
fn app(service: Option<Data<Service>>) -> (App<impl Application>, OpenApi) {
    let v1 = scope("/v1")
        .wrap(from_fn(authorize))
        // Routes are tried in their order, each with a pattern to match: the one that is used most comes first.
        .service(events::publish_events)
        .service(tenants::list_tenants)
        .service(tenants::put_tenant)
        .service(tenants::get_tenant)
        .service(tenants::patch_tenant)
        .service(tenants::delete_tenant)
        .service(topics::list_topics)
        .service(topics::put_topic)
        .service(topics::get_topic)
        .service(topics::delete_topic)
        .service(endpoints::create_endpoint)
        .service(endpoints::list_endpoints)
        .service(endpoints::get_endpoint)
        .service(endpoints::patch_endpoint)
        .service(endpoints::delete_endpoint)
        .service(secrets::get_secret)
        .service(secrets::rotate_secret)
        .service(events::list_events)
        .service(events::get_event)
        .service(deliveries::list_deliveries)
        .service(deliveries::get_delivery)
        .service(deliveries::list_attempts);
    let (app, api) = App::new()
        .into_utoipa_app()
        .service(health::healthz)
        .service(health::readyz)
        // Before the scope, so that the specification can be read without a key.
        .map(|app| app.service(openapi::get_openapi))
        .service(v1)
        .map(|app| app.default_service(web::to(nowhere)))
        .split_for_parts();
    let api = openapi::complete(api);
    let specification = Data::new(Specification(api.to_json().unwrap_or_default()));
    let app = app.app_data(specification);
    (
        match service {
            Some(service) => app.app_data(service),
            None => app,
        },
        api,
    )
}

/// What serves requests.
trait Application:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >
{
}

impl<T> Application for T where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse,
            Error = actix_web::Error,
            InitError = (),
        >
{
}

/// Answers where no route fits.
async fn nowhere(request: HttpRequest) -> Result<HttpResponse, Problem> {
    // A path that fits a route did not fit its method.
    Err(match request.match_pattern() {
        Some(_) => Problem::new(
            Kind::MethodNotAllowed,
            format!("{} does not exist for {}", request.method(), request.path()),
        ),
        None => Problem::new(Kind::NotFound, format!("there is nothing at {}", request.path())),
    })
}
