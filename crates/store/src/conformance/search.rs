//! Whatever is searched for, in whichever order and pages: what a look at everything finds is found, and nothing else.

use std::{cmp::Reverse, time::Duration};

use posthaste_model::{
    Delivery, DeliveryState, Endpoint, EndpointState, ErrorClass, Event, EventOptions, Next, Outcome,
    TenantId, Timestamp, TopicName,
};

use super::{Driver, catalogue::is_missing, failed, replied, sample_event, shown::all};
use crate::{
    CLOCK_SLACK, Cursor, DeliveryFilter, EventFilter, EventRecord, Missing, NewEvent, Order, Page, Reopened,
    Retain, StoreError, is_troubled,
};

/// Longer than any of it takes, in seconds.
const LONG: i64 = 100_000;

fn by() -> DeliveryFilter {
    DeliveryFilter::default()
}

fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

/// Every delivery of every tenant, those of the newest event of each first.
async fn everything(driver: &Driver) -> Vec<Delivery> {
    let mut everything = Vec::new();
    for tenant in driver.tenants() {
        let shown = driver.shown(tenant).await;
        everything.extend(shown.deliveries.into_iter().map(|(delivery, _)| delivery));
    }
    everything
}

/// Searches in both orders and in pages of these sizes, and expects what is found among everything; answers with how many.
async fn check(
    driver: &Driver,
    everything: &[Delivery],
    of: Option<&TenantId>,
    filter: &DeliveryFilter,
    limits: &[u32],
) -> usize {
    let is_meant =
        |delivery: &&Delivery| of.is_none_or(|of| delivery.tenant == *of) && filter.admits(delivery);
    let mut wanted: Vec<_> = everything.iter().filter(is_meant).cloned().collect();
    if of.is_none() {
        // Those of one tenant keep their order: the sort is stable.
        wanted.sort_by_key(|delivery| Reverse(delivery.created_at));
    }
    for delivery in &wanted {
        assert!(!filter.wants_trouble() || is_troubled(delivery), "{filter:?} finds {delivery:?}");
    }
    let reversed: Vec<_> = wanted.iter().rev().cloned().collect();
    for &limit in limits {
        for (order, wanted) in [(Order::NewestFirst, &wanted), (Order::OldestFirst, &reversed)] {
            let list = |page| driver.store().deliveries(of, filter.clone(), order, page);
            let found = all(limit, list).await.unwrap();
            let search = format!("{filter:?} of {of:?}, in pages of {limit}, {order:?}");
            // Short where it is enough to see what is wrong.
            assert_eq!(named(&found), named(wanted), "{search}");
            assert_eq!(found, *wanted, "{search}");
        }
    }
    wanted.len()
}

/// What becomes of a delivery.
enum Fate {
    Waits,
    InFlight,
    Arrives,
    ArrivesLate,
    Retried(Outcome),
    OurFault,
    Exhausted(Outcome),
    GivenUp,
}

/// Accepts an event for an endpoint, and lets its delivery come so far. Then a second passes.
async fn undergo(driver: &mut Driver, endpoint: &Endpoint, id: &str, of: &str, fate: Fate) {
    accept(driver, id, of, &[endpoint]).await;
    let (lease, at) = (driver.lease_only().await, driver.secs(LONG));
    match fate {
        Fate::InFlight => {}
        Fate::Arrives => drop(driver.settle(&lease, replied(200), Next::Delivered).await),
        Fate::ArrivesLate => {
            driver.settle(&lease, replied(503), Next::Retry { at: driver.now() }).await;
            let lease = driver.lease_only().await;
            driver.settle(&lease, replied(204), Next::Delivered).await;
        }
        Fate::Retried(outcome) => drop(driver.settle(&lease, outcome, Next::Retry { at }).await),
        Fate::OurFault => {
            driver.settle(&lease, failed(ErrorClass::Internal), Next::Release { at }).await;
        }
        Fate::Exhausted(outcome) => drop(driver.settle(&lease, outcome, Next::Exhausted).await),
        Fate::Waits => {
            let release = driver.unattempted(&lease, Next::Release { at });
            driver.settle_as(release).await;
        }
        Fate::GivenUp => {
            let delivery = driver.show(&lease).await;
            driver.cancel(&delivery).await.unwrap();
        }
    }
    driver.pass(1);
}

