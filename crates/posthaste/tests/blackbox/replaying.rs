//! What did not arrive is sent again, all of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

use posthaste_client::{Client, DeliveryFilter, ListOptions, NewEvent, NewReplay, Replay, ReplayState};
use posthaste_model::{DeliveryState, ReplayId};
use posthaste_testkit::{
    Receiver, Reply,
    redis::{Persistence, RedisServer},
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::{
    http::send,
    service::{Service, folder, posthaste, tenant, topic},
    subscriber::endpoint,
};

const SOON: Duration = Duration::from_secs(30);
/// More than are opened at once.
const MANY: usize = 250;

/// Waits until so many deliveries are in a state.
async fn there_are(client: &Client, number: usize, state: DeliveryState) {
    let filter = DeliveryFilter { states: vec![state], ..DeliveryFilter::default() };
    let counted = async {
        loop {
            let new = NewReplay { filter: filter.clone(), rate: None };
            if client.count_replay(&tenant(), &new).await.unwrap().found == number as u64 {
                return;
            }
            // Between two looks at what only the API shows.
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(SOON, counted).await.is_ok(), "there never were {number} {state:?}");
}

async fn ended(client: &Client, id: ReplayId) -> Replay {
    let ended = async {
        loop {
            let replay = client.replay(&tenant(), id).await.unwrap();
            if replay.state != ReplayState::Running {
                return replay;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, ended).await.expect("it ends")
}

async fn check(service: Service) {
    let client = service.client();
    let status = Arc::new(AtomicU16::new(500));
    let says = Arc::clone(&status);
    let receiver = Receiver::start(move |_| Reply::status(says.load(Relaxed))).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    endpoint(&client, &tenant(), receiver.url("/"), &[1]).await;
    let events: Vec<_> =
        (0..MANY).map(|n| NewEvent::new(topic.clone(), &json!({ "n": n })).unwrap()).collect();
    client.publish_batch(&tenant(), &events).await.unwrap();
    there_are(&client, MANY, DeliveryState::Exhausted).await;
    status.store(200, Relaxed);

    let filter = DeliveryFilter { status: Some("5xx".into()), ..DeliveryFilter::default() };
    let replay = client.create_replay(&tenant(), &NewReplay { filter, rate: None }).await.unwrap();
    assert_eq!((replay.found, replay.more), (MANY as u64, false));
    let Replay { state, reopened, passed_over, .. } = ended(&client, replay.id).await;
    assert_eq!((state, reopened, passed_over), (ReplayState::Done, MANY as u64, 0));
    there_are(&client, MANY, DeliveryState::Delivered).await;
    assert_eq!(receiver.requests().len(), 3 * MANY, "two attempts that failed, and one that did not");
    let metrics = send(service.address, "GET", "/metrics", &[], b"").text;
    assert!(metrics.contains(&format!("posthaste_reopened_total {MANY}\n")), "{metrics}");
    let page =
        client.deliveries(&tenant(), &DeliveryFilter::default(), &ListOptions::default()).await.unwrap();
    let attempts = client.attempts(&tenant(), page.data[0].id).await.unwrap();
    let kept: Vec<_> = attempts.iter().map(|attempt| attempt.request.is_some()).collect();
    assert_eq!(kept, [true, true, false], "what was sent is kept where it failed");
}

#[tokio::test]
async fn what_failed_is_replayed() {
    let folder = folder();
    check(Service::start(folder.path())).await;
}

#[tokio::test]
async fn what_failed_is_replayed_on_redis() {
    let (folder, redis) = (folder(), RedisServer::start(Persistence::AofAlways).unwrap());
    let mut command = posthaste(folder.path());
    command.env("POSTHASTE_STORE", redis.url());
    check(Service::start_with(command.args(["serve", "--listen", "127.0.0.1:0"]))).await;
}
