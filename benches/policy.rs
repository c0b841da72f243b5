//! What deciding costs: once for each event who wants it, once for each attempt what follows.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use posthaste_model::{
    ErrorClass, ExponentialRetry, Health, Outcome, Period, Reply, RetryPolicy, Timestamp, TopicName,
    TopicPattern,
};
use posthaste_policy::{AutoDisable, Jitter, Situation, decide, wants};

const ENDPOINTS: usize = 1_000;
const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

/// One in ten wants everything, one in ten all orders, the others two topics each that share a prefix with the event's.
fn patterns() -> Vec<Vec<TopicPattern>> {
    let parsed = |text: &str| text.parse().unwrap();
    (0..ENDPOINTS)
        .map(|number| match number % 10 {
            0 => vec![parsed("*")],
            1 => vec![parsed("order.*")],
            _ => [number, number + 1].map(|topic| parsed(&format!("order.paid.{topic}"))).into(),
        })
        .collect()
}

fn matching(c: &mut Criterion) {
    let endpoints = patterns();
    let topic: TopicName = "order.paid.500".parse().unwrap();
    let mut group = c.benchmark_group("match");
    group.throughput(Throughput::Elements(ENDPOINTS as u64));
    group.bench_function("1000 endpoints", |b| {
        b.iter(|| endpoints.iter().filter(|patterns| wants(patterns, black_box(&topic))).count());
    });
}

fn replied(status: u16, headers: &[(&str, &str)]) -> Outcome {
    let headers = headers.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    Outcome::Replied(Reply { status, headers, body: Bytes::new(), truncated: false })
}

fn deciding(c: &mut Criterion) {
    let schedule = RetryPolicy::default();
    let exponential = RetryPolicy::Exponential(ExponentialRetry {
        initial_interval: Period::from_secs(5),
        multiplier: 2.0,
        randomization_factor: 0.1,
        max_interval: Period::from_secs(3_600),
        max_elapsed_time: None,
        max_attempts: 20,
    });
    let timeout = Outcome::Failed { class: ErrorClass::Timeout, detail: "no complete answer in time".into() };
    let health = Health { failing_since: Some(NOW), failures: 3, exhausted: 0, warned: 0 };
    let auto_disable = AutoDisable::default();
    let mut group = c.benchmark_group("decide");
    for (name, policy, outcome) in [
        ("delivered", &schedule, replied(200, &[])),
        ("retry by schedule", &schedule, replied(500, &[])),
        ("retry exponentially", &exponential, timeout),
        ("busy with Retry-After", &schedule, replied(429, &[("date", "x"), ("retry-after", "120")])),
        ("gone", &schedule, replied(410, &[])),
    ] {
        let situation = Situation {
            now: NOW,
            policy,
            failures: 3,
            health: &health,
            failing: true,
            auto_disable: &auto_disable,
            pauses: 3,
            manual: false,
            test: false,
        };
        let mut jitter = Jitter::seeded(1);
        group.bench_function(name, |b| {
            b.iter(|| decide(black_box(&situation), black_box(&outcome), &mut jitter));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = matching, deciding
}
criterion_main!(benches);
