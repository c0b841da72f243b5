//! More endpoints, requests and values than a lease call takes in one go.

use std::collections::BTreeMap;

use posthaste_model::{EndpointId, EndpointState, TenantId};
use posthaste_store::{Lease, LeaseRequest, TenantRoom, conformance::Driver};
use posthaste_testkit::redis::RedisServer;

use crate::{Alone, accept, crowd, lease_all};

/// How many each endpoint was given.
fn turns(leases: &[Lease]) -> BTreeMap<EndpointId, usize> {
    let mut turns = BTreeMap::new();
    for lease in leases {
        *turns.entry(lease.endpoint.id).or_default() += 1;
    }
    turns
}

/// How many of some leases are a tenant's.
fn count(leases: &[Lease], of: &TenantId) -> usize {
    leases.iter().filter(|lease| lease.event.tenant == *of).count()
}

/// How many commands a server was given since its statistics began: `cmdstat_zadd:calls=2,usec=…`.
fn commands(server: &RedisServer) -> usize {
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    let calls = stats.lines().filter_map(|line| line.split_once(":calls=")?.1.split(',').next());
    calls.map(|calls| calls.parse::<usize>().unwrap()).sum()
}

#[tokio::test]
async fn each_of_many_endpoints_has_one_turn_in_a_call() {
    const COUNT: usize = 200;
    let fixture = Alone::new();
    let line = fixture.line();
    let mut driver = fixture.driver().await;
    let (free, cramped) = (driver.tenant("free").await, driver.tenant("cramped").await);
    let (mut of_free, mut of_cramped) = (Vec::new(), Vec::new());
    // Those who have no room stand between the others.
    for _ in 0..COUNT {
        of_free.push(driver.endpoint(&free).await);
        of_cramped.push(driver.endpoint(&cramped).await);
    }
    for event in ["a", "b", "c"] {
        driver.accept(&free, event, &of_free.iter().collect::<Vec<_>>()).await;
        driver.accept(&cramped, event, &of_cramped.iter().collect::<Vec<_>>()).await;
    }
    let rooms = vec![TenantRoom { tenant: cramped.clone(), room: 0 }];
    for _ in 0..3 {
        driver.pass(1);
        let ask = |ask: &mut LeaseRequest| (ask.per_endpoint, ask.rooms) = (1, rooms.clone());
        let given = driver.lease_with(ask).await;
        assert!(!given.unseen);
        let turns = turns(&given.leases);
        assert!(turns.len() == COUNT && turns.values().all(|count| *count == 1), "{turns:?}");
        line.check();
    }
    // Nor does anybody of those who were set aside have more.
    for _ in 0..3 {
        driver.pass(1);
        let turns = turns(&driver.lease_with(|ask| ask.per_endpoint = 1).await.leases);
        assert!(turns.len() == COUNT && turns.values().all(|count| *count == 1), "{turns:?}");
        line.check();
    }
    assert!(driver.lease().await.is_empty());
}

#[tokio::test]
async fn a_crowd_that_had_its_share_hides_nobody() {
    const COUNT: usize = 1_300;
    let fixture = Alone::new();
    let line = fixture.line();
    let mut driver = fixture.driver().await;
    let (crowded, free) = (driver.tenant("crowded").await, driver.tenant("free").await);
    crowd(&mut driver, &crowded, COUNT).await;
    driver.pass(1);
    let other = driver.endpoint(&free).await;
    accept(&mut driver, &other, 0..2).await;
    let call = async |driver: &mut Driver| {
        let given = driver.lease_with(|ask| (ask.limit, ask.per_tenant) = (100, 10)).await;
        line.check();
        let of_other = given.leases.iter().filter(|lease| lease.endpoint.id == other.id).count();
        (given.leases.len() - of_other, of_other, given.unseen)
    };
    assert_eq!(call(&mut driver).await, (10, 0, true), "others may be behind the thousand that got nothing");
    assert_eq!(call(&mut driver).await, (98, 2, false), "what is left over is the crowd's");
    assert_eq!(call(&mut driver).await, (100, 0, false));
    let rest = lease_all(&mut driver).await;
    assert!(rest.len() == COUNT - 208 && turns(&rest).len() == COUNT - 208, "each has its turn");
    line.check();
}

