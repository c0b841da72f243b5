//! Several processes share a store: what one of them does, the others find.

use std::{sync::Arc, time::Duration};

use posthaste_model::{
    Decision, DeliveryState, Endpoint, EndpointEffects, EndpointState, Next, Tenant, TenantId, Timestamp,
    Topic,
};
use posthaste_store::{
    Catalogue as _, Deliveries as _, Epoch, Intake as _, Lease, Missing, NewEvent, Partition, Queries as _,
    Result, Settled, Settlement, Store, StoreError, ViewVersion,
    conformance::{START, TTL, attempt, replied, sample_endpoint, sample_event, sample_request},
};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_testkit::redis::{Persistence, RedisServer};
use tokio::time::timeout;

use crate::scene::{SOON, at, open, timed, until};

const HERE: Partition = Partition(0);

fn secs(secs: i64) -> Timestamp {
    Timestamp::from_millisecond(START + secs * 1_000).unwrap()
}

/// Two processes, and a tenant of theirs with an endpoint.
struct Two {
    server: RedisServer,
    one: RedisStore,
    other: RedisStore,
    tenant: TenantId,
    endpoint: Endpoint,
}

impl Two {
    async fn new() -> Self {
        let server = RedisServer::start(Persistence::None).unwrap();
        let settings = RedisSettings { partitions: 1, ..at(server.url()) };
        let (one, other) = (open(settings.clone()).await, open(settings).await);
        let tenant: TenantId = "acme".parse().unwrap();
        let put = Tenant::new(tenant.clone(), secs(0));
        one.put_tenant(put).await.unwrap();
        let endpoint = sample_endpoint(&tenant, 1, secs(0));
        one.create_endpoint(endpoint.clone()).await.unwrap();
        Self { server, one, other, tenant, endpoint }
    }

    /// Accepts an event for the endpoint, on a fresh view if the one that `store` has is stale.
    async fn accept(&self, store: &RedisStore, id: &str) -> Result<bool> {
        loop {
            let view = store.view(&self.tenant).await?;
            match self.accept_on(store, view.version, id).await {
                Err(StoreError::StaleView) => {}
                answer => return answer,
            }
        }
    }

    async fn accept_on(&self, store: &RedisStore, version: ViewVersion, id: &str) -> Result<bool> {
        let event = sample_event(&self.tenant, id, secs(0));
        let events = vec![NewEvent { event, endpoints: vec![self.endpoint.id] }];
        Ok(store.accept(&self.tenant, version, events).await?[0].duplicate)
    }

    /// A view that `store` has at hand turns out to be stale after a change, and is fresh from then on.
    async fn check_noticed(&self, change: &str) {
        let view = self.one.view(&self.tenant).await.unwrap();
        let id = change.replace(' ', "-");
        let refused = self.accept_on(&self.one, view.version, &id).await;
        assert!(matches!(refused, Err(StoreError::StaleView)), "{change}: {refused:?}");
        let fresh = self.one.view(&self.tenant).await.unwrap();
        let stored = self.other.view(&self.tenant).await.unwrap();
        assert_eq!(fresh, stored, "{change}");
        self.accept_on(&self.one, fresh.version, &id).await.unwrap();
    }

    async fn claim(&self, store: &RedisStore, owner: &str, now: Timestamp) -> Option<Epoch> {
        store.claim(HERE, owner, now, TTL).await.unwrap()
    }

    async fn lease(&self, store: &RedisStore, epoch: Epoch, now: Timestamp) -> Result<Vec<Lease>> {
        Ok(store.lease(sample_request((HERE, epoch), now)).await?.leases)
    }

    async fn settle(&self, store: &RedisStore, lease: &Lease, number: u64, now: Timestamp) -> Settled {
        let settlement = Settlement {
            lease: lease.id,
            delivery: lease.delivery,
            manual: lease.manual,
            endpoint_version: lease.endpoint.version,
            attempt: Some(attempt(number, now, replied(200))),
            decision: Decision { next: Next::Delivered, endpoint: EndpointEffects::default() },
            now,
        };
        store.settle(Arc::new([settlement])).await.unwrap()[0]
    }
}

