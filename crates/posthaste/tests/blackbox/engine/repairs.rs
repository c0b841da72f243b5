use std::time::Duration;

use posthaste_client::{NewEndpoint, ProblemKind};
use posthaste_model::{DeliveryReason, DeliveryState, TopicPattern};
use posthaste_testkit::Reply;

use super::stage::{AMPLE, Stage, refused, told};
use crate::service::tenant;

on_every_store!(
    manual_attempts_stand_beside_the_automatic_ones,
    a_closed_endpoint_takes_a_retry_only_by_force,
    a_cancelled_delivery_is_not_tried_again,
    what_is_cancelled_in_flight_changes_nothing,
    an_event_can_be_sent_to_one_more_endpoint,
);

async fn manual_attempts_stand_beside_the_automatic_ones(stage: Stage) {
    stage.endpoint(&[60_000]).await;
    stage.answer(Reply::status(500));
    stage.publish("e0").await;
    let failed = stage.until("e0", |delivery| delivery.failures == 1).await;

    // Both are under way at the same time: the second is sent before the first is answered.
    stage.answer(Reply::Hang);
    for _ in 0..2 {
        let asked = stage.client.retry_delivery(&tenant(), failed.id, false).await.unwrap();
        assert_eq!((asked.id, asked.state), (failed.id, DeliveryState::Scheduled));
    }
    stage.until_arrived(3).await;
    let shown = stage.client.delivery(&tenant(), failed.id).await.unwrap();
    assert_eq!((shown.state, shown.failures), (DeliveryState::Scheduled, 1));
    assert_eq!(shown.due_at, failed.due_at, "the chain goes on as it would have");

    stage.answer(Reply::status(503).with_header("retry-after", "3600"));
    stage.client.retry_delivery(&tenant(), failed.id, false).await.unwrap();
    stage.until("e0", |delivery| delivery.last_status == Some(503)).await;
    // A pause does not hold the next one up.
    stage.answer(Reply::status(200));
    stage.client.retry_delivery(&tenant(), failed.id, false).await.unwrap();
    let delivered = stage.until_state("e0", DeliveryState::Delivered).await;
    let attempts = stage.attempts(&delivered).await;
    assert_eq!(told(&attempts), [(false, 500), (true, 503), (true, 200)]);
    assert_eq!(stage.arrived(), ["e0"; 5]);
}

async fn a_closed_endpoint_takes_a_retry_only_by_force(stage: Stage) {
    let id = stage.endpoint(&[60_000]).await;
    stage.client.disable_endpoint(&tenant(), id, None).await.unwrap();
    stage.publish("e0").await;
    let skipped = stage.until_state("e0", DeliveryState::Skipped).await;
    let (kind, why) = refused(stage.client.retry_delivery(&tenant(), skipped.id, false).await);
    assert_eq!(kind, ProblemKind::EndpointClosed);
    assert!(why.contains("disabled") && why.contains("force"), "{why}");

    stage.answer_first(vec![Reply::status(500)], Reply::status(200));
    stage.client.retry_delivery(&tenant(), skipped.id, true).await.unwrap();
    let after = stage.until("e0", |delivery| delivery.attempts == 1).await;
    assert_eq!(after.state, DeliveryState::Skipped);
    stage.client.retry_delivery(&tenant(), skipped.id, true).await.unwrap();
    let delivered = stage.until_state("e0", DeliveryState::Delivered).await;
    assert_eq!(told(&stage.attempts(&delivered).await), [(true, 500), (true, 200)]);

    stage.client.delete_endpoint(&tenant(), id).await.unwrap();
    let (kind, _) = refused(stage.client.retry_delivery(&tenant(), skipped.id, true).await);
    assert_eq!(kind, ProblemKind::NotFound);
}

async fn a_cancelled_delivery_is_not_tried_again(stage: Stage) {
    stage.endpoint_with(&[2_000], |endpoint| endpoint.ordered = true).await;
    stage.answer_first(vec![Reply::status(500)], Reply::status(200));
    stage.publish("e0").await;
    stage.publish("e1").await;
    let failed = stage.until("e0", |delivery| delivery.failures == 1).await;
    let cancelled = stage.client.cancel_delivery(&tenant(), failed.id).await.unwrap();
    assert_eq!(cancelled.state, DeliveryState::Cancelled);
    assert_eq!(cancelled.reason, Some(DeliveryReason::Operator));
    let (kind, why) = refused(stage.client.cancel_delivery(&tenant(), failed.id).await);
    assert!(kind == ProblemKind::DeliveryOver && why.contains("cancelled"), "{why}");
    // Those behind it need not wait for it any more.
    let next = stage.until_state("e1", DeliveryState::Delivered).await;
    assert!(next.completed_at.unwrap() < failed.due_at.unwrap(), "{next:?}");
    assert_eq!(stage.arrived(), ["e0", "e1"]);
}

async fn what_is_cancelled_in_flight_changes_nothing(stage: Stage) {
    stage.endpoint(&[1]).await;
    stage.answer(Reply::After(Duration::from_secs(3), Box::new(Reply::status(200))));
    stage.publish("e0").await;
    stage.until_arrived(1).await;
    let in_flight = stage.until_state("e0", DeliveryState::InFlight).await;
    stage.client.cancel_delivery(&tenant(), in_flight.id).await.unwrap();
    let after = stage.until("e0", |delivery| delivery.attempts == 1).await;
    assert_eq!((after.state, after.reason), (DeliveryState::Cancelled, Some(DeliveryReason::Operator)));
    assert_eq!(told(&stage.attempts(&after).await), [(false, 200)], "what came of the request is on record");
}

async fn an_event_can_be_sent_to_one_more_endpoint(stage: Stage) {
    assert_eq!(stage.publish("e0").await, 0);
    let shown = stage.client.event(&tenant(), &"e0".parse().unwrap()).await.unwrap();
    assert_eq!(shown.event.reason.as_deref(), Some("unmatched"));

    // It came too late for the event, and wants something else.
    let wants = |endpoint: &mut NewEndpoint| {
        endpoint.topics = vec![TopicPattern::Exactly("order.sent".parse().unwrap())];
    };
    let late = stage.endpoint_with(&[100], wants).await;
    let sent = stage.client.send_event(&tenant(), &"e0".parse().unwrap(), late).await.unwrap();
    assert!(sent.created && sent.delivery.endpoint == late);
    let delivered = stage.until_state("e0", DeliveryState::Delivered).await;
    assert_eq!(delivered.id, sent.delivery.id);
    let again = stage.client.send_event(&tenant(), &"e0".parse().unwrap(), late).await.unwrap();
    assert!(!again.created && again.delivery.id == sent.delivery.id);
    let shown = stage.client.event(&tenant(), &"e0".parse().unwrap()).await.unwrap();
    assert_eq!((shown.event.delivery_count, shown.event.reason), (1, None));

    stage.client.disable_endpoint(&tenant(), late, None).await.unwrap();
    stage.publish("e1").await;
    let (kind, _) = refused(stage.client.send_event(&tenant(), &"e1".parse().unwrap(), late).await);
    assert_eq!(kind, ProblemKind::EndpointClosed);
    let (kind, _) = refused(stage.client.send_event(&tenant(), &"e9".parse().unwrap(), late).await);
    assert_eq!(kind, ProblemKind::NotFound);
    let requests = stage.receiver.wait_for(1, AMPLE).await;
    assert_eq!(requests.len(), 1);
}
