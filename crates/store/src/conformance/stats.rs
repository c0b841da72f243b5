use std::time::Duration;

use posthaste_model::{Counts, Histogram, Timestamp, TopicName};

use super::{Driver, START};
use crate::{Bucket, Stretch, Subject, Tally};

/// A minute, in milliseconds.
const MINUTE: i64 = 60_000;
/// An hour, in milliseconds.
const HOUR: i64 = 60 * MINUTE;
/// When the hour began in which the tests' time begins.
const BEGUN: i64 = START / HOUR * HOUR;

/// So many milliseconds after the hour began.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(BEGUN + millis).unwrap()
}

/// Counts that say which they are.
fn counts(events: u64) -> Counts {
    Counts { events, ..Counts::default() }
}

fn tally(of: &Subject, at: Timestamp, counts: Counts) -> Tally {
    Tally { of: of.clone(), at, counts }
}

fn bucket(begin: Timestamp, counts: Counts) -> Bucket {
    Bucket { begin, counts }
}

/// Adds tallies, all of them.
async fn add(driver: &Driver, tallies: Vec<Tally>) {
    let not_added = driver.store().add_stats(tallies).await;
    assert!(not_added.is_empty(), "{not_added:?}");
}

async fn all(driver: &Driver, of: &Subject, stretch: Stretch) -> Vec<Bucket> {
    driver.store().stats(of.clone(), stretch, Timestamp::UNIX_EPOCH, Timestamp::MAX).await.unwrap()
}

/// Everything that can be counted, each another number.
fn full() -> Counts {
    let mut counts = Counts {
        events: 1,
        unmatched: 2,
        deliveries: 5_000_000_000,
        attempts: 4,
        failed: 5,
        retried: 6,
        delivered: 7,
        exhausted: 8,
        ..Counts::default()
    };
    for class in [0, 1, 9, 10, 99, 180] {
        counts.queue.count(class, u64::from(class) + 1);
    }
    counts.receiver.record(Duration::from_millis(20));
    counts.receiver.record(Duration::from_secs(30));
    counts
}

pub(super) async fn what_was_counted_adds_up(driver: &mut Driver) {
    let of = Subject::All;
    add(driver, Vec::new()).await;
    assert_eq!(all(driver, &of, Stretch::Minute).await, []);
    let mut sum = Counts::default();
    let mut only_queue = Counts::default();
    only_queue.queue.count(10, 3);
    // In a call of its own, twice in a call, and at both ends of the minute.
    for tallies in [
        vec![tally(&of, at(0), full())],
        vec![tally(&of, at(MINUTE - 1), full()), tally(&of, at(1), counts(3))],
        vec![tally(&of, at(30_000), only_queue)],
    ] {
        tallies.iter().for_each(|tally| sum.add(&tally.counts));
        add(driver, tallies).await;
        for stretch in [Stretch::Minute, Stretch::Hour] {
            assert_eq!(all(driver, &of, stretch).await, [bucket(at(0), sum.clone())], "{stretch:?}");
        }
    }
    driver.crash().await;
    assert_eq!(all(driver, &of, Stretch::Minute).await, [bucket(at(0), sum)], "after a crash");
}

