use posthaste_model::{Endpoint, EndpointState, Next, Period, RateLimit, TenantId};

use super::{Driver, invariants::Step, replied, sample_event};
use crate::{Lease, LeaseRequest, NewEvent, Partition, TenantRoom, Throttle};

/// Accepts `count` events for an endpoint.
pub(super) async fn flood(driver: &mut Driver, endpoint: &Endpoint, count: usize) {
    let events = (0..count)
        .map(|_| {
            let event = sample_event(&endpoint.tenant, &format!("flood-{}", driver.mint()), driver.now());
            NewEvent { event, endpoints: vec![endpoint.id] }
        })
        .collect();
    driver.accept_all(&endpoint.tenant, events).await.unwrap();
}

/// How many of some leases are an endpoint's.
pub(super) fn count(leases: &[Lease], of: &Endpoint) -> usize {
    leases.iter().filter(|lease| lease.endpoint.id == of.id).count()
}

/// How many of some leases are a tenant's.
fn count_of(leases: &[Lease], tenant: &TenantId) -> usize {
    leases.iter().filter(|lease| lease.event.tenant == *tenant).count()
}

/// Two tenants whose deliveries lie in one partition.
async fn neighbours(driver: &mut Driver) -> (TenantId, TenantId) {
    let mut known: Vec<(Partition, TenantId)> = Vec::new();
    loop {
        let tenant = driver.tenant(&format!("tenant-{}", known.len())).await;
        let endpoint = driver.endpoint(&tenant).await;
        driver.accept(&tenant, "first", &[&endpoint]).await;
        let lease = driver.lease_only().await;
        driver.settle(&lease, replied(200), Next::Delivered).await;
        driver.delete(&endpoint).await;
        let found = driver.steps().iter().rev().find_map(|step| match step {
            Step::Leased { partition, .. } => Some(*partition),
            _ => None,
        });
        let partition = found.unwrap();
        if let Some((_, neighbour)) = known.iter().find(|(known, _)| *known == partition) {
            return (neighbour.clone(), tenant);
        }
        known.push((partition, tenant));
    }
}

pub(super) async fn each_endpoint_has_one_turn_in_a_call(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    flood(driver, &one, 3).await;
    flood(driver, &two, 5).await;
    for (of_one, of_two, more) in [(2, 2, true), (1, 2, true), (0, 1, false)] {
        let given = driver.lease_until_due(100, 2).await;
        assert_eq!((count(&given.leases, &one), count(&given.leases, &two)), (of_one, of_two));
        assert_eq!(given.next_due.is_some_and(|due| due <= driver.now()), more, "{:?}", given.next_due);
        assert!(more || given.next_due.is_none(), "{:?}", given.next_due);
    }
}

pub(super) async fn a_turn_gives_no_more_than_the_endpoints_own_limits(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let rate = |limit| Some(RateLimit::new(limit, Period::from_secs(1)).unwrap());
    for (max_in_flight, rate_limit, ordered, burst) in [
        (Some(2), None, false, 2),
        (None, rate(3), false, 3),
        (Some(2), rate(3), false, 2),
        (Some(4), rate(3), false, 3),
        (Some(2), rate(3), true, 1),
        (Some(9), rate(9), false, 5),
    ] {
        let limited = driver
            .endpoint_with(&tenant, |endpoint| {
                (endpoint.max_in_flight, endpoint.rate_limit) = (max_in_flight, rate_limit);
                endpoint.ordered = ordered;
            })
            .await;
        flood(driver, &limited, 5).await;
        assert_eq!(driver.lease().await.len(), burst, "{limited:?}");
        driver.delete(&limited).await;
    }
    // And no more than the caller wants.
    let limited = driver.endpoint_with(&tenant, |endpoint| endpoint.max_in_flight = Some(4)).await;
    flood(driver, &limited, 5).await;
    assert_eq!(driver.lease_up_to(100, 3).await.len(), 3);
}

pub(super) async fn new_limits_count_in_the_next_turn(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint_with(&tenant, |endpoint| endpoint.max_in_flight = Some(1)).await;
    flood(driver, &endpoint, 6).await;
    assert_eq!(driver.lease().await.len(), 1);
    driver.change(&endpoint, |endpoint| endpoint.max_in_flight = Some(2)).await;
    assert_eq!(driver.lease().await.len(), 2);
    driver.crash().await;
    assert_eq!(driver.lease().await.len(), 2, "after a crash");
    driver.change(&endpoint, |endpoint| endpoint.max_in_flight = None).await;
    assert_eq!(driver.lease().await.len(), 1);
}

