use std::time::Instant;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use posthaste_model::Next;

use crate::at_work::StoreAtWork;

/// The store's share of a delivery: a lease call, then a settle call for all that it gave.
pub(crate) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("lease and settle");
    group.sampling_mode(SamplingMode::Flat);
    for at_once in [64, 256] {
        let mut at_work = None;
        group.throughput(Throughput::Elements(at_once as u64));
        group.bench_function(BenchmarkId::from_parameter(at_once), |b| {
            let (store, endpoints) = at_work.get_or_insert_with(|| StoreAtWork::with_endpoints(100));
            b.iter_custom(|rounds| {
                store.fill(endpoints, rounds as usize * at_once);
                let started = Instant::now();
                for _ in 0..rounds {
                    let leases = store.lease(at_once);
                    store.settle(&leases, 200, Next::Delivered);
                }
                started.elapsed()
            });
        });
    }
}
