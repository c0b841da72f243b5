//! Several processes share the partitions of one store.

use std::time::Duration;

use posthaste_model::{DeliveryState, Endpoint, ErrorClass};
use posthaste_store::Partition;

use crate::{
    access::{Course, Fault},
    flow::{
        are_shared, check_sent_once, check_waits, flow, is_long, long, long_requests, one_of, owners,
        until_shared,
    },
    process::Process,
    reckoning::reckon,
    seen::Op,
    subscribers::Does,
    world::World,
};

const MILLI: Duration = Duration::from_millis(1);
/// How long it takes to hear of who came or left, and to take what is free then.
const HEARD: Duration = Duration::from_millis(1_020);

#[tokio::test(start_paused = true)]
async fn who_is_alone_has_everything_at_once() {
    let mut world = World::partitioned(8).await;
    let endpoints = world.endpoint_in_each().await;
    let process = world.start("one");
    let now = world.clock.now();
    flow(&mut world, &endpoints, 0).await;
    for endpoint in &endpoints {
        let id = format!("evt_{}", world.events.len());
        world.accept(&id, &[endpoint]).await;
    }
    world.until(|seen| seen.delivered() == 8).await;
    assert_eq!(world.clock.now(), now);
    assert_eq!(world.seen().calls("one", Op::Claim), 8);
    process.drain().await;
    assert_eq!(owners(&world), []);
    reckon(&world).await;
}

/// So many processes come one after another, have even shares soon, and keep them.
async fn check_shares(partitions: u16, names: &[&str]) {
    let world = World::partitioned(partitions).await;
    let mut processes = Vec::new();
    for count in 1..=names.len() {
        processes.push(world.start(names[count - 1]));
        let took = until_shared(&world, &names[..count]).await;
        assert!(took <= HEARD, "{partitions} partitions for {count}: it took {took:?}");
        tokio::time::sleep(MILLI * 1_370).await;
    }
    let claims = || names.iter().map(|name| world.seen().calls(name, Op::Claim)).sum::<usize>();
    let before = claims();
    for _ in 0..60 {
        world.pass(1).await;
        assert!(are_shared(&world, names), "{:?}", owners(&world));
    }
    assert_eq!(claims(), before, "nobody looks for what is not there");
}

#[tokio::test(start_paused = true)]
async fn shares_are_even_whoever_comes() {
    for partitions in [1, 2, 3, 4, 7, 8, 16, 64] {
        check_shares(partitions, &["one", "two"]).await;
        check_shares(partitions, &["c", "b", "a"]).await;
    }
    check_shares(16, &["5", "3", "1", "2", "4"]).await;
}

/// They may as well come at once.
#[tokio::test(start_paused = true)]
async fn shares_are_even_after_a_common_start() {
    let world = World::partitioned(16).await;
    let names = ["a", "b", "c", "d", "e"];
    let _processes = names.map(|name| world.start(name));
    let took = until_shared(&world, &names).await;
    assert!(took <= HEARD, "it took {took:?}");
}

/// Nothing is lost, repeated or long delayed when processes come and go in order.
#[tokio::test(start_paused = true)]
async fn coming_and_leaving_is_not_felt() {
    let mut world = World::partitioned(6).await;
    let endpoints = world.endpoint_in_each().await;
    world.subscribers.follow(|_| Does::answer(200).after(0.7));
    let one = world.start_with("one", |settings| settings.max_in_flight = 100);
    flow(&mut world, &endpoints, 3).await;
    let two = world.start_with("two", |settings| settings.max_in_flight = 100);
    flow(&mut world, &endpoints, 3).await;
    assert!(are_shared(&world, &["one", "two"]));
    let three = world.start_with("three", |settings| settings.max_in_flight = 100);
    flow(&mut world, &endpoints, 3).await;
    assert!(are_shared(&world, &["one", "two", "three"]));
    let draining = tokio::spawn(two.drain());
    flow(&mut world, &endpoints, 3).await;
    assert!(draining.is_finished() && are_shared(&world, &["one", "three"]));
    let draining = tokio::spawn(one.drain());
    flow(&mut world, &endpoints, 3).await;
    assert!(draining.is_finished() && are_shared(&world, &["three"]));
    three.drain().await;
    check_waits(&world, MILLI * 999);
    check_sent_once(&world);
    let seen = world.seen();
    for process in ["one", "two", "three"] {
        assert!(seen.requests.iter().any(|sent| sent.process == process), "{process} did nothing");
    }
    drop(seen);
    reckon(&world).await;
}