async fn accept(driver: &mut Driver, id: &str, of: &str, endpoints: &[&Endpoint]) {
    let tenant = &endpoints[0].tenant;
    let event = Event { topic: topic(of), ..sample_event(tenant, id, driver.now()) };
    let endpoints = endpoints.iter().map(|endpoint| endpoint.id).collect();
    driver.accept_all(tenant, vec![NewEvent { event, endpoints }]).await.unwrap();
}

/// Two tenants with deliveries that came to everything that can become of one, each event a second after the other.
struct Scene {
    acme: TenantId,
    other: TenantId,
    one: Endpoint,
    two: Endpoint,
    paused: Endpoint,
    theirs: Endpoint,
}

async fn scene(driver: &mut Driver) -> Scene {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (one, two) = (driver.endpoint(&acme).await, driver.endpoint(&acme).await);
    let paused = driver.endpoint_in(&acme, EndpointState::Paused).await;
    let disabled = driver.endpoint_in(&acme, EndpointState::Disabled).await;
    let theirs = driver.endpoint(&other).await;
    let (paid, sent) = ("order.paid", "invoice.sent");
    let silent = |class| Fate::Retried(failed(class));
    undergo(driver, &one, "a", paid, Fate::Arrives).await;
    undergo(driver, &one, "b", paid, Fate::ArrivesLate).await;
    undergo(driver, &theirs, "a", paid, Fate::Exhausted(replied(500))).await;
    undergo(driver, &two, "c", paid, Fate::Retried(replied(500))).await;
    undergo(driver, &one, "d", sent, Fate::Exhausted(replied(404))).await;
    undergo(driver, &two, "e", sent, silent(ErrorClass::Timeout)).await;
    undergo(driver, &one, "f", paid, Fate::Exhausted(failed(ErrorClass::Dns))).await;
    undergo(driver, &theirs, "m", sent, Fate::Retried(replied(429))).await;
    undergo(driver, &two, "g", paid, Fate::GivenUp).await;
    accept(driver, "h", sent, &[&paused, &disabled]).await;
    driver.pass(1);
    let options = EventOptions { deliver_at: Some(driver.secs(LONG)), ..EventOptions::default() };
    driver.accept_with(&acme, "i", &[&one, &two], options).await;
    driver.pass(1);
    undergo(driver, &two, "j", paid, Fate::OurFault).await;
    undergo(driver, &theirs, "n", paid, Fate::Waits).await;
    driver.accept(&acme, "k", &[]).await;
    driver.pass(1);
    undergo(driver, &one, "l", paid, Fate::InFlight).await;
    Scene { acme, other, one, two, paused, theirs }
}

/// Each condition alone, with how many deliveries of `acme` meet it, and how many of all.
fn conditions(scene: &Scene, everything: &[Delivery]) -> Vec<(DeliveryFilter, usize, usize)> {
    use DeliveryState::*;
    let in_states = |states: &[DeliveryState]| DeliveryFilter { states: states.to_vec(), ..by() };
    let to = |endpoint: &Endpoint| DeliveryFilter { endpoint: Some(endpoint.id), ..by() };
    let event = |id: &str| DeliveryFilter { event: Some(id.parse().unwrap()), ..by() };
    let of = |name: &str| DeliveryFilter { topic: Some(topic(name)), ..by() };
    let status = |first, last| DeliveryFilter { status: Some((first, last)), ..by() };
    let error = |class| DeliveryFilter { error: Some(class), ..by() };
    let within = |since, until| DeliveryFilter { since, until, ..by() };
    let e = everything.iter().find(|delivery| delivery.event.as_str() == "e").unwrap().created_at;
    let after = |millis| Some(e + Duration::from_millis(millis));
    vec![
        (by(), 13, 16),
        (in_states(&[Scheduled]), 5, 7),
        (in_states(&[InFlight]), 1, 1),
        (in_states(&[Delivered]), 2, 2),
        (in_states(&[Exhausted]), 2, 3),
        (in_states(&[Held]), 1, 1),
        (in_states(&[Skipped]), 1, 1),
        (in_states(&[Cancelled]), 1, 1),
        (in_states(&[Exhausted, Skipped, Cancelled]), 4, 5),
        (in_states(&[Delivered, Skipped]), 3, 3),
        (to(&scene.one), 6, 6),
        (to(&scene.two), 5, 5),
        (to(&scene.paused), 1, 1),
        (to(&scene.theirs), 0, 3),
        (event("a"), 1, 2),
        (event("h"), 2, 2),
        (event("k"), 0, 0),
        (event("none"), 0, 0),
        (of("order.paid"), 9, 11),
        (of("invoice.sent"), 4, 5),
        (of("order"), 0, 0),
        (status(500, 599), 1, 2),
        (status(500, 500), 1, 2),
        (status(501, 599), 0, 0),
        (status(400, 499), 1, 2),
        (status(200, 299), 2, 2),
        (status(204, 204), 1, 1),
        (status(100, 599), 4, 6),
        (error(ErrorClass::Timeout), 1, 1),
        (error(ErrorClass::Dns), 1, 1),
        (error(ErrorClass::Internal), 1, 1),
        (error(ErrorClass::Tls), 0, 0),
        (DeliveryFilter { failed: true, ..by() }, 5, 7),
        (within(Some(e), None), 9, 11),
        (within(after(1), None), 8, 10),
        (within(None, Some(e)), 4, 5),
        (within(None, after(1)), 5, 6),
        (within(Some(e), Some(e)), 0, 0),
        (within(Some(e), after(1)), 1, 1),
        (within(Some(e), after(4_000)), 3, 4),
        (within(after(LONG as u64 * 1_000), None), 0, 0),
        (within(None, Some(Timestamp::UNIX_EPOCH)), 0, 0),
        (within(Some(Timestamp::UNIX_EPOCH), Some(Timestamp::MAX)), 13, 16),
    ]
}

