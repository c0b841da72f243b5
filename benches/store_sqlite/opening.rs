use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use posthaste_store_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::at_work::{StoreAtWork, file};

/// Endpoints that have a delivery waiting.
const QUEUES: usize = 100_000;

/// How long a start waits for the store, whose memory of whose turn it is comes from the tables.
pub(crate) fn benches(c: &mut Criterion) {
    let mut closed = None;
    let mut group = c.benchmark_group("open");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function(format!("{QUEUES} queues"), |b| {
        let folder = closed.get_or_insert_with(with_queues);
        b.iter_custom(|times| (0..times).map(|_| open(folder)).sum());
    });
}

fn with_queues() -> TempDir {
    let (mut store, endpoints) = StoreAtWork::with_endpoints(QUEUES as u64);
    store.fill(&endpoints, QUEUES);
    store.close()
}

fn open(folder: &TempDir) -> Duration {
    let started = Instant::now();
    let store = SqliteStore::open(file(folder.path())).unwrap();
    let taken = started.elapsed();
    drop(store);
    taken
}