#[tokio::test]
async fn a_view_that_another_process_made_stale_decides_nothing() {
    let two = Two::new().await;
    two.accept(&two.one, "first").await.unwrap();
    let mut second = sample_endpoint(&two.tenant, 2, secs(1));
    two.other.create_endpoint(second.clone()).await.unwrap();
    two.check_noticed("created").await;
    second.state = EndpointState::Paused;
    let second = two.other.update_endpoint(second).await.unwrap();
    two.check_noticed("paused").await;
    two.other.delete_endpoint(&two.tenant, second.id, secs(2)).await.unwrap();
    two.check_noticed("deleted").await;
    let mut topic = Topic {
        name: "order.lost".parse().unwrap(),
        description: String::new(),
        example: None,
        schema: None,
        archived: false,
        created_at: secs(0),
        updated_at: secs(0),
    };
    two.other.put_topic(topic.clone()).await.unwrap();
    two.check_noticed("a topic").await;
    topic.archived = true;
    two.other.put_topic(topic.clone()).await.unwrap();
    two.check_noticed("an archived topic").await;
    two.other.delete_topic(&topic.name).await.unwrap();
    two.check_noticed("a deleted topic").await;

    let view = two.one.view(&two.tenant).await.unwrap();
    two.other.delete_tenant(&two.tenant, secs(3)).await.unwrap();
    let refused = two.accept_on(&two.one, view.version, "late").await;
    assert!(matches!(refused, Err(StoreError::StaleView)), "{refused:?}");
    let gone = two.one.view(&two.tenant).await;
    assert!(matches!(gone, Err(StoreError::NotFound(Missing::Tenant))), "{gone:?}");
}

#[tokio::test]
async fn an_owner_is_woken_by_the_accept_of_another_process() {
    let two = Two::new().await;
    let epoch = two.claim(&two.one, "one", secs(0)).await.unwrap();
    for n in 0..5 {
        assert!(two.lease(&two.one, epoch, secs(n)).await.unwrap().is_empty());
        let woken = async {
            // Said before now, perhaps: then there is nothing to lease yet, and it waits again.
            loop {
                two.one.woken(HERE).await;
                let leases = two.lease(&two.one, epoch, secs(n)).await.unwrap();
                if !leases.is_empty() {
                    return leases;
                }
            }
        };
        let accept = two.accept(&two.other, if n == 0 { "a" } else { ["b", "c", "d", "e"][n as usize - 1] });
        let ((leases, took), accepted) = tokio::join!(timed(timeout(SOON * 4, woken)), accept);
        assert!(!accepted.unwrap());
        let leases = leases.expect("it is woken");
        assert!(took < SOON, "{took:?}");
        assert_eq!(two.settle(&two.one, &leases[0], n as u64, secs(n)).await, Settled::Applied);
    }
}

#[tokio::test]
async fn a_lost_subscription_is_taken_up_again_and_misses_nothing() {
    let two = Two::new().await;
    let epoch = two.claim(&two.one, "one", secs(0)).await.unwrap();
    let listeners = || two.server.command(&["PUBSUB", "NUMSUB", "posthaste:1:wake"]).unwrap();
    until("both listen", async || listeners().ends_with('2')).await;
    // Whatever was said until now.
    while timeout(Duration::from_millis(50), two.one.woken(HERE)).await.is_ok() {}
    assert!(two.lease(&two.one, epoch, secs(0)).await.unwrap().is_empty());
    two.server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    // Said while nobody listens.
    two.accept(&two.other, "missed").await.unwrap();
    timeout(SOON * 6, two.one.woken(HERE)).await.expect("it is woken when it listens again");
    let leases = two.lease(&two.one, epoch, secs(0)).await.unwrap();
    assert_eq!(leases.len(), 1);
    until("both listen again", async || listeners().ends_with('2')).await;
    while timeout(Duration::from_millis(50), two.one.woken(HERE)).await.is_ok() {}
    assert!(two.lease(&two.one, epoch, secs(0)).await.unwrap().is_empty());
    two.accept(&two.other, "heard").await.unwrap();
    timeout(SOON, two.one.woken(HERE)).await.expect("it is woken");
}

