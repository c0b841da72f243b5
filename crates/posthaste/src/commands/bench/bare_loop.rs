use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use posthaste_egress::{
    EgressPolicy, Guard, HttpTransport, Request, TargetUrl, Transport as _, TransportSettings,
};
use posthaste_signing::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, SigningKeys};
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
    let keys = Arc::new(SigningKeys::new(&Secret::generate(&mut StdRng::seed_from_u64(1)), []));
    let body = bytes::Bytes::from(vec![b'x'; payload as usize]);
    let clock = clock::system();
    let started = Instant::now();
    let mut posting = JoinSet::new();
    for lane in 0..AT_ONCE {
        let (transport, target, keys) = (Arc::clone(&transport), target.clone(), Arc::clone(&keys));
        let (body, clock) = (body.clone(), clock.clone());
        posting.spawn(async move {
            let mut posted = 0_u64;
            while started.elapsed() < lasting {
                let id = format!("bare-{lane}-{posted}");
                let timestamp = clock.now().as_second();
                let mut headers = HeaderMap::with_capacity(4);
                for (name, value) in [
                    (HEADER_ID, id.as_str()),
                    (HEADER_TIMESTAMP, &timestamp.to_string()),
                    (HEADER_SIGNATURE, &keys.sign(&id, timestamp, &body)),
                    ("content-type", "application/json"),
                ] {
                    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
                }
                let request = Request {
                    target: target.clone(),
                    headers,
                    body: body.clone(),
                    deadline: Duration::from_secs(15),
                };
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
