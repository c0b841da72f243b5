use std::time::{Duration, Instant};

use posthaste_model::{DeliveryState, Period, RateLimit};
use posthaste_testkit::Reply;

use super::stage::Stage;
use crate::service::tenant;

on_every_store!(a_rate_limit_is_kept, an_ordered_endpoint_gets_one_after_another);

async fn a_rate_limit_is_kept(stage: Stage) {
    let (limit, per) = (5, Duration::from_millis(500));
    let rate = RateLimit::new(limit, Period(per)).unwrap();
    let id = stage.endpoint_with(&[100], |endpoint| endpoint.rate_limit = Some(rate)).await;
    assert_eq!(stage.client.endpoint(&tenant(), id).await.unwrap().rate_limit, Some(rate));
    let begun = Instant::now();
    for number in 0..23 {
        stage.publish(&format!("e{number}")).await;
    }
    stage.until_arrived(23).await;
    // A request may be on its way for a while, but none arrives before it may begin.
    for (number, request) in stage.receiver.requests().iter().enumerate() {
        let least = per * (number as u32 / limit);
        let waited = request.arrived - begun;
        assert!(waited >= least, "request {number} came after {waited:?}, {least:?} at the least");
    }
}

async fn an_ordered_endpoint_gets_one_after_another(stage: Stage) {
    stage.endpoint_with(&[300, 300], |endpoint| endpoint.ordered = true).await;
    let slowly = Reply::After(Duration::from_millis(50), Box::new(Reply::status(200)));
    let first = vec![Reply::status(500), Reply::status(500), slowly.clone(), slowly];
    stage.answer_first(first, Reply::status(200));
    for number in 0..8 {
        stage.publish(&format!("e{number}")).await;
    }
    stage.until_state("e7", DeliveryState::Delivered).await;
    assert_eq!(stage.arrived(), ["e0", "e0", "e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7"]);
    let requests = stage.receiver.requests();
    // Jitter may take a tenth off.
    assert!(requests[1].arrived - requests[0].arrived >= Duration::from_millis(270));
    assert!(requests[4].arrived - requests[2].arrived >= Duration::from_millis(100), "one at a time");
}
