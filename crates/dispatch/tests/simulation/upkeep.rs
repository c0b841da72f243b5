//! What is over is forgotten, however much it is, and nothing waits for it.

use std::time::Duration;

use posthaste_store::{Partition, conformance::sample_event};
use tokio::time::Instant;

use crate::{access::Course, reckoning::reckon, seen::Op, world::World};

/// When a process asked the store for something, in seconds, of one partition or of all.
fn times(world: &World, op: Op, partition: Option<u16>, begun: Instant) -> Vec<u64> {
    let seen = world.seen();
    let meant = seen.calls.iter().filter(|call| call.op == op);
    let meant = meant.filter(|call| partition.is_none_or(|of| call.partition == Some(Partition(of))));
    meant.map(|call| (call.at - begun).as_secs()).collect()
}

/// Each call looks at some events, and takes long.
#[tokio::test(start_paused = true)]
async fn who_has_much_to_forget_leaves_time_to_others() {
    let mut world = World::partitioned(2).await;
    for number in 0..2_200 {
        let tenant = world.tenants[number % 2].clone();
        let event = sample_event(&tenant, &format!("evt_{number}"), world.clock.now());
        world.accept_event(event, &[]).await;
    }
    world.road.follow(|op| match op {
        Op::Prune => Course { there: Duration::from_secs(10), ..Course::default() },
        _ => Course::default(),
    });
    let begun = Instant::now();
    let process = world.start("one");
    world.pass(200).await;
    let calls = times(&world, Op::Prune, None, begun);
    assert_eq!(calls[..2], [0, 5], "in both partitions there is something to forget");
    let apart: Vec<_> = calls[1..10].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(apart, [15, 20, 20, 20, 20, 20, 20, 20], "one call at a time, and as long a pause");
    for partition in [0, 1] {
        let given_back = times(&world, Op::Recover, Some(partition), begun);
        // When no former owner can be at it any more.
        let late = given_back.iter().filter(|at| (50..200).contains(*at));
        assert_eq!(late.count(), 15, "{given_back:?}");
    }
    process.drain().await;
    reckon(&world).await;
}
