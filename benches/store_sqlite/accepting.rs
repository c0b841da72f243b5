use std::time::Instant;

use criterion::{Criterion, SamplingMode, Throughput};

use crate::at_work::StoreAtWork;

/// Durable accepts, alone and sharing a commit: within a call, or among callers that happen to wait together.
pub(crate) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("accept");
    group.sampling_mode(SamplingMode::Flat);
    for (name, callers, batch) in
        [("1 event", 1, 1), ("batch of 64", 1, 64), ("64 callers with 1 event each", 64, 1)]
    {
        let mut at_work = None;
        group.throughput(Throughput::Elements(callers * batch));
        group.bench_function(name, |b| {
            let (store, endpoints) = at_work.get_or_insert_with(|| StoreAtWork::with_endpoints(100));
            b.iter_custom(|calls| {
                let call = |_| {
                    let batches = (0..callers).map(|_| store.events(endpoints, batch as usize)).collect();
                    let started = Instant::now();
                    store.accept(batches);
                    started.elapsed()
                };
                (0..calls).map(call).sum()
            });
        });
    }
}
