//! What the tests of this crate stand on: a store in memory whose answers can be shaped, and a service around it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_egress::{EgressPolicy, Guard, PortPolicy};
use posthaste_model::{
    Attempt, Clock, Delivery, DeliveryId, Endpoint, EndpointId, EventId, Tenant, TenantId, Timestamp, Topic,
    TopicName,
};
use posthaste_signing::{EncryptionKey, Sealer};
use posthaste_store::{
    Accepted, Catalogue, Cursor, Deliveries, DeliveryFilter, Durability, Epoch, EventRecord, Finding, Intake,
    KeyId, LeaseRequest, Leases, Letter, LetterId, NewEvent, Page, Paged, Partition, Pruned, Put, Queries,
    Recovered, Result, Retain, Retention, Settled, Settlement, Store, StoreError, TenantView, ViewVersion,
};
use posthaste_testkit::MemoryStore;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{ApiSettings, Entropy, KeyDigest, Service};

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
    let tenant = Tenant { id, name: String::new(), created_at: NOW, updated_at: NOW };
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
            admin_key: KeyDigest::of("a-key-of-some-24-characters"),
            payload_limit: PAYLOAD_LIMIT,
            request_limit: 1_000,
            open_topics: false,
            workers: 1,
            reader: "reader-1".into(),
        },
    }
}

pub(crate) fn topic(name: &str, archived: bool) -> Topic {
    Topic {
        name: name.parse().unwrap(),
        description: String::new(),
        example: None,
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
