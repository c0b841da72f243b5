//! The server does what it is asked, and its answer is lost. Each operation of the contract is cut off at each of its
//! answers, and asked again: it must have been done once.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use posthaste_model::{
    Actor, ApiKey, ApiKeyId, Attempt, AttemptId, AuditEntry, AuditId, AuditOutcome, Decision, Delivery,
    DeliveryState, Endpoint, EndpointEffects, EndpointId, EndpointState, ErrorClass, HealthEffect, Next,
    Outcome, ReplayId, Role, Tenant, TenantId, Timestamp, Topic, TopicPattern,
};
use posthaste_store::{
    DeliveryFilter, KeyDigest, KeyId, Lease, LeaseRequest, NewEvent, Notice, Page, Replay, ReplayState,
    Result, Retain, Settled, Settlement, StoreError, TenantRoom, Throttle, Told,
    conformance::{
        Driver, Shown, TTL, disable, fares, nameless, replied, sample_endpoint, sample_event, sample_request,
    },
};
use posthaste_store_redis::RedisSettings;
use posthaste_testkit::{
    MemoryStore,
    redis::{Persistence, RedisServer, unique_prefix},
};

use crate::{
    proxy::{Proxy, Weather, lone_cluster_behind_a_proxy},
    scene::{at, drive, until},
};

/// A store in the middle of its work.
struct Scene {
    driver: Driver,
    tenant: TenantId,
    first: Endpoint,
    /// To which nothing goes yet.
    third: Endpoint,
    /// What came of the two deliveries in flight.
    settlements: Arc<[Settlement]>,
    /// What came of a manual attempt of one that waits.
    by_hand: Arc<[Settlement]>,
}

type Answer = Result<String>;
type Operation = for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, Answer>;

/// Names an operation, and does it in the same way whenever it is done.
macro_rules! operations {
    ($($name:ident($scene:ident, $store:ident) $body:block)*) => {
        &[$((stringify!($name), (|$scene| {
            let $store = $scene.driver.store();
            async move { shown($body) }.boxed_local()
        }) as Operation)),*]
    };
}

fn shown<T: std::fmt::Debug>(answer: Result<T>) -> Answer {
    answer.map(|answer| format!("{answer:?}"))
}

impl Scene {
    async fn new(mut driver: Driver) -> Self {
        let tenant = driver.tenant("acme").await;
        driver.tenant("other").await;
        let first = driver.endpoint(&tenant).await;
        let second = driver.endpoint(&tenant).await;
        driver.store().put_topic(topic("order.paid", driver.now())).await.unwrap();
        for event in ["over", "a", "b", "c"] {
            driver.accept(&tenant, event, &[&first, &second]).await;
            driver.pass(1);
        }
        for lease in driver.lease_up_to(2, 1).await {
            let warning = fares(HealthEffect::Failed { exhausted: false, warning: Some(50) });
            driver.settle_with(&lease, replied(200), Next::Delivered, warning).await;
        }
        driver.pass(3_600);
        let third = driver.endpoint(&tenant).await;
        let mut leases = driver.lease_up_to(2, 1).await;
        leases.sort_by_key(|lease| lease.endpoint.id);
        let mut settlements = vec![
            driver.settlement(&leases[0], replied(503), Next::Retry { at: driver.secs(30) }),
            driver.settlement(&leases[1], replied(410), Next::Skipped),
        ];
        settlements[0].decision.endpoint =
            fares(HealthEffect::Failed { exhausted: false, warning: Some(70) });
        settlements[1].decision.endpoint = disable("it answered 410");
        let (settlements, by_hand) = (settlements.into(), Arc::new([]));
        let mut scene = Self { driver, tenant, first, third, settlements, by_hand };
        let (waiting, over) = (scene.delivery("b").await, scene.delivery("over").await);
        scene.driver.ask(&waiting, false).await.unwrap();
        let lease = scene.driver.lease_with(|ask| ask.limit = 1).await.leases.remove(0);
        let mut arrived = scene.driver.settlement(&lease, replied(200), Next::Delivered);
        arrived.decision.endpoint = fares(HealthEffect::Well);
        scene.by_hand = Arc::new([arrived]);
        scene.driver.ask(&over, false).await.unwrap();
        let store = scene.driver.store();
        store.create_replay(scene.replay([1; 10])).await.unwrap();
        store.create_key(scene.key(1), KeyDigest([1; 32])).await.unwrap();
        store.record(scene.entry(1), 1).await.unwrap();
        scene
    }

