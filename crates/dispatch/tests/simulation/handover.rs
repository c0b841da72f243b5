//! A partition goes from one living process to another, with requests in flight.

use std::time::Duration;

use posthaste_model::{DeliveryState, Endpoint, ErrorClass};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    access::{Course, Fault},
    flow::{
        are_shared, check_sent_once, check_waits, flow, is_long, long, long_requests, one_of, until_shared,
    },
    process::Process,
    reckoning::reckon,
    seen::Op,
    subscribers::Does,
    world::World,
};

const MILLI: Duration = Duration::from_millis(1);
/// How long a long request takes.
const LONG: f64 = 12.0;

fn start(world: &World, name: &str) -> Process {
    world.start_with(name, |settings| (settings.max_in_flight, settings.per_endpoint) = (500, 500))
}

/// Processes share the partitions, and a long request is in flight in each.
async fn at_work(partitions: u16, names: &[&str]) -> (World, Vec<Process>, Vec<Endpoint>) {
    let mut world = World::partitioned(partitions).await;
    let endpoints = world.endpoint_in_each().await;
    let processes = names.iter().map(|name| start(&world, name)).collect();
    until_shared(&world, names).await;
    world.pass(5).await;
    long_requests(&mut world, &endpoints, LONG).await;
    (world, processes, endpoints)
}

