use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use posthaste_egress::{
    EgressPolicy, Guard, HttpTransport, Request, TargetUrl, Transport as _, TransportSettings,
};
use posthaste_signing::{Message, Profile, Secret, Signer};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;

use super::super::receiver::Receiver;
use crate::clock;

/// Posts under way at once.
const AT_ONCE: usize = 64;

/// How many signed posts a second the client makes when it does nothing else.
pub(super) async fn measure(receiver: &Receiver, lasting: Duration, payload: u32) -> anyhow::Result<f64> {
    let guard = Guard::new(EgressPolicy { allow: vec!["127.0.0.0/8".parse()?], ..EgressPolicy::default() });
    let transport = Arc::new(HttpTransport::new(guard.clone(), TransportSettings::default())?);
    let target = TargetUrl::parse(&receiver.url("/bare"), &guard)?;
    let secret = Secret::generate(&mut StdRng::seed_from_u64(1));
    let signer = Arc::new(Signer::new(&Profile::named("standard")?, [&secret])?);
    let body = bytes::Bytes::from(vec![b'x'; payload as usize]);
    let clock = clock::system();
    let started = Instant::now();
    let mut posting = JoinSet::new();
    for lane in 0..AT_ONCE {
        let (transport, target, signer) = (Arc::clone(&transport), target.clone(), Arc::clone(&signer));
        let (body, clock) = (body.clone(), clock.clone());
        posting.spawn(async move {
            let mut posted = 0_u64;
            while started.elapsed() < lasting {
                let id = format!("bare-{lane}-{posted}");
                let message = Message {
                    id: &id,
                    topic: "bench.bare",
                    time_ms: clock.now().as_millisecond(),
                    method: "POST",
                    url: target.as_str(),
                    body: &body,
                };
                let mut headers = HeaderMap::with_capacity(4);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                for (name, value) in signer.headers(&message)? {
                    headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
                }
                let request = Request::post(target.clone(), body.clone(), Duration::from_secs(15));
                let request = Request { headers, ..request };
                let exchange = transport.send(request).await;
                anyhow::ensure!(
                    exchange.outcome.status() == Some(200),
                    "the receiver failed: {:?}",
                    exchange.outcome
                );
                posted += 1;
            }
            Ok(posted)
        });
    }
    let posted: u64 = posting.join_all().await.into_iter().sum::<anyhow::Result<u64>>()?;
    Ok(posted as f64 / started.elapsed().as_secs_f64())
}