pub(super) async fn a_tenant_gets_its_part_while_others_wait(driver: &mut Driver) {
    let (crowd, other) = neighbours(driver).await;
    let mut many = Vec::new();
    for _ in 0..4 {
        let endpoint = driver.endpoint(&crowd).await;
        flood(driver, &endpoint, 10).await;
        many.push(endpoint);
    }
    driver.pass(1);
    let single = driver.endpoint(&other).await;
    flood(driver, &single, 10).await;
    driver.pass(1);
    let given = driver.lease_with(|ask| (ask.limit, ask.per_tenant) = (8, 4)).await.leases;
    assert_eq!((count_of(&given, &crowd), count_of(&given, &other)), (4, 4));
    // What is left over when all have had their turns is not wasted.
    let given = driver.lease_with(|ask| (ask.limit, ask.per_tenant) = (12, 3)).await.leases;
    assert_eq!(given.len(), 12);
    assert!(count_of(&given, &crowd) >= 3 && count_of(&given, &other) >= 3, "{given:?}");
}

pub(super) async fn a_tenant_that_is_alone_gets_all(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    flood(driver, &one, 20).await;
    flood(driver, &two, 20).await;
    let given = driver.lease_with(|ask| (ask.limit, ask.per_tenant) = (9, 1)).await.leases;
    assert_eq!(given.len(), 9);
    // But no endpoint gets more than its turn for that.
    let given = driver.lease_with(|ask| (ask.per_endpoint, ask.per_tenant) = (2, 1)).await;
    assert_eq!((count(&given.leases, &one), count(&given.leases, &two)), (2, 2));
    assert!(given.next_due.is_some_and(|due| due <= driver.now()), "{:?}", given.next_due);
}

pub(super) async fn a_tenant_gets_no_more_than_its_room(driver: &mut Driver) {
    let (cramped, free) = neighbours(driver).await;
    let (one, two) = (driver.endpoint(&cramped).await, driver.endpoint(&cramped).await);
    let other = driver.endpoint(&free).await;
    for endpoint in [&one, &two, &other] {
        flood(driver, endpoint, 5).await;
    }
    let room = |room| TenantRoom { tenant: cramped.clone(), room };
    let given = driver.lease_with(|ask| ask.rooms = vec![room(3)]).await;
    assert_eq!((count_of(&given.leases, &cramped), count_of(&given.leases, &free)), (3, 5));
    let given = driver.lease_with(|ask| ask.rooms = vec![room(0)]).await;
    assert!(given.leases.is_empty(), "{given:?}");
    assert!(given.next_due.is_some_and(|due| due <= driver.now()), "something due was left: {given:?}");
    let given = driver.lease_with(|ask| (ask.rooms, ask.per_tenant) = (vec![room(4)], 1)).await.leases;
    assert_eq!(given.len(), 4, "a room bounds what is left over, too");
    // It counts for one call.
    assert_eq!(driver.lease().await.len(), 3);
}

pub(super) async fn who_got_less_for_its_tenant_goes_behind_the_others(driver: &mut Driver) {
    let (cramped, free) = neighbours(driver).await;
    let first = driver.endpoint(&cramped).await;
    let (second, third) = (driver.endpoint(&free).await, driver.endpoint(&free).await);
    for endpoint in [&first, &second, &third] {
        driver.pass(1);
        flood(driver, endpoint, 3).await;
    }
    driver.pass(1);
    let rooms = vec![TenantRoom { tenant: cramped.clone(), room: 0 }];
    let given = driver.lease_with(|ask| (ask.limit, ask.rooms) = (1, rooms.clone())).await.leases;
    assert_eq!(count(&given, &second), 1, "who cannot be given anything keeps nobody waiting: {given:?}");
    let given = driver.lease_with(|ask| (ask.limit, ask.per_endpoint) = (1, 1)).await.leases;
    assert_eq!(count(&given, &third), 1, "{given:?}");
}

pub(super) async fn every_endpoint_of_a_crowded_tenant_has_its_turn(driver: &mut Driver) {
    let (crowd, other) = neighbours(driver).await;
    let mut many = Vec::new();
    for _ in 0..6 {
        let endpoint = driver.endpoint(&crowd).await;
        flood(driver, &endpoint, 20).await;
        many.push(endpoint);
    }
    let single = driver.endpoint(&other).await;
    flood(driver, &single, 20).await;
    for (limit, calls) in [(3, 4), (4, 4)] {
        let mut given = Vec::new();
        for _ in 0..calls {
            driver.pass(1);
            let ask = |ask: &mut LeaseRequest| {
                (ask.limit, ask.per_tenant, ask.per_endpoint) = (limit, 2, 1);
            };
            given.extend(driver.lease_with(ask).await.leases);
        }
        for endpoint in many.iter().chain([&single]) {
            assert!(count(&given, endpoint) > 0, "{} had no turn in {calls} calls", endpoint.id);
        }
    }
}

/// More endpoints than a call looks at in vain.
const CROWD: usize = 1_500;

