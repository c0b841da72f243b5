//! Signed posts through the real transport, 64 at once, to a receiver in the same process: what a dispatcher could send
//! on this machine if it had nothing else to do.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use posthaste_egress::{
    EgressPolicy, Guard, HttpTransport, Request, TargetUrl, Transport as _, TransportSettings,
};
use posthaste_signing::{Message, Profile, Secret, Signer};
use posthaste_testkit::{Receiver, Reply};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{runtime::Runtime, task::JoinSet};

/// Posts under way at once.
const AT_ONCE: usize = 64;
/// Bytes of a body.
const BODY: usize = 250;
const TIMESTAMP: i64 = 1_700_000_000;

struct Sender {
    transport: HttpTransport,
    target: TargetUrl,
    signer: Signer,
    body: Bytes,
}

impl Sender {
    fn to(receiver: &Receiver) -> Self {
        let allow = vec!["127.0.0.0/8".parse().unwrap()];
        let guard = Guard::new(EgressPolicy { allow, ..EgressPolicy::default() });
        Self {
            target: TargetUrl::parse(&receiver.url("/hooks"), &guard).unwrap(),
            transport: HttpTransport::new(guard, TransportSettings::default()).unwrap(),
            signer: Signer::new(
                &Profile::named("standard").unwrap(),
                [&Secret::generate(&mut StdRng::seed_from_u64(1))],
            )
            .unwrap(),
            body: vec![b'x'; BODY].into(),
        }
    }

    async fn post(&self, number: u64) {
        let id = format!("evt-{number}");
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let message = Message {
            id: &id,
            topic: "order.paid",
            time_ms: TIMESTAMP * 1_000,
            method: "POST",
            url: self.target.as_str(),
            body: &self.body,
        };
        for (name, value) in self.signer.headers(&message).unwrap() {
            headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        let request = Request::post(self.target.clone(), self.body.clone(), Duration::from_secs(15));
        let request = Request { headers, ..request };
        let outcome = self.transport.send(request).await.outcome;
        assert_eq!(outcome.status(), Some(200), "{outcome:?}");
    }
}

/// Makes so many posts and tells how long that took.
async fn post_all(sender: &Arc<Sender>, posts: u64) -> Duration {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (sender, next) = (Arc::clone(sender), Arc::clone(&next));
        lanes.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= posts {
                    break;
                }
                sender.post(number).await;
            }
        });
    }
    lanes.join_all().await;
    started.elapsed()
}

fn signed_posts(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let receiver = runtime.block_on(Receiver::start(|_| Reply::status(200))).unwrap();
    let sender = Arc::new(Sender::to(&receiver));
    let mut group = c.benchmark_group("signed posts");
    group.throughput(Throughput::Elements(1)).sampling_mode(SamplingMode::Flat);
    group.bench_function("64 at once", |b| {
        b.iter_custom(|posts| runtime.block_on(post_all(&sender, posts)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    targets = signed_posts
}
criterion_main!(benches);
