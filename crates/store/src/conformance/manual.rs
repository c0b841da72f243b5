use std::time::Duration;

use posthaste_model::{
    Attempt, Delivery, DeliveryId, DeliveryState, Endpoint, EndpointState, ErrorClass, HealthEffect, Next,
};

use super::{Driver, TTL, catalogue::is_missing, disable, failed, fares, park, replied, turns::flood};
use crate::{
    Lease, Missing, Reopened, Result, Retain, Settled, Settlement, StoreError, TenantRoom, Throttle,
};

/// Makes a tenant with an endpoint and an event for it, whose first attempt failed and is repeated in ten minutes.
async fn waiting(driver: &mut Driver) -> (Endpoint, Delivery) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let delivery = waiting_at(driver, &endpoint, "evt").await;
    (endpoint, delivery)
}

async fn waiting_at(driver: &mut Driver, endpoint: &Endpoint, event: &str) -> Delivery {
    driver.accept(&endpoint.tenant, event, &[endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, failed(ErrorClass::Connect), Next::Retry { at: driver.secs(600) }).await;
    driver.pass(1);
    driver.show(&lease).await
}

/// Leases the only thing that can be leased, which is a manual attempt of a delivery.
async fn lease_manual(driver: &mut Driver, of: &Delivery) -> Lease {
    let lease = driver.lease_only().await;
    assert!(lease.manual && lease.delivery == of.id, "a manual attempt of {of:?}: {lease:?}");
    lease
}

/// Asks for a manual attempt, and leases it.
async fn asked(driver: &mut Driver, of: &Delivery, force: bool) -> Lease {
    driver.ask(of, force).await.unwrap();
    lease_manual(driver, of).await
}

async fn show(driver: &Driver, delivery: &Delivery) -> Delivery {
    driver.store().delivery(&delivery.tenant, delivery.id).await.unwrap()
}

async fn attempts(driver: &Driver, delivery: &Delivery) -> Vec<Attempt> {
    driver.store().attempts(&delivery.tenant, delivery.id).await.unwrap()
}

#[track_caller]
fn is_closed(result: Result<()>, expected: EndpointState) {
    assert!(
        matches!(&result, Err(StoreError::EndpointClosed(state)) if *state == expected),
        "{expected:?}: {result:?}"
    );
}

pub(super) async fn a_manual_attempt_is_leased_at_once(driver: &mut Driver) {
    let (endpoint, before) = waiting(driver).await;
    driver.ask(&before, false).await.unwrap();
    let asked_at = driver.now();
    let next_due = driver.lease_with(|ask| ask.manual = 0).await.next_due;
    assert!(next_due.is_some_and(|due| due <= driver.now()), "it is due: {next_due:?}");
    driver.pass(1);
    let lease = lease_manual(driver, &before).await;
    assert_eq!((lease.attempt, lease.failures, lease.due_at), (2, 1, asked_at));
    assert_eq!((lease.event.id.as_str(), &*lease.endpoint), ("evt", &endpoint));
    assert_eq!(show(driver, &before).await, before, "nothing of the delivery changes by that");
    let more = driver.lease_until_due(100, 100).await;
    assert!(more.leases.is_empty() && more.next_due == before.due_at, "it is leased once: {more:?}");
}

pub(super) async fn a_manual_attempt_that_failed_changes_nothing_else(driver: &mut Driver) {
    let (_, before) = waiting(driver).await;
    let lease = asked(driver, &before, false).await;
    driver.pass(1);
    let settlement = driver.settlement(&lease, replied(503), Next::Stay);
    let made = settlement.attempt.clone().unwrap();
    assert_eq!(driver.settle_as(settlement).await, Settled::Applied);
    let expected = Delivery { attempts: 2, last_status: Some(503), last_error: None, ..before.clone() };
    assert_eq!(show(driver, &before).await, expected);
    assert_eq!(attempts(driver, &before).await[1..], [Attempt { number: 2, ..made }]);
    // The automatic ones go on as if nothing had been.
    driver.pass(600);
    let lease = driver.lease_only().await;
    assert_eq!((lease.manual, lease.attempt, lease.failures), (false, 3, 1));
    assert_eq!(Some(lease.due_at), before.due_at);
}

pub(super) async fn a_manual_attempt_that_was_not_made_changes_nothing(driver: &mut Driver) {
    let (_, before) = waiting(driver).await;
    let lease = asked(driver, &before, false).await;
    let nothing = driver.unattempted(&lease, Next::Stay);
    assert_eq!(driver.settle_as(nothing).await, Settled::Applied);
    assert_eq!(show(driver, &before).await, before);
    assert!(driver.lease().await.is_empty(), "it is not asked for any more");
}

pub(super) async fn a_success_delivers_whatever_the_state_was(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    use DeliveryState::{Cancelled, Delivered, Exhausted, Held, InFlight, Scheduled, Skipped};
    for state in [Scheduled, InFlight, Delivered, Exhausted, Held, Skipped, Cancelled] {
        let endpoint = driver.endpoint(&tenant).await;
        let event = format!("evt-{state:?}");
        driver.accept(&tenant, &event, &[&endpoint]).await;
        let first = driver.lease_only().await;
        let again = driver.secs(600);
        match state {
            InFlight => None,
            Delivered => Some(driver.settle(&first, replied(200), Next::Delivered).await),
            Exhausted => Some(driver.settle(&first, replied(500), Next::Exhausted).await),
            _ => Some(driver.settle(&first, replied(500), Next::Retry { at: again }).await),
        };
        let shown = driver.show(&first).await;
        match state {
            Held => drop(driver.turn(&endpoint, EndpointState::Paused).await),
            Skipped => drop(driver.turn(&endpoint, EndpointState::Disabled).await),
            Cancelled => driver.cancel(&shown).await.unwrap(),
            _ => {}
        }
        driver.pass(1);
        let before = driver.show(&first).await;
        assert_eq!(before.state, state);
        let manual = asked(driver, &before, matches!(state, Held | Skipped)).await;
        driver.pass(1);
        assert_eq!(
            driver.settle(&manual, replied(201), Next::Delivered).await,
            Settled::Applied,
            "{state:?}"
        );
        let expected = Delivery {
            state: Delivered,
            reason: None,
            attempts: before.attempts + 1,
            due_at: None,
            last_status: Some(201),
            last_error: None,
            completed_at: if state == Delivered { before.completed_at } else { Some(driver.now()) },
            ..before.clone()
        };
        assert_eq!(show(driver, &before).await, expected, "{state:?}");
        driver.pass(600);
        driver.turn(&endpoint, EndpointState::Enabled).await;
        assert!(driver.lease().await.is_empty(), "it is not attempted again: {state:?}");
        if state == InFlight {
            assert_eq!(driver.settle(&first, replied(500), Next::Exhausted).await, Settled::Stale);
            assert_eq!(driver.show(&first).await, Delivery { attempts: 2, ..expected });
        }
    }
    assert_eq!(driver.recover().await, 0);
}

pub(super) async fn asking_twice_is_two_attempts(driver: &mut Driver) {
    let (endpoint, first) = waiting(driver).await;
    let second = waiting_at(driver, &endpoint, "evt-2").await;
    for delivery in [&second, &first, &second] {
        driver.ask(delivery, false).await.unwrap();
    }
    let leases = driver.lease().await;
    let asked: Vec<_> = leases.iter().map(|lease| lease.delivery).collect();
    assert_eq!(asked, [second.id, first.id, second.id], "in the order in which they were asked for");
    for lease in [&leases[2], &leases[0]] {
        assert_eq!(driver.settle(lease, replied(500), Next::Stay).await, Settled::Applied);
    }
    assert_eq!(driver.settle(&leases[0], replied(500), Next::Stay).await, Settled::Stale);
    let shown = show(driver, &second).await;
    assert_eq!(shown, Delivery { attempts: 4, last_status: Some(500), last_error: None, ..second });
    // A success of the one does not end the other.
    driver.ask(&first, false).await.unwrap();
    let other = lease_manual(driver, &first).await;
    assert_eq!(driver.settle(&leases[1], replied(200), Next::Delivered).await, Settled::Applied);
    assert_eq!(driver.settle(&other, replied(500), Next::Stay).await, Settled::Applied);
    let shown = show(driver, &first).await;
    assert_eq!((shown.state, shown.attempts, shown.failures), (DeliveryState::Delivered, 3, 1));
}

pub(super) async fn manual_attempts_come_first_and_are_bounded(driver: &mut Driver) {
    let (endpoint, delivery) = waiting(driver).await;
    for _ in 0..7 {
        driver.ask(&delivery, false).await.unwrap();
    }
    flood(driver, &endpoint, 5).await;
    let kinds = |leases: &[Lease]| {
        let manual = leases.iter().take_while(|lease| lease.manual).count();
        (manual, leases[manual..].iter().filter(|lease| !lease.manual).count())
    };
    let given = driver.lease_with(|ask| ask.limit = 2).await;
    assert_eq!(kinds(&given.leases), (2, 0), "the limit is for all");
    assert!(given.next_due.is_some_and(|due| due <= driver.now()), "{:?}", given.next_due);
    let given = driver.lease_with(|ask| (ask.limit, ask.manual) = (3, 1)).await;
    assert_eq!(kinds(&given.leases), (1, 2));
    assert_eq!(kinds(&driver.lease_with(|ask| ask.manual = 0).await.leases), (0, 3));
    let given = driver.lease_with(|ask| ask.manual = 0).await;
    assert!(given.leases.is_empty(), "{given:?}");
    assert!(given.next_due.is_some_and(|due| due <= driver.now()), "some are left: {:?}", given.next_due);
    // Neither turns nor rooms bound them.
    let rooms = vec![TenantRoom { tenant: endpoint.tenant.clone(), room: 0 }];
    let given = driver
        .lease_with(|ask| {
            (ask.per_endpoint, ask.per_tenant) = (1, 1);
            ask.rooms.clone_from(&rooms);
        })
        .await;
    assert_eq!(kinds(&given.leases), (4, 0));
}

pub(super) async fn neither_pause_nor_throttle_holds_a_manual_attempt_up(driver: &mut Driver) {
    let (endpoint, delivery) = waiting(driver).await;
    let until = driver.secs(600);
    driver.store().park(&endpoint.tenant, endpoint.id, until).await.unwrap();
    let (tenant, endpoint) = (endpoint.tenant, endpoint.id);
    let throttle = Throttle { tenant, endpoint, until: Some(until), at_most: Some(1) };
    driver.ask(&delivery, false).await.unwrap();
    driver.ask(&delivery, false).await.unwrap();
    let given = driver.lease_with(|ask| ask.throttles = vec![throttle.clone()]).await.leases;
    assert_eq!(given.iter().filter(|lease| lease.manual).count(), 2);
}

pub(super) async fn a_closed_endpoint_is_attempted_only_by_force(driver: &mut Driver) {
    let (endpoint, delivery) = waiting(driver).await;
    for state in [EndpointState::Paused, EndpointState::Disabled] {
        driver.turn(&endpoint, state).await;
        is_closed(driver.ask(&delivery, false).await, state);
        let before = show(driver, &delivery).await;
        assert!(driver.lease().await.is_empty(), "nothing was asked for");
        let lease = asked(driver, &delivery, true).await;
        assert_eq!(lease.endpoint.state, state);
        driver.settle(&lease, failed(ErrorClass::Connect), Next::Stay).await;
        let expected = Delivery { attempts: before.attempts + 1, ..before };
        assert_eq!(show(driver, &delivery).await, expected, "{state:?}");
    }
    driver.turn(&endpoint, EndpointState::Enabled).await;
    driver.pass(600);
    assert!(driver.lease().await.is_empty());
}

pub(super) async fn what_was_asked_for_is_forgotten_where_the_endpoint_closes(driver: &mut Driver) {
    let (endpoint, delivery) = waiting(driver).await;
    for state in [EndpointState::Paused, EndpointState::Disabled] {
        for force in [false, true, false] {
            driver.ask(&delivery, force).await.unwrap();
        }
        driver.turn(&endpoint, state).await;
        lease_manual(driver, &delivery).await;
        driver.turn(&endpoint, EndpointState::Enabled).await;
        assert!(driver.lease().await.is_empty(), "{state:?}");
    }
}

pub(super) async fn what_was_asked_for_is_forgotten_where_all_is_gone(driver: &mut Driver) {
    let (endpoint, delivery) = waiting(driver).await;
    let kept = driver.endpoint(&endpoint.tenant).await;
    driver.accept(&endpoint.tenant, "removed", &[&kept]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    let removed = driver.show(&lease).await;
    driver.ask(&removed, true).await.unwrap();
    driver.ask(&delivery, true).await.unwrap();
    driver.delete(&endpoint).await;
    let nothing = Retain { delivered: Duration::ZERO, failed: Duration::from_secs(3_600) };
    driver.pass(1);
    assert_eq!(driver.prune(nothing, driver.now(), 100).await, 1);
    let other = driver.tenant("other").await;
    let theirs = driver.endpoint(&other).await;
    driver.accept(&other, "theirs", &[&theirs]).await;
    let lease = driver.lease_only().await;
    let theirs = driver.show(&lease).await;
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    driver.ask(&theirs, true).await.unwrap();
    driver.delete_tenant(&other).await;
    assert!(driver.lease().await.is_empty());
    let late = driver.lease_until_due(100, 100).await;
    assert!(late.leases.is_empty() && late.next_due.is_none(), "{late:?}");
}

pub(super) async fn what_was_asked_for_is_forgotten_where_it_is_given_up(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "one", &[&endpoint]).await;
    let delivery = driver.delivery_of(&tenant, "one").await;
    for _ in 0..2 {
        driver.ask(&delivery, false).await.unwrap();
    }
    driver.cancel(&delivery).await.unwrap();
    assert!(driver.lease().await.is_empty());
    // Who asks after that means it.
    driver.ask(&delivery, false).await.unwrap();
    let lease = driver.lease_only().await;
    assert!(lease.manual);
    driver.settle(&lease, replied(200), Next::Delivered).await;
    assert_eq!(driver.show(&lease).await.state, DeliveryState::Delivered);
}

pub(super) async fn what_was_asked_for_before_it_was_given_up_is_not_made_once_it_is_open(
    driver: &mut Driver,
) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    // Whoever gives it up may have another clock than whoever asked.
    for (event, clock) in [("evt-1", 0), ("evt-2", -1), ("evt-3", 1)] {
        driver.accept(&tenant, event, &[&one, &two]).await;
        driver.pass(5);
        let of_it = driver.deliveries_of(&tenant, event).await;
        let [given_up, other] = &of_it[..] else { panic!("two deliveries: {of_it:?}") };
        for delivery in [given_up, other, given_up] {
            driver.ask(delivery, false).await.unwrap();
        }
        driver.pass(clock);
        driver.cancel(given_up).await.unwrap();
        driver.pass(-clock);
        assert_eq!(driver.reopen(given_up).await, Reopened::Reopened);
        driver.pass(1);
        let leases = driver.lease().await;
        let mut made: Vec<_> = leases.iter().map(|lease| (lease.delivery, lease.manual)).collect();
        let mut expected = vec![(given_up.id, false), (other.id, false), (other.id, true)];
        made.sort();
        expected.sort();
        assert_eq!(made, expected, "{clock} s later");
        for lease in leases {
            driver.settle(&lease, replied(200), Next::Delivered).await;
        }
    }
}