#[tokio::test]
async fn what_is_left_over_is_another_tenants_in_the_next_call() {
    // Of twenty endpoints with an event each, and of one with all of them.
    for (endpoints, events) in [(20, 1), (1, 20)] {
        let mut driver = Alone::new().driver().await;
        let tenants = [driver.tenant("one").await, driver.tenant("two").await];
        for tenant in &tenants {
            for _ in 0..endpoints {
                let endpoint = driver.endpoint(tenant).await;
                let from = driver.mint() as usize * 100;
                accept(&mut driver, &endpoint, from..from + events).await;
            }
        }
        for expected in [[6, 2], [2, 6], [6, 2]] {
            let given = driver.lease_with(|ask| (ask.limit, ask.per_tenant) = (8, 2)).await.leases;
            assert_eq!(tenants.each_ref().map(|tenant| count(&given, tenant)), expected);
        }
    }
}

#[tokio::test]
async fn tenants_without_room_are_looked_at_and_left_alone() {
    const COUNT: usize = 1_100;
    let fixture = Alone::new();
    let (server, line) = (fixture.server.clone(), fixture.line());
    let mut driver = fixture.driver().await;
    let (mut rooms, mut spent) = (Vec::new(), 0);
    for n in 0..COUNT {
        let tenant = driver.tenant(&format!("cramped-{n}")).await;
        let endpoint = driver.endpoint(&tenant).await;
        driver.accept(&tenant, "evt", &[&endpoint]).await;
        rooms.push(TenantRoom { tenant, room: 0 });
    }
    let free = driver.tenant("free").await;
    let endpoint = driver.endpoint(&free).await;
    // The first call sets so many aside as it may look at in vain.
    for (id, unseen, given) in [("a", true, 0), ("b", false, 2), ("c", false, 1)] {
        driver.accept(&free, id, &[&endpoint]).await;
        server.command(&["CONFIG", "RESETSTAT"]).unwrap();
        let call = driver.lease_with(|ask| ask.rooms = rooms.clone()).await;
        assert_eq!((call.unseen, count(&call.leases, &free)), (unseen, given));
        spent = commands(&server);
        line.check();
    }
    assert!(spent < 50, "{spent} commands in a call in which {COUNT} tenants have no room");
    // None of them is forgotten.
    assert_eq!(lease_all(&mut driver).await.len(), COUNT);
}

#[tokio::test]
async fn requests_that_are_in_vain_end_a_call() {
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let (paused, other) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "asked", &[&paused]).await;
    driver.accept(&tenant, "waits", &[&other]).await;
    let asked = driver.delivery_of(&tenant, "asked").await;
    for _ in 0..1_200 {
        driver.ask(&asked, false).await.unwrap();
    }
    driver.turn(&paused, EndpointState::Paused).await;
    let given = driver.lease_until_due(100, 100).await;
    assert!(given.leases.is_empty() && given.unseen, "{given:?}");
    assert_eq!(server.command(&["LLEN", "posthaste:1:{0}:m"]).unwrap(), "200", "they wait for the next call");
    let given = driver.lease_until_due(100, 100).await;
    assert!(given.leases.len() == 1 && !given.unseen && given.next_due.is_none(), "{given:?}");
}

#[tokio::test]
async fn more_events_than_a_command_takes_values_are_accepted_and_known_again() {
    const COUNT: usize = 9_000;
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    assert_eq!(accept(&mut driver, &endpoint, 0..COUNT).await, COUNT);
    assert_eq!(accept(&mut driver, &endpoint, 0..COUNT).await, 0);
    assert_eq!(lease_all(&mut driver).await.len(), COUNT);
    // As many leases are given back.
    driver.crash().await;
    assert_eq!(driver.recover().await, COUNT as u64);
    assert_eq!(lease_all(&mut driver).await.len(), COUNT);
}
