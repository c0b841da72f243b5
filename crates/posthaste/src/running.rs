//! The composition root: puts the service together from the settings, and takes it apart in order.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
    thread::available_parallelism,
};

use actix_web::web::ServiceConfig;
use anyhow::Context as _;
use posthaste_api::{
    ApiSettings, Compiled, Entropy, KnownKeys, Metrics, Readiness, Server, Service, key_digest,
};
use posthaste_console::{Console, ConsoleSettings};
use posthaste_dispatch::{DispatchSettings, Dispatcher, Parts, WireSettings};
use posthaste_egress::{EgressPolicy, Guard, HttpTransport, PortPolicy, TransportSettings};
use posthaste_model::{Tenant, TenantId};
use posthaste_policy::AutoDisable;
use posthaste_signing::{EncryptionKey, Sealer};
use posthaste_store::{Durability, KeyDigest, KeyId, Retain, Store, StoreError};
use posthaste_telemetry::{Keeper, Telemetry};
use rand::{
    Rng as _, SeedableRng as _,
    rngs::{StdRng, SysRng},
};

use crate::{
    clock, examination,
    keys::{self, AdminKey, Candidate},
    settings::{Role, Settings},
    store,
};

/// Files beside those of requests in flight: the store's, the API's connections, the log.
const SPARE_FILES: u64 = 512;

/// The service at work.
pub(crate) struct Running {
    server: Server,
    dispatcher: Option<Dispatcher>,
    /// Brings to the store what is counted.
    keeper: Keeper,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The key that may do everything; none: no API is served.
    pub(crate) admin_key: Option<AdminKey>,
    /// What an acknowledgement is worth.
    pub(crate) durability: Durability,
}

impl Running {
    /// Starts everything that the roles ask for, on the current tokio runtime.
    ///
    /// # Errors
    /// Each says what cannot be had: the port, the data folder, the store, a key.
    pub(crate) async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let mut rng = StdRng::try_from_rng(&mut SysRng).context("no entropy from the operating system")?;
        let (serves, dispatches) = (settings.roles.has(Role::Api), settings.roles.has(Role::Dispatch));
        allow_many_sockets(settings.limits.in_flight);
        let listener = TcpListener::bind(settings.listen)
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let address = listener.local_addr().context("the listener has no address")?;
        make_data_folder(&settings.data_dir)?;
        let store = store::open(settings).await?;
        let clock = clock::system();
        examination::examine(&*store, clock.now(), &settings.tolerate).await?;
        warn_of_missing_roles(settings);
        let encryption_key = bind_key(&*store, keys::encryption_key(settings, &mut rng)?).await?;
        let admin_key = if serves { Some(keys::admin_key(settings, &mut rng)?) } else { None };
        let sealer = Arc::new(Sealer::new(encryption_key));
        first_tenants(&*store, clock.now()).await?;

        let guard = Guard::new(EgressPolicy {
            allow: settings.egress.allow.clone(),
            own: vec![address],
            ports: PortPolicy::default(),
        });
        let transport = HttpTransport::new(guard.clone(), transport_settings(settings)?).context("egress")?;
        let durability = store.durability();
        let telemetry = Arc::new(Telemetry::new(clock.clone(), env!("CARGO_PKG_VERSION")));
        let keeper = telemetry.keep(Arc::clone(&store));
        // Names this process among those that share the store.
        let name = format!("posthaste-{:016x}", rng.next_u64());
        let dispatcher = dispatches.then(|| {
            let parts = Parts {
                store: Arc::clone(&store),
                transport: Arc::new(transport),
                guard: guard.clone(),
                sealer: Arc::clone(&sealer),
                clock: clock.clone(),
                telemetry: Arc::clone(&telemetry),
                seed: rng.fork(),
            };
            Dispatcher::start(parts, dispatch_settings(settings, name.clone()))
        });
        let readiness = Readiness::new(Arc::clone(&store), clock.clone(), settings.tolerate.clone());
        let metrics_key = settings.metrics.key.as_ref().map(|key| key_digest(key.expose()));
        let metrics = Metrics { telemetry: Arc::clone(&telemetry), key: metrics_key };
        let server = match &admin_key {
            Some(AdminKey { key, .. }) => {
                let console = settings.console.enabled.then(|| console_settings(settings, address));
                let settings = api_settings(settings, key_digest(key), name)?;
                let console = console.map(|settings| {
                    Arc::new(Console::new(settings, Arc::clone(&sealer), clock.clone(), rng.fork()))
                });
                let beside = move |config: &mut ServiceConfig| {
                    if let Some(console) = &console {
                        Console::configure(console, config);
                    }
                };
                let entropy = Entropy::new(rng);
                let (compiled, places, keys) = (Compiled::default(), Arc::default(), KnownKeys::default());
                let service = Service {
                    store,
                    guard,
                    sealer,
                    clock,
                    telemetry,
                    entropy,
                    settings,
                    compiled,
                    places,
                    keys,
                };
                Server::start(listener, service, readiness, metrics, beside)
            }
            None => Server::start_probes(listener, readiness, metrics),
        };
        let server = server.with_context(|| format!("cannot serve on {address}"))?;
        Ok(Self { server, dispatcher, keeper, address, admin_key, durability })
    }

    /// The URL of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns when a part has died without which the process only looks alive, which is logged.
    pub(crate) async fn failed(&mut self) {
        match &self.dispatcher {
            None => self.server.failed().await,
            Some(dispatcher) => tokio::select! {
                () = self.server.failed() => {}
                () = dispatcher.failed() => {}
            },
        }
    }

    /// Takes no more requests, finishes deliveries in flight, gives everything up.
    pub(crate) async fn stop(self) {
        let Self { server, dispatcher, keeper, .. } = self;
        let drained = async {
            if let Some(dispatcher) = dispatcher {
                dispatcher.drain().await;
            }
        };
        tokio::join!(server.stop(), drained);
        // Last, so that it has heard of everything.
        keeper.stop().await;
    }
}