/// Everything is delivered, and nothing was repeated or had to wait.
async fn check_unfelt(world: &World, processes: Vec<Process>) {
    world.until(|seen| seen.delivered() == world.events.len()).await;
    for process in processes {
        process.drain().await;
    }
    check_waits(world, MILLI * 999);
    check_sent_once(world);
    reckon(world).await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_gets_partitions_and_not_what_is_in_flight() {
    let (mut world, mut processes, endpoints) = at_work(4, &["one"]).await;
    processes.push(start(&world, "two"));
    let took = until_shared(&world, &["one", "two"]).await;
    assert!(took < MILLI * 1_000, "it took {took:?}");
    let theirs = one_of(&world, "two");
    flow(&mut world, &endpoints, 10).await;
    {
        let seen = world.seen();
        let of_theirs = seen.requests.iter().filter(|sent| sent.url == endpoints[theirs].url);
        let after: Vec<_> = of_theirs.skip(1).map(|sent| sent.process.as_str()).collect();
        assert!(after.iter().all(|process| *process == "two"), "nobody sends what was given up: {after:?}");
        assert!(after.len() > 80);
        assert!(seen.requests.iter().filter(|sent| is_long(sent)).all(|sent| sent.ended.is_none()));
    }
    check_unfelt(&world, processes).await;
    // As long as something was in flight it was said to be, every second, and no longer.
    let releases = world.seen().calls("one", Op::Release);
    assert!((2 * 12..=2 * 14 + 4).contains(&releases), "{releases} times something was released");
}

/// The other one leaves again before the long request is over: its partition comes back to who has it in flight.
#[tokio::test(start_paused = true)]
async fn who_gets_a_partition_back_spares_its_own() {
    let (mut world, mut processes, endpoints) = at_work(2, &["one"]).await;
    for _ in 0..3 {
        let two = start(&world, "two");
        flow(&mut world, &endpoints, 1).await;
        assert!(are_shared(&world, &["one", "two"]));
        let draining = tokio::spawn(two.drain());
        flow(&mut world, &endpoints, 1).await;
        assert!(draining.is_finished() && are_shared(&world, &["one"]));
    }
    processes.push(start(&world, "three"));
    flow(&mut world, &endpoints, 10).await;
    check_unfelt(&world, processes).await;
}

#[tokio::test(start_paused = true)]
async fn who_drains_is_replaced_at_once_and_finishes_what_is_in_flight() {
    let (mut world, mut processes, endpoints) = at_work(4, &["one", "two"]).await;
    world.pass(2).await;
    let begun = world.clock.now();
    let clock = world.clock.clone();
    let drained = processes.swap_remove(0).drain();
    let draining = tokio::spawn(async move {
        drained.await;
        clock.now()
    });
    flow(&mut world, &endpoints, 1).await;
    assert!(are_shared(&world, &["two"]));
    flow(&mut world, &endpoints, 12).await;
    let took = begun.duration_until(draining.await.unwrap());
    assert_eq!(took.as_millis(), 10_000, "when its last request is over");
    let seen = world.seen();
    let of_one = seen.requests.iter().filter(|sent| sent.process == "one" && sent.at > begun).count();
    assert_eq!(of_one, 0);
    drop(seen);
    check_unfelt(&world, processes).await;
}

/// Three processes are replaced one after another, while requests take their time.
#[tokio::test(start_paused = true)]
async fn a_rolling_restart_is_not_felt() {
    for seed in 0..2 {
        let mut world = World::seeded(seed, 6).await;
        let endpoints = world.endpoint_in_each().await;
        let mut rng = StdRng::seed_from_u64(seed);
        world.subscribers.follow(move |_| Does::answer(200).after(rng.random_range(0.0..9.0)));
        let mut names = ["1", "2", "3"].map(String::from).to_vec();
        let mut processes: Vec<Process> = names.iter().map(|name| start(&world, name)).collect();
        flow(&mut world, &endpoints, 3).await;
        let mut draining = Vec::new();
        for number in 0..3 {
            let replaced = processes.remove(0);
            names.remove(0);
            // The new one first, or the old one.
            let name = format!("{}", 10 - number);
            if seed % 2 == 0 {
                processes.push(start(&world, &name));
                draining.push(tokio::spawn(replaced.drain()));
            } else {
                draining.push(tokio::spawn(replaced.drain()));
                processes.push(start(&world, &name));
            }
            names.push(name);
            flow(&mut world, &endpoints, 4).await;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert!(are_shared(&world, &names));
        }
        world.pass(10).await;
        assert!(draining.iter().all(tokio::task::JoinHandle::is_finished));
        check_unfelt(&world, processes).await;
    }
}

/// Processes come and leave at any moment, also while partitions are on their way: as long as none is killed and the
/// store is there, nothing is repeated, and little waits.
#[tokio::test(start_paused = true)]
async fn no_order_of_coming_and_leaving_is_felt() {
    for seed in 0..12 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::seeded(seed, rng.random_range(1..6)).await;
        let endpoints = world.endpoint_in_each().await;
        let mut times = rng.fork();
        world.subscribers.follow(move |_| Does::answer(200).after(times.random_range(0.0..14.0)));
        let mut processes = vec![start(&world, "first")];
        let mut draining = Vec::new();
        for number in 0..40 {
            if processes.len() == 1 || rng.random_bool(0.5) && processes.len() < 5 {
                // Anywhere in the order of the names.
                let name = format!("{}{number}", rng.random_range('a'..='z'));
                processes.push(start(&world, &name));
            } else {
                let chosen = rng.random_range(0..processes.len());
                draining.push(tokio::spawn(processes.swap_remove(chosen).drain()));
            }
            for endpoint in &endpoints {
                world.accept(&format!("evt_{}", world.events.len()), &[endpoint]).await;
            }
            tokio::time::sleep(MILLI * rng.random_range(0..1_500)).await;
        }
        for drained in draining {
            drained.await.unwrap();
        }
        world.until(|seen| seen.delivered() == world.events.len()).await;
        check_waits(&world, MILLI * 2_500);
        check_sent_once(&world);
        for process in processes {
            process.drain().await;
        }
        reckon(&world).await;
    }
}