    /// A key of the API.
    fn key(&self, name: u8) -> ApiKey {
        ApiKey {
            id: ApiKeyId::mint(self.now(), [name; 10]),
            name: name.to_string(),
            role: Role::Viewer,
            tenant: None,
            created_at: self.now(),
            expires_at: None,
        }
    }

    /// An entry of the audit.
    fn entry(&self, name: u8) -> AuditEntry {
        AuditEntry {
            id: AuditId::mint(self.now(), [name; 10]),
            at: self.now(),
            by: Actor::AdminKey,
            address: None,
            action: "delete_topic".into(),
            subject: "/v1/topics/order.paid".into(),
            tenant: None,
            fields: Vec::new(),
            detail: None,
            outcome: AuditOutcome::Done,
        }
    }

    /// A replay of everything that is exhausted.
    fn replay(&self, name: [u8; 10]) -> Replay {
        Replay {
            id: ReplayId::mint(self.now(), name),
            tenant: self.tenant.clone(),
            filter: DeliveryFilter { states: vec![DeliveryState::Exhausted], ..DeliveryFilter::default() },
            rate: None,
            state: ReplayState::Running,
            found: 1,
            found_more: false,
            reopened: 0,
            passed_over: 0,
            cursor: None,
            version: 1,
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    /// The delivery of an event to the first endpoint.
    async fn delivery(&self, event: &str) -> Delivery {
        let mut deliveries = self.driver.deliveries_of(&self.tenant, event).await;
        deliveries.retain(|delivery| delivery.endpoint == self.first.id);
        deliveries.remove(0)
    }

    fn now(&self) -> Timestamp {
        self.driver.now()
    }

    async fn accept(&self, names: &[&str]) -> Result<Vec<(u32, bool)>> {
        let view = self.driver.store().view(&self.tenant).await?;
        let events = names.iter().map(|name| NewEvent {
            event: sample_event(&self.tenant, name, self.now()),
            endpoints: view.endpoints.iter().map(|endpoint| endpoint.id).collect(),
        });
        let accepted = self.driver.store().accept(&self.tenant, view.version, events.collect()).await?;
        Ok(accepted.into_iter().map(|accepted| (accepted.deliveries, accepted.duplicate)).collect())
    }

    /// Asks for two that are not manual.
    fn request(&self) -> LeaseRequest {
        let request = sample_request(self.driver.epochs()[0], self.now());
        LeaseRequest { limit: 2, manual: 0, per_endpoint: 2, ..request }
    }

    /// Leases, and says what was leased to whom.
    async fn lease(&self, request: LeaseRequest) -> Result<Vec<String>> {
        let leases = self.driver.store().lease(request).await?.leases;
        Ok(leases
            .iter()
            .map(|lease| {
                let Lease { event, endpoint, attempt, failures, manual, due_at, .. } = lease;
                format!("{} to {}: {attempt}, {failures}, {manual}, {due_at}", event.id, endpoint.url)
            })
            .collect())
    }

    /// How many deliveries are in flight.
    async fn in_flight(&self) -> usize {
        let shown = self.driver.shown(&self.tenant).await;
        shown.deliveries.iter().filter(|(delivery, _)| delivery.state == DeliveryState::InFlight).count()
    }

    /// Everything that is shown, without what every store names and orders in its own way.
    async fn sight(&self) -> String {
        let store = self.driver.store();
        let tenants = store.tenants(Page::first(10)).await.unwrap().rows;
        let topics = store.topics(Page::first(10)).await.unwrap().rows;
        let replays = store.replays(None, Page::first(10)).await.unwrap().rows;
        let (partition, _) = self.driver.epochs()[0];
        let running = store.running_replays(partition).await.unwrap();
        let mut all = format!("{tenants:#?}\n{topics:#?}\n{replays:#?}\n{running:#?}\n");
        let keys = store.keys(Page::first(10)).await.unwrap().rows;
        let mut opened = Vec::new();
        for name in 1..=2 {
            opened.push(store.key(&KeyDigest([name; 32])).await.unwrap());
        }
        let audit = store.audit(None, Page::first(10)).await.unwrap().rows;
        all += &format!("{keys:#?}\n{opened:#?}\n{audit:#?}\n");
        for tenant in tenants {
            let mut shown = Shown::of(store, &tenant.id).await.unwrap();
            for (delivery, attempts) in &mut shown.deliveries {
                *delivery = nameless(delivery);
                attempts.iter_mut().for_each(anonymise);
            }
            let runs = shown.deliveries.chunk_by_mut(|(one, _), (other, _)| one.event == other.event);
            runs.for_each(|run| run.sort_by_key(|(delivery, _)| delivery.endpoint));
            let view = store.view(&tenant.id).await.unwrap();
            let targets: Vec<EndpointId> = view.endpoints.iter().map(|endpoint| endpoint.id).collect();
            all += &format!("{shown:#?}\n{targets:?}\n{:?}\n", view.topics);
            let notices = self.driver.notices().await;
            let mut told: Vec<_> =
                notices.iter().filter(|notice| notice.tenant == tenant.id).map(in_words).collect();
            told.sort();
            all += &format!("{told:#?}\n");
        }
        all
    }

    /// What can be done afterwards: everything that is due is leased, and delivered.
    async fn afterlife(&self) -> String {
        let store = self.driver.store();
        // What was in flight ends one way or another.
        let _ = store.settle(Arc::clone(&self.settlements)).await.unwrap();
        let mut delivered = Vec::new();
        let (partition, _) = self.driver.epochs()[0];
        let epoch = store.claim(partition, "driver", self.now(), TTL).await.unwrap().unwrap();
        store.recover(partition, epoch, self.now()).await.unwrap();
        loop {
            let request = LeaseRequest { epoch, limit: 100, manual: 100, ..self.request() };
            let leases = store.lease(request).await.unwrap().leases;
            if leases.is_empty() {
                break;
            }
            let settlements: Vec<Settlement> = leases
                .iter()
                .map(|lease| Settlement {
                    lease: lease.id,
                    delivery: lease.delivery,
                    manual: lease.manual,
                    endpoint_version: lease.endpoint.version,
                    attempt: None,
                    decision: Decision {
                        next: if lease.manual { Next::Stay } else { Next::Exhausted },
                        endpoint: EndpointEffects::default(),
                    },
                    now: self.now(),
                })
                .collect();
            let settled = store.settle(settlements.into()).await.unwrap();
            assert!(settled.iter().all(|settled| *settled == Settled::Applied));
            delivered.extend(leases.iter().map(|lease| {
                format!("{} to {}, manual: {}", lease.event.id, lease.endpoint.url, lease.manual)
            }));
        }
        delivered.sort();
        format!("{delivered:#?}\n{}", self.sight().await)
    }
}

/// A notice without what every store names in its own way.
fn in_words(Notice { endpoint, at, told, .. }: &Notice) -> String {
    match told {
        Told::Exhausted { .. } => format!("{endpoint}, {at}: exhausted"),
        told => format!("{endpoint}, {at}: {told:?}"),
    }
}

fn anonymise(attempt: &mut Attempt) {
    if let Outcome::Failed { class: ErrorClass::Unknown, detail } = &mut attempt.outcome {
        detail.clear();
        attempt.id = AttemptId::mint(Timestamp::UNIX_EPOCH, [0; 10]);
    }
}

fn topic(name: &str, now: Timestamp) -> Topic {
    Topic {
        name: name.parse().unwrap(),
        description: String::new(),
        example: None,
        schema: None,
        archived: false,
        created_at: now,
        updated_at: now,
    }
}

fn tenant(id: &str, name: &str, now: Timestamp) -> Tenant {
    Tenant { name: name.into(), ..Tenant::new(id.parse().unwrap(), now) }
}

const CATALOGUE: &[(&str, Operation)] = operations! {
    a_new_tenant(scene, store) {
        store.put_tenant(tenant("new", "", scene.now())).await.map(|put| put.created)
    }
    a_changed_tenant(scene, store) {
        store.put_tenant(tenant("acme", "changed", scene.now())).await.map(|put| put.created)
    }
    a_deleted_tenant(scene, store) { store.delete_tenant(&scene.tenant, scene.now()).await }
    a_new_topic(scene, store) {
        store.put_topic(topic("order.lost", scene.now())).await.map(|put| put.created)
    }
    a_changed_topic(scene, store) {
        let topic = Topic { archived: true, ..topic("order.paid", scene.now()) };
        store.put_topic(topic).await.map(|put| put.created)
    }
    a_new_key(scene, store) { store.create_key(scene.key(2), KeyDigest([2; 32])).await }
    a_deleted_key(scene, store) { store.delete_key(scene.key(1).id).await }
    an_entry_of_the_audit(scene, store) { store.record(scene.entry(2), 1).await }
    a_deleted_topic(_scene, store) { store.delete_topic(&"order.paid".parse().unwrap()).await }
    a_new_endpoint(scene, store) {
        store.create_endpoint(sample_endpoint(&scene.tenant, 1_000, scene.now())).await
    }
    a_changed_endpoint(scene, store) {
        let topics = vec![TopicPattern::All, TopicPattern::All];
        let changed = Endpoint { topics, ..scene.first.clone() };
        store.update_endpoint(changed).await.map(|endpoint| endpoint.version)
    }
    a_disabled_endpoint(scene, store) {
        let disabled = Endpoint {
            state: EndpointState::Disabled,
            updated_at: scene.now(),
            ..scene.first.clone()
        };
        store.update_endpoint(disabled).await.map(|endpoint| endpoint.version)
    }
    a_deleted_endpoint(scene, store) {
        store.delete_endpoint(&scene.tenant, scene.first.id, scene.now()).await
    }
    a_key(_scene, store) { store.bind_key(KeyId([7; 4])).await }
};

const DELIVERIES: &[(&str, Operation)] = operations! {
    an_event(scene, _store) { scene.accept(&["new"]).await }
    some_events(scene, _store) { scene.accept(&["new", "newer", "newest"]).await }
    events_of_which_some_are_known(scene, _store) { scene.accept(&["new", "a", "newer", "b"]).await }
    a_lease(scene, _store) { scene.lease(scene.request()).await }
    a_lease_of_every_kind(scene, _store) {
        let tenant = scene.tenant.clone();
        let throttle = Throttle {
            tenant: tenant.clone(),
            endpoint: scene.first.id,
            until: None,
            at_most: Some(1),
        };
        let (rooms, throttles) = (vec![TenantRoom { tenant, room: 2 }], vec![throttle]);
        let request = LeaseRequest { limit: 3, manual: 1, per_tenant: 1, rooms, throttles, ..scene.request() };
        scene.lease(request).await.map(|mut leased| {
            // Turns are each store's own.
            leased.sort();
            leased
        })
    }
    a_settlement(scene, store) { store.settle(Arc::clone(&scene.settlements)).await }
    a_manual_attempt_that_arrived(scene, store) { store.settle(Arc::clone(&scene.by_hand)).await }
    a_request_for_an_attempt(scene, store) {
        let waiting = scene.delivery("b").await;
        store.retry(&scene.tenant, waiting.id, false, scene.now()).await
    }
    a_cancellation(scene, store) {
        let waiting = scene.delivery("b").await;
        store.cancel(&scene.tenant, waiting.id, scene.now()).await
    }
    a_cancellation_of_what_is_in_flight(scene, store) {
        let leased = scene.delivery("a").await;
        store.cancel(&scene.tenant, leased.id, scene.now()).await
    }
    one_more_endpoint(scene, store) {
        let event = "over".parse().unwrap();
        store.send(&scene.tenant, &event, scene.third.id, scene.now()).await.map(|sent| sent.created)
    }
    what_operators_are_told(scene, store) {
        let (partition, _) = scene.driver.epochs()[0];
        store.notices(partition, 1).await.map(|notices| notices.iter().map(in_words).collect::<Vec<_>>())
    }
    what_they_were_told(scene, store) {
        let (partition, _) = scene.driver.epochs()[0];
        store.forget_notices(partition, u64::MAX).await
    }
    deliveries_that_are_opened_again(scene, store) {
        let (over, waiting) = (scene.delivery("over").await, scene.delivery("b").await);
        store.reopen(&scene.tenant, vec![over.id, waiting.id], None, scene.now()).await
    }
    a_new_replay(scene, store) { store.create_replay(scene.replay([2; 10])).await }
    a_replay_that_goes_on(scene, store) {
        let goes_on = Replay { reopened: 7, cursor: Some("there".into()), ..scene.replay([1; 10]) };
        store.update_replay(goes_on).await.map(|replay| replay.version)
    }
    a_replay_that_ended(scene, store) {
        let over = Replay { state: ReplayState::Done, ..scene.replay([1; 10]) };
        store.update_replay(over).await.map(|replay| replay.version)
    }
    a_pause(scene, store) { store.park(&scene.tenant, scene.first.id, scene.driver.secs(60)).await }
    a_claim(scene, store) {
        let (partition, _) = scene.driver.epochs()[0];
        store.claim(partition, "driver", scene.now(), TTL).await.map(|epoch| epoch.is_some())
    }
    a_renewal(scene, store) {
        let (partition, epoch) = scene.driver.epochs()[0];
        store.renew(partition, epoch, scene.now(), TTL).await
    }
    a_release(scene, store) {
        let (partition, epoch) = scene.driver.epochs()[0];
        store.release(partition, epoch, scene.now()).await
    }
    a_presence(scene, store) { store.attend("driver", scene.now(), TTL).await }
    a_recovery(scene, store) {
        // The leases have run out.
        let (partition, epoch) = scene.driver.epochs()[0];
        store.recover(partition, epoch, scene.driver.secs(120)).await.map(|_| ())
    }
    a_pruning(scene, store) {
        let (partition, _) = scene.driver.epochs()[0];
        let retain = Retain { delivered: TTL, failed: TTL };
        store.prune(partition, retain, scene.now(), None, 100).await.map(|pruned| pruned.next)
    }
};

fn text(answer: &Answer) -> String {
    format!("{answer:?}")
}

/// Does an operation on the reference, once or twice; gives its answers, and what can be seen then and later.
async fn reference(operation: Operation, times: usize) -> (Vec<String>, String, String) {
    let scene = Scene::new(Driver::new(MemoryStore::default()).await).await;
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(text(&operation(&scene).await));
    }
    (answers, scene.sight().await, scene.afterlife().await)
}

/// Whether a client that loses an answer asks again by itself, whatever it had asked.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    GivesUp,
    AsksAgain,
}

