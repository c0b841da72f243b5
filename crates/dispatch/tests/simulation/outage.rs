use std::time::Duration;

use posthaste_model::{DeliveryState, Endpoint, ErrorClass};
use posthaste_store::Settled;

use crate::{
    access::{Course, Fault},
    process::Process,
    reckoning::reckon,
    seen::Op,
    subscribers::Does,
    world::World,
};

/// The calls to the store that a dispatcher cannot do without.
const NEEDED: [Op; 6] = [Op::Attend, Op::Claim, Op::Recover, Op::Renew, Op::Lease, Op::Settle];

/// A process, and deliveries to the endpoint in all stages: delivered, in flight, waiting for a retry.
async fn at_work(world: &mut World) -> (Process, Endpoint) {
    let endpoint = world.endpoint().await;
    let mut fails = true;
    world.subscribers.follow(move |sent| match sent.event() {
        "slow" => Does::answer(200).after(10.0),
        "retried" if std::mem::take(&mut fails) => Does::answer(500),
        _ => Does::answer(200),
    });
    let process = world.start("one");
    for id in ["quick", "slow", "retried"] {
        world.accept(id, &[&endpoint]).await;
    }
    world.until(|seen| seen.settlements().count() == 2).await;
    (process, endpoint)
}

/// The store fails at `ops` for so long; what is accepted meanwhile and before is delivered, and nothing twice.
async fn check_outage(ops: &'static [Op], secs: u64, fault: Fault) {
    let mut world = World::new().await;
    let (process, endpoint) = at_work(&mut world).await;
    world.road.follow(move |op| if ops.contains(&op) { fault.into() } else { Course::default() });
    world.accept("meanwhile", &[&endpoint]).await;
    world.pass(secs).await;
    world.road.follow(|_| Course::default());
    for &op in ops {
        let calls = world.seen().calls("one", op);
        // At most some ten before the waits have grown to seconds, and what was called before.
        assert!(calls <= 20 + secs as usize, "{calls} times {op:?} in {secs} s");
    }
    world.accept("after", &[&endpoint]).await;
    let over = world.clock.now();
    world.until(|seen| seen.delivered() >= 4).await;
    let waited = over.duration_until(world.clock.now());
    assert!(waited.as_secs() <= 8, "it took {waited:?} to go on");
    world.pass(3_600).await;
    process.drain().await;
    for (delivery, attempts) in world.shown().await.deliveries {
        assert_eq!(delivery.state, DeliveryState::Delivered);
        let expected = if delivery.event.as_str() == "retried" { 2 } else { 1 };
        assert_eq!(attempts.len(), expected, "{attempts:?}");
    }
    assert_eq!(world.seen().interrupted(), 0);
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_waited_for() {
    for secs in [2, 20, 60] {
        for op in &NEEDED {
            check_outage(std::slice::from_ref(op), secs, Fault::Away).await;
        }
        check_outage(&NEEDED, secs, Fault::Away).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_does_not_end_the_dispatcher() {
    check_outage(&[Op::Claim, Op::Recover, Op::Renew, Op::Lease, Op::Prune], 20, Fault::Refused).await;
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_answer_was_lost_counts_once() {
    check_outage(&[Op::Settle], 20, Fault::Lost).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_the_store() {
    for ops in [&[Op::Attend][..], &[Op::Claim], &[Op::Recover], &NEEDED] {
        let mut world = World::new().await;
        let endpoint = world.endpoint().await;
        world.accept("evt", &[&endpoint]).await;
        world.road.follow(|op| if ops.contains(&op) { Fault::Away.into() } else { Course::default() });
        let _process = world.start("one");
        world.pass(60).await;
        assert!(world.seen().requests.is_empty());
        let calls = world.seen().calls("one", ops[0]);
        assert!((5..=80).contains(&calls), "{calls} times {:?}", ops[0]);
        world.road.follow(|_| Course::default());
        let over = world.clock.now();
        world.until(|seen| seen.delivered() == 1).await;
        assert!(over.duration_until(world.clock.now()).as_secs() <= 8);
        reckon(&world).await;
    }
}

/// Even longer than leases live: what was sent is settled before anybody takes its outcome for unknown.
#[tokio::test(start_paused = true)]
async fn what_was_sent_is_known_however_long_the_store_is_away() {
    for secs in (90..110).chain([150, 600, 3_600]) {
        let mut world = World::new().await;
        let (process, endpoint) = at_work(&mut world).await;
        world.road.follow(|_| Fault::Away.into());
        world.pass(secs).await;
        // Those that need the store come back to it in any order, and settling is the slowest.
        world.road.follow(|op| match op {
            Op::Settle => Course { there: Duration::from_secs(4), ..Course::default() },
            _ => Course::default(),
        });
        world.pass(60).await;
        process.drain().await;
        assert_eq!(world.seen().interrupted(), 0, "after {secs} s");
        let (delivery, attempts) = world.delivery("slow", &endpoint).await;
        assert_eq!((delivery.state, attempts.len()), (DeliveryState::Delivered, 1), "after {secs} s");
        reckon(&world).await;
    }
}

/// What cannot be settled at all is tried again when its lease has run out.
#[tokio::test(start_paused = true)]
async fn a_refused_settlement_is_attempted_again() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let mut refusals = 1;
    world.road.follow(move |op| match op {
        Op::Settle if refusals > 0 => {
            refusals -= 1;
            Fault::Refused.into()
        }
        _ => Course::default(),
    });
    let _process = world.start("one");
    world.accept("evt", &[&endpoint]).await;
    let begun = world.clock.now();
    world.until(|seen| seen.delivered() == 1).await;
    let waited = begun.duration_until(world.clock.now()).as_secs();
    // The life of a lease, and the time until somebody looks.
    assert!((95..=95 + 11).contains(&waited), "{waited} s");
    let (delivery, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!((delivery.state, delivery.failures), (DeliveryState::Delivered, 0));
    let classes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.error()).collect();
    assert_eq!(classes, [Some(ErrorClass::Unknown), None]);
    assert_eq!(world.seen().requests.len(), 2);
    reckon(&world).await;
}

/// A lease call whose answer is lost leaves deliveries that nobody knows of, until their leases run out.
#[tokio::test(start_paused = true)]
async fn a_lease_whose_answer_was_lost_is_given_back() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let process = world.start("one");
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
    world.until(|seen| seen.delivered() == 1).await;
    process.drain().await;
    assert_eq!(world.seen().interrupted(), 1);
    assert_eq!(world.seen().requests.len(), 1);
    reckon(&world).await;
}

/// Settlements wait for the store in their order, and the leasing waits for them.
#[tokio::test(start_paused = true)]
async fn a_slow_store_slows_and_loses_nothing() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let slow = Course { there: Duration::from_secs(2), back: Duration::from_secs(2), fault: None };
    world.road.follow(move |_| slow);
    let process = world.start_with("one", |settings| settings.max_in_flight = 4);
    for number in 0..20 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    world.until(|seen| seen.delivered() == 20).await;
    process.drain().await;
    assert!(world.seen().settlements().all(|(_, settled)| settled == Settled::Applied));
    assert_eq!(world.seen().requests.len(), 20);
    // Of what is free a tenant gets half.
    assert!((2..=4).contains(&world.seen().most_leased()));
    reckon(&world).await;
}
