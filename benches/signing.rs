//! What the signatures of an attempt cost, by profile, and a sealed secret for each endpoint that is made ready.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use posthaste_signing::{
    Credential, EncryptionKey, Message, Profile, Received, Sealer, Secret, Signer, Verifier,
};
use rand::{SeedableRng as _, rngs::StdRng};

const ID: &str = "evt_01979d1c3f5e7a2b8c4d6e8f0a1b2c3d";
const RECORD: &[u8] = b"endpoint:ep_01979d1c3f5e7a2b8c4d6e8f0a1b2c3d";

/// As many headers as anybody may want, with every variable in one of them.
const TEN_HEADERS: &str = r#"{"profile": "custom", "signed": "{method}\n{url}\n{id}\n{ts}\n{sha256(body)}",
    "algorithm": "hmac-sha256", "encoding": "hex", "key": "raw", "signature": "v1={value}", "separator": ",",
    "headers": {"X-Acme-Signature": "t={ts},{signatures}", "X-Acme-Id": "{id}", "X-Acme-Topic": "{topic}",
        "X-Acme-Timestamp": "{ts}", "X-Acme-Millis": "{ts_ms}", "X-Acme-Date": "{ts_rfc3339}",
        "X-Acme-Digest": "sha-256={sha256(body)}", "X-Acme-Method": "{method}", "X-Acme-Url": "{url}",
        "X-Acme-Version": "2026-11-21"}}"#;

fn message(body: &[u8]) -> Message<'_> {
    Message {
        id: ID,
        topic: "order.paid",
        time_ms: 1_700_000_000_123,
        method: "POST",
        url: "https://example.com/hooks",
        body,
    }
}

/// Every preset, what else can be chosen of them, and a format of one's own.
fn profiles() -> impl Iterator<Item = (String, Profile)> {
    let presets = Profile::names().map(|name| (name.to_owned(), Profile::named(name).unwrap()));
    let others = [
        ("standard v1a", r#"{"profile": "standard", "versions": ["v1a"]}"#),
        ("standard v1 and v1a", r#"{"profile": "standard", "versions": ["v1", "v1a"]}"#),
        ("custom, ten headers", TEN_HEADERS),
    ];
    presets.chain(others.map(|(name, json)| (name.to_owned(), Profile::parse(json).unwrap())))
}

fn sign(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut group = c.benchmark_group("sign");
    for (name, profile) in profiles() {
        let (current, retiring) = (profile.generate(&mut rng), profile.generate(&mut rng));
        let mut measure = |name: String, signer: Signer, bytes| {
            let body = vec![b'x'; bytes];
            group.bench_function(BenchmarkId::new(name, format!("{bytes} B")), |b| {
                b.iter(|| signer.headers(black_box(&message(&body))).unwrap());
            });
        };
        measure(name.clone(), Signer::new(&profile, &current).unwrap(), 1_024);
        if name == "standard" {
            measure(name.clone(), Signer::new(&profile, &current).unwrap(), 250);
            let both = Signer::new(&profile, current.iter().chain(&retiring)).unwrap();
            measure(format!("{name}, two secrets"), both, 1_024);
        }
    }
}

fn verify(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let body = vec![b'x'; 1_024];
    let mut group = c.benchmark_group("verify");
    for (name, profile) in profiles() {
        let secrets = profile.generate(&mut rng);
        let signer = Signer::new(&profile, &secrets).unwrap();
        let headers = signer.headers(&message(&body)).unwrap();
        let lookup = |name: &str| {
            headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let credentials: Vec<Credential> = secrets.iter().cloned().map(Credential::from).collect();
        let verifier = Verifier::new(&profile, &credentials).unwrap();
        let received = Received { method: "POST", url: "https://example.com/hooks", body: &body };
        group.bench_function(name, |b| {
            b.iter(|| {
                verifier.verify(lookup, black_box(&received), 1_700_000_000, Duration::ZERO).unwrap();
            });
        });
    }
}

/// What it takes to make an endpoint ready: its profile read, its key computed.
fn prepare(c: &mut Criterion) {
    let secret = Secret::generate(&mut StdRng::seed_from_u64(1));
    let mut group = c.benchmark_group("prepare");
    for (name, json) in [("standard", r#"{"profile": "standard"}"#), ("custom, ten headers", TEN_HEADERS)] {
        group.bench_function(name, |b| {
            b.iter(|| Signer::new(&Profile::parse(black_box(json)).unwrap(), [&secret]).unwrap());
        });
    }
}

fn seal(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let secret = Secret::generate(&mut rng);
    let sealer = Sealer::new(EncryptionKey::generate(&mut rng));
    let sealed = sealer.seal_secret(&secret, RECORD, &mut rng).unwrap();
    c.bench_function("seal", |b| {
        b.iter(|| sealer.seal_secret(black_box(&secret), RECORD, &mut rng).unwrap());
    });
    c.bench_function("open", |b| b.iter(|| sealer.open_secret(black_box(&sealed), RECORD).unwrap()));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = sign, verify, prepare, seal
}
criterion_main!(benches);
