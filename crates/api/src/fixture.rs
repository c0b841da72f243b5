//! What the tests of this crate stand on: a store in memory whose answers can be shaped, and a service around it.

mod delivering;
pub(crate) mod handshaking;

use std::{
    collections::VecDeque,
    panic::Location,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_web::{
    body::to_bytes,
    http::Method,
    test::{TestRequest, init_service, try_call_service},
    web::Data,
};
use async_trait::async_trait;
use bytes::Bytes;
use posthaste_egress::{EgressPolicy, Guard, PortPolicy};
use posthaste_model::{
    ApiKey, ApiKeyId, Attempt, AttemptId, AuditEntry, Clock, Decision, Delivery, DeliveryId, Endpoint,
    EndpointEffects, EndpointId, ErrorClass, EventId, Next, Outcome, Reply, RetryPolicy, SentRequest, Tenant,
    TenantId, Timestamp, Timings, Topic, TopicName,
};
use posthaste_signing::{EncryptionKey, Profile, Sealer};
use posthaste_store::{
    Accepted, Audit, Backlog, Catalogue, Cursor, Deliveries, DeliveryFilter, Durability, Epoch, EventFilter,
    EventRecord, Finding, Intake, KeyDigest, KeyId, Keys, Lease, LeaseRequest, Leases, Letter, LetterId,
    NewEvent, Order, Page, Paged, Partition, Pruned, Put, Queries, Recovered, Repairs, Result, Retain,
    Retention, Scope, Sent, Settled, Settlement, Store, StoreError, TenantView, ViewVersion,
};
use posthaste_telemetry::Telemetry;
use posthaste_testkit::{MemoryStore, pass_on};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use tokio::{task::LocalSet, time::Instant};

pub(crate) use self::delivering::{deliver, deliver_slowly};
use crate::{
    ApiSettings, Compiled, Entropy, KnownKeys, Service, key_digest,
    server::routes,
    stop::{Stop, Stopper},
};

/// The store of the tests.
#[derive(Default)]
pub(crate) struct ShapedStore {
    memory: MemoryStore,
    shape: Mutex<Shape>,
}

#[derive(Default)]
struct Shape {
    /// How long `check` takes.
    delay: Duration,
    /// How long a search for deliveries takes, if it is slow, and finds one at a time.
    search: Option<Duration>,
    /// When each of the slow ones began.
    searches: Vec<Instant>,
    away: bool,
    /// Whether a retry is done and its answer is lost.
    loses_answers: bool,
    /// How many events were given to be accepted.
    offered: usize,
    /// How often `check` was called.
    checks: u32,
    /// How many calls were refused because the store was away.
    refused: u32,
    /// How often a key, or a tenant, was looked up.
    looked_up: u32,
    /// Views that are given before the true one, as in a process that has not heard of a change yet.
    old_views: VecDeque<Arc<TenantView>>,
}

impl ShapedStore {
    pub(crate) fn answers_after(&self, delay: Duration) {
        self.shape.lock().unwrap().delay = delay;
    }

    /// Searches for deliveries take so long from now on, and find one at a time.
    pub(crate) fn searches_slowly(&self, time: Duration) {
        self.shape.lock().unwrap().search = Some(time);
    }

    /// When slow searches began.
    pub(crate) fn searches(&self) -> Vec<Instant> {
        self.shape.lock().unwrap().searches.clone()
    }

    /// Whether what is asked of the store is refused.
    pub(crate) fn away(&self, away: bool) {
        self.shape.lock().unwrap().away = away;
    }

    /// Whether the answer to a retry is lost, which is done.
    pub(crate) fn loses_answers(&self, loses: bool) {
        self.shape.lock().unwrap().loses_answers = loses;
    }

    /// How many events were given to be accepted.
    pub(crate) fn offered(&self) -> usize {
        self.shape.lock().unwrap().offered
    }

    pub(crate) fn checks(&self) -> u32 {
        self.shape.lock().unwrap().checks
    }

    /// How often a key, or a tenant, was looked up.
    pub(crate) fn looked_up(&self) -> u32 {
        self.shape.lock().unwrap().looked_up
    }

    pub(crate) fn refused(&self) -> u32 {
        self.shape.lock().unwrap().refused
    }

    /// Gives an old view once more.
    pub(crate) fn remembers(&self, view: Arc<TenantView>) {
        self.shape.lock().unwrap().old_views.push_back(view);
    }

    fn under(&self) -> &MemoryStore {
        &self.memory
    }

    fn reach(&self) -> Result<()> {
        let mut shape = self.shape.lock().unwrap();
        if shape.away {
            shape.refused += 1;
            return Err(StoreError::Unavailable { reason: "it was taken away".into(), source: None });
        }
        Ok(())
    }
}

#[async_trait]
impl Store for ShapedStore {
    fn durability(&self) -> Durability {
        self.memory.durability()
    }

    async fn check(&self) -> Result<()> {
        let delay = {
            let mut shape = self.shape.lock().unwrap();
            shape.checks += 1;
            shape.delay
        };
        tokio::time::sleep(delay).await;
        self.reach()
    }

    async fn examine(&self, now: Timestamp) -> Result<Vec<Finding>> {
        self.reach()?;
        self.memory.examine(now).await
    }

    async fn bind_key(&self, key: KeyId) -> Result<()> {
        self.memory.bind_key(key).await
    }
}

#[async_trait]
impl Intake for ShapedStore {
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>> {
        let old = self.shape.lock().unwrap().old_views.pop_front();
        match old {
            Some(view) => Ok(view),
            None => {
                self.reach()?;
                self.memory.view(tenant).await
            }
        }
    }

    async fn accept(
        &self,
        tenant: &TenantId,
        matched_against: ViewVersion,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Accepted>> {
        self.reach()?;
        self.shape.lock().unwrap().offered += events.len();
        self.memory.accept(tenant, matched_against, events).await
    }
}

/// Passes calls on to the store in memory.
macro_rules! passed_on {
    ($part:ident: $(impl { $($own:item)* })? $(fn $call:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl $part for ShapedStore {
            $($($own)*)?
            $(async fn $call(&self, $($argument: $kind),*) -> $answer {
                self.memory.$call($($argument),*).await
            })*
        }
    };
}

pass_on! { ShapedStore, under: Statistics, Replays, Notices }

passed_on! { Catalogue:
    impl {
        async fn tenant(&self, id: &TenantId) -> Result<Tenant> {
            self.shape.lock().unwrap().looked_up += 1;
            self.memory.tenant(id).await
        }
    }
    fn put_tenant(tenant: Tenant) -> Result<Put<Tenant>>;
    fn tenants(page: Page) -> Result<Paged<Tenant>>;
    fn delete_tenant(id: &TenantId, now: Timestamp) -> Result<()>;
    fn put_topic(topic: Topic) -> Result<Put<Topic>>;
    fn topic(name: &TopicName) -> Result<Topic>;
    fn topics(page: Page) -> Result<Paged<Topic>>;
    fn delete_topic(name: &TopicName) -> Result<()>;
    fn create_endpoint(endpoint: Endpoint) -> Result<()>;
    fn endpoint(tenant: &TenantId, id: EndpointId) -> Result<Endpoint>;
    fn endpoints(tenant: &TenantId, page: Page) -> Result<Paged<Endpoint>>;
    fn update_endpoint(endpoint: Endpoint) -> Result<Endpoint>;
    fn delete_endpoint(tenant: &TenantId, id: EndpointId, now: Timestamp) -> Result<()>;
}

passed_on! { Queries:
    impl {
        async fn deliveries(
            &self, tenant: Option<&TenantId>, filter: DeliveryFilter, order: Order, page: Page
        ) -> Result<Paged<Delivery>> {
            let slow = self.shape.lock().unwrap().search;
            let page = match slow {
                None => page,
                Some(time) => {
                    self.shape.lock().unwrap().searches.push(Instant::now());
                    tokio::time::sleep(time).await;
                    Page { limit: 1, ..page }
                }
            };
            self.memory.deliveries(tenant, filter, order, page).await
        }
    }
    fn event(tenant: &TenantId, id: &EventId) -> Result<EventRecord>;
    fn events(tenant: Option<&TenantId>, filter: EventFilter, page: Page) -> Result<Paged<EventRecord>>;
    fn delivery(tenant: &TenantId, id: DeliveryId) -> Result<Delivery>;
    fn attempts(tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>>;
    fn backlog(of: Scope, now: Timestamp) -> Result<Backlog>;
}

passed_on! { Keys:
    impl {
        async fn key(&self, digest: &KeyDigest) -> Result<Option<ApiKey>> {
            self.reach()?;
            self.shape.lock().unwrap().looked_up += 1;
            self.memory.key(digest).await
        }
    }
    fn create_key(key: ApiKey, digest: KeyDigest) -> Result<()>;
    fn keys(page: Page) -> Result<Paged<ApiKey>>;
    fn delete_key(id: ApiKeyId) -> Result<ApiKey>;
}

passed_on! { Audit:
    impl {
        async fn record(&self, entry: AuditEntry, most: u32) -> Result<()> {
            self.reach()?;
            self.memory.record(entry, most).await
        }
    }
    fn audit(of: Option<&TenantId>, page: Page) -> Result<Paged<AuditEntry>>;
}

passed_on! { Deliveries:
    impl {
        fn partitions(&self) -> u16 {
            self.memory.partitions()
        }
    }
    fn attend(owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>>;
    fn claim(partition: Partition, owner: &str, now: Timestamp, ttl: Duration) -> Result<Option<Epoch>>;
    fn renew(partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()>;
    fn release(partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()>;
    fn recover(partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered>;
    fn lease(request: LeaseRequest) -> Result<Leases>;
    fn settle(settlements: Arc<[Settlement]>) -> Result<Vec<Settled>>;
    fn park(tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()>;
    fn woken(partition: Partition) -> ();
}

passed_on! { Repairs:
    impl {
        async fn retry(
            &self, tenant: &TenantId, delivery: DeliveryId, force: bool, now: Timestamp
        ) -> Result<()> {
            self.memory.retry(tenant, delivery, force, now).await?;
            if self.shape.lock().unwrap().loses_answers {
                return Err(StoreError::Unavailable { reason: "the answer was lost".into(), source: None });
            }
            Ok(())
        }
    }
    fn cancel(tenant: &TenantId, delivery: DeliveryId, now: Timestamp) -> Result<()>;
    fn send(tenant: &TenantId, event: &EventId, endpoint: EndpointId, now: Timestamp) -> Result<Sent>;
}

passed_on! { Retention:
    fn prune(
        partition: Partition, retain: Retain, now: Timestamp, from: Option<Cursor>, limit: u32
    ) -> Result<Pruned>;
}

const KEY: &str = "a-key-of-some-24-characters";

pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A clock that stands still.
pub(crate) fn clock() -> Clock {
    Clock::new(|| NOW)
}

/// A clock that goes on by a millisecond whenever it is looked at, so that no two ids are made at the same time.
pub(crate) fn ticking_clock() -> Clock {
    let looks = AtomicU64::new(0);
    Clock::new(move || NOW + Duration::from_millis(looks.fetch_add(1, Relaxed)))
}

/// Bytes that the payload of an event may have in the service of the tests.
pub(crate) const PAYLOAD_LIMIT: usize = 100;

/// A service on a store, with the tenant `default` and the topic `order.paid`.
pub(crate) async fn service(store: &Arc<ShapedStore>) -> Service {
    let id = TenantId::default_tenant();
    let tenant = Tenant::new(id, NOW);
    store.put_tenant(tenant).await.unwrap();
    store.put_topic(topic("order.paid", false)).await.unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    Service {
        store: Arc::clone(store) as Arc<dyn Store>,
        guard: Guard::new(EgressPolicy { allow: vec![], own: vec![], ports: PortPolicy::default() }),
        sealer: Arc::new(Sealer::new(EncryptionKey::generate(&mut rng))),
        clock: clock(),
        telemetry: Arc::new(Telemetry::new(clock(), "1.2.3")),
        entropy: Entropy::new(rng),
        settings: ApiSettings {
            admin_key: key_digest(KEY),
            payload_limit: PAYLOAD_LIMIT,
            request_limit: 8_000,
            open_topics: false,
            timeout: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            retention_failed: Duration::from_secs(20 * 24 * 3600),
            signature: Profile::named("standard").unwrap(),
            header_prefix: "Posthaste".into(),
            origin: "hooks.acme.example".into(),
            workers: 1,
            reader: "reader-1".into(),
        },
        compiled: Compiled::default(),
        places: Arc::default(),
        keys: KnownKeys::default(),
    }
}

/// The API as its callers see it, without a socket.
pub(crate) struct Api {
    pub(crate) store: Arc<ShapedStore>,
    pub(crate) service: Data<Service>,
    pub(crate) stopper: Stopper,
    stop: Data<Stop>,
}

impl Api {
    pub(crate) async fn new() -> Self {
        Self::with(clock()).await
    }

    pub(crate) async fn with(clock: Clock) -> Self {
        let store = Arc::new(ShapedStore::default());
        let mut service = service(&store).await;
        service.clock = clock;
        let (stopper, stop) = Stopper::new();
        Self { store, service: Data::new(service), stopper, stop: Data::new(stop) }
    }

    /// What it answers: the status and the body.
    pub(crate) async fn call(&self, line: &str, content_type: &str, body: &str) -> (u16, Value) {
        answered(self.spoken(KEY, line, content_type, body).await)
    }

    /// What it answers to somebody with another key.
    pub(crate) async fn call_as(&self, key: &str, line: &str, body: &str) -> (u16, Value) {
        answered(self.spoken(key, line, "application/json", body).await)
    }

    /// The same to the letter, for a JSON body.
    pub(crate) async fn text(&self, line: &str, body: &str) -> (u16, String) {
        self.spoken(KEY, line, "application/json", body).await
    }

    async fn spoken(&self, key: &str, line: &str, content_type: &str, body: &str) -> (u16, String) {
        // As a worker of the server is one.
        LocalSet::new().run_until(self.exchange(key, line, content_type, body)).await
    }

    async fn exchange(&self, key: &str, line: &str, content_type: &str, body: &str) -> (u16, String) {
        let app = routes().0.app_data(self.service.clone()).app_data(self.stop.clone());
        let app = init_service(app).await;
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = TestRequest::with_uri(path)
            .method(method.parse::<Method>().unwrap())
            .peer_addr("192.0.2.7:4711".parse().unwrap())
            .insert_header(("authorization", format!("Bearer {key}")));
        if !body.is_empty() {
            request = request.insert_header(("content-type", content_type)).set_payload(body.to_owned());
        }
        // Whoever may not ask is refused before there is an answer; the server makes one of that.
        let response = match try_call_service(&app, request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(refused) => refused.error_response(),
        };
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// What it answers with this status.
    #[track_caller]
    pub(crate) fn json(&self, line: &str, body: &str, expect: u16) -> impl Future<Output = Value> {
        let caller = Location::caller();
        async move {
            let (status, answer) = self.call(line, "application/json", body).await;
            assert_eq!(status, expect, "{line} {body} at {caller}: {answer}");
            answer
        }
    }

    /// Asserts that it refuses a request so: `status kind place: detail`, of which the detail may be cut.
    #[track_caller]
    pub(crate) fn refuses(&self, line: &str, body: &str, expect: &str) -> impl Future<Output = ()> {
        self.refuses_typed(line, "application/json", body, expect)
    }

    /// The same, for a body of any type.
    #[track_caller]
    pub(crate) fn refuses_typed(
        &self,
        line: &str,
        content_type: &str,
        body: &str,
        expect: &str,
    ) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let (status, answer) = self.call(line, content_type, body).await;
            let told = told(status, &answer);
            assert!(told.starts_with(expect), "{line} {body} at {caller}\n  told: {told}\nexpect: {expect}");
        }
    }

    /// A new endpoint of the tenant `default`, with these fields beside its URL, as it was answered.
    pub(crate) async fn endpoint(&self, fields: Value) -> Value {
        let mut body = serde_json::json!({ "url": "https://example.com/hooks" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.json(&format!("POST {ENDPOINTS}"), &body.to_string(), 201).await
    }
}

impl Api {
    /// Makes the attempts that are due. Each comes to this, and to this for its delivery.
    pub(crate) async fn attempt(&self, outcome: Outcome, next: Next) {
        let (partition, now) = (Partition(0), self.service.clock.now());
        let epoch = self.store.claim(partition, "owner", now, LEASE).await.unwrap().unwrap();
        for lease in self.lease(partition, epoch).await {
            let attempt = Attempt {
                id: AttemptId::mint(now, [7; 10]),
                number: lease.attempt,
                manual: lease.manual,
                started_at: now,
                timings: Timings { dns: Some(Duration::from_micros(1_500)), ..Timings::default() },
                request: Some(Box::new(SentRequest {
                    method: "POST".into(),
                    url: lease.endpoint.url.clone(),
                    headers: vec![("authorization".into(), "***".into())],
                })),
                outcome: outcome.clone(),
            };
            let settlement = Settlement {
                lease: lease.id,
                delivery: lease.delivery,
                manual: lease.manual,
                endpoint_version: lease.endpoint.version,
                attempt: Some(attempt),
                decision: Decision { next, endpoint: EndpointEffects::default() },
                now,
            };
            self.store.settle([settlement].into()).await.unwrap();
        }
    }

    /// Leases what is due.
    pub(crate) async fn lease(&self, partition: Partition, epoch: Epoch) -> Vec<Lease> {
        let request = LeaseRequest {
            partition,
            epoch,
            now: self.service.clock.now(),
            limit: 100,
            manual: 100,
            per_endpoint: 100,
            per_tenant: 100,
            rooms: vec![],
            throttles: vec![],
            lease_for: LEASE,
        };
        self.store.lease(request).await.unwrap().leases
    }
}

/// How long what is leased is held.
pub(crate) const LEASE: Duration = Duration::from_secs(3_600);

/// An answer with this status.
pub(crate) fn replied(status: u16) -> Outcome {
    Outcome::Replied(Reply { status, headers: vec![], body: Bytes::new(), truncated: false })
}

/// No answer, because of this.
pub(crate) fn unanswered(class: ErrorClass) -> Outcome {
    Outcome::Failed { class, detail: "nobody is there".into() }
}

fn answered((status, text): (u16, String)) -> (u16, Value) {
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// What a refusal says: `status kind place: detail`.
pub(crate) fn told(status: u16, answer: &Value) -> String {
    let kind = answer["type"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default();
    let place = answer["errors"][0].as_object().and_then(|place| place.iter().next());
    let place = place.map_or_else(String::new, |(kind, at)| format!(" {kind} {}", at.as_str().unwrap()));
    format!("{status} {kind}{place}: {}", answer["detail"].as_str().unwrap_or_default())
}

pub(crate) const ENDPOINTS: &str = "/v1/tenants/default/endpoints";
pub(crate) const EVENTS: &str = "/v1/tenants/default/events";
pub(crate) const DELIVERIES: &str = "/v1/tenants/default/deliveries";

pub(crate) fn topic(name: &str, archived: bool) -> Topic {
    Topic {
        name: name.parse().unwrap(),
        description: String::new(),
        example: None,
        schema: None,
        archived,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(crate) fn letter(id: &str, fields: &[(&str, &str)]) -> Letter {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let fields = fields.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    Letter { id: LetterId(id.to_owned()), fields }
}
