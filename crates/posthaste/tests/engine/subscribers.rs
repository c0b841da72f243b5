use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_egress::{Exchange, Request, Transport};
use posthaste_model::{Clock, ErrorClass, Outcome, Reply};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::seen::{Record, Sent};

/// What a subscriber does about a request.
#[derive(Debug, Clone)]
pub(crate) struct Does {
    when: When,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum When {
    After(Duration),
    /// When this becomes true.
    Told(watch::Receiver<bool>),
    /// Never: the sender gives up at its deadline.
    Never,
}

impl Does {
    pub(crate) fn answer(status: u16) -> Self {
        Self::outcome(Outcome::Replied(Reply {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            truncated: false,
        }))
    }

    pub(crate) fn fail(class: ErrorClass) -> Self {
        Self::outcome(Outcome::Failed { class, detail: class.as_str().into() })
    }

    /// Says nothing until the sender gives up.
    pub(crate) fn hang() -> Self {
        Self { when: When::Never, ..Self::fail(ErrorClass::Timeout) }
    }

    pub(crate) fn retry_after(mut self, secs: u64) -> Self {
        if let Outcome::Replied(reply) = &mut self.outcome {
            reply.headers.push(("retry-after".into(), secs.to_string()));
        }
        self
    }

    pub(crate) fn after(self, time: Duration) -> Self {
        Self { when: When::After(time), ..self }
    }

    /// Does so when it is told to.
    pub(crate) fn when(self, told: &watch::Sender<bool>) -> Self {
        Self { when: When::Told(told.subscribe()), ..self }
    }

    fn outcome(outcome: Outcome) -> Self {
        Self { when: When::After(Duration::ZERO), outcome }
    }

    async fn perform(self) -> Outcome {
        match self.when {
            When::After(time) if time.is_zero() => {}
            When::After(time) => sleep(time).await,
            When::Told(mut told) => drop(told.wait_for(|told| *told).await),
            When::Never => pending().await,
        }
        self.outcome
    }
}

type Script = Box<dyn FnMut(&Sent) -> Does + Send>;

/// All subscribers there are.
pub(crate) struct Subscribers {
    clock: Clock,
    record: Arc<Record>,
    script: Mutex<Script>,
}

impl Subscribers {
    /// They take everything at once.
    pub(crate) fn new(clock: Clock, record: Arc<Record>) -> Self {
        Self { clock, record, script: Mutex::new(Box::new(|_| Does::answer(200))) }
    }

    /// From now on they do as `script` says.
    pub(crate) fn follow(&self, script: impl FnMut(&Sent) -> Does + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }
}

/// The way of one process to the subscribers.
pub(crate) struct Line {
    pub(crate) process: String,
    pub(crate) subscribers: Arc<Subscribers>,
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, Request { target, headers, body, deadline, .. }: Request) -> Exchange {
        let Subscribers { clock, record, script } = &*self.subscribers;
        let sent = Sent {
            process: self.process.clone(),
            url: target.as_str().to_owned(),
            headers,
            body,
            at: clock.now(),
            began: Instant::now(),
            ended: None,
        };
        let does = (script.lock().unwrap())(&sent);
        let began = sent.began;
        let mut number = 0;
        record.send_modify(|seen| {
            number = seen.requests.len();
            seen.requests.push(sent);
        });
        let outcome = timeout(deadline, does.perform()).await.unwrap_or_else(|_| Does::hang().outcome);
        let outcome = marked(outcome, number);
        record.send_modify(|seen| seen.requests[number].ended = Some((Instant::now(), outcome.clone())));
        let total = began.elapsed();
        let first_byte = outcome.status().map(|_| total);
        Exchange { first_byte, ..Exchange::unsent(outcome, total) }
    }
}

/// The outcome with the number of its request, so that the attempt of each request can be told.
fn marked(outcome: Outcome, number: usize) -> Outcome {
    match outcome {
        Outcome::Replied(mut reply) => {
            reply.headers.push(("x-request".into(), number.to_string()));
            Outcome::Replied(reply)
        }
        Outcome::Failed { class, detail } => {
            Outcome::Failed { class, detail: format!("request {number}: {detail}") }
        }
    }
}
