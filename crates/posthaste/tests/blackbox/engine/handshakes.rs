//! What an endpoint has to answer before it is sent anything else: the same on every store.

use std::sync::{Arc, Mutex};

use posthaste_client::{
    CreatedEndpoint, HandshakeKind, NewEndpoint, Period, ProblemKind, RateLimit, SecretText, TestEvent,
};
use posthaste_model::{DeliveryState, EndpointState};
use posthaste_signing::{Profile, Secret};
use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use serde_json::{Value, json};

use super::stage::{AMPLE, Stage, refused};
use crate::{service::tenant, subscriber::verify};

on_every_store!(
    an_endpoint_that_repeats_the_challenge_is_verified,
    an_endpoint_that_proves_its_secret_is_verified,
    an_endpoint_that_allows_the_origin_is_verified,
    an_unverified_endpoint_gets_nothing_but_the_handshake,
    another_url_is_verified_anew,
);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a subscriber answers to a handshake.
#[derive(Clone)]
enum Answers {
    /// As to everything else.
    Deaf,
    Challenge(&'static str),
    Repeats,
    Proves(&'static str),
    Headers(Vec<(&'static str, &'static str)>),
}

/// A subscriber that takes every event, and whose answers to handshakes can be set.
struct Subscriber {
    receiver: Receiver,
    answers: Arc<Mutex<Answers>>,
}

fn is_handshake(request: &ReceivedRequest) -> bool {
    request.method == "OPTIONS" || request.header("posthaste-topic") == Some("posthaste.handshake")
}

fn challenge(request: &ReceivedRequest) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "url_verification");
    body["challenge"].as_str().unwrap().to_owned()
}

fn reply(request: &ReceivedRequest, answers: Answers) -> Reply {
    let body = match answers {
        _ if !is_handshake(request) => return Reply::status(204),
        Answers::Deaf => return Reply::status(200).with_body("ok"),
        Answers::Headers(headers) => {
            let add = |reply: Reply, (name, value): &(&str, &str)| reply.with_header(name, value);
            return headers.iter().fold(Reply::status(200), add);
        }
        Answers::Challenge(challenge) => json!({ "challenge": challenge }),
        Answers::Repeats => json!({ "challenge": challenge(request) }),
        Answers::Proves(secret) => {
            let (challenge, secret) = (challenge(request), secret.parse::<Secret>().unwrap());
            let proof = Profile::named("standard").unwrap().proof(&secret, &challenge).unwrap();
            json!({ "challenge": challenge, "proof": proof })
        }
    };
    Reply::status(200).with_header("content-type", "application/json").with_body(body.to_string())
}

impl Subscriber {
    async fn new(answers: Answers) -> Self {
        let answers = Arc::new(Mutex::new(answers));
        let told = Arc::clone(&answers);
        let receiver = Receiver::start(move |request| reply(request, told.lock().unwrap().clone()));
        Self { receiver: receiver.await.unwrap(), answers }
    }