async fn check(
    settings: &RedisSettings,
    server: &RedisServer,
    proxy: &Proxy,
    client: Client,
    all: &[(&str, Operation)],
) {
    for (name, operation) in all {
        let (_, expected, expected_later) = reference(*operation, 1).await;
        let (possible, ..) = reference(*operation, 2).await;
        for before in 0.. {
            let settings = RedisSettings { prefix: unique_prefix(), ..settings.clone() };
            let scene = Scene::new(drive(settings).await).await;
            let what = format!("{name}, whose answer {before} is lost");
            // So that asking whole is cut off, too.
            server.command(&["SCRIPT", "FLUSH"]).unwrap();
            proxy.cut_answer(before);
            let mut answer = operation(&scene).await;
            let cut = proxy.has_cut();
            // A call that gives the same again is made again by the store itself.
            if let Err(StoreError::Unavailable { .. }) = answer {
                assert!(cut && client == Client::GivesUp, "{what}: {answer:?}");
                answer = operation(&scene).await;
            }
            assert!(possible.contains(&text(&answer)), "{what}: {answer:?}, and not one of {possible:?}");
            pretty(&scene.sight().await, &expected, &what);
            pretty(&scene.afterlife().await, &expected_later, &format!("{what}, later"));
            if !cut {
                assert!(before > 0, "{name} is answered");
                break;
            }
        }
    }
}