pub(super) async fn each_minute_and_each_hour_is_counted(driver: &mut Driver) {
    let of = Subject::All;
    let times = [2 * HOUR + 5, 0, HOUR - 1, MINUTE, HOUR, 2 * MINUTE - 1, -1, 2 * HOUR + MINUTE];
    let tallies = (1..).zip(times).map(|(n, millis)| tally(&of, at(millis), counts(n)));
    add(driver, tallies.collect()).await;
    let minutes: Vec<_> = [
        (-MINUTE, 7),
        (0, 2),
        (MINUTE, 4 + 6),
        (HOUR - MINUTE, 3),
        (HOUR, 5),
        (2 * HOUR, 1),
        (2 * HOUR + MINUTE, 8),
    ]
    .map(|(begin, events)| bucket(at(begin), counts(events)))
    .into();
    assert_eq!(all(driver, &of, Stretch::Minute).await, minutes);
    let hours: Vec<_> = [(-HOUR, 7), (0, 2 + 4 + 6 + 3), (HOUR, 5), (2 * HOUR, 1 + 8)]
        .map(|(begin, events)| bucket(at(begin), counts(events)))
        .into();
    assert_eq!(all(driver, &of, Stretch::Hour).await, hours);

    let begins = |buckets: Vec<Bucket>| -> Vec<i64> {
        buckets.iter().map(|bucket| bucket.begin.as_millisecond() - BEGUN).collect()
    };
    for (since, until, expected) in [
        (0, MINUTE, &[0][..]),
        (0, MINUTE + 1, &[0, MINUTE]),
        (1, MINUTE, &[]),
        (1, HOUR, &[MINUTE, HOUR - MINUTE]),
        (-MINUTE, 1, &[-MINUTE, 0]),
        (-MINUTE + 1, 0, &[]),
        (HOUR, HOUR, &[]),
        (HOUR, 0, &[]),
        (HOUR, 3 * HOUR, &[HOUR, 2 * HOUR, 2 * HOUR + MINUTE]),
        (3 * HOUR, 9 * HOUR, &[]),
    ] {
        let found = driver.store().stats(of.clone(), Stretch::Minute, at(since), at(until)).await.unwrap();
        assert_eq!(begins(found), expected, "{since} to {until}");
    }
    for (since, until, expected) in
        [(0, HOUR, &[0][..]), (1, HOUR + 1, &[HOUR]), (-HOUR, 1, &[-HOUR, 0]), (1, HOUR, &[])]
    {
        let found = driver.store().stats(of.clone(), Stretch::Hour, at(since), at(until)).await.unwrap();
        assert_eq!(begins(found), expected, "hours from {since} to {until}");
    }
}

pub(super) async fn subjects_are_kept_apart(driver: &mut Driver) {
    // Ids that would be the same, put together.
    let tenants =
        [driver.tenant("acme").await, driver.tenant("acme.order").await, driver.tenant("All").await];
    let topics = ["order.paid", "paid", "order"].map(|name| name.parse().unwrap());
    let mut subjects = vec![Subject::All];
    subjects.extend(topics.iter().cloned().map(Subject::Topic));
    for tenant in &tenants {
        subjects.push(Subject::Tenant(tenant.clone()));
        subjects.extend(topics.iter().map(|topic| Subject::TenantTopic(tenant.clone(), topic.clone())));
        for _ in 0..2 {
            let endpoint = driver.endpoint(tenant).await;
            subjects.push(Subject::Endpoint(tenant.clone(), endpoint.id));
        }
    }
    let numbered = || (1..).zip(&subjects);
    let tallies = numbered().map(|(n, of)| tally(of, at(n as i64), counts(n)));
    add(driver, tallies.collect()).await;
    for (n, of) in numbered() {
        for stretch in [Stretch::Minute, Stretch::Hour] {
            assert_eq!(all(driver, of, stretch).await, [bucket(at(0), counts(n))], "{of:?}");
        }
    }
    driver.crash().await;
    for (n, of) in numbered() {
        assert_eq!(all(driver, of, Stretch::Minute).await, [bucket(at(0), counts(n))], "{of:?}");
    }
}

pub(super) async fn many_are_counted_in_a_call(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let of = |n: usize| Subject::TenantTopic(tenant.clone(), format!("topic.{n}").parse().unwrap());
    let tallies = (0..600).map(|n| tally(&of(n % 300), at(n as i64), full()));
    add(driver, tallies.collect()).await;
    let mut twice = full();
    twice.add(&full());
    for n in [0, 1, 150, 298, 299] {
        assert_eq!(all(driver, &of(n), Stretch::Hour).await, [bucket(at(0), twice.clone())], "{n}");
    }
}

pub(super) async fn where_nothing_happened_is_nothing(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let of = Subject::Tenant(tenant.clone());
    add(driver, vec![tally(&of, at(0), Counts::default())]).await;
    for stretch in [Stretch::Minute, Stretch::Hour] {
        assert_eq!(all(driver, &of, stretch).await, []);
        assert_eq!(all(driver, &Subject::Topic("no.such".parse().unwrap()), stretch).await, []);
        assert_eq!(all(driver, &Subject::Tenant("nobody".parse().unwrap()), stretch).await, []);
    }
    // Nobody is told that there is nobody to count for.
    driver.delete_tenant(&tenant).await;
    add(driver, vec![tally(&of, at(0), counts(1))]).await;
    // Only a histogram is something, too.
    let mut histogram = Histogram::default();
    histogram.count(180, 1);
    let only = Counts { receiver: histogram, ..Counts::default() };
    add(driver, vec![tally(&Subject::All, at(0), only.clone())]).await;
    assert_eq!(all(driver, &Subject::All, Stretch::Minute).await, [bucket(at(0), only)]);
}

