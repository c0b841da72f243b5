use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_egress::{Exchange, Request, Transport};
use posthaste_model::{Clock, ErrorClass, Outcome, Reply};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    process::{Life, while_alive},
    seen::{Record, Sent},
};

/// What a subscriber does about a request.
#[derive(Debug, Clone)]
pub(crate) struct Does {
    /// How long it takes; none: for ever, and the sender gives up at its deadline.
    after: Option<Duration>,
    /// What it comes to then.
    outcome: Outcome,
    heeds_deadline: bool,
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

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        if let Outcome::Replied(reply) = &mut self.outcome {
            reply.body = body.into();
        }
        self
    }

    /// Says nothing until the sender gives up.
    pub(crate) fn hang() -> Self {
        Self { after: None, ..Self::fail(ErrorClass::Timeout) }
    }

    /// Says nothing, and the sender does not give up, as it must.
    pub(crate) fn hang_for_ever() -> Self {
        Self { heeds_deadline: false, ..Self::hang() }
    }

    pub(crate) fn retry_after(mut self, value: impl ToString) -> Self {
        if let Outcome::Replied(reply) = &mut self.outcome {
            reply.headers.push(("Retry-After".into(), value.to_string()));
        }
        self
    }

    pub(crate) fn after(self, secs: f64) -> Self {
        Self { after: Some(Duration::from_secs_f64(secs)), ..self }
    }

    fn outcome(outcome: Outcome) -> Self {
        Self { after: Some(Duration::ZERO), outcome, heeds_deadline: true }
    }

    async fn perform(self) -> Outcome {
        match self.after {
            None => pending().await,
            Some(Duration::ZERO) => self.outcome,
            Some(after) => {
                sleep(after).await;
                self.outcome
            }
        }
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
    pub(crate) life: Life,
    pub(crate) subscribers: Arc<Subscribers>,
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request) -> Exchange {
        let Subscribers { clock, record, script } = &*self.subscribers;
        let Request { method, target, headers, body, deadline, .. } = request;
        let sent = Sent {
            at: clock.now(),
            process: self.process.clone(),
            method,
            url: target.as_str().to_owned(),
            headers,
            body,
            deadline,
            ended: None,
        };
        let does = (script.lock().unwrap())(&sent);
        let number = record.borrow().requests.len();
        record.send_modify(|seen| seen.requests.push(sent));
        let begun = Instant::now();
        let exchange = async {
            if !does.heeds_deadline {
                return does.perform().await;
            }
            let late = Does::hang().outcome;
            timeout(deadline, does.perform()).await.unwrap_or(late)
        };
        let outcome = while_alive(&self.life, exchange).await;
        record.send_modify(|seen| seen.requests[number].ended = Some((clock.now(), outcome.clone())));
        let total = begun.elapsed();
        let first_byte = outcome.status().map(|_| total);
        Exchange { first_byte, ..Exchange::unsent(outcome, total) }
    }
}
