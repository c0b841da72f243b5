use std::time::{Duration, Instant};

use posthaste_model::EventId;

use super::fleet::Fleet;
use crate::publishing::{arrived, publish, wait_for_all};

const EVENTS: u32 = 3_000;
const PUBLISHERS: usize = 20;
/// Between two events of a publisher: some 200 events a second in all, for as long as everybody is restarted twice.
const PAUSE: Duration = Duration::from_millis(95);
/// How many events arrive between two restarts.
const BETWEEN_RESTARTS: usize = 350;
/// How long a delivery may wait because its dispatcher is restarted.
const WAITS_AT_MOST: Duration = Duration::from_secs(1);
/// What a busy machine may add to that.
const MARGIN: Duration = Duration::from_secs(1);

/// Three dispatchers are restarted one after another, as for a new version: every event arrives, none twice, and none has
/// to wait for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dispatchers_are_restarted_and_nobody_notices() {
    let mut fleet = Fleet::start().await;
    let (publishers, acknowledged) =
        publish(&fleet.clients(), &fleet.tenants, &fleet.topic, EVENTS, PUBLISHERS, PAUSE);
    for restart in 1..=6 {
        fleet.receiver.wait_for(BETWEEN_RESTARTS * restart, Duration::from_secs(60)).await;
        // The one that has been there for longest.
        fleet.restart_dispatcher(0).await;
    }
    let during = acknowledged.now().len();
    assert!(during < EVENTS as usize, "everything was published before the last restart was over");
    publishers.join_all().await;
    let all = acknowledged.now();
    assert_eq!(all.len(), EVENTS as usize);
    wait_for_all(&fleet.receiver, &all, Duration::from_secs(30)).await;

    let arrived = arrived(&fleet.receiver);
    let twice: Vec<&EventId> = arrived.iter().filter(|(_, at)| at.len() > 1).map(|(id, _)| id).collect();
    assert!(twice.is_empty(), "arrived more than once: {twice:?}");
    let wait = |(id, at): (&EventId, &Instant)| arrived[id][0].saturating_duration_since(*at);
    let longest = all.iter().map(wait).max().unwrap();
    println!("the longest that an event waited was {longest:?}");
    assert!(longest <= WAITS_AT_MOST + MARGIN, "an event waited {longest:?}");
}