pub(super) async fn what_was_counted_goes_with_its_tenant(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let topic: TopicName = "order.paid".parse().unwrap();
    let endpoint = driver.endpoint(&tenant).await.id;
    let own = [
        Subject::Tenant(tenant.clone()),
        Subject::TenantTopic(tenant.clone(), topic.clone()),
        Subject::Endpoint(tenant.clone(), endpoint),
    ];
    let of_all = [Subject::All, Subject::Topic(topic)];
    let bring = async |driver: &Driver| {
        let tallies = own.iter().chain(&of_all).map(|of| tally(of, at(0), counts(1)));
        add(driver, tallies.collect()).await;
    };
    let check = async |driver: &Driver, subjects: &[Subject], events: Option<u64>| {
        let expected: Vec<_> = events.map(|events| bucket(at(0), counts(events))).into_iter().collect();
        for (of, stretch) in subjects.iter().flat_map(|of| [(of, Stretch::Minute), (of, Stretch::Hour)]) {
            assert_eq!(all(driver, of, stretch).await, expected, "{of:?}, {stretch:?}");
        }
    };
    bring(driver).await;
    check(driver, &own, Some(1)).await;
    driver.delete_tenant(&tenant).await;
    check(driver, &own, None).await;
    // A process may bring late what it has counted.
    bring(driver).await;
    check(driver, &own, None).await;
    driver.tenant("acme").await;
    check(driver, &own, None).await;
    check(driver, &of_all, Some(2)).await;
    // Its endpoint is gone for good.
    bring(driver).await;
    check(driver, &own[..2], Some(1)).await;
    driver.crash().await;
    check(driver, &own[..2], Some(1)).await;
    check(driver, &of_all, Some(3)).await;
}

pub(super) async fn what_is_old_is_forgotten(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let subjects = [Subject::All, Subject::Tenant(tenant), Subject::Topic("order.paid".parse().unwrap())];
    for of in &subjects {
        let tallies = (0..6).map(|n| tally(of, at(n * HOUR / 2), counts(1)));
        add(driver, tallies.collect()).await;
    }
    let forget = async |driver: &Driver, minutes: i64, hours: i64| {
        let mut calls = 0;
        while driver.store().forget_stats(at(minutes), at(hours), 4).await.unwrap() {
            calls += 1;
            assert!(calls < 1_000, "it never ends");
        }
    };
    let check = async |driver: &Driver, minutes: &[i64], hours: &[i64]| {
        for of in &subjects {
            for (stretch, expected) in [(Stretch::Minute, minutes), (Stretch::Hour, hours)] {
                let found = all(driver, of, stretch).await;
                let found = found.iter().map(|bucket| bucket.begin.as_millisecond() - BEGUN);
                // What a store forgets by itself is not old yet by its own clock.
                let young = expected.first().copied().unwrap_or(i64::MAX);
                let found: Vec<_> =
                    found.filter(|begin| *begin >= young || !driver.forgets_by_itself()).collect();
                assert_eq!(found, expected, "{of:?}, {stretch:?}");
            }
        }
    };
    let minutes = [0, HOUR / 2, HOUR, HOUR * 3 / 2, 2 * HOUR, HOUR * 5 / 2];
    let hours = [0, HOUR, 2 * HOUR];
    forget(driver, 0, 0).await;
    check(driver, &minutes, &hours).await;
    // What begins at the time itself is kept.
    forget(driver, HOUR, 0).await;
    check(driver, &minutes[2..], &hours).await;
    forget(driver, HOUR + 1, HOUR).await;
    check(driver, &minutes[3..], &hours[1..]).await;
    driver.crash().await;
    check(driver, &minutes[3..], &hours[1..]).await;
    // What was forgotten begins anew, if it is counted again.
    if !driver.forgets_by_itself() {
        add(driver, vec![tally(&subjects[0], at(0), counts(9))]).await;
        assert_eq!(all(driver, &subjects[0], Stretch::Hour).await[0], bucket(at(0), counts(9)));
        forget(driver, 9 * HOUR, 9 * HOUR).await;
        check(driver, &[], &[]).await;
    }
}
