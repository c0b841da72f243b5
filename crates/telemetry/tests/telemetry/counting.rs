//! Each happening, and what it counts for.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use posthaste_model::{
    Attempt, AttemptId, Counts, Decision, DeliveryId, EndpointEffects, ErrorClass, Next, Outcome, Reply,
    TenantId, Timings,
};
use posthaste_store::{Accepted, Epoch, Lease, LeaseId, Missing, Settlement, StoreError, Subject};
use posthaste_telemetry::{Load, Operation};

use crate::setup::Bench;

impl Bench {
    fn answer(&self, duplicate: bool) -> Accepted {
        Accepted { id: self.event("evt").id, deliveries: 1, duplicate }
    }

    /// The attempt with this number is over. And a lease is given back, which counts for nothing.
    fn attempt(&self, number: u32, manual: bool, outcome: Outcome, next: Next) {
        let now = self.clock.now();
        let lease = Lease {
            id: LeaseId { epoch: Epoch(1), number: 1 },
            delivery: DeliveryId::mint(now, [1; 10]),
            event: Arc::new(self.event("evt")),
            endpoint: Arc::new(self.endpoint(1)),
            attempt: number,
            failures: 0,
            manual,
            due_at: now,
        };
        let (queued, total) = (Duration::from_millis(20), Duration::from_millis(300));
        let attempt = Attempt {
            id: AttemptId::mint(now, [1; 10]),
            number,
            manual,
            started_at: now,
            timings: Timings { queued, total, ..Timings::default() },
            request: None,
            outcome,
        };
        let settlement = Settlement {
            lease: lease.id,
            delivery: lease.delivery,
            manual,
            endpoint_version: 1,
            attempt: Some(attempt),
            decision: Decision { next, endpoint: EndpointEffects::default() },
            now,
        };
        self.telemetry.attempted(&lease, &settlement);
        self.telemetry.attempted(&lease, &Settlement { attempt: None, ..settlement });
    }
}

fn replied(status: u16) -> Outcome {
    Outcome::Replied(Reply { status, headers: vec![], body: Bytes::new(), truncated: false })
}

fn failed(class: ErrorClass) -> Outcome {
    Outcome::Failed { class, detail: String::new() }
}

/// What the store has of the endpoint, and of all.
async fn brought(bench: &Bench) -> (Counts, Counts) {
    bench.tenant().await;
    bench.telemetry.keep(Arc::clone(&bench.figures)).stop().await;
    let endpoint = bench.endpoint(1);
    let of_endpoint = bench.figures.sum(Subject::Endpoint(endpoint.tenant, endpoint.id)).await;
    (of_endpoint, bench.figures.sum(Subject::All).await)
}

