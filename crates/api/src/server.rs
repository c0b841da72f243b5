use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpServer,
    dev::{Server as Actix, ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use futures_util::future::{OptionFuture, join};
use tokio::task::JoinHandle;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::{AppExt as _, scope};

use crate::{
    api_keys, audit,
    auth::authorize,
    deliveries, delivery_search, dry_run, endpoint_state, endpoints, event_search, events, health,
    inbox::Reader,
    key,
    methods::{Methods, head_as_get, nowhere},
    metrics::{self, Metrics},
    openapi::{self, Specification},
    portal,
    problem::{Kind, Problem},
    readiness::Readiness,
    recording::record,
    recovery, repairs, replays, secrets,
    service::Service,
    stats,
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
    /// Starts the API on the current tokio runtime, with threads of its own for the requests. `beside` adds what else is
    /// served by the same listener.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(
        listener: TcpListener,
        service: Service,
        readiness: Readiness,
        metrics: Metrics,
        beside: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let (service, readiness, metrics) = (Arc::new(service), Data::new(readiness), Data::new(metrics));
        let data = Data::from(Arc::clone(&service));
        let (stopper, stop) = Stopper::new();
        let stop = Data::new(stop);
        let app = move || {
            let app = routes().0.app_data(data.clone()).app_data(stop.clone());
            app.app_data(readiness.clone()).app_data(metrics.clone()).configure(beside.clone())
        };
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

    /// Starts to answer probes and Prometheus and nothing else, for a process that serves no API.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start_probes(
        listener: TcpListener,
        readiness: Readiness,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (readiness, metrics) = (Data::new(readiness), Data::new(metrics));
        let app = move || probes().app_data(readiness.clone()).app_data(metrics.clone());
        let server = HttpServer::new(app)
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
        .service(metrics::get_metrics)
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
        // What is wrapped last comes first: who asks is known when it is recorded.
        .wrap(from_fn(record))
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
        .service(event_search::list_events)
        .service(event_search::list_all_events)
        .service(events::get_event)
        .service(repairs::send_event)
        .service(delivery_search::list_deliveries)
        .service(delivery_search::list_all_deliveries)
        .service(deliveries::get_delivery)
        .service(deliveries::list_attempts)
        .service(repairs::retry_delivery)
        .service(repairs::cancel_delivery)
        .service(recovery::replay_delivery)
        .service(recovery::recover_endpoint)
        .service(replays::create_replay)
        .service(replays::list_replays)
        .service(replays::list_all_replays)
        .service(replays::get_replay)
        .service(replays::cancel_replay)
        .service(stats::get_stats)
        .service(stats::get_tenant_stats)
        .service(stats::get_endpoint_stats)
        .service(portal::create_portal_link)
        .service(api_keys::create_key)
        .service(api_keys::list_keys)
        .service(api_keys::delete_key)
        .service(audit::list_audit)
        .service(key::get_key);
    let (app, api) = App::new()
        .into_utoipa_app()
        .service(health::healthz)
        .service(health::readyz)
        .service(metrics::get_metrics)
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
