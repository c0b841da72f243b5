use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use posthaste_dispatch::{DispatchSettings, Parts, WireSettings};
use posthaste_egress::{EgressPolicy, Guard};
use posthaste_model::{
    Attempt, Clock, Delivery, Endpoint, EndpointId, EndpointSecret, EndpointState, Event, EventId, Period,
    RetryPolicy, Sealed, Tenant, TenantId, Timestamp,
};
use posthaste_policy::AutoDisable;
use posthaste_signing::{EncryptionKey, Sealer, Secret};
use posthaste_store::{
    DeliveryFilter, NewEvent, Order, Page, Retain, Store, StoreError,
    conformance::{START, Shown, sample_endpoint, sample_event},
};
use posthaste_telemetry::Telemetry;
use posthaste_testkit::simulated_clock;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    backend::Backend,
    history::{History, Retry, Turn},
    process::{Process, Surroundings},
    seen::{Record, Seen},
    subscribers::{Line, Subscribers},
    watched::Watched,
};

/// Longer than anything here takes, on a busy machine, too, so that a test that waits for it has failed.
pub(crate) const AMPLE: Duration = Duration::from_secs(40);

/// Between two looks at what only the store shows.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What is around the dispatchers: a store, tenants with their endpoints, subscribers, operators.
pub(crate) struct World {
    pub(crate) clock: Clock,
    backend: Arc<Backend>,
    /// As publishers and operators have it open. None: it is being opened anew.
    store: Option<Arc<dyn Store>>,
    pub(crate) subscribers: Arc<Subscribers>,
    pub(crate) tenants: Vec<TenantId>,
    /// Every endpoint as it was made, deleted ones included, with its secret.
    pub(crate) endpoints: BTreeMap<EndpointId, (Endpoint, Secret)>,
    pub(crate) history: History,
    record: Arc<Record>,
    sealer: Arc<Sealer>,
    guard: Guard,
    rng: Mutex<StdRng>,
}

impl World {
    /// A store with a tenant. Nothing runs yet.
    pub(crate) async fn new(backend: Backend) -> Self {
        Self::seeded(backend, 7).await
    }

    pub(crate) async fn seeded(backend: Backend, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let record = Arc::new(watch::Sender::new(Seen::default()));
        let clock = simulated_clock(Timestamp::from_millisecond(START).unwrap());
        let backend = Arc::new(backend);
        let mut world = Self {
            store: Some(backend.open().await),
            subscribers: Arc::new(Subscribers::new(clock.clone(), Arc::clone(&record))),
            clock,
            backend,
            tenants: Vec::new(),
            endpoints: BTreeMap::new(),
            history: History::default(),
            record,
            sealer: Arc::new(Sealer::new(EncryptionKey::generate(&mut rng))),
            guard: Guard::new(EgressPolicy::default()),
            rng: Mutex::new(rng),
        };
        world.put_tenant(TenantId::posthaste()).await;
        world.another_tenant().await;
        world
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &**self.store.as_ref().unwrap()
    }

    /// Makes another tenant.
    pub(crate) async fn another_tenant(&mut self) -> TenantId {
        let id: TenantId = format!("tenant-{}", self.tenants.len()).parse().unwrap();
        self.put_tenant(id.clone()).await;
        self.tenants.push(id.clone());
        id
    }

    async fn put_tenant(&self, id: TenantId) {
        let now = self.clock.now();
        let tenant = Tenant::new(id, now);
        self.store().put_tenant(tenant).await.unwrap();
    }

    /// Starts a process.
    pub(crate) async fn start(&self, name: &str) -> Process {
        self.start_with(name, |_| {}).await
    }

    pub(crate) async fn start_with(&self, name: &str, change: impl FnOnce(&mut DispatchSettings)) -> Process {
        let mut settings = DispatchSettings {
            owner: name.into(),
            max_in_flight: 100,
            per_endpoint: 16,
            per_host: 1_000,
            timeout: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            auto_disable: AutoDisable::default(),
            ownership: Duration::from_millis(600),
            retain: Retain { delivered: YEAR, failed: YEAR },
            wire: WireSettings::default(),
        };
        change(&mut settings);
        let around = Surroundings {
            backend: Arc::clone(&self.backend),
            record: Arc::clone(&self.record),
            subscribers: Arc::clone(&self.subscribers),
        };
        let seed = self.rng.lock().unwrap().fork();
        let make = |store: Arc<Watched>, transport: Arc<Line>| Parts {
            store,
            transport,
            guard: self.guard.clone(),
            sealer: Arc::clone(&self.sealer),
            clock: self.clock.clone(),
            telemetry: Arc::new(Telemetry::new(self.clock.clone(), "engine")),
            seed,
        };
        Process::start(settings, around, make).await
    }

