use std::time::{Duration, Instant};

use posthaste_client::PublishOptions;
use posthaste_model::{DeliveryState, Period, TopicPattern};

use super::stage::{AMPLE, Stage};
use crate::service::tenant;

on_every_store!(an_event_is_delivered_when_it_is_to_be, an_event_for_one_endpoint_goes_to_no_other);

async fn an_event_is_delivered_when_it_is_to_be(stage: Stage) {
    stage.endpoint(&[100]).await;
    let begun = Instant::now();
    let delay = PublishOptions { delay: Some(Period::from_secs(2)), ..Default::default() };
    stage.publish_with("later", delay).await;
    let waiting = stage.until_state("later", DeliveryState::Scheduled).await;
    let due = waiting.due_at.unwrap();
    let at = PublishOptions { deliver_at: Some(due + Duration::from_secs(1)), ..Default::default() };
    stage.publish_with("last", at).await;
    stage.publish("now").await;
    stage.until_arrived(3).await;
    assert_eq!(stage.arrived(), ["now", "later", "last"]);
    let requests = stage.receiver.requests();
    assert!(requests[1].arrived - begun >= Duration::from_secs(2));
    assert!(requests[2].arrived - begun >= Duration::from_secs(3));
    let delivered = stage.until_state("later", DeliveryState::Delivered).await;
    let attempts = stage.attempts(&delivered).await;
    assert!(attempts[0].started_at >= due, "due at {due}: {attempts:?}");
    let shown = stage.client.event(&tenant(), &"later".parse().unwrap()).await.unwrap();
    assert_eq!(shown.event.deliver_at, Some(due));
}

async fn an_event_for_one_endpoint_goes_to_no_other(stage: Stage) {
    stage.endpoint(&[100]).await;
    // Whatever it wants.
    let wants = |endpoint: &mut posthaste_client::NewEndpoint| {
        endpoint.topics = vec![TopicPattern::Exactly("order.sent".parse().unwrap())];
        endpoint.url = stage.receiver.url("/one");
    };
    let one = stage.endpoint_with(&[100], wants).await;
    let only = PublishOptions {
        endpoint: Some(one),
        metadata: [("source".to_owned(), "billing".to_owned())].into(),
        ..Default::default()
    };
    assert_eq!(stage.publish_with("e0", only.clone()).await, 1);
    assert_eq!(stage.publish_with("e0", only).await, 1, "a repeat is answered like the first");
    let delivered = stage.until_state("e0", DeliveryState::Delivered).await;
    assert_eq!(delivered.endpoint, one);
    assert_eq!(stage.publish("e1").await, 1, "it does not want this one");
    stage.until_state("e1", DeliveryState::Delivered).await;
    let requests = stage.receiver.wait_for(2, AMPLE).await;
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/one", "/"]);
    let shown = stage.client.event(&tenant(), &"e0".parse().unwrap()).await.unwrap();
    assert_eq!(shown.event.metadata["source"], "billing");
}
