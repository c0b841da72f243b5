//! One replay that two processes drive at once: one of them has lost the partition, and does not hear of it.

use std::{collections::HashSet, time::Duration};

use posthaste_model::{DeliveryId, DeliveryState, Timestamp};
use posthaste_store::{DeliveryFilter, Replay, ReplayState, Replays as _, conformance::invariants::Step};

use crate::{
    access::{Course, Fault},
    process::Process,
    replaying::{ask_for, ended, exhausted, finish, only_exhausted, reread, states},
    seen::{Op, Seen},
    world::World,
};

const MANY: usize = 100;
const RATE: u32 = 10;

/// A job that both are at. From its first page on `one` reaches the store for the sake of this job alone, where it opens pages so;
/// `two` has got the partition.
async fn divided(filter: DeliveryFilter, course: Course) -> (World, Replay, [Process; 2]) {
    let (world, _) = exhausted(MANY).await;
    let replay = ask_for(&world, filter, Some(RATE)).await;
    let begun = world.clock.now();
    world.road.follow_each(move |call| match call.op {
        Op::Reopen if call.process == "one" => course,
        _ => Course::default(),
    });
    let one = world.start("one");
    world.until(|seen| pages(seen, "one") == 1).await;
    world.road.follow_each(move |call| match (call.process.as_str(), call.op) {
        ("one", Op::Reopen) => course,
        // Often `two` has written before that arrives.
        ("one", Op::UpdateReplay) => Course { there: Duration::from_millis(400), ..Course::default() },
        ("one", Op::RunningReplays) | ("two", _) => Course::default(),
        _ => Fault::Away.into(),
    });
    let two = world.start("two");
    world.until(|seen| pages(seen, "two") == 1).await;
    let took = begun.duration_until(world.clock.now());
    assert!(took.as_secs() < 6, "it took {took:?}");
    let before = pages(&world.seen(), "one");
    world.until(|seen| pages(seen, "one") > before).await;
    (world, replay, [one, two])
}

/// How many pages a process has asked the store to open.
fn pages(seen: &Seen, process: &str) -> usize {
    seen.calls(process, Op::Reopen)
}

/// What was opened, and when.
fn opened(world: &World) -> Vec<(DeliveryId, Timestamp)> {
    let seen = world.seen();
    let opened = seen.steps.iter().filter_map(|step| match step {
        Step::Reopened(delivery) => Some((delivery.id, delivery.due_at.unwrap())),
        _ => None,
    });
    opened.collect()
}

/// Nothing was opened twice, and no more in a second than two may open.
#[track_caller]
fn check_opened(opened: &[(DeliveryId, Timestamp)]) {
    let different: HashSet<_> = opened.iter().map(|(id, _)| *id).collect();
    assert_eq!(different.len(), opened.len());
    let most = 2 * RATE as usize;
    for ((_, first), (_, beyond)) in opened.iter().zip(opened.iter().skip(most)) {
        let apart = first.duration_until(*beyond);
        assert!(apart.as_millis() >= 900, "{} were opened within {apart:?}", most + 1);
    }
}

/// From here on both hear of everything.
async fn reunited(world: &World, [one, two]: [Process; 2]) {
    world.road.follow(|_| Course::default());
    while states(world).await.contains(&DeliveryState::InFlight) {
        world.pass(1).await;
    }
    one.drain().await;
    finish(world, two).await;
}

/// Pages of one of them that take their time on the way to the store, or back.
fn courses() -> impl Iterator<Item = Course> {
    let times = [0, 300, 1_000, 2_500].map(Duration::from_millis);
    times.into_iter().flat_map(|time| {
        let there = Course { there: time, ..Course::default() };
        [there, Course { back: time, ..Course::default() }]
    })
}

#[tokio::test(start_paused = true)]
async fn what_two_drive_is_opened_once_and_comes_to_its_end() {
    for course in courses() {
        for filter in [only_exhausted(), DeliveryFilter::default()] {
            let (world, replay, processes) = divided(filter, course).await;
            let after = ended(&world, &replay).await;
            assert_eq!(after.state, ReplayState::Done);
            world.pass(10).await;
            let opened = opened(&world);
            assert_eq!(opened.len(), MANY, "{course:?}");
            assert_eq!(reread(&world, &replay).await.reopened, MANY as u64, "{course:?}");
            check_opened(&opened);
            world.until(|seen| seen.delivered() == MANY).await;
            reunited(&world, processes).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_two_drive_is_given_up_for_both() {
    for course in courses() {
        let (world, replay, processes) = divided(only_exhausted(), course).await;
        let before = opened(&world).len();
        let now = reread(&world, &replay).await;
        let state = ReplayState::Cancelled;
        world.road.store.update_replay(Replay { state, ..now }).await.unwrap();
        world.pass(60).await;
        let (after, opened) = (reread(&world, &replay).await, opened(&world));
        assert_eq!((after.state, after.reopened), (state, opened.len() as u64), "{course:?}");
        // A page of each may have been under way.
        let most = before + 2 * RATE as usize;
        assert!((before..=most).contains(&opened.len()), "{before}, then {}", opened.len());
        check_opened(&opened);
        reunited(&world, processes).await;
    }
}