/// Takes as many files as the system lets a process have: each request in flight is one.
fn allow_many_sockets(in_flight: usize) {
    let needed = in_flight as u64 + SPARE_FILES;
    match rlimit::increase_nofile_limit(needed.max(65_536)) {
        Ok(had) if had >= needed => {}
        Ok(had) => tracing::warn!(
            "this process may open {had} files, and limits.in_flight may need {needed}: raise the limit (ulimit -n) or \
             lower the setting"
        ),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the limit of open files is not known")
        }
    }
}

/// Makes the folder for keys and payloads: nobody else reads it.
fn make_data_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the data folder {}", folder.display()))
}

/// Says what nobody does when the one process of an embedded store has not every role.
fn warn_of_missing_roles(settings: &Settings) {
    if !store::is_embedded(settings) || settings.roles.are_all() {
        return;
    }
    let missing = if settings.roles.has(Role::Api) {
        "nothing is delivered: this process has not the role 'dispatch'"
    } else {
        "nothing is accepted: this process has not the role 'api'"
    };
    tracing::warn!("{missing}, and the embedded store is for one process");
}

/// Makes sure that what the store holds was sealed with our key, and that the key is kept.
async fn bind_key(store: &dyn Store, candidate: Candidate) -> anyhow::Result<EncryptionKey> {
    match store.bind_key(KeyId(candidate.key.id().to_bytes())).await {
        Ok(()) => candidate.keep(),
        Err(error @ StoreError::ForeignKey) => {
            candidate.discard()?;
            Err(anyhow::anyhow!(
                "{error}; give that one as encryption_key, or put its file back into the data folder"
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the tenants that exist from the start.
async fn first_tenants(store: &dyn Store, now: posthaste_model::Timestamp) -> anyhow::Result<()> {
    for (id, name) in [(TenantId::default_tenant(), "Default"), (TenantId::posthaste(), "Posthaste")] {
        match store.tenant(&id).await {
            Ok(_) => {}
            Err(StoreError::NotFound(_)) => {
                let tenant = Tenant { name: name.into(), ..Tenant::new(id, now) };
                store.put_tenant(tenant).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn api_settings(settings: &Settings, admin_key: KeyDigest, reader: String) -> anyhow::Result<ApiSettings> {
    Ok(ApiSettings {
        admin_key,
        payload_limit: settings.limits.payload,
        request_limit: settings.limits.request,
        open_topics: settings.topics.open,
        timeout: settings.timeout.0,
        retry: settings.retry.clone().unwrap_or_default(),
        retention_failed: settings.retention.failed.0,
        signature: settings.signature_profile()?,
        header_prefix: settings.http.header_prefix.clone(),
        origin: settings.cloudevents.origin.clone(),
        workers: available_parallelism().map_or(1, usize::from),
        reader,
    })
}

fn console_settings(settings: &Settings, listen: SocketAddr) -> ConsoleSettings {
    ConsoleSettings { listen, secure: settings.console.secure, source: settings.cloudevents.source.clone() }
}

fn transport_settings(settings: &Settings) -> anyhow::Result<TransportSettings> {
    let Settings { egress, http, .. } = settings;
    let mut transport =
        TransportSettings { user_agent: http.user_agent.clone(), ..TransportSettings::default() };
    if let Some(proxy) = &egress.proxy {
        transport.proxy = Some(proxy.expose().parse().context("egress.proxy is not a URL")?);
    }
    if let Some(file) = &egress.ca_file {
        transport.extra_roots =
            fs::read(file).with_context(|| format!("egress.ca_file: cannot read {}", file.display()))?;
    }
    Ok(transport)
}

fn dispatch_settings(settings: &Settings, owner: String) -> DispatchSettings {
    DispatchSettings {
        owner,
        max_in_flight: settings.limits.in_flight,
        per_endpoint: settings.limits.per_endpoint,
        per_host: settings.limits.per_host,
        timeout: settings.timeout.0,
        retry: settings.retry.clone().unwrap_or_default(),
        auto_disable: AutoDisable {
            after: settings.auto_disable.after.0,
            exhausted: settings.auto_disable.exhausted,
        },
        ownership: std::time::Duration::from_secs(3),
        retain: Retain { delivered: settings.retention.delivered.0, failed: settings.retention.failed.0 },
        wire: WireSettings {
            header_prefix: settings.http.header_prefix.clone(),
            source: settings.cloudevents.source.clone(),
            origin: settings.cloudevents.origin.clone(),
            user_agent: settings.http.user_agent.clone(),
        },
    }
}
