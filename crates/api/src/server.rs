use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpServer,
    dev::{Server as Actix, ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data},
};
use futures_util::future::{OptionFuture, join};
use tokio::task::JoinHandle;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::{AppExt as _, scope};

use crate::{
    auth::authorize,
    deliveries, dry_run, endpoint_state, endpoints, events, health,
    inbox::Reader,
    methods::{Methods, head_as_get, nowhere},
    openapi::{self, Specification},
    problem::{Kind, Problem},
    readiness::Readiness,
    repairs, secrets,
    service::Service,
    stop::Stopper,
    tenants, test_event, topics, verification,
};

/// How long requests under way get to finish when the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Serves on a listener, and reads the store's inbox if it has one.
pub struct Server {
    serving: Option<JoinHandle<std::io::Result<()>>>,
    handle: ServerHandle,
    /// Asks requests that wait for something to wait no longer.
    stopper: Stopper,
    reader: Option<Reader>,
}

impl Server {
    /// Starts the API on the current tokio runtime, with threads of its own for the requests.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(listener: TcpListener, service: Service, readiness: Readiness) -> std::io::Result<Self> {
        let (service, readiness) = (Arc::new(service), Data::new(readiness));
        let data = Data::from(Arc::clone(&service));
        let (stopper, stop) = Stopper::new();
        let stop = Data::new(stop);
        let app =
            move || routes().0.app_data(data.clone()).app_data(readiness.clone()).app_data(stop.clone());
        let server = HttpServer::new(app)
            .workers(service.settings.workers)
            .shutdown_timeout(STOP_WITHIN.as_secs())
            // The composition root hears the signals and stops everything in order.
            .disable_signals()
            .listen(listener)?
            .run();
        let inbox = service.store.inbox();
        let reader = inbox.map(|inbox| Reader::start(service, inbox));
        Ok(Self { reader, ..Self::of(server, stopper) })
    }

    /// Starts to answer probes and nothing else, for a process that serves no API.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start_probes(listener: TcpListener, readiness: Readiness) -> std::io::Result<Self> {
        let readiness = Data::new(readiness);
        let server = HttpServer::new(move || probes().app_data(readiness.clone()))
            .workers(1)
            .shutdown_timeout(STOP_WITHIN.as_secs())
            .disable_signals()
            .listen(listener)?
            .run();
        Ok(Self::of(server, Stopper::new().0))
    }

    fn of(server: Actix, stopper: Stopper) -> Self {
        let handle = server.handle();
        Self { serving: Some(tokio::spawn(server)), handle, stopper, reader: None }
    }

    /// Returns when something has ended that only [`stop`](Self::stop) should end, which is logged: the process does not
    /// do its work any more.
    pub async fn failed(&mut self) {
        let serving = OptionFuture::from(self.serving.as_mut());
        let reading = OptionFuture::from(self.reader.as_mut().map(Reader::failed));
        tokio::select! {
            Some(ended) = serving => {
                self.serving = None;
                tracing::error!(?ended, "the server died");
            }
            Some(()) = reading => {}
            else => {}
        }
    }

    /// Takes no more requests and letters, and finishes those under way.
    pub async fn stop(self) {
        let Self { serving, handle, stopper, reader } = self;
        stopper.stop();
        join(handle.stop(true), OptionFuture::from(reader.map(Reader::stop))).await;
        if let Some(Ok(Err(error))) = OptionFuture::from(serving).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the server stopped with an error");
        }
    }
}

/// The specification of the API (OpenAPI 3.1), as it is served at `/v1/openapi.json`.
pub fn openapi() -> OpenApi {
    routes().1
}

/// What a process answers that serves no API.
fn probes() -> App<impl Application> {
    App::new()
        .service(health::healthz)
        .service(health::readyz)
        .default_service(web::to(|request: HttpRequest| async move {
            let detail =
                format!("this process has not the role 'api': there is nothing at {}", request.path());
            Err::<String, _>(Problem::new(Kind::NotFound, detail))
        }))
        .wrap(from_fn(head_as_get))
}

/// Every route of the API, and what the specification says of them.
pub(crate) fn routes() -> (App<impl Application>, OpenApi) {
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
        .service(endpoint_state::pause_endpoint)
        .service(endpoint_state::resume_endpoint)
        .service(endpoint_state::enable_endpoint)
        .service(endpoint_state::disable_endpoint)
        .service(test_event::test_endpoint)
        .service(verification::verify_endpoint)
        .service(secrets::get_secret)
        .service(secrets::rotate_secret)
        .service(dry_run::match_event)
        .service(events::list_events)
        .service(events::get_event)
        .service(repairs::send_event)
        .service(deliveries::list_deliveries)
        .service(deliveries::get_delivery)
        .service(deliveries::list_attempts)
        .service(repairs::retry_delivery)
        .service(repairs::cancel_delivery);
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
    let app = app.app_data(specification).app_data(Data::new(Methods::of(&api)));
    (app.wrap(from_fn(head_as_get)), api)
}

/// What serves requests.
pub(crate) trait Application:
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
