use std::time::{Duration, Instant};

use posthaste_testkit::{Receiver, Reply};

use crate::{
    publishing::{arrived, publish, wait_for_all},
    service::{Service, folder, tenant, topic},
    subscriber::endpoint,
};

const EVENTS: u32 = 5_000;
const PUBLISHERS: usize = 16;
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
    endpoint(&client, &tenant(), receiver.url("/"), &[500, 500, 500]).await;
    let (publishers, acknowledged) =
        publish(&[client], &[tenant()], &topic, EVENTS, PUBLISHERS, Duration::ZERO);

    // In the middle: a third has arrived, and publishing goes on.
    receiver.wait_for(EVENTS as usize / 3, Duration::from_secs(60)).await;
    service.kill();
    let before_restart = acknowledged.now();
    assert!(before_restart.len() < EVENTS as usize, "the kill came too late to test anything");
    let restarted = Instant::now();
    let service = Service::start_at(folder.path(), address);
    wait_for_all(&receiver, &before_restart, AFTER_RESTART.saturating_sub(restarted.elapsed())).await;

    publishers.join_all().await;
    let all = acknowledged.now();
    assert_eq!(all.len(), EVENTS as usize);
    wait_for_all(&receiver, &all, Duration::from_secs(30)).await;

    // Every request that the receiver saw has an attempt, though the process died with some under way.
    let repeated: Vec<_> =
        arrived(&receiver).into_iter().filter(|(_, requests)| requests.len() > 1).collect();
    for (id, requests) in repeated {
        let delivery = crate::delivery::delivered(&service.client(), id.as_str()).await;
        let requests = requests.len();
        assert!(
            delivery.attempts as usize >= requests,
            "{id}: {requests} requests, {} attempts",
            delivery.attempts
        );
    }
}
