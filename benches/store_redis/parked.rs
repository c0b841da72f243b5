use std::time::Duration;

use posthaste_model::{Endpoint, Next};
use posthaste_store::Deliveries as _;

use crate::at_work::{BATCH, Content, StoreAtWork};

const PARKED: usize = 1_000_000;
const ROUNDS: usize = 60;
/// Of these the first warm everything up.
const WARMING: usize = 10;

/// A server that is leased from, and what that cost it so far.
struct Side {
    work: StoreAtWork,
    endpoints: Vec<Endpoint>,
    seconds: f64,
    leases: usize,
}

/// What a million retries that wait at one dead endpoint change about the lease of others' deliveries: two servers take
/// turns, one with them and one without, so that the machine's moods meet both.
pub(crate) async fn measure() {
    let (mut alone, mut beside) = (Side::new().await, Side::new().await);
    let work = &mut beside.work;
    let dead = work.tenant("default", 1).await.remove(0);
    work.store.park(&dead.tenant, dead.id, work.now() + Duration::from_secs(86_400)).await.unwrap();
    for _ in 0..PARKED / 1_000 {
        let events = (0..1_000).map(|_| work.event(&dead)).collect();
        work.accept_together(events).await;
    }
    for round in 0..ROUNDS {
        alone.round(round >= WARMING).await;
        beside.round(round >= WARMING).await;
    }
    let [alone, beside] = [alone, beside].map(|side| side.seconds * 1e6 / side.leases as f64);
    println!("server CPU of a lease, us: {alone:.2} alone, {beside:.2} beside {PARKED} parked retries");
    println!("ratio {:.3}", beside / alone);
}

impl Side {
    async fn new() -> Self {
        let mut work = StoreAtWork::new(Content::Json).await;
        let endpoints = work.tenant("default", 1_000).await;
        Self { work, endpoints, seconds: 0.0, leases: 0 }
    }

    /// Makes deliveries due, and leases all of them.
    async fn round(&mut self, counts: bool) {
        let Self { work, endpoints, .. } = self;
        let events = (0..4_000).map(|n| work.event(&endpoints[(n * 7) % endpoints.len()])).collect();
        work.accept_together(events).await;
        let before = work.cpu();
        let mut leases = work.lease(BATCH).await;
        while leases.len() < 4_000 {
            leases.extend(work.lease(BATCH).await);
        }
        let spent = work.cpu() - before;
        if counts {
            self.seconds += spent;
            self.leases += leases.len();
        }
        work.settle(&leases, 200, Next::Delivered).await;
        work.pass(Duration::from_millis(1));
        work.prune().await;
    }
}
