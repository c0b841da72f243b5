use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_egress::{
    EgressPolicy, Exchange, Guard, HttpTransport, Request, Resolver, TargetUrl, Transport, TransportSettings,
};
use posthaste_model::{ErrorClass, Outcome, Reply};

/// Longer than anything here takes, so that a test that waits for it has failed.
pub(crate) const AMPLE: Duration = Duration::from_secs(20);

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A guard that opens these networks.
pub(crate) fn guard(allow: &[&str]) -> Guard {
    let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
    Guard::new(EgressPolicy { allow, ..EgressPolicy::default() })
}

/// A guard that opens this machine, where the receivers are.
pub(crate) fn local() -> Guard {
    guard(&["127.0.0.0/8", "::1/128"])
}

/// A transport to this machine.
pub(crate) fn transport() -> HttpTransport {
    HttpTransport::new(local(), TransportSettings::default()).unwrap()
}

/// A transport that asks `names`.
pub(crate) fn transport_asking(names: &Arc<Names>, guard: Guard) -> HttpTransport {
    let settings =
        TransportSettings { resolve_timeout: Duration::from_millis(100), ..TransportSettings::default() };
    HttpTransport::with_resolver(guard, settings, names.clone()).unwrap()
}

pub(crate) fn request(url: &str) -> Request {
    Request::post(TargetUrl::parse(url, &local()).unwrap(), Bytes::from_static(b"{}"), AMPLE)
}

pub(crate) async fn send(transport: &HttpTransport, url: &str) -> Exchange {
    transport.send(request(url)).await
}

#[track_caller]
pub(crate) fn replied(exchange: Exchange) -> Reply {
    match exchange.outcome {
        Outcome::Replied(reply) => reply,
        Outcome::Failed { class, detail } => panic!("{class:?}: {detail}"),
    }
}

/// Asserts that the exchange failed so, and that its detail names no address.
#[track_caller]
pub(crate) fn failed(exchange: &Exchange, expect: ErrorClass) -> &str {
    let Outcome::Failed { class, detail } = &exchange.outcome else {
        panic!("{:?}", exchange.outcome);
    };
    assert_eq!(*class, expect, "{detail}");
    assert!(!detail.contains("127.") && !detail.contains("::") && !detail.contains("10."), "{detail}");
    detail
}

/// A resolver that gives one answer after the other, and no more when they are used up.
pub(crate) struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|text| ip(text)).collect()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() })
    }

    /// The names it was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(ips) => Ok(ips),
            None => pending().await,
        }
    }
}

/// A resolver to which every name is this machine.
pub(crate) struct Loopback;

#[async_trait]
impl Resolver for Loopback {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![ip("127.0.0.1")])
    }
}