pub(super) async fn nothing_can_be_asked_for_what_is_not_there(driver: &mut Driver) {
    let (endpoint, delivery) = waiting(driver).await;
    let other = driver.tenant("other").await;
    let unknown = DeliveryId::mint(driver.now(), [9; 10]);
    for force in [false, true] {
        let asked = driver.ask(&Delivery { id: unknown, ..delivery.clone() }, force).await;
        is_missing(asked, Missing::Delivery);
        let asked = driver.ask(&Delivery { tenant: other.clone(), ..delivery.clone() }, force).await;
        is_missing(asked, Missing::Delivery);
    }
    driver.delete(&endpoint).await;
    for force in [false, true] {
        is_missing(driver.ask(&delivery, force).await, Missing::Endpoint);
    }
    assert!(driver.lease().await.is_empty());
}

pub(super) async fn what_was_asked_for_survives_a_crash(driver: &mut Driver) {
    let (_, delivery) = waiting(driver).await;
    let later = driver.now();
    driver.ask(&delivery, false).await.unwrap();
    driver.crash().await;
    assert_eq!(driver.recover().await, 0);
    assert_eq!(lease_manual(driver, &delivery).await.due_at, later);
}

pub(super) async fn an_interrupted_manual_attempt_is_recorded_and_not_made_again(driver: &mut Driver) {
    let (_, before) = waiting(driver).await;
    let lease = asked(driver, &before, false).await;
    driver.crash().await;
    assert_eq!(driver.recover().await, 1);
    let expected = Delivery { attempts: 2, last_error: Some(ErrorClass::Unknown), ..before.clone() };
    assert_eq!(show(driver, &before).await, expected);
    let recorded = attempts(driver, &before).await.pop().unwrap();
    assert_eq!((recorded.number, recorded.manual, recorded.started_at), (2, true, driver.now()));
    assert_eq!(recorded.outcome.error(), Some(ErrorClass::Unknown));
    assert!(driver.lease().await.is_empty(), "it is not made again");
    assert_eq!(driver.recover().await, 0);
    // What came of it may still be told, and changes nothing.
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Stale);
    assert_eq!(show(driver, &before).await, Delivery { attempts: 3, ..expected });
    driver.pass(600);
    assert!(!driver.lease_only().await.manual);
}

