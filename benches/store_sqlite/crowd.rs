use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

use crate::at_work::StoreAtWork;

/// Deliveries that are due, however many endpoints share them.
const DUE: usize = 100_000;
/// Deliveries that are leased at once.
pub(crate) const AT_ONCE: usize = 64;

/// What it costs to lease them when one endpoint, a thousand, or a hundred thousand wait for their turn.
pub(crate) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("lease of 64 among endpoints");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(AT_ONCE as u64));
    for endpoints in [1, 1_000, 100_000] {
        let mut crowded = None;
        group.bench_function(BenchmarkId::from_parameter(endpoints), |b| {
            let store = crowded.get_or_insert_with(|| crowd(endpoints));
            b.iter_custom(|calls| (0..calls).map(|_| lease_once(store)).sum());
        });
    }
}

fn crowd(endpoints: u64) -> StoreAtWork {
    let (mut store, endpoints) = StoreAtWork::with_endpoints(endpoints);
    store.fill(&endpoints, DUE);
    store
}

/// The time that leasing takes, after which everything is as due as before.
pub(crate) fn lease_once(store: &mut StoreAtWork) -> Duration {
    let started = Instant::now();
    let leases = store.lease(AT_ONCE);
    let taken = started.elapsed();
    store.give_back(&leases);
    taken
}