#[tokio::test]
async fn a_partition_has_one_owner_and_the_next_one_fences_it_off() {
    let two = Two::new().await;
    two.accept(&two.one, "a").await.unwrap();
    let first = two.claim(&two.one, "one", secs(0)).await.unwrap();
    assert_eq!(two.claim(&two.other, "other", secs(1)).await, None);
    assert_eq!(two.one.attend("one", secs(0), TTL).await.unwrap(), ["one"]);
    assert_eq!(two.other.attend("other", secs(0), TTL).await.unwrap(), ["one", "other"]);
    let lease = two.lease(&two.one, first, secs(1)).await.unwrap().remove(0);

    // It has not been heard of for longer than its time.
    let late = secs(120);
    let second = two.claim(&two.other, "other", late).await.unwrap();
    assert!(second > first);
    assert!(matches!(two.one.renew(HERE, first, late, TTL).await, Err(StoreError::NotOwner)));
    assert!(matches!(two.lease(&two.one, first, late).await, Err(StoreError::NotOwner)));
    assert!(matches!(two.one.recover(HERE, first, late).await, Err(StoreError::NotOwner)));
    two.one.release(HERE, first, late).await.unwrap();
    two.other.renew(HERE, second, late, TTL).await.unwrap();
    assert_eq!(two.other.attend("other", late, TTL).await.unwrap(), ["other"]);

    assert_eq!(two.other.recover(HERE, second, late).await.unwrap().interrupted, 1);
    let again = two.lease(&two.other, second, late).await.unwrap().remove(0);
    assert_eq!(again.delivery, lease.delivery);
    // The first owner wakes up, and settles what is another's now: it happened, and decides nothing.
    assert_eq!(two.settle(&two.one, &lease, 1, late).await, Settled::Stale);
    let delivery = two.other.delivery(&two.tenant, lease.delivery).await.unwrap();
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::InFlight, 2));
    assert_eq!(two.settle(&two.other, &again, 2, late).await, Settled::Applied);
    let delivery = two.one.delivery(&two.tenant, lease.delivery).await.unwrap();
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 3));
}

#[tokio::test]
async fn a_lease_shows_an_endpoint_as_another_process_left_it() {
    let two = Two::new().await;
    let epoch = two.claim(&two.one, "one", secs(0)).await.unwrap();
    let mut stands = two.endpoint.clone();
    for n in 0..3 {
        two.accept(&two.one, &n.to_string()).await.unwrap();
        let lease = two.lease(&two.one, epoch, secs(n)).await.unwrap().remove(0);
        assert_eq!(lease.endpoint.url, stands.url);
        two.settle(&two.one, &lease, n as u64, secs(n)).await;
        stands.url = format!("https://elsewhere.example/{n}");
        stands = two.other.update_endpoint(stands).await.unwrap();
    }
    two.accept(&two.one, "parked").await.unwrap();
    two.other.park(&two.tenant, two.endpoint.id, secs(60)).await.unwrap();
    assert!(two.lease(&two.one, epoch, secs(59)).await.unwrap().is_empty());
    assert_eq!(two.lease(&two.one, epoch, secs(60)).await.unwrap()[0].endpoint.parked_until, Some(secs(60)));
}

#[tokio::test]
async fn an_event_that_two_processes_accept_at_once_is_accepted_once() {
    let two = Two::new().await;
    let mut first = [0, 0];
    for n in 0..50 {
        let id = n.to_string();
        let (one, other) = tokio::join!(two.accept(&two.one, &id), two.accept(&two.other, &id));
        let duplicates = (one.unwrap(), other.unwrap());
        assert!(duplicates.0 != duplicates.1, "{id}: {duplicates:?}");
        first[usize::from(duplicates.0)] += 1;
    }
    assert_eq!(first.iter().sum::<i32>(), 50);
    let epoch = two.claim(&two.one, "one", secs(0)).await.unwrap();
    let mut delivered = 0;
    loop {
        let leases = two.lease(&two.one, epoch, secs(1)).await.unwrap();
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            assert_eq!(two.settle(&two.other, &lease, delivered, secs(1)).await, Settled::Applied);
            delivered += 1;
        }
    }
    assert_eq!(delivered, 50);
    two.one.check().await.unwrap();
}