/// Some processes with long requests in all partitions.
async fn at_work(world: &mut World, names: &[&str]) -> (Vec<Process>, Vec<Endpoint>) {
    let endpoints = world.endpoint_in_each().await;
    let start = |name: &&str| world.start_with(name, |settings| settings.max_in_flight = 500);
    let processes = names.iter().map(start).collect();
    until_shared(world, names).await;
    long_requests(world, &endpoints, 12.0).await;
    (processes, endpoints)
}

/// Whatever the moment at which a process is killed, within 5 s its work is done by the others, that which was in flight
/// and that which came due since.
async fn check_kill(names: &[&str], phase: Duration) {
    let mut world = World::partitioned(7).await;
    let (mut processes, endpoints) = at_work(&mut world, names).await;
    let theirs = owners(&world).iter().filter(|(_, owner)| owner == names[0]).count();
    tokio::time::sleep(phase).await;
    drop(processes.swap_remove(0));
    let killed = world.clock.now();
    flow(&mut world, &endpoints, 6).await;
    check_waits(&world, MILLI * 3_502);
    let seen = world.seen();
    let repeated: Vec<_> = seen.requests.iter().filter(|sent| is_long(sent) && sent.at > killed).collect();
    assert_eq!(repeated.len(), theirs, "what the others had in flight is not repeated");
    for sent in repeated {
        assert!(killed.duration_until(sent.at).as_millis() <= 3_502, "{sent:?} came late");
    }
    drop(seen);
    assert!(are_shared(&world, &names[1..]));
    world.until(|seen| seen.delivered() == world.events.len()).await;
    for process in processes {
        process.drain().await;
    }
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_is_replaced_within_five_seconds() {
    for phase in (0..12).map(|n| MILLI * (n * 271)) {
        check_kill(&["one", "two"], phase).await;
        check_kill(&["one", "two", "three"], phase).await;
    }
}

/// While the store is away nobody can renew anything. When it is back, whoever is first leaves to the others what was
/// theirs, and what they have in flight.
#[tokio::test(start_paused = true)]
async fn an_outage_changes_nobodys_share() {
    for secs in [1, 2, 3, 4, 5, 8, 13, 30, 90] {
        let mut world = World::partitioned(5).await;
        let (processes, _) = at_work(&mut world, &["one", "two", "three"]).await;
        let before = owners(&world);
        world.road.follow(|_| Fault::Away.into());
        world.pass(secs).await;
        world.road.follow(|_| Course::default());
        world.pass(20).await;
        assert_eq!(owners(&world), before, "after {secs} s");
        for process in processes {
            process.drain().await;
        }
        check_sent_once(&world);
        reckon(&world).await;
    }
}

/// Who did not live through the outage is missed after it.
#[tokio::test(start_paused = true)]
async fn a_process_that_dies_during_an_outage_is_replaced_after_it() {
    let mut world = World::partitioned(4).await;
    let (mut processes, endpoints) = at_work(&mut world, &["one", "two"]).await;
    world.road.follow(|_| Fault::Away.into());
    world.pass(5).await;
    drop(processes.swap_remove(0));
    world.pass(5).await;
    world.road.follow(|_| Course::default());
    let took = until_shared(&world, &["two"]).await;
    assert!(took <= MILLI * 5_000, "it took {took:?}");
    flow(&mut world, &endpoints, 1).await;
    world.until(|seen| seen.delivered() == world.events.len()).await;
    processes.swap_remove(0).drain().await;
    reckon(&world).await;
}

/// A part of the store that is away does not keep anybody from the other parts, however long it is away: they are taken
/// over in time from who is killed, and from who leaves in order but with slow calls.
async fn check_beside_a_sick_part(kill: bool, phase: Duration) {
    let mut world = World::partitioned(4).await;
    let endpoints = world.endpoint_in_each().await;
    let sick = Some(Partition(3));
    let slow = Course { back: MILLI * 900, ..Course::default() };
    world.road.follow_each(move |call| match call.op {
        _ if call.partition == sick => Fault::Away.into(),
        Op::Lease if !kill && call.process == "one" => slow,
        _ => Course::default(),
    });
    let (one, two) = (world.start("one"), world.start("two"));
    world.pass(30).await;
    let held = owners(&world);
    assert!(held.len() == 3 && held.iter().all(|(partition, _)| Some(*partition) != sick), "{held:?}");
    let before = world.seen().calls("two", Op::Claim);
    tokio::time::sleep(MILLI * 4_000 + phase).await;
    let tried = world.seen().calls("two", Op::Claim) - before;
    assert!((1..=60).contains(&tried), "{tried} claims in 4 to 7 s");
    if kill {
        drop(one);
        flow(&mut world, &endpoints[..3], 5).await;
        check_waits(&world, MILLI * 3_502);
    } else {
        let draining = tokio::spawn(one.drain());
        flow(&mut world, &endpoints[..3], 5).await;
        check_waits(&world, MILLI * 1_502);
        draining.await.unwrap();
    }
    world.road.follow(|_| Course::default());
    let took = until_shared(&world, &["two"]).await;
    assert!(took <= MILLI * 8_000, "it took {took:?}");
    two.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_away_is_not_in_the_way_of_the_others() {
    for phase in (0..12).map(|n| MILLI * (n * 271)) {
        check_beside_a_sick_part(true, phase).await;
        check_beside_a_sick_part(false, phase).await;
    }
}

/// One that stood still for a while, as a stopped or starved process does, finds that others do its work.
#[tokio::test(start_paused = true)]
async fn who_stood_still_gets_a_share_again() {
    let mut world = World::partitioned(4).await;
    let (processes, endpoints) = at_work(&mut world, &["one", "two"]).await;
    let stuck = one_of(&world, "one");
    // Its calls do not arrive for a while, those of the other do.
    let until = world.clock.now() + MILLI * 8_000;
    let clock = world.clock.clone();
    world.road.follow_each(move |call| match clock.now() < until && call.process == "one" {
        true => Fault::Away.into(),
        false => Course::default(),
    });
    flow(&mut world, &endpoints, 7).await;
    check_waits(&world, MILLI * 3_502);
    let took = until_shared(&world, &["one", "two"]).await;
    assert!(took <= MILLI * 4_500, "it took {took:?}");
    world.pass(15).await;
    world.until(|seen| seen.delivered() == world.events.len()).await;
    for process in processes {
        process.drain().await;
    }
    let (delivery, attempts) = world.delivery(&long(stuck), &endpoints[stuck]).await;
    assert_eq!((delivery.state, delivery.failures), (DeliveryState::Delivered, 0));
    assert_eq!(attempts[0].outcome.error(), Some(ErrorClass::Unknown), "{attempts:?}");
    reckon(&world).await;
}

/// What sharing costs while nothing happens.
#[tokio::test(start_paused = true)]
async fn sharing_costs_little() {
    let world = World::partitioned(8).await;
    let _processes = ["one", "two"].map(|name| world.start(name));
    until_shared(&world, &["one", "two"]).await;
    world.pass(600).await;
    let seen = world.seen();
    for process in ["one", "two"] {
        // For each of four partitions: a renewal a second, an upkeep in ten.
        let recoveries = 4 * (60 + 40) + 8 * 2;
        for (op, most) in
            [(Op::Attend, 1_205), (Op::Renew, 2_410), (Op::Recover, recoveries), (Op::Claim, 20)]
        {
            let calls = seen.calls(process, op);
            assert!((1..=most).contains(&calls), "{calls} times {op:?}, {most} allowed");
        }
    }
}

/// The upkeep of many partitions does not come all at once.
#[tokio::test(start_paused = true)]
async fn upkeep_goes_from_one_partition_to_the_next() {
    let world = World::partitioned(10).await;
    let begun = tokio::time::Instant::now();
    let _process = world.start("one");
    world.pass(60).await;
    let seen = world.seen();
    let pruned = |partition: u16| {
        let calls = seen.calls.iter().filter(move |call| call.op == Op::Prune);
        let own = calls.filter(move |call| call.partition == Some(Partition(partition)));
        own.map(|call| (call.at - begun).as_secs()).collect::<Vec<_>>()
    };
    for partition in 0..10 {
        let expected: Vec<u64> = (0..6).map(|n| n * 10 + u64::from(partition)).collect();
        assert_eq!(pruned(partition)[..6], expected);
    }
}
