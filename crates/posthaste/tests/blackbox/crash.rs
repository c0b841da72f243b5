use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use posthaste_client::{Client, NewEvent};
use posthaste_model::EventId;
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    service::{Service, folder, tenant, topic},
    subscriber::endpoint,
};

const EVENTS: u32 = 5_000;
const PUBLISHERS: u32 = 16;
const AFTER_RESTART: Duration = Duration::from_secs(10);

/// The binary is killed in the middle of 5,000 events and started again: nothing that was acknowledged is lost, and
/// everything of it arrives within 10 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_kill() {
    let folder = folder();
    let service = Service::start(folder.path());
    let address = service.address;
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    endpoint(&client, receiver.url("/"), &[500, 500, 500]).await;

    let next = Arc::new(AtomicU32::new(0));
    let acknowledged: Arc<Mutex<HashSet<EventId>>> = Arc::default();
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let (client, topic, next, acknowledged) =
            (client.clone(), topic.clone(), Arc::clone(&next), Arc::clone(&acknowledged));
        publishers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= EVENTS {
                    return;
                }
                let event = NewEvent::new(topic.clone(), &json!({ "number": number })).unwrap();
                publish_until_accepted(
                    &client,
                    &event.with_id(format!("e{number}").parse().unwrap()),
                    &acknowledged,
                )
                .await;
            }
        });
    }

    // In the middle: a third has arrived, and publishing goes on.
    receiver.wait_for(EVENTS as usize / 3, Duration::from_secs(60)).await;
    service.kill();
    let before_restart = acknowledged.lock().unwrap().clone();
    assert!(before_restart.len() < EVENTS as usize, "the kill came too late to test anything");
    let restarted = Instant::now();
    let service = Service::start_at(folder.path(), address);

    wait_until(AFTER_RESTART.saturating_sub(restarted.elapsed()), || {
        let arrived = arrived(&receiver);
        before_restart.iter().filter(|id| !arrived.contains_key(*id)).count()
    })
    .await;

    publishers.join_all().await;
    let all = acknowledged.lock().unwrap().clone();
    assert_eq!(all.len(), EVENTS as usize);
    wait_until(Duration::from_secs(30), || {
        let arrived = arrived(&receiver);
        all.iter().filter(|id| !arrived.contains_key(*id)).count()
    })
    .await;

    // Every request that the receiver saw has an attempt, though the process died with some under way.
    let repeated: Vec<_> = arrived(&receiver).into_iter().filter(|(_, requests)| *requests > 1).collect();
    for (id, requests) in repeated {
        let delivery = crate::delivery::delivered(&service.client(), id.as_str()).await;
        assert!(delivery.attempts >= requests, "{id}: {requests} requests, {} attempts", delivery.attempts);
    }
}

/// Publishes one event, again and again while the service is away: the id makes that safe.
async fn publish_until_accepted(client: &Client, event: &NewEvent, acknowledged: &Mutex<HashSet<EventId>>) {
    loop {
        if let Ok(accepted) = client.publish(&tenant(), event).await {
            acknowledged.lock().unwrap().insert(accepted.id);
            return;
        }
        // The service is being restarted.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many requests came for each event.
fn arrived(receiver: &Receiver) -> HashMap<EventId, u32> {
    let mut arrived = HashMap::new();
    for request in receiver.requests() {
        let id = request.header("webhook-id").unwrap().parse().unwrap();
        *arrived.entry(id).or_default() += 1;
    }
    arrived
}

/// Waits until nothing is missing.
async fn wait_until(within: Duration, missing: impl Fn() -> usize) {
    let deadline = Instant::now() + within;
    loop {
        match missing() {
            0 => return,
            missing => assert!(Instant::now() < deadline, "{missing} events are missing after {within:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