    fn answer(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// Registers it, with its secret; its deliveries go out in order.
    async fn register(&self, stage: &Stage, kind: HandshakeKind) -> CreatedEndpoint {
        self.register_with(stage, kind, |_| {}).await
    }

    async fn register_with(
        &self,
        stage: &Stage,
        kind: HandshakeKind,
        change: impl FnOnce(&mut NewEndpoint),
    ) -> CreatedEndpoint {
        let mut endpoint = NewEndpoint {
            handshake: Some(kind.into()),
            secret: Some(SecretText::new(SECRET)),
            ordered: true,
            ..NewEndpoint::new(self.receiver.url("/hooks"))
        };
        change(&mut endpoint);
        stage.client.create_endpoint(&tenant(), &endpoint).await.unwrap()
    }

    fn handshakes(&self) -> Vec<Arc<ReceivedRequest>> {
        self.receiver.requests().into_iter().filter(|request| is_handshake(request)).collect()
    }

    /// The events that it got.
    fn events(&self) -> Vec<String> {
        let requests = self.receiver.requests();
        let events = requests.iter().filter(|request| !is_handshake(request));
        events.map(|request| request.header("webhook-id").unwrap().to_owned()).collect()
    }
}

/// Publishes two events, has the endpoint verified, and sees them arrive in their order.
async fn verified_in_the_end(stage: &Stage, subscriber: &Subscriber, made: &CreatedEndpoint) {
    for event in ["e0", "e1"] {
        stage.publish(event).await;
        stage.until_state(event, DeliveryState::Held).await;
    }
    let verified = stage.client.verify_endpoint(&tenant(), made.endpoint.id).await.unwrap();
    assert_eq!((verified.state, verified.state_reason), (EndpointState::Enabled, None));
    assert!(verified.handshake.unwrap().verified_at.is_some());
    for event in ["e0", "e1"] {
        stage.until_state(event, DeliveryState::Delivered).await;
    }
    assert_eq!(subscriber.events(), ["e0", "e1"]);
}

/// Runs a handshake that fails, and says why.
async fn failure(stage: &Stage, subscriber: &Subscriber, made: &CreatedEndpoint, answers: Answers) -> String {
    subscriber.answer(answers);
    let (kind, why) = refused(stage.client.verify_endpoint(&tenant(), made.endpoint.id).await);
    assert_eq!(kind, ProblemKind::HandshakeFailed);
    why
}

/// What the answer to the registration says of a handshake that failed.
fn told(made: &CreatedEndpoint) -> &str {
    let endpoint = &made.endpoint;
    assert_eq!(
        (endpoint.state, endpoint.state_reason.as_deref()),
        (EndpointState::Paused, Some("waits for its handshake, then enabled"))
    );
    let handshake = endpoint.handshake.as_ref().unwrap();
    assert_eq!(handshake.verified_at, None);
    handshake.failure.as_deref().unwrap()
}

async fn an_endpoint_that_repeats_the_challenge_is_verified(stage: Stage) {
    let subscriber = Subscriber::new(Answers::Deaf).await;
    let made = subscriber.register(&stage, HandshakeKind::Echo).await;
    assert!(told(&made).contains("the answer is not the challenge"), "{}", told(&made));
    let why = failure(&stage, &subscriber, &made, Answers::Challenge("guessed")).await;
    assert_eq!(why, "the answer's challenge is another one");
    subscriber.answer(Answers::Repeats);
    verified_in_the_end(&stage, &subscriber, &made).await;
    let handshakes = subscriber.handshakes();
    assert_eq!(handshakes.len(), 3);
    let challenges: Vec<String> = handshakes.iter().map(|request| challenge(request)).collect();
    assert!(challenges[0] != challenges[1] && challenges[1] != challenges[2], "each is another one");
    for request in &handshakes {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks"));
        verify(request, SECRET).unwrap();
    }

    // Whoever answers at once need not be asked again.
    let made = subscriber.register(&stage, HandshakeKind::Echo).await;
    assert_eq!((made.endpoint.state, made.endpoint.state_reason), (EndpointState::Enabled, None));
    assert_eq!(made.endpoint.handshake.unwrap().failure, None);
}

async fn an_endpoint_that_proves_its_secret_is_verified(stage: Stage) {
    let subscriber = Subscriber::new(Answers::Repeats).await;
    let made = subscriber.register(&stage, HandshakeKind::Hmac).await;
    assert_eq!(told(&made), "the answer has no text 'proof'");
    let another = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let why = failure(&stage, &subscriber, &made, Answers::Proves(another)).await;
    assert_eq!(why, "the answer's proof is another one");
    subscriber.answer(Answers::Proves(SECRET));
    verified_in_the_end(&stage, &subscriber, &made).await;

    // A secret that is made now is not known to anybody yet.
    let before = subscriber.handshakes().len();
    let made = subscriber.register_with(&stage, HandshakeKind::Hmac, |endpoint| endpoint.secret = None).await;
    assert!(told(&made).contains("has to know the secret first"));
    assert_eq!(subscriber.handshakes().len(), before);
}

async fn an_endpoint_that_allows_the_origin_is_verified(stage: Stage) {
    let subscriber = Subscriber::new(Answers::Deaf).await;
    let limit = |limit, secs| RateLimit::new(limit, Period::from_secs(secs)).unwrap();
    let made = subscriber
        .register_with(&stage, HandshakeKind::CloudEvents, |endpoint| {
            endpoint.rate_limit = Some(limit(50, 1))
        })
        .await;
    assert_eq!(told(&made), "the answer has no header WebHook-Allowed-Origin", "a status is no consent");
    let other = Answers::Headers(vec![("WebHook-Allowed-Origin", "elsewhere.example")]);
    let why = failure(&stage, &subscriber, &made, other).await;
    assert_eq!(why, "the answer's WebHook-Allowed-Origin is 'elsewhere.example', not 'posthaste' or '*'");
    let allowed = vec![("WebHook-Allowed-Origin", "posthaste"), ("WebHook-Allowed-Rate", "120")];
    subscriber.answer(Answers::Headers(allowed));
    verified_in_the_end(&stage, &subscriber, &made).await;
    let shown = stage.client.endpoint(&tenant(), made.endpoint.id).await.unwrap();
    assert_eq!(shown.rate_limit, Some(limit(120, 60)));
    for request in subscriber.handshakes() {
        assert_eq!((request.method.as_str(), &request.body[..]), ("OPTIONS", &b""[..]));
        assert_eq!(request.header("webhook-request-origin"), Some("posthaste"));
        assert_eq!(request.header("webhook-request-rate"), Some("3000"));
        assert_eq!(request.header("webhook-signature"), None);
    }
}

async fn an_unverified_endpoint_gets_nothing_but_the_handshake(stage: Stage) {
    let subscriber = Subscriber::new(Answers::Deaf).await;
    let made = subscriber.register(&stage, HandshakeKind::Echo).await;
    let (client, id) = (&stage.client, made.endpoint.id);
    stage.publish("e0").await;
    let held = stage.until_state("e0", DeliveryState::Held).await;
    let forced = TestEvent { force: true, ..TestEvent::default() };
    let enable = json!({ "state": "enabled" });
    for (kind, why) in [
        refused(client.test_endpoint(&tenant(), id, &forced).await),
        refused(client.retry_delivery(&tenant(), held.id, true).await),
        refused(client.resume_endpoint(&tenant(), id).await),
        refused(client.enable_endpoint(&tenant(), id).await),
        refused(client.patch_endpoint(&tenant(), id, &enable).await),
    ] {
        assert_eq!(kind, ProblemKind::Unverified);
        assert!(why.contains("run it by 'verify'"), "{why}");
    }
    // What comes of a handshake that fails is not sent later either.
    failure(&stage, &subscriber, &made, Answers::Deaf).await;
    assert_eq!((subscriber.handshakes().len(), subscriber.events().len()), (2, 0));
    subscriber.answer(Answers::Repeats);
    client.verify_endpoint(&tenant(), id).await.unwrap();
    stage.until_state("e0", DeliveryState::Delivered).await;
    assert_eq!((subscriber.handshakes().len(), subscriber.events()), (3, vec!["e0".to_owned()]));
}

async fn another_url_is_verified_anew(stage: Stage) {
    let (here, there) = (Subscriber::new(Answers::Repeats).await, Subscriber::new(Answers::Deaf).await);
    let made = here.register(&stage, HandshakeKind::Echo).await;
    stage.publish("e0").await;
    stage.until_state("e0", DeliveryState::Delivered).await;
    let patch = json!({ "url": there.receiver.url("/moved") });
    let moved = stage.client.patch_endpoint(&tenant(), made.endpoint.id, &patch).await.unwrap();
    assert_eq!(moved.state, EndpointState::Paused);
    let handshake = moved.handshake.unwrap();
    assert!(handshake.verified_at.is_none() && handshake.failure.is_some(), "{handshake:?}");
    stage.publish("e1").await;
    stage.until_state("e1", DeliveryState::Held).await;
    there.answer(Answers::Repeats);
    stage.client.verify_endpoint(&tenant(), made.endpoint.id).await.unwrap();
    stage.until_state("e1", DeliveryState::Delivered).await;
    assert_eq!((here.events(), there.events()), (vec!["e0".to_owned()], vec!["e1".to_owned()]));
    // The next one is asked at once.
    let next = Subscriber::new(Answers::Repeats).await;
    let patch = json!({ "url": next.receiver.url("/") });
    let moved = stage.client.patch_endpoint(&tenant(), made.endpoint.id, &patch).await.unwrap();
    assert_eq!(moved.state, EndpointState::Enabled);
    stage.publish("e2").await;
    assert_eq!(next.receiver.wait_for(2, AMPLE).await.len(), 2);
    assert_eq!(next.events(), ["e2"]);
}
