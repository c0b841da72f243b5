use std::time::Duration;

use posthaste_client::{NewEndpoint, NewEvent};
use posthaste_model::{Period, TopicPattern};
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;

use crate::{
    delivery::delivered,
    service::{Service, folder, tenant, topic},
    subscriber::endpoint,
};

/// Publishes an event to a receiver that takes so long to answer, and waits until the request is under way.
async fn one_in_flight(service: &Service, answers_after: Duration) -> Receiver {
    let client = service.client();
    let receiver =
        Receiver::start(move |_| Reply::After(answers_after, Box::new(Reply::status(200)))).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let endpoint = NewEndpoint {
        topics: vec![TopicPattern::All],
        // The longest that there is.
        timeout: Some(Period::from_secs(30)),
        ..NewEndpoint::new(receiver.url("/"))
    };
    client.create_endpoint(&tenant(), &endpoint).await.unwrap();
    let event = NewEvent::new(topic, &json!({})).unwrap().with_id("e1".parse().unwrap());
    client.publish(&tenant(), &event).await.unwrap();
    receiver.wait_for(1, Duration::from_secs(20)).await;
    receiver
}

/// Asks a service to stop, and checks that it does so in order.
async fn stop(service: Service) {
    service.terminate();
    let status = tokio::task::spawn_blocking(move || service.wait()).await.unwrap();
    assert!(status.success(), "{status}");
}

/// A request that is under way when the service is asked to stop is finished and recorded.
#[tokio::test]
async fn sigterm_finishes_what_is_in_flight() {
    let folder = folder();
    let service = Service::start(folder.path());
    let receiver = one_in_flight(&service, Duration::from_secs(1)).await;
    stop(service).await;

    let service = Service::start(folder.path());
    let delivery = delivered(&service.client(), "e1").await;
    assert_eq!(delivery.attempts, 1, "it was recorded before the service ended");
    assert_eq!(receiver.requests().len(), 1, "and not made again");
}

/// However long it takes: no exchange takes longer than 30 s, and 5 s are for writing down what came of it. What is
/// accepted meanwhile, or waits, is left to the next process.
#[tokio::test]
async fn sigterm_waits_for_the_slowest_request_and_nothing_is_lost() {
    let folder = folder();
    let service = Service::start(folder.path());
    let receiver = one_in_flight(&service, Duration::from_secs(25)).await;
    let client = service.client();
    let waiting = NewEndpoint {
        topics: vec![TopicPattern::All],
        state: posthaste_model::EndpointState::Paused,
        ..NewEndpoint::new(receiver.url("/waiting"))
    };
    let waiting = client.create_endpoint(&tenant(), &waiting).await.unwrap().endpoint.id;
    let event = NewEvent::new("order.paid".parse().unwrap(), &json!({})).unwrap();
    client.publish(&tenant(), &event.with_id("e2".parse().unwrap())).await.unwrap();
    let begun = std::time::Instant::now();
    stop(service).await;
    let took = begun.elapsed();
    assert!(took <= Duration::from_secs(35), "it took {took:?}");

    let service = Service::start(folder.path());
    let client = service.client();
    assert_eq!(delivered(&client, "e1").await.attempts, 1);
    client.resume_endpoint(&tenant(), waiting).await.unwrap();
    receiver.wait_for(3, Duration::from_secs(20)).await;
    let mut paths: Vec<String> = receiver.requests().iter().map(|request| request.path.clone()).collect();
    paths.sort();
    assert_eq!(paths, ["/", "/", "/waiting"], "each was sent once");
}

/// Whoever asks twice does not want to wait. What was in flight is tried again.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = folder();
    let service = Service::start(folder.path());
    let receiver = one_in_flight(&service, Duration::from_secs(12)).await;
    let begun = std::time::Instant::now();
    service.terminate();
    service.until_it_says("stopping");
    service.terminate();
    let status = tokio::task::spawn_blocking(move || service.wait()).await.unwrap();
    assert_eq!(status.code(), Some(128 + 15));
    assert!(begun.elapsed() < Duration::from_secs(10), "it did not wait for the answer");

    let _service = Service::start(folder.path());
    receiver.wait_for(2, Duration::from_secs(20)).await;
}

/// Whoever started the service may be gone: what it says is then lost, and nothing else.
#[tokio::test]
async fn a_closed_stdout_does_not_keep_it_from_draining() {
    let folder = folder();
    let service = Service::start_unheard(folder.path());
    let receiver = one_in_flight(&service, Duration::from_secs(1)).await;
    stop(service).await;

    let service = Service::start(folder.path());
    assert_eq!(delivered(&service.client(), "e1").await.attempts, 1);
    assert_eq!(receiver.requests().len(), 1);
}

/// Retries outlive a restart, at their time.
#[tokio::test]
async fn a_retry_is_made_by_the_next_process() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let count = std::sync::atomic::AtomicU32::new(0);
    let receiver = Receiver::start(move |_| {
        Reply::status(if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 { 500 } else { 200 })
    })
    .await
    .unwrap();
    let topic = topic(&client, "order.paid").await;
    endpoint(&client, &tenant(), receiver.url("/"), &[3_000]).await;
    let event = NewEvent::new(topic, &json!({})).unwrap().with_id("e1".parse().unwrap());
    client.publish(&tenant(), &event).await.unwrap();
    receiver.wait_for(1, Duration::from_secs(20)).await;
    stop(service).await;

    let service = Service::start(folder.path());
    let delivery = delivered(&service.client(), "e1").await;
    assert_eq!(delivery.attempts, 2);
    let requests = receiver.requests();
    assert!(requests[1].arrived - requests[0].arrived >= Duration::from_millis(2_700));
}
