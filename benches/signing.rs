//! What a signature costs for each attempt, and a sealed secret for each endpoint that is made ready.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use posthaste_signing::{EncryptionKey, Sealer, Secret, SigningKeys};
use rand::{SeedableRng as _, rngs::StdRng};

const ID: &str = "evt_01979d1c3f5e7a2b8c4d6e8f0a1b2c3d";
const RECORD: &[u8] = b"endpoint:ep_01979d1c3f5e7a2b8c4d6e8f0a1b2c3d";

fn sign(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let (current, retiring) = (Secret::generate(&mut rng), Secret::generate(&mut rng));
    let mut group = c.benchmark_group("sign");
    for (secrets, keys) in [
        ("one secret", SigningKeys::new(&current, [])),
        ("two secrets", SigningKeys::new(&current, [&retiring])),
    ] {
        for bytes in [250, 1_024] {
            let body = vec![b'x'; bytes];
            group.bench_function(BenchmarkId::new(secrets, format!("{bytes} B")), |b| {
                b.iter(|| keys.sign(black_box(ID), black_box(1_700_000_000), black_box(&body)));
            });
        }
    }
}

fn seal(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let secret = Secret::generate(&mut rng);
    let sealer = Sealer::new(EncryptionKey::generate(&mut rng));
    let sealed = sealer.seal(secret.expose_key(), RECORD, &mut rng).unwrap();
    c.bench_function("seal", |b| {
        b.iter(|| sealer.seal(black_box(secret.expose_key()), RECORD, &mut rng).unwrap());
    });
    c.bench_function("open", |b| b.iter(|| sealer.open(black_box(&sealed), RECORD).unwrap()));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = sign, seal
}
criterion_main!(benches);