pub(super) async fn deliveries_are_found_by_each_condition(driver: &mut Driver) {
    let scene = scene(driver).await;
    for after_a_crash in [false, true] {
        let everything = everything(driver).await;
        for (filter, acmes, all) in conditions(&scene, &everything) {
            for (of, expected) in [(Some(&scene.acme), acmes), (None, all)] {
                let found = check(driver, &everything, of, &filter, &[1, 3]).await;
                assert_eq!(found, expected, "{filter:?} of {of:?}, after a crash: {after_a_crash}");
            }
        }
        driver.crash().await;
    }
}

pub(super) async fn conditions_are_combined(driver: &mut Driver) {
    let scene = scene(driver).await;
    let everything = everything(driver).await;
    let conditions: Vec<_> = conditions(&scene, &everything).into_iter().map(|(filter, ..)| filter).collect();
    let mut found = 0;
    for (n, one) in conditions.iter().enumerate() {
        for other in &conditions[n + 1..] {
            let both = DeliveryFilter {
                states: if other.states.is_empty() { one.states.clone() } else { other.states.clone() },
                endpoint: other.endpoint.or(one.endpoint),
                event: other.event.clone().or_else(|| one.event.clone()),
                topic: other.topic.clone().or_else(|| one.topic.clone()),
                status: other.status.or(one.status),
                error: other.error.or(one.error),
                failed: other.failed || one.failed,
                since: other.since.or(one.since),
                until: other.until.or(one.until),
            };
            let of = [None, Some(&scene.acme), Some(&scene.other)][n % 3];
            found += usize::from(check(driver, &everything, of, &both, &[3]).await > 0);
        }
    }
    // Otherwise most would find nothing, and show little.
    assert_eq!(found, 280, "combinations that find something");
}

/// Filters that are answered each in its own way.
fn kinds(endpoint: &Endpoint) -> Vec<DeliveryFilter> {
    let to_it = || DeliveryFilter { endpoint: Some(endpoint.id), ..by() };
    let failed = || DeliveryFilter { failed: true, ..by() };
    vec![
        by(),
        to_it(),
        DeliveryFilter { topic: Some(topic("order.paid")), ..by() },
        DeliveryFilter { event: Some("evt".parse().unwrap()), ..by() },
        failed(),
        DeliveryFilter { endpoint: Some(endpoint.id), ..failed() },
        DeliveryFilter { topic: Some(topic("order.paid")), since: Some(Timestamp::UNIX_EPOCH), ..failed() },
        DeliveryFilter { states: vec![DeliveryState::Cancelled], ..by() },
    ]
}

pub(super) async fn who_is_not_there_is_not_searched(driver: &mut Driver) {
    let nobody = "nobody".parse().unwrap();
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for filter in kinds(&endpoint) {
            let found = driver.store().deliveries(Some(&nobody), filter, order, Page::first(1)).await;
            is_missing(found, Missing::Tenant);
        }
    }
    is_missing(
        driver.store().events(Some(&nobody), EventFilter::default(), Page::first(1)).await,
        Missing::Tenant,
    );
}