    /// Opens the store anew, when every process that had it has ended.
    pub(crate) async fn reopen(&mut self) {
        self.store = None;
        self.backend.closed().await;
        self.store = Some(self.backend.open().await);
    }

    /// Makes an endpoint of the first tenant, whose failures are tried again after so many milliseconds.
    pub(crate) async fn endpoint(&mut self, delays: &[u64]) -> Endpoint {
        self.endpoint_with(delays, |_| {}).await
    }

    pub(crate) async fn endpoint_with(
        &mut self,
        delays: &[u64],
        change: impl FnOnce(&mut Endpoint),
    ) -> Endpoint {
        let tenant = self.tenants[0].clone();
        self.endpoint_of(&tenant, |endpoint| {
            endpoint.retry = Some(schedule(delays));
            change(endpoint);
        })
        .await
    }

    pub(crate) async fn endpoint_of(
        &mut self,
        tenant: &TenantId,
        change: impl FnOnce(&mut Endpoint),
    ) -> Endpoint {
        let number = self.endpoints.len() as u64;
        let mut endpoint = sample_endpoint(tenant, number, self.clock.now());
        let (secret, sealed) = self.secret(endpoint.id);
        endpoint.secrets = vec![EndpointSecret { sealed, expires_at: None }];
        change(&mut endpoint);
        self.store().create_endpoint(endpoint.clone()).await.unwrap();
        self.endpoints.insert(endpoint.id, (endpoint.clone(), secret));
        endpoint
    }

    /// A new secret, as it is and as it is kept for an endpoint.
    fn secret(&self, of: EndpointId) -> (Secret, Sealed) {
        let mut rng = self.rng.lock().unwrap();
        let secret = Secret::generate(&mut *rng);
        let record = EndpointSecret::record(of);
        let sealed = self.sealer.seal_secret(&secret, record.as_bytes(), &mut *rng).unwrap();
        (secret, Sealed(Bytes::from(sealed)))
    }

    /// What stands of an endpoint.
    pub(crate) async fn reread(&self, endpoint: &Endpoint) -> Endpoint {
        self.store().endpoint(&endpoint.tenant, endpoint.id).await.unwrap()
    }

