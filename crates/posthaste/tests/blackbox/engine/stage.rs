use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste_client::{
    Attempt, Client, ClientError, Delivery, DeliveryFilter, ListOptions, NewEndpoint, NewEvent, ProblemKind,
    PublishOptions,
};
use posthaste_model::{DeliveryState, EndpointId, Period, RetryPolicy, TopicName, TopicPattern};
use posthaste_testkit::{
    Receiver, Reply,
    redis::{RedisServer, Shared, shared_standalone, unique_prefix},
};
use serde_json::json;
use tempfile::TempDir;

use crate::service::{Service, folder, posthaste, tenant, topic};

/// Longer than anything here takes, on a busy machine, too.
pub(crate) const AMPLE: Duration = Duration::from_secs(40);

/// A service, and a receiver whose answers can be set. Every event is of one topic.
pub(crate) struct Stage {
    _service: Service,
    _redis: Option<Shared<RedisServer>>,
    _folder: TempDir,
    pub(crate) client: Client,
    pub(crate) receiver: Receiver,
    pub(crate) topic: TopicName,
    answers: Arc<Mutex<Answers>>,
}

/// What the receiver answers: each of the first once, and then always the same.
struct Answers {
    first: VecDeque<Reply>,
    then: Reply,
}

impl Stage {
    pub(crate) async fn sqlite() -> Self {
        Self::on(None).await
    }

    pub(crate) async fn redis() -> Self {
        Self::on(Some(shared_standalone().unwrap())).await
    }

    async fn on(redis: Option<Shared<RedisServer>>) -> Self {
        let folder = folder();
        let mut command = posthaste(folder.path());
        if let Some(redis) = &redis {
            command.env("POSTHASTE_STORE", redis.url()).env("POSTHASTE_REDIS_PREFIX", unique_prefix());
        }
        let service = Service::start_with(command.args(["serve", "--listen", "127.0.0.1:0"]));
        let client = service.client();
        let answers = Arc::new(Mutex::new(Answers { first: VecDeque::new(), then: Reply::status(200) }));
        let told = Arc::clone(&answers);
        let receiver = Receiver::start(move |_| {
            let mut answers = told.lock().unwrap();
            answers.first.pop_front().unwrap_or_else(|| answers.then.clone())
        });
        Self {
            topic: topic(&client, "order.paid").await,
            receiver: receiver.await.unwrap(),
            _service: service,
            _redis: redis,
            _folder: folder,
            client,
            answers,
        }
    }

    /// From now on the receiver answers so.
    pub(crate) fn answer(&self, then: Reply) {
        self.answer_first(Vec::new(), then);
    }

    /// From now on the receiver answers so, one after another, and then always the same.
    pub(crate) fn answer_first(&self, first: Vec<Reply>, then: Reply) {
        *self.answers.lock().unwrap() = Answers { first: first.into(), then };
    }

    /// Registers the receiver for every topic, with so many milliseconds before each further attempt.
    pub(crate) async fn endpoint(&self, delays: &[u64]) -> EndpointId {
        self.endpoint_with(delays, |_| {}).await
    }

    pub(crate) async fn endpoint_with(
        &self,
        delays: &[u64],
        change: impl FnOnce(&mut NewEndpoint),
    ) -> EndpointId {
        let delays = delays.iter().copied().map(Period::from_millis).collect();
        let mut endpoint = NewEndpoint {
            topics: vec![TopicPattern::All],
            retry: Some(RetryPolicy::schedule(delays).unwrap()),
            ..NewEndpoint::new(self.receiver.url("/"))
        };
        change(&mut endpoint);
        self.client.create_endpoint(&tenant(), &endpoint).await.unwrap().endpoint.id
    }

    /// Publishes an event; to how many endpoints it goes.
    pub(crate) async fn publish(&self, id: &str) -> u32 {
        self.publish_with(id, PublishOptions::default()).await
    }

    pub(crate) async fn publish_with(&self, id: &str, options: PublishOptions) -> u32 {
        let event = NewEvent::new(self.topic.clone(), &json!({ "of": id })).unwrap();
        let event = event.with_id(id.parse().unwrap()).with_options(options);
        self.client.publish(&tenant(), &event).await.unwrap().deliveries
    }

    /// The events that have arrived, in their order.
    pub(crate) fn arrived(&self) -> Vec<String> {
        let requests = self.receiver.requests();
        requests.iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect()
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn until_arrived(&self, count: usize) {
        let arrived = self.receiver.wait_for(count, AMPLE).await.len();
        assert!(arrived >= count, "{arrived} requests came, {count} were awaited");
    }

    /// Waits until a delivery of an event is so.
    pub(crate) async fn until(&self, event: &str, fact: impl Fn(&Delivery) -> bool) -> Delivery {
        let filter = DeliveryFilter { event: Some(event.parse().unwrap()), ..DeliveryFilter::default() };
        let look = async {
            loop {
                let page = self.client.deliveries(&tenant(), &filter, &ListOptions::default()).await.unwrap();
                if let Some(found) = page.data.into_iter().find(|delivery| fact(delivery)) {
                    return found;
                }
                // Between two looks at a state that only the API shows.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(AMPLE, look).await.unwrap_or_else(|_| panic!("{event} never came to that"))
    }

    pub(crate) async fn until_state(&self, event: &str, state: DeliveryState) -> Delivery {
        self.until(event, |delivery| delivery.state == state).await
    }

    pub(crate) async fn attempts(&self, delivery: &Delivery) -> Vec<Attempt> {
        self.client.attempts(&tenant(), delivery.id).await.unwrap()
    }
}

/// Whether each attempt was a manual one, and what it was answered.
pub(crate) fn told(attempts: &[Attempt]) -> Vec<(bool, u16)> {
    let status = |attempt: &Attempt| attempt.response.as_ref().map_or(0, |response| response.status);
    attempts.iter().map(|attempt| (attempt.manual, status(attempt))).collect()
}

/// What the service said when it refused something, and why.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> (ProblemKind, String) {
    match answer {
        Err(ClientError::Problem(problem)) => (problem.kind, problem.detail),
        other => panic!("it should have been refused: {other:?}"),
    }
}