pub(super) async fn a_search_begins_at_none_but_its_own_cursors(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    undergo(driver, &endpoint, "evt", "order.paid", Fate::Exhausted(replied(500))).await;
    for cursor in ["", "no cursor!", "/", ".", "-1", "99999999999999999999999.1", "\u{0}ü"] {
        let page = || Page { limit: 1, after: Some(Cursor(cursor.into())) };
        for of in [Some(&tenant), None] {
            for filter in kinds(&endpoint) {
                for order in [Order::NewestFirst, Order::OldestFirst] {
                    let refused = driver.store().deliveries(of, filter.clone(), order, page()).await;
                    assert!(
                        matches!(refused, Err(StoreError::InvalidCursor)),
                        "{cursor:?}, {filter:?} of {of:?}, {order:?}: {refused:?}"
                    );
                }
            }
            for unmatched in [false, true] {
                let filter = EventFilter { unmatched, ..EventFilter::default() };
                let refused = driver.store().events(of, filter, page()).await;
                assert!(matches!(refused, Err(StoreError::InvalidCursor)), "{cursor:?}: {refused:?}");
            }
        }
    }
}

pub(super) async fn what_a_deleted_tenant_left_is_not_found(driver: &mut Driver) {
    let Scene { other, .. } = scene(driver).await;
    driver.accept(&other, "unmatched", &[]).await;
    driver.delete_tenant(&other).await;
    for again in [false, true] {
        if again {
            driver.tenant("other").await;
        }
        let found = everything(driver).await;
        assert_eq!(found.len(), 13);
        for filter in [by(), DeliveryFilter { failed: true, ..by() }] {
            check(driver, &found, None, &filter, &[1, 100]).await;
        }
        for (unmatched, expected) in [(false, 12), (true, 1)] {
            let filter = EventFilter { unmatched, ..EventFilter::default() };
            assert_eq!(check_events(driver, None, &filter).await, expected, "made again: {again}");
        }
    }
}

pub(super) async fn each_tenants_keep_their_order_among_those_of_all(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (one, two) = (driver.endpoint(&acme).await, driver.endpoint(&other).await);
    // All at one time, so that nothing but the order of acceptance tells them apart.
    for round in 0..4 {
        for endpoint in [&one, &two] {
            let batch = (0..3).map(|n| NewEvent {
                event: sample_event(&endpoint.tenant, &format!("evt-{round}-{n}"), driver.now()),
                endpoints: vec![endpoint.id],
            });
            driver.accept_all(&endpoint.tenant, batch.collect()).await.unwrap();
        }
    }
    for lease in driver.lease().await {
        driver.settle(&lease, replied(500), Next::Exhausted).await;
    }
    let everything = everything(driver).await;
    for filter in [by(), DeliveryFilter { failed: true, ..by() }] {
        for limit in [1, 3, 5] {
            for order in [Order::NewestFirst, Order::OldestFirst] {
                let list = |page| driver.store().deliveries(None, filter.clone(), order, page);
                let mut found = all(limit, list).await.unwrap();
                if order == Order::OldestFirst {
                    found.reverse();
                }
                found.sort_by(|one, other| one.tenant.cmp(&other.tenant));
                assert_eq!(found, everything, "{filter:?} in pages of {limit}, {order:?}");
            }
        }
    }
    for limit in [1, 5] {
        let list = |page| driver.store().events(None, EventFilter::default(), page);
        let mut found = all(limit, list).await.unwrap();
        found.sort_by(|one, other| one.event.tenant.cmp(&other.event.tenant));
        let shown = [driver.shown(&acme).await.events, driver.shown(&other).await.events].concat();
        assert_eq!(found, shown, "in pages of {limit}");
    }
}

pub(super) async fn time_bounds_allow_for_clocks_that_differ(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let slack = CLOCK_SLACK.as_millis() as i64;
    let mut times = Vec::new();
    for (n, ahead) in [0, slack, 1, slack - 1, 0, slack / 2, slack, 3, 0, slack].into_iter().enumerate() {
        driver.pass((n % 4 == 3).into());
        let clock = Timestamp::from_millisecond(driver.now().as_millisecond() + ahead).unwrap();
        let event = sample_event(&tenant, &format!("evt-{n}"), clock);
        driver.accept_all(&tenant, vec![NewEvent { event, endpoints: vec![endpoint.id] }]).await.unwrap();
        times.push(clock);
    }
    driver.pass(10);
    for lease in driver.lease().await {
        driver.settle(&lease, replied(500), Next::Exhausted).await;
    }
    let everything = everything(driver).await;
    for since in &times {
        for until in &times {
            for failed in [false, true] {
                let filter = DeliveryFilter { since: Some(*since), until: Some(*until), failed, ..by() };
                check(driver, &everything, Some(&tenant), &filter, &[3]).await;
            }
            let filter = EventFilter { since: Some(*since), until: Some(*until), ..EventFilter::default() };
            check_events(driver, Some(&tenant), &filter).await;
        }
    }
}