    /// Gives an endpoint a state.
    pub(crate) async fn turn(&mut self, endpoint: &Endpoint, state: EndpointState) {
        let asked = Instant::now();
        loop {
            let mut changed = self.reread(endpoint).await;
            changed.state = state;
            changed.state_reason = (state == EndpointState::Disabled).then(|| "by an operator".into());
            changed.updated_at = self.clock.now();
            match self.store().update_endpoint(changed).await {
                Ok(_) => break,
                // A dispatcher disabled it meanwhile.
                Err(StoreError::StaleEndpoint) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let done = Instant::now();
        self.history.turns.push(Turn { endpoint: endpoint.id, state: Some(state), asked, done });
    }

    pub(crate) async fn delete(&mut self, endpoint: &Endpoint) {
        let asked = Instant::now();
        self.store().delete_endpoint(&endpoint.tenant, endpoint.id, self.clock.now()).await.unwrap();
        let done = Instant::now();
        self.history.turns.push(Turn { endpoint: endpoint.id, state: None, asked, done });
    }

    /// Accepts an event for endpoints of one tenant.
    pub(crate) async fn accept(&mut self, id: &str, endpoints: &[&Endpoint]) {
        self.accept_with(id, endpoints, |_| {}).await;
    }

    pub(crate) async fn accept_with(
        &mut self,
        id: &str,
        endpoints: &[&Endpoint],
        change: impl FnOnce(&mut Event),
    ) {
        let mut event = sample_event(&endpoints[0].tenant, id, self.clock.now());
        change(&mut event);
        let endpoints = endpoints.iter().map(|endpoint| endpoint.id).collect();
        self.accept_all(vec![NewEvent { event, endpoints }]).await;
    }

    /// Accepts events of one tenant in one step.
    pub(crate) async fn accept_all(&mut self, new: Vec<NewEvent>) {
        let Some(tenant) = new.first().map(|new| new.event.tenant.clone()) else { return };
        let accepted = loop {
            let version = self.store().view(&tenant).await.unwrap().version;
            match self.store().accept(&tenant, version, new.clone()).await {
                Ok(accepted) => break accepted,
                // A dispatcher disabled an endpoint meanwhile.
                Err(StoreError::StaleView) => {}
                Err(error) => panic!("{error}"),
            }
        };
        let first = new.into_iter().zip(accepted).filter(|(_, accepted)| !accepted.duplicate);
        self.history.accepted.extend(first.map(|(new, _)| new));
    }

    /// Asks for an attempt by hand.
    pub(crate) async fn retry(&mut self, delivery: &Delivery, force: bool) -> posthaste_store::Result<()> {
        let asked = Instant::now();
        self.store().retry(&delivery.tenant, delivery.id, force, self.clock.now()).await?;
        self.history.retries.push(Retry { delivery: delivery.id, force, asked });
        Ok(())
    }

    /// Gives a delivery up.
    pub(crate) async fn cancel(&mut self, delivery: &Delivery) -> posthaste_store::Result<()> {
        let asked = Instant::now();
        self.store().cancel(&delivery.tenant, delivery.id, self.clock.now()).await?;
        self.history.cancelled.push((delivery.id, asked, Instant::now()));
        Ok(())
    }

    /// Sends an event to one more endpoint. Whether a delivery was made.
    pub(crate) async fn send(
        &mut self,
        event: &EventId,
        endpoint: &Endpoint,
    ) -> posthaste_store::Result<bool> {
        let now = self.clock.now();
        let sent = self.store().send(&endpoint.tenant, event, endpoint.id, now).await?;
        if sent.created {
            self.history.sent.push((event.clone(), endpoint.id));
        }
        Ok(sent.created)
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> watch::Ref<'_, Seen> {
        self.record.borrow()
    }

    /// Waits for a fact.
    #[track_caller]
    pub(crate) fn until(&self, fact: impl Fn(&Seen) -> bool) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let mut seen = self.record.subscribe();
        async move {
            let over = timeout(AMPLE, seen.wait_for(|seen| fact(seen))).await;
            assert!(over.is_ok(), "it never came to that: {place}");
        }
    }

    /// Waits until an endpoint is so.
    pub(crate) async fn until_endpoint(
        &self,
        endpoint: &Endpoint,
        fact: impl Fn(&Endpoint) -> bool,
    ) -> Endpoint {
        let look = async {
            loop {
                let found = self.reread(endpoint).await;
                if fact(&found) {
                    return found;
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(AMPLE, look).await.expect("the endpoint comes to that")
    }

    /// Waits until the delivery of an event to an endpoint is so.
    pub(crate) async fn until_delivery(
        &self,
        event: &str,
        endpoint: &Endpoint,
        fact: impl Fn(&Delivery) -> bool,
    ) -> (Delivery, Vec<Attempt>) {
        let look = async {
            loop {
                let (delivery, attempts) = self.delivery(event, endpoint).await;
                if fact(&delivery) {
                    return (delivery, attempts);
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(AMPLE, look).await.expect("the delivery comes to that")
    }

    /// The delivery of an event to an endpoint, with its attempts.
    pub(crate) async fn delivery(&self, event: &str, endpoint: &Endpoint) -> (Delivery, Vec<Attempt>) {
        let filter = DeliveryFilter {
            event: Some(event.parse().unwrap()),
            endpoint: Some(endpoint.id),
            ..DeliveryFilter::default()
        };
        let tenant = &endpoint.tenant;
        let found = self.store().deliveries(Some(tenant), filter, Order::NewestFirst, Page::first(1)).await;
        let delivery = found.unwrap().rows.pop().unwrap();
        let attempts = self.store().attempts(tenant, delivery.id).await.unwrap();
        (delivery, attempts)
    }

    /// Everything that the queries show of each tenant, `posthaste` last.
    pub(crate) async fn shown(&self) -> Vec<Shown> {
        let mut all = Vec::new();
        for tenant in self.tenants.iter().chain([&TenantId::posthaste()]) {
            all.push(Shown::of(self.store(), tenant).await.unwrap());
        }
        all
    }
}

/// Tries again after so many milliseconds.
pub(crate) fn schedule(delays: &[u64]) -> RetryPolicy {
    RetryPolicy::schedule(delays.iter().copied().map(Period::from_millis).collect()).unwrap()
}