pub(super) async fn a_manual_lease_lives_as_long_as_any_other(driver: &mut Driver) {
    let (_, delivery) = waiting(driver).await;
    let lease = asked(driver, &delivery, false).await;
    driver.pass(TTL.as_secs() as i64 - 1);
    assert_eq!(driver.recover().await, 0);
    driver.release(driver.secs(10)).await;
    driver.claim().await;
    assert_eq!(driver.recover().await, 0, "it is spared");
    driver.pass(1);
    assert_eq!(driver.recover().await, 1, "it ran out");
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Stale);

    let lease = asked(driver, &delivery, false).await;
    driver.claim().await;
    assert_eq!(driver.settle(&lease, replied(500), Next::Stay).await, Settled::Applied);
    let lease = asked(driver, &delivery, false).await;
    driver.claim().await;
    assert_eq!(driver.recover().await, 1, "an older epoch's are given back");
    assert_eq!(driver.settle(&lease, replied(500), Next::Stay).await, Settled::Stale);
}

pub(super) async fn manual_and_automatic_leases_are_given_back_together(driver: &mut Driver) {
    let (_, delivery) = waiting(driver).await;
    driver.pass(600);
    driver.ask(&delivery, false).await.unwrap();
    assert_eq!(driver.lease().await.len(), 2);
    driver.crash().await;
    assert_eq!(driver.recover().await, 2);
    let shown = show(driver, &delivery).await;
    assert_eq!((shown.state, shown.due_at), (DeliveryState::Scheduled, Some(driver.now())));
    assert_eq!((shown.attempts, shown.failures), (3, 1));
    let mut manual: Vec<_> =
        attempts(driver, &delivery).await.into_iter().map(|attempt| attempt.manual).collect();
    manual.sort();
    assert_eq!(manual, [false, false, true]);
    assert!(!driver.lease_only().await.manual);
}

