use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use posthaste_model::{
    Decision, EndpointEffects, EndpointId, ErrorClass, Event, Next, Tenant, TenantId, Timestamp, TopicName,
};
use posthaste_store::{
    Epoch, Lease, LeaseRequest, NewEvent, Partition, Settlement, Store,
    conformance::{START, attempt, failed, replied, sample_endpoint, sample_event},
};

use crate::backend::{Ground, open_undivided};

pub(crate) const TENANTS: usize = 20;
pub(crate) const ENDPOINTS: usize = 50;
const TOPICS: usize = 10;
/// How much is done in one call.
const BULK: usize = 500;
const HOLD: Duration = Duration::from_secs(10_000_000);
/// Over which time the events came in.
pub(crate) const TIME: Duration = Duration::from_secs(86_400);

/// A store with a history: of a hundred deliveries 95 arrived at once and two at the second attempt, two are exhausted (one
/// was answered by 503, one by nobody), and one is to be tried again in a day.
pub(crate) struct History {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) endpoints: Vec<Vec<EndpointId>>,
    pub(crate) begin: Timestamp,
}

impl History {
    pub(crate) async fn make(ground: &Ground, deliveries: usize) -> Self {
        let store = open_undivided(&ground.address()).await;
        let begin = Timestamp::from_millisecond(START).unwrap();
        let epoch = store.claim(Partition(0), "benchmark", begin, HOLD).await.unwrap().unwrap();
        let (mut tenants, mut endpoints) = (Vec::new(), Vec::new());
        for number in 0..TENANTS {
            let tenant: TenantId = format!("tenant-{number}").parse().unwrap();
            store.put_tenant(Tenant::new(tenant.clone(), begin)).await.unwrap();
            let own: Vec<_> = (0..ENDPOINTS)
                .map(|n| sample_endpoint(&tenant, (number * ENDPOINTS + n) as u64, begin))
                .collect();
            let calls = own.iter().map(|endpoint| store.create_endpoint(endpoint.clone()));
            join_all(calls).await.into_iter().for_each(Result::unwrap);
            endpoints.push(own.iter().map(|endpoint| endpoint.id).collect());
            tenants.push(tenant);
        }
        let history = Self { store, tenants, endpoints, begin };
        let rounds = deliveries / BULK;
        for round in 0..rounds {
            let now = begin + TIME.mul_f64(round as f64 / rounds as f64);
            history.round(round, now, epoch).await;
        }
        history
    }

    /// Accepts events of one tenant, and makes their attempts.
    async fn round(&self, round: usize, now: Timestamp, epoch: Epoch) {
        let number = round % TENANTS;
        let (tenant, endpoints) = (&self.tenants[number], &self.endpoints[number]);
        let version = self.store.view(tenant).await.unwrap().version;
        let event = |n: usize| NewEvent {
            event: Event {
                topic: topic(n % TOPICS),
                ..sample_event(tenant, &format!("event-{round:06}-{n:03}"), now)
            },
            endpoints: vec![endpoints[(n + round) % ENDPOINTS]],
        };
        self.store.accept(tenant, version, (0..BULK).map(event).collect()).await.unwrap();
        loop {
            let leases = self.lease(now, epoch).await;
            if leases.is_empty() {
                return;
            }
            let settlements = leases.iter().map(|lease| settlement(lease, now));
            self.store.settle(settlements.collect()).await.unwrap();
        }
    }

    async fn lease(&self, now: Timestamp, epoch: Epoch) -> Vec<Lease> {
        let request = LeaseRequest {
            partition: Partition(0),
            epoch,
            now,
            limit: BULK,
            manual: BULK,
            per_endpoint: BULK,
            per_tenant: BULK,
            rooms: Vec::new(),
            throttles: Vec::new(),
            lease_for: HOLD,
        };
        self.store.lease(request).await.unwrap().leases
    }
}

/// What comes of a lease, by its number.
fn settlement(lease: &Lease, now: Timestamp) -> Settlement {
    let number = lease.id.number;
    let (outcome, next) = match number % 100 {
        _ if lease.attempt > 1 => (replied(200), Next::Delivered),
        0 => (replied(503), Next::Exhausted),
        1 => (failed(ErrorClass::Timeout), Next::Exhausted),
        2 => (replied(500), Next::Retry { at: now + TIME }),
        3 | 4 => (failed(ErrorClass::Connect), Next::Retry { at: now }),
        _ => (replied(200), Next::Delivered),
    };
    Settlement {
        lease: lease.id,
        delivery: lease.delivery,
        manual: false,
        endpoint_version: lease.endpoint.version,
        attempt: Some(attempt(number, now, outcome)),
        decision: Decision { next, endpoint: EndpointEffects::default() },
        now,
    }
}

pub(crate) fn topic(number: usize) -> TopicName {
    format!("topic-{}", number % TOPICS).parse().unwrap()
}
