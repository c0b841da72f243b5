//! Publishers that do not give up, and what came of what they published.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use posthaste_client::{Client, NewEvent};
use posthaste_model::{EventId, TenantId, TopicName};
use posthaste_testkit::Receiver;
use serde_json::json;
use tokio::task::JoinSet;

/// Events on their way in: which of them were acknowledged, and when.
#[derive(Clone, Default)]
pub(crate) struct Acknowledged(Arc<Mutex<HashMap<EventId, Instant>>>);

impl Acknowledged {
    pub(crate) fn now(&self) -> HashMap<EventId, Instant> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Instant>> {
        self.0.lock().unwrap()
    }
}

/// Publishes events `e0`, `e1`, … until there are so many: each tenant in turn, by so many publishers, each to the
/// client that is its turn, and each event again and again until it is acknowledged. The id makes that safe.
pub(crate) fn publish(
    clients: &[Client],
    tenants: &[TenantId],
    topic: &TopicName,
    events: u32,
    publishers: usize,
    pause: Duration,
) -> (JoinSet<()>, Acknowledged) {
    let acknowledged = Acknowledged::default();
    let next = Arc::new(AtomicU32::new(0));
    let mut running = JoinSet::new();
    for n in 0..publishers {
        let client = clients[n % clients.len()].clone();
        let (tenants, topic) = (tenants.to_vec(), topic.clone());
        let (next, acknowledged) = (Arc::clone(&next), acknowledged.clone());
        running.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= events {
                    return;
                }
                let event = NewEvent::new(topic.clone(), &json!({ "number": number })).unwrap();
                let event = event.with_id(format!("e{number}").parse().unwrap());
                let tenant = &tenants[number as usize % tenants.len()];
                publish_until_accepted(&client, tenant, &event, &acknowledged).await;
                tokio::time::sleep(pause).await;
            }
        });
    }
    (running, acknowledged)
}

async fn publish_until_accepted(
    client: &Client,
    tenant: &TenantId,
    event: &NewEvent,
    acknowledged: &Acknowledged,
) {
    loop {
        if let Ok(accepted) = client.publish(tenant, event).await {
            acknowledged.lock().insert(accepted.id, Instant::now());
            return;
        }
        // The service, or its store, is being restarted.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// When each request came for each event.
pub(crate) fn arrived(receiver: &Receiver) -> HashMap<EventId, Vec<Instant>> {
    let mut arrived: HashMap<EventId, Vec<Instant>> = HashMap::new();
    for request in receiver.requests() {
        let id = request.header("webhook-id").unwrap().parse().unwrap();
        arrived.entry(id).or_default().push(request.arrived);
    }
    arrived
}

/// Waits until everything of `events` has arrived.
pub(crate) async fn wait_for_all(receiver: &Receiver, events: &HashMap<EventId, Instant>, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        let arrived = arrived(receiver);
        let missing = events.keys().filter(|id| !arrived.contains_key(*id)).count();
        if missing == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{missing} events are missing after {within:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
