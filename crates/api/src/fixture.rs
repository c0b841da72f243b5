//! What the tests of this crate stand on: a store in memory whose answers can be shaped, and a service around it.

mod delivering;
pub(crate) mod handshaking;

use std::{
    collections::VecDeque,
    panic::Location,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    http::Method,
    test::{TestRequest, call_service, init_service, read_body},
    web::Data,
};
use async_trait::async_trait;
use bytes::Bytes;
use posthaste_egress::{EgressPolicy, Guard, PortPolicy};
use posthaste_model::{
    Attempt, Clock, Delivery, DeliveryId, Endpoint, EndpointId, EventId, Tenant, TenantId, Timestamp, Topic,
    TopicName,
};
use posthaste_signing::{EncryptionKey, Profile, Sealer};
use posthaste_store::{
    Accepted, Catalogue, Cursor, Deliveries, DeliveryFilter, Durability, Epoch, EventRecord, Finding, Intake,
    KeyId, LeaseRequest, Leases, Letter, LetterId, NewEvent, Notice, Notices, Page, Paged, Partition, Pruned,
    Put, Queries, Recovered, Repairs, Result, Retain, Retention, Sent, Settled, Settlement, Store,
    StoreError, TenantView, ViewVersion,
};
use posthaste_testkit::MemoryStore;
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::Value;

pub(crate) use self::delivering::{deliver, deliver_slowly};
use crate::{
    ApiSettings, Compiled, Entropy, KeyDigest, Service,
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
    away: bool,
    /// Whether a retry is done and its answer is lost.
    loses_answers: bool,
    /// How many events were given to be accepted.
    offered: usize,
    /// How often `check` was called.
    checks: u32,
    /// How many calls were refused because the store was away.
    refused: u32,
    /// Views that are given before the true one, as in a process that has not heard of a change yet.
    old_views: VecDeque<Arc<TenantView>>,
}

impl ShapedStore {
    pub(crate) fn answers_after(&self, delay: Duration) {
        self.shape.lock().unwrap().delay = delay;
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

    pub(crate) fn refused(&self) -> u32 {
        self.shape.lock().unwrap().refused
    }

    /// Gives an old view once more.
    pub(crate) fn remembers(&self, view: Arc<TenantView>) {
        self.shape.lock().unwrap().old_views.push_back(view);
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

passed_on! { Catalogue:
    fn put_tenant(tenant: Tenant) -> Result<Put<Tenant>>;
    fn tenant(id: &TenantId) -> Result<Tenant>;
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

passed_on! { Notices:
    fn notices(partition: Partition, limit: u32) -> Result<Vec<Notice>>;
    fn forget_notices(partition: Partition, up_to: u64) -> Result<()>;
}

passed_on! { Queries:
    fn event(tenant: &TenantId, id: &EventId) -> Result<EventRecord>;
    fn events(tenant: &TenantId, page: Page) -> Result<Paged<EventRecord>>;
    fn delivery(tenant: &TenantId, id: DeliveryId) -> Result<Delivery>;
    fn deliveries(tenant: &TenantId, filter: DeliveryFilter, page: Page) -> Result<Paged<Delivery>>;
    fn attempts(tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>>;
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
        entropy: Entropy::new(rng),
        settings: ApiSettings {
            admin_key: KeyDigest::of(KEY),
            payload_limit: PAYLOAD_LIMIT,
            request_limit: 8_000,
            open_topics: false,
            timeout: Duration::from_secs(15),
            retention_failed: Duration::from_secs(20 * 24 * 3600),
            signature: Profile::named("standard").unwrap(),
            header_prefix: "Posthaste".into(),
            origin: "hooks.acme.example".into(),
            workers: 1,
            reader: "reader-1".into(),
        },
        compiled: Compiled::default(),
        places: Arc::default(),
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
        let (status, text) = self.spoken(line, content_type, body).await;
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    /// The same to the letter, for a JSON body.
    pub(crate) async fn text(&self, line: &str, body: &str) -> (u16, String) {
        self.spoken(line, "application/json", body).await
    }

    async fn spoken(&self, line: &str, content_type: &str, body: &str) -> (u16, String) {
        let app = routes().0.app_data(self.service.clone()).app_data(self.stop.clone());
        let app = init_service(app).await;
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = TestRequest::with_uri(path)
            .method(method.parse::<Method>().unwrap())
            .insert_header(("authorization", format!("Bearer {KEY}")));
        if !body.is_empty() {
            request = request.insert_header(("content-type", content_type)).set_payload(body.to_owned());
        }
        let response = call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(read_body(response).await.to_vec()).unwrap())
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
            let kind = answer["type"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default();
            let place = answer["errors"][0].as_object().and_then(|place| place.iter().next());
            let place =
                place.map_or_else(String::new, |(kind, at)| format!(" {kind} {}", at.as_str().unwrap()));
            let told = format!("{status} {kind}{place}: {}", answer["detail"].as_str().unwrap_or_default());
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