/// Fails where two texts differ first.
#[track_caller]
fn pretty(found: &str, expected: &str, what: &str) {
    if let Some((n, (found, expected))) =
        found.lines().zip(expected.lines()).enumerate().find(|(_, (found, expected))| found != expected)
    {
        panic!("{what}: line {n} is\n{found}\nand not\n{expected}");
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{what}");
}

async fn check_on_a_server(all: &[(&str, Operation)]) {
    let server = RedisServer::start(Persistence::None).unwrap();
    let proxy = Proxy::to(server.port()).await;
    let settings = RedisSettings { partitions: 1, ..at(proxy.url()) };
    check(&settings, &server, &proxy, Client::GivesUp, all).await;
}

async fn check_on_a_cluster(all: &[(&str, Operation)]) {
    let (server, proxy) = lone_cluster_behind_a_proxy().await;
    let settings = RedisSettings { partitions: 1, ..at(proxy.cluster_url()) };
    check(&settings, &server, &proxy, Client::AsksAgain, all).await;
}

#[tokio::test]
async fn the_catalogue_is_changed_once() {
    check_on_a_server(CATALOGUE).await;
}

#[tokio::test]
async fn deliveries_live_once() {
    check_on_a_server(DELIVERIES).await;
}

#[tokio::test]
async fn the_catalogue_of_a_cluster_is_changed_once() {
    check_on_a_cluster(CATALOGUE).await;
}

#[tokio::test]
async fn deliveries_of_a_cluster_live_once() {
    check_on_a_cluster(DELIVERIES).await;
}

#[tokio::test]
async fn a_lost_lease_is_given_again_and_again_until_it_arrives() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let proxy = Proxy::to(server.port()).await;
    let scene = Scene::new(drive(RedisSettings { partitions: 1, ..at(proxy.url()) }).await).await;
    assert_eq!(scene.in_flight().await, 2);
    let (partition, epoch) = scene.driver.epochs()[0];
    let renewed = async || scene.driver.store().renew(partition, epoch, scene.now(), TTL).await.is_ok();
    for _ in 0..3 {
        // A connection stands, so that it is the answer that is lost.
        until("the hold is renewed", renewed).await;
        // Nor is the way to it mended at once, when the store tries again.
        proxy.cut_answer(0);
        proxy.turn(Weather::Closed);
        assert!(matches!(scene.lease(scene.request()).await, Err(StoreError::Unavailable { .. })));
        proxy.turn(Weather::Fair);
        assert!(proxy.has_cut());
        assert_eq!(scene.in_flight().await, 4, "what is lost is leased once");
    }
    until("the hold is renewed", renewed).await;
    let given =
        scene.driver.store().lease(LeaseRequest { limit: 1, ..scene.request() }).await.unwrap().leases;
    assert_eq!(given.len(), 1, "no more than is asked for now");
    let rest = scene.driver.store().lease(LeaseRequest { limit: 1, ..scene.request() }).await.unwrap().leases;
    assert_eq!(rest.len(), 1);
    assert_ne!(given[0].delivery, rest[0].delivery);
    assert_eq!(scene.in_flight().await, 4, "nothing is in flight that nobody holds");
}