/// Killed while it drains, or hands over: what it had in flight is sent again, within 5 s and by who has the partition.
async fn check_killed(drains: bool, phase: Duration) {
    let (mut world, mut processes, endpoints) = at_work(4, &["one"]).await;
    processes.push(start(&world, "two"));
    until_shared(&world, &["one", "two"]).await;
    let one = processes.swap_remove(0);
    let kill: Box<dyn FnOnce()> = if drains {
        let draining = tokio::spawn(one.drain());
        Box::new(move || draining.abort())
    } else {
        Box::new(move || drop(one))
    };
    flow(&mut world, &endpoints, 3).await;
    // Until nothing but the long requests is in flight.
    tokio::time::sleep(MILLI * 200 + phase).await;
    kill();
    let killed = world.clock.now();
    flow(&mut world, &endpoints, 5).await;
    world.until(|seen| seen.delivered() == world.events.len()).await;
    let seen = world.seen();
    for number in 0..endpoints.len() {
        let sent: Vec<_> = seen.requests.iter().filter(|sent| sent.event() == long(number)).collect();
        assert_eq!(sent.len(), 2, "once before, once after: {sent:?}");
        let after = killed.duration_until(sent[1].at).as_millis();
        assert!((1..=5_000).contains(&after), "it came again after {after} ms");
        assert_eq!(sent[1].process, "two");
    }
    assert_eq!(seen.interrupted(), endpoints.len() as u64);
    assert_eq!(seen.requests.len(), world.events.len() + endpoints.len());
    drop(seen);
    check_waits(&world, MILLI * if drains { 999 } else { 3_502 });
    for (number, endpoint) in endpoints.iter().enumerate() {
        let (delivery, attempts) = world.delivery(&long(number), endpoint).await;
        assert_eq!((delivery.state, delivery.failures), (DeliveryState::Delivered, 0));
        let classes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.error()).collect();
        assert_eq!(classes, [Some(ErrorClass::Unknown), None]);
    }
    processes.swap_remove(0).drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_while_it_hands_over_is_followed_in_time() {
    for phase in (0..8).map(|n| MILLI * (n * 137)) {
        check_killed(true, phase).await;
        check_killed(false, phase).await;
    }
}

/// The store fails while a partition is handed over: it is waited for, and what is in flight counts.
#[tokio::test(start_paused = true)]
async fn a_handover_waits_for_the_store() {
    for secs in [1, 2, 10] {
        let (mut world, mut processes, endpoints) = at_work(2, &["one"]).await;
        world.road.follow(|op| if op == Op::Release { Fault::Away.into() } else { Course::default() });
        processes.push(start(&world, "two"));
        world.pass(secs).await;
        world.road.follow(|_| Course::default());
        until_shared(&world, &["one", "two"]).await;
        flow(&mut world, &endpoints, 1).await;
        world.until(|seen| seen.delivered() == world.events.len()).await;
        for process in processes {
            process.drain().await;
        }
        if secs < 3 {
            check_sent_once(&world);
        }
        reckon(&world).await;
    }
}

/// A lease call whose answer was lost leaves deliveries that nobody knows of: a handover brings them back.
#[tokio::test(start_paused = true)]
async fn what_nobody_knows_of_is_given_back_by_a_handover() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let one = start(&world, "one");
    world.pass(1).await;
    let mut losses = 1;
    world.road.follow(move |op| match op {
        Op::Lease if losses > 0 => {
            losses -= 1;
            Fault::Lost.into()
        }
        _ => Course::default(),
    });
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.leases().count() == 1).await;
    let two = start(&world, "two");
    one.drain().await;
    let drained = world.clock.now();
    world.until(|seen| seen.delivered() == 1).await;
    let waited = drained.duration_until(world.clock.now()).as_millis();
    assert!(waited <= 1_502, "{waited} ms");
    assert_eq!(world.seen().interrupted(), 1);
    two.drain().await;
    reckon(&world).await;
}

/// A request that ignores its deadline is left behind when the drain is over, and sent again at once.
#[tokio::test(start_paused = true)]
async fn what_outstays_a_drain_is_taken_over_soon() {
    let (mut world, mut processes, endpoints) = at_work(2, &["one", "two"]).await;
    let stuck = one_of(&world, "one");
    world.subscribers.follow(|_| Does::hang_for_ever());
    world.accept("stuck", &[&endpoints[stuck]]).await;
    world.until(|seen| seen.requests.iter().any(|sent| sent.event() == "stuck")).await;
    world.subscribers.follow(|_| Does::answer(200));
    let begun = world.clock.now();
    processes.swap_remove(0).drain().await;
    let drained = world.clock.now();
    assert_eq!(begun.duration_until(drained).as_secs(), 35);
    world.until(|seen| seen.delivered() == world.events.len()).await;
    let waited = drained.duration_until(world.clock.now()).as_millis();
    assert!(waited <= 1_002, "{waited} ms");
    assert_eq!(world.seen().interrupted(), 1);
    processes.swap_remove(0).drain().await;
    reckon(&world).await;
}
