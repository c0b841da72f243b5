//! What is not seen from outside, unless it is said: tasks that die, a store that is away.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::timeout;
use tracing::{Level, subscriber::DefaultGuard};

use crate::{
    access::{Course, Fault},
    flow::{flow, until_shared},
    reckoning::reckon,
    seen::Op,
    subscribers::Does,
    world::World,
};

/// What was logged, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Of everything that happens on this thread, until the guard is dropped.
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::INFO)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines_with(&self, words: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A task that dies in a call to the store.
async fn check_alarm(op: Op) {
    let (log, _guard) = Log::begin();
    let mut world = World::partitioned(2).await;
    let endpoints = world.endpoint_in_each().await;
    let process = world.start("one");
    let failed = process.failed();
    flow(&mut world, &endpoints, 12).await;
    assert!(timeout(Duration::ZERO, process.failed()).await.is_err(), "nothing has died yet");
    world.road.follow(move |called| if called == op { Fault::Panic.into() } else { Course::default() });
    flow(&mut world, &endpoints, 12).await;
    assert!(timeout(Duration::ZERO, failed).await.is_ok(), "{op:?}: nobody was told");
    assert!(timeout(Duration::ZERO, process.failed()).await.is_ok(), "{op:?}: who asks late is told, too");
    let died = log.lines_with("has died");
    assert!(!died.is_empty() && died.iter().all(|line| line.contains("ERROR")), "{op:?}: {died:?}");
    // What still lives can be drained.
    world.road.follow(|_| Course::default());
    let begun = world.clock.now();
    process.drain().await;
    assert!(begun.duration_until(world.clock.now()).as_secs() <= 38);
    let next = world.start("next");
    world.until(|seen| seen.delivered() >= world.events.len()).await;
    next.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_dies_is_told_of() {
    for op in [Op::Attend, Op::Renew, Op::Recover, Op::Lease, Op::Settle, Op::Prune] {
        check_alarm(op).await;
    }
}

/// A drained dispatcher has not failed.
#[tokio::test(start_paused = true)]
async fn an_end_in_order_is_no_failure() {
    let (log, _guard) = Log::begin();
    let mut world = World::partitioned(3).await;
    let endpoints = world.endpoint_in_each().await;
    let process = world.start("one");
    let failed = process.failed();
    flow(&mut world, &endpoints, 3).await;
    process.drain().await;
    assert!(timeout(Duration::from_secs(3_600), failed).await.is_err());
    assert_eq!(log.lines_with("ERROR"), [""; 0]);
}

/// However many tasks wait for it.
#[tokio::test(start_paused = true)]
async fn that_the_store_is_away_is_said_once() {
    let (log, _guard) = Log::begin();
    let mut world = World::partitioned(16).await;
    let endpoints = world.endpoint_in_each().await;
    let process = world.start("one");
    world.subscribers.follow(|_| Does::answer(200).after(2.0));
    for count in 1..=3 {
        flow(&mut world, &endpoints, 3).await;
        world.road.follow(|_| Fault::Away.into());
        world.pass(30).await;
        assert_eq!(log.lines_with(": the store is back").len(), count - 1);
        let said = log.lines_with("trying again until the store is back");
        assert_eq!(said.len(), count, "{said:?}");
        assert!(said.iter().all(|line| line.contains("WARN") && line.contains("it is away")), "{said:?}");
        world.road.follow(|_| Course::default());
        world.pass(10).await;
        assert_eq!(log.lines_with(": the store is back").len(), count);
    }
    assert_eq!(log.lines_with("WARN").len(), 3, "and nothing else");
    world.until(|seen| seen.delivered() == world.events.len()).await;
    process.drain().await;
    reckon(&world).await;
}

/// A store without room is waited for as one that is away: it has room when something is settled.
#[tokio::test(start_paused = true)]
async fn a_full_store_is_waited_for() {
    for ops in [&[Op::Settle][..], &[Op::Lease], &[Op::Settle, Op::Lease, Op::Recover, Op::Renew]] {
        let mut world = World::partitioned(2).await;
        let endpoints = world.endpoint_in_each().await;
        let process = world.start_with("one", |settings| settings.max_in_flight = 100);
        until_shared(&world, &["one"]).await;
        world.road.follow(move |op| if ops.contains(&op) { Fault::Full.into() } else { Course::default() });
        flow(&mut world, &endpoints, 3).await;
        world.pass(20).await;
        assert_eq!(world.seen().settlements().count(), 0);
        world.road.follow(|_| Course::default());
        let over = world.clock.now();
        world.until(|seen| seen.delivered() == world.events.len()).await;
        assert!(over.duration_until(world.clock.now()).as_secs() <= 8);
        assert_eq!(world.seen().interrupted(), 0);
        assert_eq!(world.seen().requests.len(), world.events.len());
        process.drain().await;
        until_left(&world).await;
        reckon(&world).await;
    }
}

/// Waits until nobody owns anything.
async fn until_left(world: &World) {
    while !crate::flow::owners(world).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