#[tokio::test]
async fn what_is_given_up_before_its_lost_lease_arrives_is_not_given() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let proxy = Proxy::to(server.port()).await;
    let scene = Scene::new(drive(RedisSettings { partitions: 1, ..at(proxy.url()) }).await).await;
    let (partition, epoch) = scene.driver.epochs()[0];
    let waiting = async || {
        let mut shown = scene.driver.shown(&scene.tenant).await.deliveries;
        shown.retain(|(delivery, _)| delivery.state == DeliveryState::Scheduled);
        shown.into_iter().map(|(delivery, _)| delivery.id).collect::<Vec<_>>()
    };
    let before = waiting().await;
    proxy.cut_answer(0);
    proxy.turn(Weather::Closed);
    assert!(matches!(scene.lease(scene.request()).await, Err(StoreError::Unavailable { .. })));
    proxy.turn(Weather::Fair);
    assert!(proxy.has_cut());
    let store = scene.driver.store();
    until("the hold is renewed", async || store.renew(partition, epoch, scene.now(), TTL).await.is_ok())
        .await;
    let after = waiting().await;
    let lost: Vec<_> = before.into_iter().filter(|id| !after.contains(id)).collect();
    assert_eq!(lost.len(), 2);
    store.cancel(&scene.tenant, lost[0], scene.now()).await.unwrap();
    let given = store.lease(LeaseRequest { manual: 2, ..scene.request() }).await.unwrap().leases;
    assert_eq!(given.iter().map(|lease| lease.delivery).collect::<Vec<_>>(), [lost[1]]);
    // Nobody had begun with it: there is no attempt of which nobody knows what came.
    let later = scene.driver.secs(3_600);
    assert_eq!(store.recover(partition, epoch, later).await.unwrap().interrupted, 4, "what is in flight");
    let given_up = store.delivery(&scene.tenant, lost[0]).await.unwrap();
    assert_eq!((given_up.state, given_up.attempts), (DeliveryState::Cancelled, 0));
}