pub(super) async fn one_is_found_among_many(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (endpoint, rare) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    undergo(driver, &endpoint, "first", "invoice.sent", Fate::Exhausted(replied(500))).await;
    for batch in 0..12 {
        let events = (0..100).map(|n| NewEvent {
            event: sample_event(&tenant, &format!("evt-{batch}-{n}"), driver.now()),
            endpoints: Vec::new(),
        });
        driver.accept_all(&tenant, events.collect()).await.unwrap();
        driver.pass(1);
    }
    undergo(driver, &rare, "last", "invoice.sent", Fate::Arrives).await;
    let [last, first] =
        [driver.delivery_of(&tenant, "last").await, driver.delivery_of(&tenant, "first").await];
    let both = [last.clone(), first.clone()];
    for of in [Some(&tenant), None] {
        for (filter, expected) in [
            (by(), 2),
            (DeliveryFilter { topic: Some(topic("invoice.sent")), ..by() }, 2),
            (DeliveryFilter { failed: true, ..by() }, 1),
            (DeliveryFilter { endpoint: Some(endpoint.id), ..by() }, 1),
            (DeliveryFilter { endpoint: Some(rare.id), ..by() }, 1),
            (DeliveryFilter { until: Some(last.created_at), ..by() }, 1),
            (DeliveryFilter { since: Some(last.created_at), ..by() }, 1),
        ] {
            assert_eq!(check(driver, &both, of, &filter, &[1, 100]).await, expected, "{filter:?}");
        }
        let sent = EventFilter { topic: Some(topic("invoice.sent")), ..EventFilter::default() };
        let found = all(1, |page| driver.store().events(of, sent.clone(), page)).await.unwrap();
        let found: Vec<_> = found.iter().map(|record| record.event.id.as_str()).collect();
        assert_eq!(found, ["last", "first"]);
        let unmatched = EventFilter { unmatched: true, ..EventFilter::default() };
        let found = all(100, |page| driver.store().events(of, unmatched.clone(), page)).await.unwrap();
        assert_eq!(found.len(), 1_200);
    }
}

/// The events of deliveries, with their tenants.
fn named(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| format!("{}/{}", delivery.tenant, delivery.event)).collect()
}

pub(super) async fn pages_of_a_search_do_not_move_when_rows_are_added(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (one, two) = (driver.endpoint(&acme).await, driver.endpoint(&other).await);
    // Of the other tenant nothing is on the first page, wherever its events are kept.
    undergo(driver, &two, "a", "order.paid", Fate::Exhausted(replied(500))).await;
    for id in ["a", "b", "c"] {
        undergo(driver, &one, id, "order.paid", Fate::Exhausted(replied(500))).await;
    }
    let kinds = || [by(), DeliveryFilter { failed: true, ..by() }];
    let mut searches = Vec::new();
    for filter in kinds() {
        for (of, order, before, after) in [
            (Some(&acme), Order::NewestFirst, &["acme/c", "acme/b"][..], &["acme/a"][..]),
            (Some(&acme), Order::OldestFirst, &["acme/a", "acme/b"], &["acme/c", "acme/d"]),
            (None, Order::NewestFirst, &["acme/c", "acme/b"], &["acme/a", "other/a"]),
            (None, Order::OldestFirst, &["other/a", "acme/a"], &["acme/b", "acme/c", "other/b", "acme/d"]),
        ] {
            let mut found = Vec::new();
            let mut page = Page::first(2);
            // A page may end early.
            while found.len() < 2 {
                page.limit = 2 - found.len() as u32;
                let more = driver.store().deliveries(of, filter.clone(), order, page.clone()).await.unwrap();
                found.extend(more.rows);
                page.after = Some(more.next.unwrap());
            }
            assert_eq!(named(&found), before, "{filter:?} of {of:?}, {order:?}");
            searches.push((of, filter.clone(), order, page.after.unwrap(), after));
        }
    }
    let records = driver.store().events(None, EventFilter::default(), Page::first(1)).await.unwrap();

    undergo(driver, &two, "b", "order.paid", Fate::Exhausted(replied(500))).await;
    undergo(driver, &one, "d", "order.paid", Fate::Exhausted(replied(500))).await;

    for (of, filter, order, from, expected) in searches {
        for limit in [1, 100] {
            let found = all(limit, |page: Page| {
                let after = page.after.or_else(|| Some(from.clone()));
                driver.store().deliveries(of, filter.clone(), order, Page { limit, after })
            });
            assert_eq!(named(&found.await.unwrap()), expected, "{filter:?} of {of:?}, {order:?}");
        }
    }
    let rest = all(1, |page: Page| {
        let after = page.after.or_else(|| records.next.clone());
        driver.store().events(None, EventFilter::default(), Page { limit: 1, after })
    });
    let rest: Vec<_> = rest.await.unwrap().into_iter().map(|record| record.event.id.to_string()).collect();
    assert_eq!(rest, ["b", "a", "a"]);
}

