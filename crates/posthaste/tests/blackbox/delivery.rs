use std::time::Duration;

use posthaste_client::{Attempt, Client, Delivery, DeliveryFilter, ListOptions, NewEvent};
use posthaste_model::{DeliveryState, EndpointId, TopicName};
use posthaste_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::{
    service::{Service, folder, tenant, topic},
    subscriber::{endpoint, verify},
};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_event_arrives_signed_and_its_attempt_can_be_read() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(204).with_header("x-seen", "yes")).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let created = endpoint(&client, &tenant(), receiver.url("/hooks?from=posthaste"), &[100]).await;

    let event = NewEvent::new(topic, &json!({ "order": 42, "note": "Zoë ✓" })).unwrap();
    let accepted =
        client.publish(&tenant(), &event.clone().with_id("ord-42".parse().unwrap())).await.unwrap();
    assert_eq!((accepted.id.as_str(), accepted.deliveries, accepted.duplicate), ("ord-42", 1, false));

    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks?from=posthaste"));
    assert_eq!(request.header("webhook-id"), Some("ord-42"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    verify(&request, created.secret.expose()).unwrap();
    verify(&request, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_err();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "order.paid");
    assert_eq!(body["data"], json!({ "order": 42, "note": "Zoë ✓" }));

    let delivery = delivered(&client, "ord-42").await;
    assert_eq!((delivery.attempts, delivery.failures, delivery.last_status), (1, 0, Some(204)));
    let attempts = client.attempts(&tenant(), delivery.id).await.unwrap();
    let response = attempts[0].response.as_ref().unwrap();
    assert_eq!((attempts.len(), attempts[0].number, response.status), (1, 1, 204));
    assert!(response.headers.contains(&("x-seen".into(), "yes".into())), "{response:?}");
    assert_eq!(receiver.requests().len(), 1, "delivered once");
}

/// Two failures, then a success: three requests of one id, each at its time, never before.
#[tokio::test]
async fn a_failing_receiver_is_retried_with_growing_delays() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let count = std::sync::atomic::AtomicU32::new(0);
    let receiver = Receiver::start(move |_| {
        let before = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Reply::status(if before < 2 { 500 } else { 200 })
    })
    .await
    .unwrap();
    let topic = topic(&client, "order.paid").await;
    let delays = [300, 1_500, 60_000];
    let created = endpoint(&client, &tenant(), receiver.url("/"), &delays).await;
    publish(&client, &topic, "e1").await;

    let delivery = delivered(&client, "e1").await;
    assert_eq!((delivery.attempts, delivery.failures), (3, 2));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3, "exactly three requests");
    for request in &requests {
        assert_eq!(request.header("webhook-id"), Some("e1"));
        assert_eq!(request.body, requests[0].body, "the same bytes on every attempt");
        verify(request, created.secret.expose()).unwrap();
    }
    let gaps: Vec<Duration> = requests.windows(2).map(|pair| pair[1].arrived - pair[0].arrived).collect();
    for (gap, delay) in gaps.iter().zip(delays) {
        // Jitter may take a tenth off; nothing may come before that.
        assert!(*gap >= Duration::from_millis(delay * 9 / 10), "{gaps:?}");
    }
    assert!(gaps[1] > gaps[0], "the delays grow: {gaps:?}");
    let attempts = client.attempts(&tenant(), delivery.id).await.unwrap();
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt.response.as_ref().unwrap().status).collect();
    assert_eq!(statuses, [500, 500, 200]);
    assert!(attempts.iter().all(|attempt| attempt.timings.queued_ms >= 0.0));
}

#[tokio::test]
async fn an_exhausted_delivery_keeps_its_story() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(418).with_body("no coffee")).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    endpoint(&client, &tenant(), receiver.url("/"), &[50]).await;
    publish(&client, &topic, "e1").await;
    let delivery = in_state(&client, "e1", DeliveryState::Exhausted).await;
    assert_eq!((delivery.attempts, delivery.failures, delivery.last_status), (2, 2, Some(418)));
    let attempts = client.attempts(&tenant(), delivery.id).await.unwrap();
    assert_eq!(attempts[1].response.as_ref().unwrap().body.as_deref(), Some("no coffee"));
}

