//! Replays: many deliveries that are over are opened again.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use posthaste_model::{
    Delivery, DeliveryState, Endpoint, ExponentialRetry, Period, ReplayId, RetryPolicy, Timestamp,
};
use posthaste_store::{DeliveryFilter, Replay, ReplayState, Replays as _, conformance::invariants::Step};

use crate::{
    access::{Course, Fault},
    process::Process,
    reckoning::reckon,
    seen::{Op, Seen},
    subscribers::Does,
    world::World,
};

/// More than goes on one page.
const MANY: usize = 350;

/// A world with so many exhausted deliveries to an endpoint that takes everything by now, and no process.
pub(crate) async fn exhausted(number: usize) -> (World, Endpoint) {
    let mut world = World::new().await;
    let retry = RetryPolicy::Exponential(ExponentialRetry {
        initial_interval: Period::from_secs(1),
        multiplier: 1.0,
        randomization_factor: 0.0,
        max_interval: Period::from_secs(1),
        max_elapsed_time: None,
        max_attempts: 1,
    });
    let endpoint = world.endpoint_with(|endpoint| endpoint.retry = Some(retry)).await;
    world.subscribers.follow(|_| Does::answer(500));
    for number in 0..number {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    let process = world.start("before");
    world.until(|seen| seen.settlements().count() == number).await;
    process.drain().await;
    world.subscribers.follow(|_| Does::answer(200));
    // What is accepted at the moment at which a replay is asked for is not meant.
    world.pass(1).await;
    (world, endpoint)
}

/// Asks for a replay of what is exhausted.
async fn ask(world: &World, rate: Option<u32>) -> Replay {
    ask_for(world, only_exhausted(), rate).await
}

pub(crate) fn only_exhausted() -> DeliveryFilter {
    DeliveryFilter { states: vec![DeliveryState::Exhausted], ..DeliveryFilter::default() }
}

pub(crate) async fn ask_for(world: &World, filter: DeliveryFilter, rate: Option<u32>) -> Replay {
    let now = world.clock.now();
    let replay = Replay {
        id: ReplayId::mint(now, [7; 10]),
        tenant: world.tenants[0].clone(),
        filter,
        rate,
        state: ReplayState::Running,
        found: 0,
        found_more: false,
        reopened: 0,
        passed_over: 0,
        cursor: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    world.road.store.create_replay(replay.clone()).await.unwrap();
    replay
}

pub(crate) async fn reread(world: &World, replay: &Replay) -> Replay {
    world.road.store.replay(&replay.tenant, replay.id).await.unwrap()
}

/// Waits until a replay has ended.
pub(crate) async fn ended(world: &World, replay: &Replay) -> Replay {
    for _ in 0..3_600 {
        let now = reread(world, replay).await;
        if now.state != ReplayState::Running {
            return now;
        }
        world.pass(1).await;
    }
    panic!("it never ended: {:?}", reread(world, replay).await);
}

fn reopened(seen: &Seen) -> usize {
    seen.steps.iter().filter(|step| matches!(step, Step::Reopened(_))).count()
}

pub(crate) async fn states(world: &World) -> Vec<DeliveryState> {
    world.shown().await.deliveries.iter().map(|(Delivery { state, .. }, _)| *state).collect()
}

/// The times of all requests since then.
fn times(world: &World, since: Timestamp) -> Vec<Timestamp> {
    world.seen().requests.iter().map(|sent| sent.at).filter(|at| *at >= since).collect()
}

pub(crate) async fn finish(world: &World, process: Process) {
    process.drain().await;
    reckon(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_opens_what_is_exhausted_in_the_order_of_events() {
    let (mut world, endpoint) = exhausted(MANY).await;
    let replay = ask(&world, None).await;
    world.pass(1).await;
    world.accept("evt_later", &[&endpoint]).await;
    let process = world.start("one");
    let Replay { state, reopened, passed_over, .. } = ended(&world, &replay).await;
    assert_eq!((state, reopened, passed_over), (ReplayState::Done, MANY as u64, 0));
    world.until(|seen| seen.delivered() == MANY + 1).await;
    let order: Vec<_> = world
        .seen()
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Reopened(delivery) => Some(delivery.event.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(order, (0..MANY).map(|number| format!("evt_{number}")).collect::<Vec<_>>());
    finish(&world, process).await;
}

/// A job outlives its driver, and calls whose answers are lost: everything is opened, and nothing twice.
#[tokio::test(start_paused = true)]
async fn a_replay_goes_on_after_a_crash() {
    // What was opened by a call whose answer was lost, or by a process that died, is not known to have been; and is not
    // found again once it is delivered.
    check_crash(only_exhausted(), 100..=200).await;
    // Here it is found again, and passed over.
    check_crash(DeliveryFilter::default(), 0..=0).await;
}

/// `unknown`: how many deliveries the job counts neither as opened nor as passed over.
async fn check_crash(filter: DeliveryFilter, unknown: RangeInclusive<u64>) {
    let (world, _) = exhausted(MANY).await;
    let replay = ask_for(&world, filter, Some(100)).await;
    let (mut opened, mut written) = (0, 0);
    world.road.follow(move |op| {
        opened += usize::from(op == Op::Reopen);
        written += usize::from(op == Op::UpdateReplay);
        match op {
            Op::Reopen if opened == 3 => Fault::Lost.into(),
            Op::UpdateReplay if written.is_multiple_of(4) => Fault::Lost.into(),
            Op::UpdateReplay if written.is_multiple_of(2) => Fault::Away.into(),
            _ => Course::default(),
        }
    });
    let process = world.start("one");
    world.until(|seen| reopened(seen) >= 200).await;
    drop(process);
    let before = reread(&world, &replay).await;
    assert!(before.state == ReplayState::Running && before.cursor.is_some(), "{before:?}");
    let process = world.start("two");
    let after = ended(&world, &replay).await;
    assert_eq!(after.state, ReplayState::Done);
    world.until(|seen| reopened(seen) == MANY).await;
    world.road.follow(|_| Course::default());
    while states(&world).await.iter().any(|state| *state != DeliveryState::Delivered) {
        world.pass(1).await;
    }
    assert_eq!(reopened(&world.seen()), MANY);
    assert!(unknown.contains(&(MANY as u64 - after.reopened - after.passed_over)), "{after:?}");
    finish(&world, process).await;
}

/// Answers with how long it took.
async fn check_rate(course: impl FnMut(Op) -> Course + Send + 'static) -> Duration {
    let (world, _) = exhausted(60).await;
    let replay = ask(&world, Some(10)).await;
    let since = world.clock.now();
    world.road.follow(course);
    let process = world.start("one");
    ended(&world, &replay).await;
    world.until(|seen| seen.delivered() == 60).await;
    let times = times(&world, since);
    for (first, eleventh) in times.iter().zip(&times[10..]) {
        let apart = eleventh.duration_since(*first).unsigned_abs();
        // Requests begin a moment after what they are for was opened.
        assert!(apart >= Duration::from_millis(900), "eleven requests within {apart:?}");
    }
    finish(&world, process).await;
    times[59].duration_since(times[0]).unsigned_abs()
}

#[tokio::test(start_paused = true)]
async fn a_replay_keeps_its_rate() {
    let lasted = check_rate(|_| Course::default()).await;
    assert!(lasted < Duration::from_secs(10), "it lasted {lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_keeps_its_rate_when_answers_are_lost() {
    let mut opened = 0;
    check_rate(move |op| {
        opened += usize::from(op == Op::Reopen);
        if op == Op::Reopen && opened % 2 == 1 { Fault::Lost.into() } else { Course::default() }
    })
    .await;
}

/// As long as a page takes, the store is left to others.
#[tokio::test(start_paused = true)]
async fn a_replay_pauses_after_each_page() {
    check_pauses(None).await;
    check_pauses(Some(10_000)).await;
}

async fn check_pauses(rate: Option<u32>) {
    let (world, _) = exhausted(MANY).await;
    let replay = ask(&world, rate).await;
    let (clock, calls) = (world.clock.clone(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&calls);
    world.road.follow(move |op| match op {
        Op::Reopen => {
            noted.lock().unwrap().push(clock.now());
            Course { there: Duration::from_secs(2), ..Course::default() }
        }
        _ => Course::default(),
    });
    let process = world.start("one");
    ended(&world, &replay).await;
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), MANY.div_ceil(100));
    for pair in calls.windows(2) {
        let apart = pair[1].duration_since(pair[0]).unsigned_abs();
        assert!(apart >= Duration::from_secs(4), "two pages within {apart:?}");
    }
    finish(&world, process).await;
}

/// The store will never do what it asks for.
#[tokio::test(start_paused = true)]
async fn a_replay_that_cannot_go_on_is_cancelled() {
    let (world, _) = exhausted(MANY).await;
    let replay = ask(&world, Some(100)).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    world.road.follow(move |op| match op {
        Op::Reopen if counted.fetch_add(1, Ordering::Relaxed) == 1 => Fault::Refused.into(),
        _ => Course::default(),
    });
    let process = world.start("one");
    let after = ended(&world, &replay).await;
    assert_eq!((after.state, after.reopened), (ReplayState::Cancelled, 100));
    world.pass(120).await;
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    finish(&world, process).await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_is_given_up_opens_nothing_more() {
    let (world, _) = exhausted(MANY).await;
    let replay = ask(&world, Some(10)).await;
    let process = world.start("one");
    world.until(|seen| reopened(seen) >= 40).await;
    world.pass(1).await;
    let now = reread(&world, &replay).await;
    let state = ReplayState::Cancelled;
    world.road.store.update_replay(Replay { state, ..now }).await.unwrap();
    world.pass(60).await;
    let after = reread(&world, &replay).await;
    assert_eq!(after.state, ReplayState::Cancelled);
    let opened = reopened(&world.seen());
    // One page may have been under way.
    assert!((40..=60).contains(&opened), "{opened} were opened");
    assert_eq!(after.reopened, opened as u64);
    finish(&world, process).await;
}

/// It is given up between the opening of a page and the writing down of it.
#[tokio::test(start_paused = true)]
async fn a_page_that_was_under_way_counts() {
    let (world, _) = exhausted(MANY).await;
    let replay = ask(&world, None).await;
    world.road.follow(|op| match op {
        Op::UpdateReplay => Course { there: Duration::from_secs(5), ..Course::default() },
        _ => Course::default(),
    });
    let process = world.start("one");
    world.until(|seen| reopened(seen) > 0).await;
    let now = reread(&world, &replay).await;
    let state = ReplayState::Cancelled;
    world.road.store.update_replay(Replay { state, ..now }).await.unwrap();
    world.pass(60).await;
    let after = reread(&world, &replay).await;
    assert_eq!((after.state, after.reopened), (ReplayState::Cancelled, reopened(&world.seen()) as u64));
    assert!(after.reopened > 0 && after.reopened < MANY as u64, "{after:?}");
    finish(&world, process).await;
}

/// It was written down, but nobody knows that; and it is given up before that is asked.
#[tokio::test(start_paused = true)]
async fn a_page_whose_answer_was_lost_counts_once() {
    let (world, _) = exhausted(MANY).await;
    let replay = ask(&world, None).await;
    let mut written = 0;
    world.road.follow(move |op| {
        written += usize::from(op == Op::UpdateReplay);
        let back = Duration::from_secs(5);
        let lost = Course { back, fault: Some(Fault::Lost), ..Course::default() };
        if op == Op::UpdateReplay && written == 1 { lost } else { Course::default() }
    });
    let process = world.start("one");
    while reread(&world, &replay).await.cursor.is_none() {
        world.pass(1).await;
    }
    let now = reread(&world, &replay).await;
    let state = ReplayState::Cancelled;
    world.road.store.update_replay(Replay { state, updated_at: world.clock.now(), ..now }).await.unwrap();
    world.pass(60).await;
    let after = reread(&world, &replay).await;
    assert_eq!((after.state, after.reopened, after.passed_over), (state, 100, 0));
    assert_eq!(reopened(&world.seen()), 100);
    finish(&world, process).await;
}

/// One job waits for its time, and holds up no other.
#[tokio::test(start_paused = true)]
async fn replays_take_turns() {
    let (world, _) = exhausted(60).await;
    let slow = ask(&world, Some(1)).await;
    let now = world.clock.now();
    let quick = Replay { id: ReplayId::mint(now, [8; 10]), rate: None, ..slow.clone() };
    world.road.store.create_replay(quick.clone()).await.unwrap();
    let process = world.start("one");
    let after = ended(&world, &quick).await;
    assert!(after.reopened + after.passed_over >= 50, "{after:?}");
    assert_eq!(reread(&world, &slow).await.state, ReplayState::Running);
    finish(&world, process).await;
}
