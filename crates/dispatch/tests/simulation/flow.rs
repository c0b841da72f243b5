//! Events that go on coming while something happens to the processes, and what became of them.

use std::time::Duration;

use posthaste_model::Endpoint;
use posthaste_store::Partition;

use crate::{seen::Sent, subscribers::Does, world::World};

/// How often one is accepted for each endpoint.
const EVERY: Duration = Duration::from_millis(100);

/// Accepts events for each of the endpoints, for so long.
pub(crate) async fn flow(world: &mut World, endpoints: &[Endpoint], secs: u64) {
    let begun = world.clock.now();
    while begun.duration_until(world.clock.now()).as_secs() < secs as i64 {
        for endpoint in endpoints {
            let id = format!("evt_{}", world.events.len());
            world.accept(&id, &[endpoint]).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Fails if an event waited longer for its first request, or has had none.
#[track_caller]
pub(crate) fn check_waits(world: &World, longest: Duration) {
    let seen = world.seen();
    for event in &world.events {
        let sent = seen.requests.iter().find(|sent| sent.event() == event.id.as_str());
        let sent = sent.unwrap_or_else(|| panic!("{} was never sent", event.id));
        let waited = event.accepted_at.duration_until(sent.at);
        assert!(waited <= longest.try_into().unwrap(), "{} waited {waited:?}", event.id);
    }
}

/// Fails if anything was sent twice, or given back, or was settled in vain.
#[track_caller]
pub(crate) fn check_sent_once(world: &World) {
    let seen = world.seen();
    assert_eq!(seen.interrupted(), 0, "deliveries were given back");
    assert_eq!(seen.requests.len(), world.events.len(), "one request for each event");
    assert!(seen.settlements().all(|(_, settled)| settled == posthaste_store::Settled::Applied));
}

/// Makes a request in each partition that takes so long, where others take a moment: how the tests know what is in
/// flight.
pub(crate) async fn long_requests(world: &mut World, endpoints: &[Endpoint], secs: f64) {
    world.subscribers.follow(move |sent| Does::answer(200).after(if is_long(sent) { secs } else { 0.1 }));
    for (partition, endpoint) in endpoints.iter().enumerate() {
        world.accept(&long(partition), &[endpoint]).await;
    }
    world.until(|seen| seen.requests.iter().filter(|sent| is_long(sent)).count() == endpoints.len()).await;
}

/// The name of the event that takes long.
pub(crate) fn long(partition: usize) -> String {
    format!("long_{partition}")
}

pub(crate) fn is_long(sent: &Sent) -> bool {
    sent.event().starts_with("long")
}

/// Waits until the processes have even shares of all partitions, and says how long that took.
pub(crate) async fn until_shared(world: &World, names: &[&str]) -> Duration {
    let begun = tokio::time::Instant::now();
    while !are_shared(world, names) {
        assert!(begun.elapsed().as_secs() < 60, "it never came to that: {:?}", owners(world));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}

/// Whether all partitions are held, and each of the processes holds as many as the others, or one more.
pub(crate) fn are_shared(world: &World, names: &[&str]) -> bool {
    let owners = owners(world);
    let counts = names.iter().map(|name| owners.iter().filter(|(_, owner)| owner == name).count());
    let least = world.tenants.len() / names.len();
    let counts: Vec<usize> = counts.collect();
    counts.iter().sum::<usize>() == world.tenants.len()
        && counts.iter().all(|count| (least..=least + 1).contains(count))
}

/// Which partitions are held, and by whom.
pub(crate) fn owners(world: &World) -> Vec<(Partition, String)> {
    world.road.store.owners(world.clock.now()).into_iter().collect()
}

/// One of the partitions that a process holds.
pub(crate) fn one_of(world: &World, process: &str) -> usize {
    let (partition, _) = owners(world).into_iter().find(|(_, owner)| owner == process).unwrap();
    partition.0.into()
}
