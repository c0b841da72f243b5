use posthaste_client::ProblemKind;
use posthaste_model::{DeliveryReason, DeliveryState, EndpointState};
use posthaste_testkit::Reply;

use super::stage::{Stage, refused, told};
use crate::service::tenant;

on_every_store!(
    a_paused_endpoint_holds_and_a_resumed_one_releases_in_order,
    a_disabled_endpoint_skips_and_an_enabled_one_is_put_right_by_hand,
    one_that_is_gone_is_disabled,
);

async fn a_paused_endpoint_holds_and_a_resumed_one_releases_in_order(stage: Stage) {
    let id = stage.endpoint_with(&[100], |endpoint| endpoint.max_in_flight = Some(1)).await;
    for _ in 0..2 {
        let paused = stage.client.pause_endpoint(&tenant(), id).await.unwrap();
        assert_eq!(paused.state, EndpointState::Paused);
    }
    let events: Vec<String> = (0..20).map(|number| format!("e{number}")).collect();
    for event in &events {
        assert_eq!(stage.publish(event).await, 1);
    }
    for event in &events {
        let held = stage.until_state(event, DeliveryState::Held).await;
        assert_eq!(held.reason, Some(DeliveryReason::EndpointPaused));
    }
    assert!(stage.arrived().is_empty());
    for _ in 0..2 {
        let resumed = stage.client.resume_endpoint(&tenant(), id).await.unwrap();
        assert_eq!(resumed.state, EndpointState::Enabled);
    }
    for event in &events {
        stage.until_state(event, DeliveryState::Delivered).await;
    }
    assert_eq!(stage.arrived(), events);
}

async fn a_disabled_endpoint_skips_and_an_enabled_one_is_put_right_by_hand(stage: Stage) {
    let id = stage.endpoint(&[100]).await;
    let disabled = stage.client.disable_endpoint(&tenant(), id, Some("they left")).await.unwrap();
    assert_eq!(
        (disabled.state, disabled.state_reason.as_deref()),
        (EndpointState::Disabled, Some("they left"))
    );
    stage.publish("e0").await;
    let skipped = stage.until_state("e0", DeliveryState::Skipped).await;
    assert_eq!(skipped.reason, Some(DeliveryReason::EndpointDisabled));
    for answer in
        [stage.client.pause_endpoint(&tenant(), id).await, stage.client.resume_endpoint(&tenant(), id).await]
    {
        let (kind, why) = refused(answer);
        assert!(kind == ProblemKind::EndpointClosed && why.contains("enable it first"), "{why}");
    }

    let enabled = stage.client.enable_endpoint(&tenant(), id).await.unwrap();
    assert_eq!((enabled.state, enabled.state_reason), (EndpointState::Enabled, None));
    stage.publish("e1").await;
    stage.until_state("e1", DeliveryState::Delivered).await;
    assert_eq!(stage.arrived(), ["e1"], "what was skipped stays skipped");
    stage.client.retry_delivery(&tenant(), skipped.id, false).await.unwrap();
    let delivered = stage.until_state("e0", DeliveryState::Delivered).await;
    assert_eq!(told(&stage.attempts(&delivered).await), [(true, 200)]);
    assert_eq!(delivered.reason, None);
}

async fn one_that_is_gone_is_disabled(stage: Stage) {
    let id = stage.endpoint_with(&[100], |endpoint| endpoint.ordered = true).await;
    stage.client.pause_endpoint(&tenant(), id).await.unwrap();
    for event in ["e0", "e1"] {
        stage.publish(event).await;
    }
    stage.answer_first(vec![Reply::status(410)], Reply::status(200));
    stage.client.resume_endpoint(&tenant(), id).await.unwrap();
    for event in ["e0", "e1"] {
        let skipped = stage.until_state(event, DeliveryState::Skipped).await;
        assert_eq!(skipped.reason, Some(DeliveryReason::EndpointDisabled));
    }
    let shown = stage.client.endpoint(&tenant(), id).await.unwrap();
    assert_eq!(shown.state, EndpointState::Disabled);
    assert!(shown.state_reason.unwrap().contains("410"));
    assert_eq!(stage.arrived(), ["e0"], "nothing is sent after that");
}