#[tokio::test(start_paused = true)]
async fn events_count_by_what_became_of_them() {
    let bench = Bench::new();
    let (telemetry, event) = (&bench.telemetry, bench.event("evt"));
    let wanting = [bench.endpoint(1).id, bench.endpoint(2).id];
    telemetry.accepted(&event, &wanting, &bench.answer(false));
    telemetry.accepted(&event, &[], &bench.answer(false));
    telemetry.accepted(&event, &wanting, &bench.answer(true));
    telemetry.repeated(2);
    telemetry.refused(3);
    telemetry.not_accepted(4);
    telemetry.accept_took(Duration::from_millis(2));
    for (result, count) in
        [("accepted", 1), ("unmatched", 1), ("duplicate", 3), ("refused", 3), ("failed", 4)]
    {
        bench.check(&format!("posthaste_events_total{{result=\"{result}\"}} {count}"));
    }
    bench.check("posthaste_deliveries_total 2");
    bench.check("posthaste_accept_seconds_bucket{le=\"0.001\"} 0");
    bench.check("posthaste_accept_seconds_bucket{le=\"0.0025\"} 1");
    let (of_endpoint, of_all) = brought(&bench).await;
    assert_eq!(of_endpoint, Counts { deliveries: 1, ..Counts::default() });
    assert_eq!(of_all, Counts { events: 2, unmatched: 1, deliveries: 2, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn attempts_count_by_what_came_of_them() {
    let bench = Bench::new();
    let again = Next::Retry { at: bench.clock.now() };
    bench.attempt(1, false, replied(204), Next::Delivered);
    bench.attempt(1, false, replied(503), again);
    bench.attempt(2, false, failed(ErrorClass::Tls), again);
    bench.attempt(3, true, replied(404), Next::Stay);
    bench.attempt(4, false, failed(ErrorClass::Tls), Next::Exhausted);
    // No status that there is.
    bench.attempt(1, true, replied(999), Next::Stay);
    bench.attempt(1, true, replied(42), Next::Stay);
    for (labels, count) in [
        (r#"outcome="success",status_class="2xx",error_class="none""#, 1),
        (r#"outcome="failure",status_class="5xx",error_class="none""#, 1),
        (r#"outcome="failure",status_class="4xx",error_class="none""#, 1),
        (r#"outcome="failure",status_class="none",error_class="tls""#, 2),
        (r#"outcome="failure",status_class="none",error_class="none""#, 2),
        (r#"outcome="failure",status_class="none",error_class="dns""#, 0),
    ] {
        bench.check(&format!("posthaste_attempts_total{{{labels}}} {count}"));
    }
    // Later attempts waited for their schedule, too.
    bench.check("posthaste_queue_seconds_count 2");
    bench.check("posthaste_receiver_seconds_count 5");
    let (of_endpoint, of_all) = brought(&bench).await;
    assert_eq!(of_endpoint, of_all);
    let Counts { attempts, failed, retried, queue, receiver, delivered, exhausted, .. } = of_all;
    assert_eq!((attempts, failed, retried, queue.total(), receiver.total()), (7, 6, 2, 2, 5));
    // That is told when it is settled.
    assert_eq!((delivered, exhausted), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn deliveries_count_when_they_have_ended() {
    let bench = Bench::new();
    let (event, endpoint, now) = (bench.event("evt"), bench.endpoint(1).id, bench.clock.now());
    for next in [
        Next::Delivered,
        Next::Delivered,
        Next::Exhausted,
        Next::Skipped,
        Next::Stay,
        Next::Retry { at: now },
        Next::Release { at: now },
    ] {
        bench.telemetry.settled(&event, endpoint, next, now);
    }
    for (state, count) in [("delivered", 2), ("exhausted", 1), ("skipped", 1)] {
        bench.check(&format!("posthaste_deliveries_ended_total{{state=\"{state}\"}} {count}"));
    }
    let (of_endpoint, of_all) = brought(&bench).await;
    assert_eq!(of_endpoint, Counts { delivered: 2, exhausted: 1, ..Counts::default() });
    assert_eq!(of_endpoint, of_all);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_test_counts_for_nothing() {
    let bench = Bench::new();
    let (mut event, endpoint, now) = (bench.event("evt"), bench.endpoint(1).id, bench.clock.now());
    event.options.test = true;
    for next in [Next::Delivered, Next::Exhausted, Next::Skipped] {
        bench.telemetry.settled(&event, endpoint, next, now);
    }
    for state in ["delivered", "exhausted", "skipped"] {
        bench.check(&format!("posthaste_deliveries_ended_total{{state=\"{state}\"}} 0"));
    }
    assert_eq!(brought(&bench).await, (Counts::default(), Counts::default()));
}

#[tokio::test(start_paused = true)]
async fn what_operators_are_told_is_in_the_figures_of_their_tenant_alone() {
    let bench = Bench::of(TenantId::posthaste());
    let (event, endpoint, now) = (bench.event("evt"), bench.endpoint(1).id, bench.clock.now());
    bench.telemetry.accepted(&event, &[endpoint], &bench.answer(false));
    bench.telemetry.accepted(&event, &[], &bench.answer(false));
    bench.telemetry.accepted(&event, &[endpoint], &bench.answer(true));
    bench.attempt(1, false, replied(204), Next::Delivered);
    bench.telemetry.settled(&event, endpoint, Next::Delivered, now);
    for line in [
        r#"posthaste_events_total{result="accepted"} 0"#,
        r#"posthaste_events_total{result="unmatched"} 0"#,
        r#"posthaste_events_total{result="duplicate"} 0"#,
        "posthaste_deliveries_total 0",
        r#"posthaste_attempts_total{outcome="success",status_class="2xx",error_class="none"} 0"#,
        r#"posthaste_deliveries_ended_total{state="delivered"} 0"#,
        "posthaste_queue_seconds_count 0",
        "posthaste_receiver_seconds_count 0",
    ] {
        bench.check(line);
    }
    let (of_endpoint, of_all) = brought(&bench).await;
    assert_eq!((of_endpoint.deliveries, of_endpoint.attempts, of_endpoint.delivered), (1, 1, 1));
    assert_eq!(of_all, Counts::default());
    let of_tenant = bench.figures.sum(Subject::Tenant(event.tenant)).await;
    assert_eq!((of_tenant.events, of_tenant.unmatched, of_tenant.deliveries), (2, 1, 1));
    assert_eq!(bench.figures.sum(Subject::Topic(event.topic)).await, Counts::default());
}

#[tokio::test(start_paused = true)]
async fn calls_to_the_store_count_with_their_time_and_the_stores_faults() {
    let bench = Bench::new();
    for answer in [
        Ok(()),
        Err(StoreError::StaleView),
        Err(StoreError::NotFound(Missing::Tenant)),
        Err(StoreError::Unavailable { reason: "away".into(), source: None }),
        Err(StoreError::Full { reason: "full".into() }),
    ] {
        let call = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            answer
        };
        let _ = bench.telemetry.timed(Operation::Lease, call).await;
    }
    bench.check(r#"posthaste_store_seconds_bucket{le="0.025",operation="lease"} 0"#);
    bench.check(r#"posthaste_store_seconds_bucket{le="0.05",operation="lease"} 5"#);
    bench.check(r#"posthaste_store_errors_total{operation="lease"} 2"#);
    bench.check(r#"posthaste_store_errors_total{operation="settle"} 0"#);
}

#[tokio::test(start_paused = true)]
async fn the_load_is_asked_for_when_the_metrics_are_read() {
    let bench = Bench::new();
    bench.check("posthaste_in_flight 0");
    bench.telemetry.watch(|| Load {
        in_flight: 3,
        most_in_flight: 8,
        partitions: 2,
        looks: false,
        throttled: 5,
        open_breakers: 1,
    });
    bench.telemetry.interrupted(2);
    bench.telemetry.reopened(7);
    for line in [
        "posthaste_in_flight 3",
        "posthaste_in_flight_limit 8",
        "posthaste_partitions 2",
        "posthaste_throttled_endpoints 5",
        "posthaste_open_breakers 1",
        "posthaste_interrupted_total 2",
        "posthaste_reopened_total 7",
        r#"posthaste_build_info{version="1.2.3"} 1"#,
    ] {
        bench.check(line);
    }
}