/// Endpoints of a tenant that all have the same event waiting.
async fn crowd(driver: &mut Driver, tenant: &TenantId, count: usize) -> Vec<Endpoint> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(driver.endpoint(tenant).await);
    }
    let event = format!("for-all-{}", driver.mint());
    driver.accept(tenant, &event, &crowd.iter().collect::<Vec<_>>()).await;
    crowd
}

/// How many of one tenant are leased, by calls in which another may have `room`, until a call has seen everybody.
async fn leased_beside(driver: &mut Driver, cramped: &TenantId, room: usize) -> Vec<Vec<Lease>> {
    let mut calls = Vec::new();
    loop {
        let rooms = vec![TenantRoom { tenant: cramped.clone(), room }];
        let given = driver.lease_with(|ask| ask.rooms = rooms.clone()).await;
        calls.push(given.leases);
        assert!(calls.len() <= 3, "{} calls have not seen everybody", calls.len());
        if !given.unseen {
            return calls;
        }
    }
}

pub(super) async fn a_crowd_without_room_hides_nobody(driver: &mut Driver) {
    let (cramped, free) = neighbours(driver).await;
    let crowd = crowd(driver, &cramped, CROWD).await;
    driver.pass(1);
    let other = driver.endpoint(&free).await;
    flood(driver, &other, 2).await;
    let given = leased_beside(driver, &cramped, 0).await.concat();
    assert_eq!((given.len(), count(&given, &other)), (2, 2));
    // From then on nobody looks at the crowd before there is room.
    flood(driver, &other, 3).await;
    let calls = leased_beside(driver, &cramped, 0).await;
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
    let mut turns = Vec::new();
    while turns.len() < CROWD {
        let room = TenantRoom { tenant: cramped.clone(), room: 400 };
        let given = driver.lease_with(|ask| (ask.limit, ask.rooms) = (900, vec![room.clone()])).await.leases;
        assert_eq!(given.len(), 400.min(CROWD - turns.len()));
        turns.extend(given.iter().map(|lease| lease.endpoint.id));
    }
    turns.sort_unstable();
    let mut expected: Vec<_> = crowd.iter().map(|endpoint| endpoint.id).collect();
    expected.sort_unstable();
    assert!(turns == expected, "each has its turn, once");
}

pub(super) async fn what_happens_to_who_waits_for_room_counts(driver: &mut Driver) {
    happens_to_who_waits_for_room(driver, false).await;
}

pub(super) async fn what_happens_to_who_waits_for_room_counts_after_a_crash(driver: &mut Driver) {
    happens_to_who_waits_for_room(driver, true).await;
}

async fn happens_to_who_waits_for_room(driver: &mut Driver, crash: bool) {
    let (cramped, _) = neighbours(driver).await;
    let [goes, paused, deleted, parked, throttled, busier] =
        crowd(driver, &cramped, 6).await.try_into().unwrap();
    assert!(leased_beside(driver, &cramped, 0).await.concat().is_empty());
    if crash {
        driver.crash().await;
        driver.claim().await;
        driver.recover().await;
        assert!(leased_beside(driver, &cramped, 0).await.concat().is_empty());
    }
    driver.turn(&paused, EndpointState::Paused).await;
    driver.delete(&deleted).await;
    driver.store().park(&cramped, parked.id, driver.secs(60)).await.unwrap();
    flood(driver, &busier, 1).await;
    let (tenant, endpoint, until) = (cramped.clone(), throttled.id, Some(driver.secs(60)));
    let throttle = Throttle { tenant, endpoint, until, at_most: None };
    let given = driver.lease_with(|ask| ask.throttles = vec![throttle.clone()]).await.leases;
    let counts = [&goes, &busier].map(|endpoint| count(&given, endpoint));
    assert_eq!((counts, given.len()), ([1, 2], 3));
    driver.turn(&paused, EndpointState::Enabled).await;
    assert_eq!(driver.lease().await.len(), 1, "the one that was paused");
    driver.pass(61);
    assert_eq!(driver.lease().await.len(), 2, "those that were held up");
}

pub(super) async fn who_waits_for_room_does_not_go_first_when_there_is_some(driver: &mut Driver) {
    let (cramped, free) = neighbours(driver).await;
    let crowd = crowd(driver, &cramped, 8).await;
    assert!(leased_beside(driver, &cramped, 0).await.concat().is_empty());
    let other = driver.endpoint(&free).await;
    flood(driver, &other, 8).await;
    let mut given = Vec::new();
    for _ in 0..2 {
        driver.pass(1);
        let ask = |ask: &mut LeaseRequest| (ask.limit, ask.per_tenant, ask.per_endpoint) = (4, 4, 2);
        given.extend(driver.lease_with(ask).await.leases);
    }
    assert_eq!(given.len(), 8);
    assert!(count(&given, &other) >= 2, "{} of 8", count(&given, &other));
    assert!(crowd.iter().filter(|endpoint| count(&given, endpoint) > 0).count() >= 4);
}
