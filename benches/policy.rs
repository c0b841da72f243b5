//! What deciding costs: once for each event who wants it, by its topic and by what is in it; once for each attempt what
//! follows.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::{collections::BTreeMap, hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use posthaste_model::{
    ErrorClass, ExponentialRetry, Health, Outcome, Payload, Period, Reply, RetryPolicy, Timestamp, TopicName,
    TopicPattern,
};
use posthaste_policy::{AutoDisable, Filter, Jitter, Situation, Subject, decide, wants};

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

/// An order of ten items, about 1 KiB of JSON.
fn order() -> String {
    let item = |number| {
        format!(
            r#"{{"sku": "sku-{number:04}", "quantity": {number}, "price": 12.5, "tags": ["new", "sale"]}}"#
        )
    };
    let items: Vec<_> = (0..10).map(item).collect();
    format!(
        r#"{{"id": "ord-000042", "amount": 250, "currency": "EUR", "customer": {{"country": "DE", "tier": "gold",
        "email": "jo.doe@example.com"}}, "note": "{}", "items": [{}]}}"#,
        "leave it at the door ".repeat(8),
        items.join(", "),
    )
}

/// What endpoints ask for: mostly one or two fields, now and then something below a list. One in ten gets the order.
fn filters() -> Vec<Filter> {
    let made = |number: usize| match number % 5 {
        0 => format!(r#"{{"data.amount": {{"$gte": {}}}}}"#, number % 500),
        1 => format!(r#"{{"data.customer.tier": "silver", "metadata.shop": "shop-{number}"}}"#),
        2 => format!(
            r#"{{"data.currency": {{"$in": ["USD", "GBP", "C{number}"]}}, "data.amount": {{"$lt": 100}}}}"#
        ),
        3 => format!(r#"{{"$or": [{{"data.items.sku": "sku-{number}"}}, {{"data.items.tags": "old"}}]}}"#),
        _ => format!(
            r#"{{"data.customer.country": {{"$neq": "DE"}}, "topic": {{"$startsWith": "order.{number}"}}}}"#
        ),
    };
    (0..ENDPOINTS).map(|number| made(number).parse().unwrap()).collect()
}

fn filtering(c: &mut Criterion) {
    let topic: TopicName = "order.paid".parse().unwrap();
    let metadata: BTreeMap<String, String> = [("shop".to_owned(), "shop-7".to_owned())].into();
    let payload = Payload::Data(order().into());
    let patterns = |pattern: &str| -> Vec<Filter> {
        let filter = |number| format!(r#"{{"data.customer.email": {{"$regex": "{pattern}{number}"}}}}"#);
        (0..ENDPOINTS).map(|number| filter(number).parse().unwrap()).collect()
    };
    let mut group = c.benchmark_group("filter");
    group.throughput(Throughput::Elements(ENDPOINTS as u64));
    for (name, filters) in [
        ("1000 endpoints, 1 KiB", filters()),
        ("1000 endpoints, 1 KiB, regular expressions", patterns("^[a-z.]+@[a-z]+[.]com$|x")),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                // Made for each event, so that reading the payload counts.
                let subject = Subject::new(&topic, &metadata, black_box(&payload));
                filters.iter().filter(|filter| filter.matches(&subject)).count()
            });
        });
    }
    let (one, subject) = (filters().swap_remove(3), Subject::new(&topic, &metadata, &payload));
    group.throughput(Throughput::Elements(1));
    group.bench_function("explain one", |b| b.iter(|| one.explain(black_box(&subject))));
    let text = one.to_string();
    group.bench_function("read one", |b| b.iter(|| black_box(&text).parse::<Filter>()));
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
    targets = matching, filtering, deciding
}
criterion_main!(benches);
