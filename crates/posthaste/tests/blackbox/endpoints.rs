use std::time::Duration;

use posthaste_client::{CutOver, DeliveryFilter, ListOptions, NewEvent, RotatedSecrets, Rotation};
use posthaste_model::{DeliveryState, EndpointState, Period};
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;

use crate::{
    delivery::{delivered, in_state},
    service::{Service, folder, tenant, topic},
    subscriber::{endpoint, verify},
};

const SOON: Duration = Duration::from_secs(20);

/// During the overlap both secrets verify; the one that was cut off at once does not.
#[tokio::test]
async fn a_rotated_secret_signs_beside_the_new_one() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let created = endpoint(&client, &tenant(), receiver.url("/"), &[100]).await;
    let id = created.endpoint.id;
    let event = NewEvent::new(topic, &json!({})).unwrap();

    let first = created.secret.expose().to_owned();
    let rotate = async |overlap| {
        let rotation = Rotation { overlap: Some(Period::from_secs(overlap)), ..Rotation::default() };
        client.rotate_secret(&tenant(), id, &rotation).await.unwrap()
    };
    let RotatedSecrets { secrets: second, cut_over } = rotate(3_600).await;
    assert_eq!(cut_over, CutOver::AfterOverlap);
    assert_eq!(second.retiring.len(), 1);
    assert_eq!(second.retiring[0].secret.expose(), first);
    client.publish(&tenant(), &event).await.unwrap();
    let request = receiver.wait_for(1, SOON).await.remove(0);
    verify(&request, &first).unwrap();
    verify(&request, second.secret.expose()).unwrap();

    let RotatedSecrets { secrets: third, cut_over } = rotate(0).await;
    assert_eq!(cut_over, CutOver::AtOnce);
    assert!(third.retiring.is_empty());
    client.publish(&tenant(), &event).await.unwrap();
    let request = receiver.wait_for(2, SOON).await.remove(1);
    verify(&request, third.secret.expose()).unwrap();
    verify(&request, second.secret.expose()).unwrap_err();
    assert_eq!(client.secret(&tenant(), id).await.unwrap(), third);
}

#[tokio::test]
async fn a_paused_endpoint_holds_and_a_resumed_one_releases_in_order() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let id = endpoint(&client, &tenant(), receiver.url("/"), &[100]).await.endpoint.id;
    client.patch_endpoint(&tenant(), id, &json!({ "state": "paused" })).await.unwrap();
    for event in ["e1", "e2", "e3"] {
        let event = NewEvent::new(topic.clone(), &json!({})).unwrap().with_id(event.parse().unwrap());
        client.publish(&tenant(), &event).await.unwrap();
    }
    for event in ["e1", "e2", "e3"] {
        in_state(&client, event, DeliveryState::Held).await;
    }
    assert!(receiver.requests().is_empty());
    client.patch_endpoint(&tenant(), id, &json!({ "state": "enabled" })).await.unwrap();
    for event in ["e1", "e2", "e3"] {
        delivered(&client, event).await;
    }
}

/// A receiver that says 410 gets nothing more; the answer names the reason, and enabling it again is enough.
#[tokio::test]
async fn gone_disables_the_endpoint() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let count = std::sync::atomic::AtomicU32::new(0);
    let receiver = Receiver::start(move |_| {
        Reply::status(if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 { 410 } else { 200 })
    })
    .await
    .unwrap();
    let topic = topic(&client, "order.paid").await;
    let id = endpoint(&client, &tenant(), receiver.url("/"), &[100]).await.endpoint.id;
    let event = |id: &str| NewEvent::new(topic.clone(), &json!({})).unwrap().with_id(id.parse().unwrap());
    client.publish(&tenant(), &event("e1")).await.unwrap();
    in_state(&client, "e1", DeliveryState::Skipped).await;
    let shown = client.endpoint(&tenant(), id).await.unwrap();
    assert_eq!(shown.state, EndpointState::Disabled);
    assert!(shown.state_reason.unwrap().contains("410"));
    client.publish(&tenant(), &event("e2")).await.unwrap();
    in_state(&client, "e2", DeliveryState::Skipped).await;
    client.patch_endpoint(&tenant(), id, &json!({ "state": "enabled" })).await.unwrap();
    client.publish(&tenant(), &event("e3")).await.unwrap();
    delivered(&client, "e3").await;
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn a_deleted_endpoint_cancels_its_deliveries() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(500)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let id = endpoint(&client, &tenant(), receiver.url("/"), &[60_000]).await.endpoint.id;
    let event = NewEvent::new(topic, &json!({})).unwrap().with_id("e1".parse().unwrap());
    client.publish(&tenant(), &event).await.unwrap();
    receiver.wait_for(1, SOON).await;
    client.delete_endpoint(&tenant(), id).await.unwrap();
    let delivery = in_state(&client, "e1", DeliveryState::Cancelled).await;
    assert_eq!(delivery.endpoint, id, "its history names it still");
    let filter = DeliveryFilter { endpoint: Some(id), ..DeliveryFilter::default() };
    assert_eq!(client.deliveries(&tenant(), &filter, &ListOptions::default()).await.unwrap().data.len(), 1);
    client.endpoint(&tenant(), id).await.unwrap_err();
}