pub(super) async fn what_is_sent_to_one_more_endpoint_moves_no_pages(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoints =
        [driver.endpoint(&tenant).await, driver.endpoint(&tenant).await, driver.endpoint(&tenant).await];
    let [one, two, three] = &endpoints;
    for id in ["a", "b", "c"] {
        driver.accept(&tenant, id, &[one, two]).await;
    }
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let before = everything(driver).await;
        let first = driver.store().deliveries(Some(&tenant), by(), order, Page::first(3)).await.unwrap();
        let event = if order == Order::NewestFirst { "c" } else { "a" };
        driver.send(event, three).await.unwrap();
        driver.send("b", three).await.unwrap();
        let rest = all(1, |page: Page| {
            let after = page.after.or_else(|| first.next.clone());
            driver.store().deliveries(Some(&tenant), by(), order, Page { limit: 1, after })
        });
        let mut found = first.rows;
        found.extend(rest.await.unwrap());
        // What was sent may be found or not, where it stands among what was there.
        found.retain(|delivery| before.iter().any(|known| known.id == delivery.id));
        if order == Order::OldestFirst {
            found.reverse();
        }
        assert_eq!(found, before, "{order:?}");
    }
}

/// Searches for trouble of every kind, for each alone, by tenant, by endpoint and over all.
async fn check_trouble(driver: &Driver, when: &str) {
    let everything = everything(driver).await;
    let mut filters = vec![by(), DeliveryFilter { failed: true, ..by() }];
    filters.extend(DeliveryState::ALL.map(|state| DeliveryFilter { states: vec![state], ..by() }));
    for status in [(500, 599), (400, 499), (200, 299)] {
        filters.push(DeliveryFilter { status: Some(status), ..by() });
    }
    for error in [ErrorClass::Timeout, ErrorClass::Unknown, ErrorClass::Internal] {
        filters.push(DeliveryFilter { error: Some(error), ..by() });
    }
    let mut found = 0;
    for filter in filters {
        found += check(driver, &everything, None, &filter, &[1]).await;
        for tenant in driver.tenants() {
            check(driver, &everything, Some(tenant), &filter, &[100]).await;
            for endpoint in driver.shown(tenant).await.endpoints {
                let to_it = DeliveryFilter { endpoint: Some(endpoint.id), ..filter.clone() };
                check(driver, &everything, Some(tenant), &to_it, &[100]).await;
            }
        }
    }
    assert!(found > 0, "{when}");
}

