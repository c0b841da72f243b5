//! A crash takes a server back to an earlier moment, and processes remember what it does not know any more: counters go
//! back, and what they count is given again. None of it may be taken for what it was before.

use std::sync::Arc;

use posthaste_model::{DeliveryState, Endpoint, EndpointState, Next};
use posthaste_store::{
    Catalogue as _, Intake as _, NewEvent, Settled, Settlement, StoreError,
    conformance::{Driver, replied, sample_event},
};
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::scene::{at, drive, open};

/// The server as it was at a moment.
struct Moment(Vec<Vec<u8>>);

impl Moment {
    fn now(server: &RedisServer) -> Self {
        let save = "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
            all[#all + 1] = key all[#all + 1] = redis.call('DUMP', key) end return all";
        Self(redis::cmd("EVAL").arg(save).arg(0).query(&mut connect(server)).unwrap())
    }

    /// Cuts the server back to it.
    fn again(&self, server: &RedisServer) {
        let mut connection = connect(server);
        redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
        for pair in self.0.chunks(2) {
            redis::cmd("RESTORE").arg(&pair[0]).arg(0).arg(&pair[1]).exec(&mut connection).unwrap();
        }
    }
}

fn connect(server: &RedisServer) -> redis::Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

/// A store of one partition on a server of its own.
async fn scene() -> (RedisServer, Driver) {
    let server = RedisServer::start(Persistence::None).unwrap();
    let settings = posthaste_store_redis::RedisSettings { partitions: 1, ..at(server.url()) };
    let driver = drive(settings).await;
    (server, driver)
}

#[tokio::test]
async fn a_view_is_not_taken_for_a_later_one() {
    let (server, mut driver) = scene().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let other = open(posthaste_store_redis::RedisSettings { partitions: 1, ..at(server.url()) }).await;
    let moment = Moment::now(&server);
    let mut changed = Endpoint { state: EndpointState::Paused, ..endpoint.clone() };
    other.update_endpoint(changed.clone()).await.unwrap();
    let remembered = driver.store().view(&tenant).await.unwrap();
    moment.again(&server);
    // Another change than the one that was lost.
    changed.state = EndpointState::Disabled;
    other.update_endpoint(changed).await.unwrap();
    let event = sample_event(&tenant, "evt", driver.now());
    let events = vec![NewEvent { event, endpoints: vec![endpoint.id] }];
    let refused = driver.store().accept(&tenant, remembered.version, events).await;
    assert!(matches!(refused, Err(StoreError::StaleView)), "{refused:?}");
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    assert_eq!(driver.delivery_of(&tenant, "evt").await.state, DeliveryState::Skipped);
}

#[tokio::test]
async fn topics_are_not_taken_for_later_ones() {
    let (server, mut driver) = scene().await;
    let tenant = driver.tenant("acme").await;
    let other = open(posthaste_store_redis::RedisSettings { partitions: 1, ..at(server.url()) }).await;
    let topic = |name: &str| posthaste_model::Topic {
        name: name.parse().unwrap(),
        description: String::new(),
        example: None,
        schema: None,
        archived: false,
        created_at: driver.now(),
        updated_at: driver.now(),
    };
    let (lost, other_one) = (topic("order.lost"), topic("order.other"));
    let moment = Moment::now(&server);
    other.put_topic(lost.clone()).await.unwrap();
    let remembered = driver.store().view(&tenant).await.unwrap();
    assert!(remembered.topics.contains_key(&lost.name));
    moment.again(&server);
    other.put_topic(other_one.clone()).await.unwrap();
    let refused = driver.store().accept(&tenant, remembered.version, Vec::new()).await;
    assert!(matches!(refused, Err(StoreError::StaleView)), "{refused:?}");
    let view = driver.store().view(&tenant).await.unwrap();
    assert_eq!(view.topics.keys().collect::<Vec<_>>(), [&other_one.name]);
}

#[tokio::test]
async fn a_view_is_read_though_the_topics_are_behind_what_a_partition_was_told() {
    let (server, mut driver) = scene().await;
    let tenant = driver.tenant("acme").await;
    // As after a crash of the server that has the topics, and of no other.
    let told = server.command(&["HSET", "posthaste:1:{0}:s", "topics", "17000000000000"]).unwrap();
    assert!(told.trim().parse::<u8>().is_ok(), "{told}");
    let other = open(posthaste_store_redis::RedisSettings { partitions: 1, ..at(server.url()) }).await;
    let answer = tokio::time::timeout(std::time::Duration::from_secs(20), other.view(&tenant)).await.unwrap();
    // It never waits for ever. The clock that numbers the topics is behind that number for centuries.
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    server.command(&["HSET", "posthaste:1:{0}:s", "topics", "17"]).unwrap();
    let view = other.view(&tenant).await.unwrap();
    assert!(view.version.topics > 17, "{:?}", view.version);
}

#[tokio::test]
async fn an_endpoint_is_not_taken_for_a_later_one() {
    let (server, mut driver) = scene().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let moment = Moment::now(&server);
    driver.change(&endpoint, |endpoint| endpoint.url = "https://lost.example/".into()).await;
    driver.accept(&tenant, "before", &[&endpoint]).await;
    assert_eq!(driver.lease_only().await.endpoint.url, "https://lost.example/");
    moment.again(&server);
    driver.claim().await;
    driver.change(&endpoint, |endpoint| endpoint.url = "https://kept.example/".into()).await;
    driver.accept(&tenant, "after", &[&endpoint]).await;
    assert_eq!(driver.lease_only().await.endpoint.url, "https://kept.example/");
}

#[tokio::test]
async fn what_came_of_a_lost_delivery_ends_no_other() {
    let (server, mut driver) = scene().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let moment = Moment::now(&server);
    driver.accept(&tenant, "lost", &[&endpoint]).await;
    let lost = driver.lease_only().await;
    moment.again(&server);
    driver.pass(1);
    driver.accept(&tenant, "new", &[&endpoint]).await;
    let new = driver.lease_only().await;
    // Numbers that went back name the new one.
    let settlement = |lease: posthaste_store::LeaseId, driver: &mut Driver| Settlement {
        lease,
        ..driver.settlement(&lost, replied(200), Next::Delivered)
    };
    for lease in [lost.id, new.id] {
        let settlement = settlement(lease, &mut driver);
        let settled = driver.store().settle(Arc::new([settlement])).await.unwrap();
        assert_eq!(settled, [Settled::Stale]);
    }
    let shown = driver.show(&new).await;
    assert_eq!((shown.state, shown.attempts), (DeliveryState::InFlight, 0));
    assert_eq!(driver.settle(&new, replied(200), Next::Delivered).await, Settled::Applied);
}

#[tokio::test]
async fn what_was_asked_for_of_a_lost_delivery_is_asked_of_no_other() {
    let (server, mut driver) = scene().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let moment = Moment::now(&server);
    driver.accept(&tenant, "lost", &[&endpoint]).await;
    let lost = driver.delivery_of(&tenant, "lost").await;
    driver.ask(&lost, false).await.unwrap();
    let asked = server.command(&["LRANGE", "posthaste:1:{0}:m", "0", "-1"]).unwrap();
    moment.again(&server);
    driver.pass(1);
    driver.accept(&tenant, "new", &[&endpoint]).await;
    // As after a crash that took the event and left what was asked for.
    server.command(&["RPUSH", "posthaste:1:{0}:m", asked.trim()]).unwrap();
    assert_eq!(driver.lease_only().await.event.id.as_str(), "new");
    for refused in [
        driver.store().retry(&tenant, lost.id, false, driver.now()).await,
        driver.store().cancel(&tenant, lost.id, driver.now()).await,
    ] {
        assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn tenants_that_get_one_number_share_nothing() {
    let (server, mut driver) = scene().await;
    let first = driver.tenant("first").await;
    let endpoint = driver.endpoint(&first).await;
    driver.accept(&first, "evt", &[&endpoint]).await;
    // As after a crash of the server that counts the tenants, and of no other.
    server.command(&["DEL", "posthaste:1:{0}:numbers"]).unwrap();
    let second = driver.tenant("second").await;
    assert!(driver.shown(&second).await.events.is_empty());
    assert!(driver.store().view(&second).await.unwrap().endpoints.is_empty());
    assert_eq!(driver.shown(&first).await.events.len(), 1);
}