#[tokio::test]
async fn an_endpoint_that_is_made_again_much_later_stays_as_it_is() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(at(server.url())).await;
    let tenant = driver.tenant("acme").await;
    let first = driver.endpoint(&tenant).await;
    driver.endpoint(&tenant).await;
    driver.turn(&first, EndpointState::Paused).await;
    driver.accept(&tenant, "one", &[&first]).await;
    let before = driver.shown(&tenant).await;
    let view = driver.store().view(&tenant).await.unwrap();
    // The call whose answer never came is made by somebody who knows nothing of what happened since.
    driver.store().create_endpoint(first.clone()).await.unwrap();
    assert_eq!(driver.shown(&tenant).await, before);
    assert_eq!(driver.store().view(&tenant).await.unwrap().version, view.version);
}

#[tokio::test]
async fn a_lost_manual_lease_is_given_again() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let proxy = Proxy::to(server.port()).await;
    let scene = Scene::new(drive(RedisSettings { partitions: 1, ..at(proxy.url()) }).await).await;
    let (partition, epoch) = scene.driver.epochs()[0];
    let request = |limit, manual| LeaseRequest { limit, manual, ..scene.request() };
    proxy.cut_answer(0);
    proxy.turn(Weather::Closed);
    assert!(matches!(scene.lease(request(3, 2)).await, Err(StoreError::Unavailable { .. })));
    proxy.turn(Weather::Fair);
    assert!(proxy.has_cut());
    until("the hold is renewed", async || {
        scene.driver.store().renew(partition, epoch, scene.now(), TTL).await.is_ok()
    })
    .await;
    let kinds = async |limit, manual| -> Vec<bool> {
        let given = scene.driver.store().lease(request(limit, manual)).await.unwrap().leases;
        given.iter().map(|lease| lease.manual).collect()
    };
    assert_eq!(kinds(2, 0).await, [false, false], "no more manual ones than are asked for now");
    assert_eq!(kinds(2, 1).await, [true, false]);
}