pub(super) async fn a_delivery_is_found_by_what_it_came_to_last(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    check_trouble(driver, "accepted").await;
    let lease = driver.lease_only().await;
    check_trouble(driver, "in flight").await;
    let at = driver.now();
    driver.settle(&lease, replied(503), Next::Retry { at }).await;
    check_trouble(driver, "refused").await;
    let again = driver.lease_only().await;
    driver.settle(&again, failed(ErrorClass::Timeout), Next::Retry { at }).await;
    check_trouble(driver, "silent").await;
    let again = driver.lease_only().await;
    driver.settle(&again, failed(ErrorClass::Internal), Next::Release { at }).await;
    check_trouble(driver, "our fault").await;
    let again = driver.lease_only().await;
    driver.settle(&again, replied(200), Next::Delivered).await;
    check_trouble(driver, "delivered after trouble").await;
    let delivered = driver.show(&lease).await;
    assert!(delivered.failures > 0);

    assert_eq!(driver.reopen(&delivered).await, Reopened::Reopened);
    check_trouble(driver, "opened again").await;
    let again = driver.lease_only().await;
    driver.settle(&again, failed(ErrorClass::Timeout), Next::Exhausted).await;
    check_trouble(driver, "exhausted").await;
    let exhausted = driver.show(&lease).await;
    driver.reopen(&exhausted).await;
    check_trouble(driver, "opened again after it was exhausted").await;
    let again = driver.lease_only().await;
    driver.settle(&again, replied(200), Next::Delivered).await;
    check_trouble(driver, "delivered without trouble since").await;

    let delivered = driver.show(&lease).await;
    assert!(!is_troubled(&delivered), "{delivered:?}");
    driver.ask(&delivered, false).await.unwrap();
    let manual = driver.lease_only().await;
    driver.settle(&manual, replied(404), Next::Stay).await;
    check_trouble(driver, "refused by hand").await;
    driver.reopen(&delivered).await;
    let again = driver.lease_only().await;
    driver.crash().await;
    assert_eq!(driver.recover().await, 1);
    check_trouble(driver, "interrupted").await;
    driver.settle(&again, replied(200), Next::Delivered).await;
    let again = driver.lease_only().await;
    driver.settle(&again, replied(200), Next::Delivered).await;
    check_trouble(driver, "delivered twice").await;
    let retain = Retain { delivered: Duration::from_secs(1), failed: Duration::from_secs(1) };
    driver.accept(&tenant, "young", &[]).await;
    driver.pass(10);
    assert_eq!(driver.prune(retain, driver.secs(-9), 100).await, 0);
    check_trouble(driver, "kept").await;
    assert_eq!(driver.prune(retain, driver.now(), 100).await, 2);
    is_missing(driver.store().delivery(&tenant, lease.delivery).await, Missing::Delivery);
    for of in [None, Some(&tenant)] {
        assert_eq!(check(driver, &[], of, &DeliveryFilter { failed: true, ..by() }, &[1, 3]).await, 0);
        assert_eq!(check(driver, &[], of, &by(), &[1, 3]).await, 0);
    }
}

pub(super) async fn whatever_ends_badly_is_found(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (closing, gone) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    let disabled = driver.endpoint_in(&tenant, EndpointState::Disabled).await;
    let theirs = driver.endpoint(&other).await;
    for id in ["waits", "in_flight", "given_up"] {
        driver.accept(&tenant, id, &[&closing, &gone]).await;
        driver.pass(1);
        driver.accept(&other, id, &[&theirs]).await;
        driver.pass(1);
    }
    driver.accept(&tenant, "skipped", &[&disabled]).await;
    check_trouble(driver, "accepted where nothing goes").await;
    driver.pass(1);
    for delivery in driver.deliveries_of(&tenant, "given_up").await {
        driver.cancel(&delivery).await.unwrap();
    }
    check_trouble(driver, "given up").await;
    let leases = driver.lease().await;
    for lease in leases.iter().filter(|lease| lease.event.id.as_str() == "waits") {
        let release = driver.unattempted(lease, Next::Release { at: driver.secs(LONG) });
        driver.settle_as(release).await;
    }
    driver.turn(&closing, EndpointState::Disabled).await;
    check_trouble(driver, "skipped").await;
    driver.delete(&gone).await;
    check_trouble(driver, "its endpoint was deleted").await;
    let to_it = DeliveryFilter { endpoint: Some(gone.id), ..by() };
    let cancelled = DeliveryFilter { states: vec![DeliveryState::Cancelled], ..to_it.clone() };
    let everything = everything(driver).await;
    for of in [Some(&tenant), None] {
        assert_eq!(check(driver, &everything, of, &to_it, &[1, 3]).await, 3);
        assert_eq!(check(driver, &everything, of, &cancelled, &[1, 3]).await, 2);
    }
    driver.crash().await;
    driver.recover().await;
    check_trouble(driver, "given back where nothing goes").await;
    let skipped = driver.delivery_of(&tenant, "skipped").await;
    driver.turn(&disabled, EndpointState::Enabled).await;
    driver.reopen(&skipped).await;
    check_trouble(driver, "opened again").await;
    driver.cancel(&skipped).await.unwrap();
    check_trouble(driver, "given up again").await;
    driver.delete_tenant(&other).await;
    check_trouble(driver, "their tenant was deleted").await;
}

