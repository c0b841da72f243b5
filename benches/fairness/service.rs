use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use posthaste_dispatch::{DispatchSettings, Dispatcher, Parts, WireSettings};
use posthaste_egress::{EgressPolicy, Guard, HttpTransport, TransportSettings};
use posthaste_model::{
    Clock, Endpoint, EndpointSecret, Event, Payload, RetryPolicy, Sealed, Tenant, TenantId, Timestamp,
};
use posthaste_policy::AutoDisable;
use posthaste_signing::{EncryptionKey, Sealer, Secret};
use posthaste_store::{
    NewEvent, Retain, Store,
    conformance::{sample_endpoint, sample_event},
};
use posthaste_telemetry::Telemetry;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::backend::open;

/// How many deliveries the binary has between lease and settlement.
pub(crate) const MAX_IN_FLIGHT: usize = 2_048;
/// How many requests to an endpoint it has under way.
pub(crate) const PER_ENDPOINT: u32 = 32;
/// How many to a host.
const PER_HOST: u32 = 128;
/// As long as an endpoint may ask for.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Nothing is forgotten here.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The service but for its API: a store that is published to directly, and a dispatcher with the settings of the binary.
/// All of it ends with the runtime that it was made on.
pub(crate) struct Service {
    pub(crate) door: Door,
    _dispatcher: Dispatcher,
    sealer: Arc<Sealer>,
    rng: StdRng,
    minted: u64,
}

/// Where events are published.
#[derive(Clone)]
pub(crate) struct Door {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Service {
    pub(crate) async fn start(address: &str, max_in_flight: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let door = Door { store: open(address).await, clock: system_clock() };
        // The service's own.
        door.put_tenant(TenantId::posthaste()).await;
        let sealer = Arc::new(Sealer::new(EncryptionKey::generate(&mut rng)));
        let allow = vec!["127.0.0.0/8".parse().unwrap()];
        let guard = Guard::new(EgressPolicy { allow, ..EgressPolicy::default() });
        let transport = HttpTransport::new(guard.clone(), TransportSettings::default()).unwrap();
        let parts = Parts {
            store: Arc::clone(&door.store),
            transport: Arc::new(transport),
            guard,
            sealer: Arc::clone(&sealer),
            clock: door.clock.clone(),
            telemetry: Arc::new(Telemetry::new(door.clock.clone(), "benchmark")),
            seed: rng.fork(),
        };
        let settings = DispatchSettings {
            owner: "benchmark".into(),
            max_in_flight,
            per_endpoint: PER_ENDPOINT,
            per_host: PER_HOST,
            timeout: TIMEOUT,
            retry: RetryPolicy::default(),
            auto_disable: AutoDisable::default(),
            ownership: Duration::from_secs(3),
            retain: Retain { delivered: YEAR, failed: YEAR },
            wire: WireSettings::default(),
        };
        let dispatcher = Dispatcher::start(parts, settings);
        Self { door, _dispatcher: dispatcher, sealer, rng, minted: 0 }
    }

    /// A new tenant with an endpoint at each of these URLs.
    pub(crate) async fn tenant(&mut self, name: &str, urls: &[String]) -> Arc<[Endpoint]> {
        let id: TenantId = name.parse().unwrap();
        self.door.put_tenant(id.clone()).await;
        let endpoints: Arc<[Endpoint]> = urls.iter().map(|url| self.endpoint(&id, url)).collect();
        for some in endpoints.chunks(500) {
            let calls = some.iter().map(|endpoint| self.door.store.create_endpoint(endpoint.clone()));
            join_all(calls).await.into_iter().for_each(Result::unwrap);
        }
        endpoints
    }

    fn endpoint(&mut self, tenant: &TenantId, url: &str) -> Endpoint {
        self.minted += 1;
        let sample = sample_endpoint(tenant, self.minted, self.door.clock.now());
        let record = EndpointSecret::record(sample.id);
        let secret = Secret::generate(&mut self.rng);
        let sealed = self.sealer.seal_secret(&secret, record.as_bytes(), &mut self.rng).unwrap();
        let secrets = vec![EndpointSecret { sealed: Sealed(sealed.into()), expires_at: None }];
        Endpoint { url: url.to_owned(), secrets, ..sample }
    }
}

impl Door {
    /// Accepts an event for an endpoint, as the API does.
    pub(crate) async fn accept(&self, endpoint: &Endpoint, id: &str, data: Bytes) {
        let Self { store, clock } = self;
        let tenant = &endpoint.tenant;
        let event = Event { payload: Payload::Data(data), ..sample_event(tenant, id, clock.now()) };
        let view = store.view(tenant).await.unwrap();
        let new = NewEvent { event, endpoints: vec![endpoint.id] };
        store.accept(tenant, view.version, vec![new]).await.unwrap();
    }

    async fn put_tenant(&self, id: TenantId) {
        let now = self.clock.now();
        self.store.put_tenant(Tenant::new(id, now)).await.unwrap();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the time for what it measures, as the binary does"
)]
fn system_clock() -> Clock {
    Clock::new(Timestamp::now)
}
