use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use posthaste_client::Attempt;
use posthaste_model::{ErrorClass, EventId};

use super::fleet::Fleet;
use crate::publishing::{arrived, publish, wait_for_all};

const EVENTS: u32 = 10_000;
const PUBLISHERS: usize = 16;
/// Between two events of a publisher, so that publishing goes on for as long as there is somebody to be killed.
const PAUSE: Duration = Duration::from_millis(40);
/// Between two kills, as many events as publishers make at the most in the time that a takeover may last: a delivery
/// whose next owner is killed, too, waits for two of them.
const BETWEEN_KILLS: usize = 2_200;
/// How long a delivery may wait beyond its due time because of a kill.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(5);

/// Every acknowledged event arrives, though dispatchers are killed and replaced all the while; none waits longer than
/// 5 s; and what comes twice was cut off by a kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dispatchers_die_and_nobody_notices() {
    let mut fleet = Fleet::start().await;
    let (publishers, acknowledged) =
        publish(&fleet.clients(), &fleet.tenants, &fleet.topic, EVENTS, PUBLISHERS, PAUSE);
    let seed = RandomState::new().hash_one("which, and when");
    println!("seed {seed}");
    let mut random = (1..).map(|n: u64| (seed ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33);
    let mut wanted = 0;
    for _ in 0..4 {
        wanted += BETWEEN_KILLS + (random.next().unwrap() % 200) as usize;
        fleet.receiver.wait_for(wanted, Duration::from_secs(60)).await;
        fleet.replace_dispatcher((random.next().unwrap() % 3) as usize);
    }
    publishers.join_all().await;
    let all = acknowledged.now();
    assert_eq!(all.len(), EVENTS as usize);
    wait_for_all(&fleet.receiver, &all, Duration::from_secs(30)).await;

    let arrived = arrived(&fleet.receiver);
    let wait = |(id, at): (&EventId, &Instant)| arrived[id][0].saturating_duration_since(*at);
    let longest = all.iter().map(wait).max().unwrap();
    assert!(longest <= TAKEN_OVER_WITHIN, "a delivery waited {longest:?}");
    check_repeats(&fleet).await;
}

/// Nothing acknowledged is lost by a Redis that writes before it answers, however it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_and_nothing_is_lost() {
    let fleet = Fleet::start().await;
    let (publishers, acknowledged) =
        publish(&fleet.clients(), &fleet.tenants, &fleet.topic, EVENTS, PUBLISHERS, PAUSE);
    for kill in 1..=3 {
        fleet.receiver.wait_for(EVENTS as usize * kill / 4, Duration::from_secs(60)).await;
        fleet.redis.kill();
        fleet.redis.restart().unwrap();
    }
    publishers.join_all().await;
    let all = acknowledged.now();
    assert_eq!(all.len(), EVENTS as usize);
    wait_for_all(&fleet.receiver, &all, Duration::from_secs(30)).await;
    check_repeats(&fleet).await;
}

/// Whatever came twice has an attempt on record of which nobody knows what came of it: its dispatcher was gone. Most come
/// once.
async fn check_repeats(fleet: &Fleet) {
    let client = &fleet.clients()[0];
    let arrived = arrived(&fleet.receiver);
    let repeated: HashSet<&EventId> =
        arrived.iter().filter(|(_, times)| times.len() > 1).map(|(id, _)| id).collect();
    println!("{} of {} events came more than once", repeated.len(), arrived.len());
    assert!(repeated.len() < arrived.len() / 10);
    for id in repeated {
        let number: usize = id.as_str()[1..].parse().unwrap();
        let tenant = &fleet.tenants[number % fleet.tenants.len()];
        let delivery = client.event(tenant, id).await.unwrap().deliveries.remove(0);
        let attempts = client.attempts(tenant, delivery.id).await.unwrap();
        let unknown = |attempt: &Attempt| {
            attempt.error.as_ref().is_some_and(|error| error.class == ErrorClass::Unknown)
        };
        assert!(attempts.iter().any(unknown), "{id} was repeated for no reason: {attempts:#?}");
    }
}
