//! The composition root: puts the service together from the settings, and takes it apart in order.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
};

use anyhow::Context as _;
use posthaste_api::{ApiSettings, Entropy, KeyDigest, Server, Service};
use posthaste_dispatch::{DispatchSettings, Dispatcher, Parts};
use posthaste_egress::{EgressPolicy, Guard, HttpTransport, PortPolicy, TransportSettings};
use posthaste_model::{Tenant, TenantId};
use posthaste_signing::Sealer;
use posthaste_store::{Durability, KeyId, Retain, Store, StoreError};
use rand::{
    Rng as _, SeedableRng as _,
    rngs::{StdRng, SysRng},
};

use crate::{
    clock, keys,
    settings::{EgressSettings, Settings},
    store,
};

/// Files beside those of requests in flight: the store's, the API's connections, the log.
const SPARE_FILES: u64 = 512;

/// The service at work.
pub(crate) struct Running {
    api: Server,
    dispatcher: Dispatcher,
    /// Where the API listens.
    pub(crate) address: SocketAddr,
    /// The key that may do everything.
    pub(crate) admin_key: String,
    /// The file that the admin key was written to, if it was made now.
    pub(crate) admin_key_made_in: Option<PathBuf>,
    /// What an acknowledgement is worth.
    pub(crate) durability: Durability,
}

impl Running {
    /// Starts everything, on the current tokio runtime.
    ///
    /// # Errors
    /// Each says what cannot be had: the port, the data folder, the store, a key.
    pub(crate) async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let mut rng = StdRng::try_from_rng(&mut SysRng).context("no entropy from the operating system")?;
        allow_many_sockets(settings.limits.in_flight);
        let listener = TcpListener::bind(settings.listen)
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let address = listener.local_addr().context("the listener has no address")?;
        make_data_folder(&settings.data_dir)?;
        let store = store::open(&settings.store_url())?;
        let admin_key = keys::admin_key(settings, &mut rng)?;
        let encryption_key = keys::encryption_key(settings, &mut rng)?;
        bind_key(&*store, &encryption_key).await?;
        let sealer = Arc::new(Sealer::new(encryption_key));
        let clock = clock::system();
        first_tenant(&*store, clock.now()).await?;

        let guard = Guard::new(EgressPolicy {
            allow: settings.egress.allow.clone(),
            own: vec![address],
            ports: PortPolicy::default(),
        });
        let transport =
            HttpTransport::new(guard.clone(), transport_settings(&settings.egress)?).context("egress")?;
        let durability = store.durability();
        let dispatcher = Dispatcher::start(
            Parts {
                store: Arc::clone(&store),
                transport: Arc::new(transport),
                guard: guard.clone(),
                sealer: Arc::clone(&sealer),
                clock: clock.clone(),
                seed: rng.fork(),
            },
            dispatch_settings(settings, format!("posthaste-{:016x}", rng.next_u64())),
        );
        let api = Server::start(
            listener,
            Service {
                store,
                guard,
                sealer,
                clock,
                entropy: Entropy::new(rng),
                settings: ApiSettings {
                    admin_key: KeyDigest::of(&admin_key.key),
                    payload_limit: settings.limits.payload,
                    request_limit: settings.limits.request,
                    open_topics: settings.topics.open,
                    workers: available_parallelism().map_or(1, usize::from),
                },
            },
        )
        .context("cannot serve the API")?;
        Ok(Self {
            api,
            dispatcher,
            address,
            admin_key: admin_key.key,
            admin_key_made_in: admin_key.made_in,
            durability,
        })
    }

    /// The URL of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests, finishes deliveries in flight, gives everything up.
    pub(crate) async fn stop(self) {
        self.api.stop().await;
        self.dispatcher.drain().await;
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

/// Makes sure that what the store holds was sealed with our key.
async fn bind_key(store: &dyn Store, key: &posthaste_signing::EncryptionKey) -> anyhow::Result<()> {
    store.bind_key(KeyId(key.id().to_bytes())).await.map_err(|error| match error {
        StoreError::ForeignKey => anyhow::anyhow!(
            "{error}; give that one as encryption_key, or put its file back into the data folder"
        ),
        error => error.into(),
    })
}

/// Makes the tenant that exists from the start.
async fn first_tenant(store: &dyn Store, now: posthaste_model::Timestamp) -> anyhow::Result<()> {
    let id = TenantId::default_tenant();
    match store.tenant(&id).await {
        Ok(_) => Ok(()),
        Err(StoreError::NotFound(_)) => {
            let tenant = Tenant { id, name: "Default".into(), created_at: now, updated_at: now };
            store.put_tenant(tenant).await?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn transport_settings(egress: &EgressSettings) -> anyhow::Result<TransportSettings> {
    let mut transport = TransportSettings::default();
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
        per_endpoint: 32,
        timeout: settings.timeout.0,
        retry: settings.retry.clone().unwrap_or_default(),
        ownership: std::time::Duration::from_secs(3),
        retain: Retain { delivered: settings.retention.delivered.0, failed: settings.retention.failed.0 },
    }
}