pub(super) async fn a_manual_attempt_does_to_its_endpoint_what_any_does(driver: &mut Driver) {
    let (endpoint, delivery) = waiting(driver).await;
    let failed_again = fares(HealthEffect::Failed { exhausted: false, warning: None });
    let lease = asked(driver, &delivery, false).await;
    driver.settle_with(&lease, replied(500), Next::Stay, failed_again.clone()).await;
    assert_eq!(driver.reread(&endpoint).await.health.failures, 1);
    // Told again, it is stale.
    driver.settle_with(&lease, replied(500), Next::Stay, failed_again).await;
    assert_eq!(driver.reread(&endpoint).await.health.failures, 1);
    let lease = asked(driver, &delivery, false).await;
    let until = driver.secs(30);
    driver.settle_with(&lease, replied(429), Next::Stay, park(until)).await;
    assert_eq!(driver.reread(&endpoint).await.parked_until, Some(until));
    let lease = asked(driver, &delivery, false).await;
    driver.settle_with(&lease, replied(410), Next::Stay, disable("it answered 410")).await;
    assert_eq!(driver.reread(&endpoint).await.state, EndpointState::Disabled);
    assert_eq!(show(driver, &delivery).await.state, DeliveryState::Skipped);
    let lease = asked(driver, &delivery, true).await;
    driver.settle_with(&lease, replied(200), Next::Delivered, fares(HealthEffect::Well)).await;
    assert_eq!(driver.reread(&endpoint).await.health.failures, 0);
}

pub(super) async fn a_manual_attempt_of_what_was_removed_is_nothing(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    let delivery = driver.show(&lease).await;
    let lease = asked(driver, &delivery, false).await;
    driver.pass(11);
    let retain = Retain { delivered: Duration::from_secs(10), failed: Duration::from_secs(10) };
    let removed = driver.prune(retain, driver.now(), 100).await;
    assert_eq!(removed, 1, "a manual attempt does not keep its event");
    driver.accept(&tenant, "evt", &[]).await;
    let late: Settlement = driver.settlement(&lease, replied(200), Next::Delivered);
    assert_eq!(driver.settle_as(late).await, Settled::Stale);
    driver.claim().await;
    assert_eq!(driver.recover().await, 0);
}