pub(super) async fn what_retention_removed_is_not_found(driver: &mut Driver) {
    let Scene { acme, .. } = scene(driver).await;
    // All that is over goes, and what shares an event with something that is open stays.
    let retain = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    driver.pass(1);
    assert_eq!(driver.prune(retain, driver.now(), 3).await, 7);
    check_trouble(driver, "after retention").await;
    assert_eq!(everything(driver).await.len(), 10);
    for unmatched in [false, true] {
        let filter = EventFilter { unmatched, ..EventFilter::default() };
        for (of, expected) in [(Some(&acme), 6), (None, 8)] {
            let found = check_events(driver, of, &filter).await;
            assert_eq!(found, if unmatched { 0 } else { expected });
        }
    }
    // What is accepted under their ids is not mistaken for them.
    let tenant = acme;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ["a", "d", "k"] {
        driver.accept(&tenant, id, &[&endpoint]).await;
        driver.pass(1);
    }
    check_trouble(driver, "after their ids were used again").await;
}

/// Searches events in pages of different sizes, and expects what is found among all; answers with how many.
async fn check_events(driver: &Driver, of: Option<&TenantId>, filter: &EventFilter) -> usize {
    let mut wanted: Vec<EventRecord> = Vec::new();
    for tenant in driver.tenants() {
        if of.is_none_or(|of| of == tenant) {
            let shown = driver.shown(tenant).await;
            wanted.extend(shown.events.into_iter().filter(|record| filter.admits(record)));
        }
    }
    if of.is_none() {
        wanted.sort_by_key(|record| Reverse(record.event.accepted_at));
    }
    for limit in [1, 3] {
        let found = all(limit, |page| driver.store().events(of, filter.clone(), page)).await.unwrap();
        assert_eq!(found, wanted, "{filter:?} of {of:?}, in pages of {limit}");
    }
    wanted.len()
}

pub(super) async fn events_are_found_by_each_condition(driver: &mut Driver) {
    let Scene { acme, other, .. } = scene(driver).await;
    driver.accept(&other, "unmatched", &[]).await;
    driver.pass(1);
    let k = driver.store().event(&acme, &"k".parse().unwrap()).await.unwrap().event.accepted_at;
    let later = |millis| Some(k + Duration::from_millis(millis));
    let any = EventFilter::default;
    let of = |name: &str| EventFilter { topic: Some(topic(name)), ..any() };
    for after_a_crash in [false, true] {
        for (filter, acmes, all) in [
            (any(), 12, 16),
            (of("order.paid"), 9, 12),
            (of("invoice.sent"), 3, 4),
            (of("no.such"), 0, 0),
            (EventFilter { unmatched: true, ..any() }, 1, 2),
            (EventFilter { unmatched: true, ..of("order.paid") }, 1, 2),
            (EventFilter { unmatched: true, ..of("invoice.sent") }, 0, 0),
            (EventFilter { since: Some(k), ..any() }, 2, 3),
            (EventFilter { since: later(1), ..any() }, 1, 2),
            (EventFilter { until: Some(k), ..any() }, 10, 13),
            (EventFilter { until: later(1), ..any() }, 11, 14),
            (EventFilter { since: Some(k), until: later(1), unmatched: true, ..any() }, 1, 1),
            (EventFilter { since: later(1), unmatched: true, ..of("order.paid") }, 0, 1),
            (EventFilter { until: Some(k), unmatched: true, ..any() }, 0, 0),
        ] {
            for (of, expected) in [(Some(&acme), acmes), (None, all)] {
                let found = check_events(driver, of, &filter).await;
                assert_eq!(found, expected, "{filter:?} of {of:?}, after a crash: {after_a_crash}");
            }
        }
        driver.crash().await;
    }
}

pub(super) async fn what_is_sent_later_was_matched_after_all(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    for id in ["a", "b", "c"] {
        driver.accept(&tenant, id, &[]).await;
        driver.pass(1);
    }
    let endpoint = driver.endpoint(&tenant).await;
    let unmatched = EventFilter { unmatched: true, ..EventFilter::default() };
    for (sent, left) in [("b", 2), ("c", 1), ("a", 0)] {
        driver.send(sent, &endpoint).await.unwrap();
        for of in [Some(&tenant), None] {
            assert_eq!(check_events(driver, of, &unmatched).await, left);
        }
    }
}
