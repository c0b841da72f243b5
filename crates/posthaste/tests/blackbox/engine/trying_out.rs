use posthaste_client::{ProblemKind, TestEvent};
use posthaste_model::DeliveryState;
use posthaste_testkit::Reply;
use serde_json::{Value, json, value::to_raw_value};

use super::stage::{Stage, refused};
use crate::service::tenant;

on_every_store!(a_test_event_is_answered_with_what_came_of_it);

async fn a_test_event_is_answered_with_what_came_of_it(stage: Stage) {
    let id = stage.endpoint(&[60_000]).await;
    let other = stage.endpoint(&[60_000]).await;
    let tested = stage.client.test_endpoint(&tenant(), id, &TestEvent::default()).await.unwrap();
    assert!(tested.event.test);
    assert_eq!((tested.delivery.endpoint, tested.delivery.state), (id, DeliveryState::Delivered));
    assert_eq!(tested.attempt.unwrap().response.unwrap().status, 200);
    let request = stage.receiver.requests().remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "posthaste.test");

    // One that fails is not tried again, whatever the endpoint's schedule says.
    stage.answer(Reply::status(500).with_body("no"));
    let data = to_raw_value(&json!({ "order": 1 })).unwrap();
    let own = TestEvent { topic: Some(stage.topic.clone()), data: Some(data), force: false };
    let tested = stage.client.test_endpoint(&tenant(), id, &own).await.unwrap();
    assert_eq!((tested.delivery.state, tested.delivery.attempts), (DeliveryState::Exhausted, 1));
    let response = tested.attempt.unwrap().response.unwrap();
    assert_eq!((response.status, response.body.as_deref()), (500, Some("no")));
    let request = stage.receiver.requests().remove(1);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["type"], &body["data"]), (&"order.paid".into(), &json!({ "order": 1 })));

    // One that is closed takes none, unless it is forced.
    stage.answer(Reply::status(204));
    for closed in ["paused", "disabled"] {
        stage.client.enable_endpoint(&tenant(), id).await.unwrap();
        match closed {
            "paused" => stage.client.pause_endpoint(&tenant(), id).await.unwrap(),
            _ => stage.client.disable_endpoint(&tenant(), id, None).await.unwrap(),
        };
        let before = stage.arrived().len();
        let (kind, why) = refused(stage.client.test_endpoint(&tenant(), id, &TestEvent::default()).await);
        assert!(kind == ProblemKind::EndpointClosed && why.contains(closed), "{why}");
        assert_eq!(stage.arrived().len(), before);
        let forced = TestEvent { force: true, ..TestEvent::default() };
        let tested = stage.client.test_endpoint(&tenant(), id, &forced).await.unwrap();
        let attempt = tested.attempt.unwrap();
        assert_eq!((attempt.manual, attempt.response.unwrap().status), (true, 204));
        assert_eq!(tested.delivery.state, DeliveryState::Delivered);
        assert_eq!(stage.arrived().len(), before + 1);
    }
    let filter = posthaste_client::DeliveryFilter { endpoint: Some(other), ..Default::default() };
    let page = stage.client.deliveries(&tenant(), &filter, &Default::default()).await.unwrap();
    assert!(page.data.is_empty(), "nobody else is tried");
}