#[tokio::test]
async fn a_refused_connection_is_told_by_its_class() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    endpoint(&client, &tenant(), format!("http://127.0.0.1:{port}/"), &[20]).await;
    publish(&client, &topic, "e1").await;
    let delivery = in_state(&client, "e1", DeliveryState::Exhausted).await;
    assert_eq!(delivery.last_error, Some(posthaste_model::ErrorClass::Connect));
}

#[tokio::test]
async fn raw_bodies_batches_and_repeats() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let created = endpoint(&client, &tenant(), receiver.url("/"), &[100]).await;

    let bytes = bytes::Bytes::from_static(b"\x00\xff not text");
    let id = "raw-1".parse().unwrap();
    client
        .publish_raw(&tenant(), &topic, Some(&id), "application/octet-stream", bytes.clone())
        .await
        .unwrap();
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert_eq!(request.header("content-type"), Some("application/octet-stream"));
    assert_eq!(request.body, bytes);
    verify(&request, created.secret.expose()).unwrap_err(); // the library reads text only
    let shown = client.event(&tenant(), &id).await.unwrap().event;
    assert_eq!(shown.body_base64.as_deref(), Some("AP8gbm90IHRleHQ="));

    let event =
        |id: &str| NewEvent::new(topic.clone(), &json!({ "of": id })).unwrap().with_id(id.parse().unwrap());
    let batch: Vec<_> = ["b1", "b2", "b3"].map(event).to_vec();
    let accepted = client.publish_batch(&tenant(), &batch).await.unwrap();
    assert_eq!(accepted.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["b1", "b2", "b3"]);
    let again = client.publish_batch(&tenant(), &batch).await.unwrap();
    assert!(again.iter().all(|event| event.duplicate && event.deliveries == 1));
    for id in ["b1", "b2", "b3"] {
        delivered(&client, id).await;
    }
    assert_eq!(receiver.requests().len(), 4, "a repeat is not delivered again");
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_kept() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let event = NewEvent::new(topic, &json!(null)).unwrap().with_id("lonely".parse().unwrap());
    assert_eq!(client.publish(&tenant(), &event).await.unwrap().deliveries, 0);
    let shown = client.event(&tenant(), &"lonely".parse().unwrap()).await.unwrap();
    assert_eq!(shown.event.delivery_count, 0);
    assert_eq!(shown.event.data.unwrap().get(), "null");
}

/// Publishes an event of no data.
pub(crate) async fn publish(client: &Client, topic: &TopicName, id: &str) {
    let event = NewEvent::new(topic.clone(), &json!({})).unwrap().with_id(id.parse().unwrap());
    client.publish(&tenant(), &event).await.unwrap();
}

/// Waits for a fact that only the API shows.
pub(crate) async fn seen<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            // Between two looks.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, seen).await.unwrap_or_else(|_| panic!("never seen: {what}"))
}

/// Waits until there is a delivery.
async fn found(client: &Client, filter: DeliveryFilter) -> Delivery {
    let look = async || {
        let page = client.deliveries(&tenant(), &filter, &ListOptions::default()).await.unwrap();
        page.data.into_iter().next()
    };
    seen(&format!("{filter:?}"), look).await
}

/// Waits until the only delivery of an event is in a state.
pub(crate) async fn in_state(client: &Client, event: &str, state: DeliveryState) -> Delivery {
    let (event, states) = (Some(event.parse().unwrap()), vec![state]);
    found(client, DeliveryFilter { event, states, ..DeliveryFilter::default() }).await
}

pub(crate) async fn delivered(client: &Client, event: &str) -> Delivery {
    in_state(client, event, DeliveryState::Delivered).await
}

/// The attempts of the only delivery to an endpoint, once it is exhausted.
pub(crate) async fn failed(client: &Client, endpoint: EndpointId) -> Vec<Attempt> {
    let (endpoint, states) = (Some(endpoint), vec![DeliveryState::Exhausted]);
    let delivery = found(client, DeliveryFilter { endpoint, states, ..DeliveryFilter::default() }).await;
    client.attempts(&tenant(), delivery.id).await.unwrap()
}
