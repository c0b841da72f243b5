use std::{env, time::Duration};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use posthaste_model::{EndpointId, Next};

use crate::{
    at_work::{BULK, StoreAtWork},
    crowd::{AT_ONCE, lease_once},
};

/// Names how many retries are parked, 1,000,000 for instance.
const VARIABLE: &str = "BENCH_PARKED";
const USUALLY: usize = 100_000;
/// Endpoints that are well.
const WELL: u64 = 1_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// What a dead endpoint with a long queue of retries costs the others.
pub(crate) fn benches(c: &mut Criterion) {
    let many = env::var(VARIABLE).map_or(USUALLY, |text| text.parse().expect("a number of retries"));
    let mut group = c.benchmark_group("lease of 64 beside parked retries");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(AT_ONCE as u64));
    for parked in [0, many] {
        let mut beside = None;
        group.bench_function(BenchmarkId::from_parameter(parked), |b| {
            let store = beside.get_or_insert_with(|| beside_dead(parked));
            b.iter_custom(|calls| (0..calls).map(|_| lease_once(store)).sum());
        });
    }
}

/// A store in which one endpoint is parked with retries that are long due, and a thousand others are well.
fn beside_dead(retries: usize) -> StoreAtWork {
    let (mut store, mut well) = StoreAtWork::with_endpoints(WELL + 1);
    if let Some(dead) = well.pop() {
        fail(&mut store, dead, retries);
        store.pass(2 * HOUR);
        store.park(dead, 24 * HOUR);
    }
    store.fill(&well, 10 * well.len());
    store
}

/// Has so many deliveries fail, each to be retried within the hour.
fn fail(store: &mut StoreAtWork, dead: EndpointId, retries: usize) {
    let mut left = retries;
    while left > 0 {
        let some = left.min(BULK);
        store.fill(&[dead], some);
        let leases = store.lease(some);
        store.settle(&leases, 500, Next::Retry { at: store.now() + HOUR });
        // Retries that fail one after the other are due one after the other.
        store.pass(Duration::from_millis(1));
        left -= some;
    }
}
