//! What a subscriber has to accept, and what it has to refuse.

use std::{net::SocketAddr, time::Duration};

use posthaste_client::{Client, NewEndpoint, NewEvent, Rotation, SecretText};
use posthaste_model::{DeliveryState, EventId};
use posthaste_signing::{Message, Profile, Secret, SecretKind, Signer};
use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use rand::{
    SeedableRng as _,
    rngs::{StdRng, SysRng},
};
use serde_json::{Value, json};

use crate::{
    delivery::seen,
    http::send,
    service::{Service, folder, tenant, topic},
};

const SOON: Duration = Duration::from_secs(20);
const TEN_MINUTES_MS: i64 = 600_000;

/// A receiver that answers 204 to what it accepts, and 401 to all else.
pub(super) struct Subscriber {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// What it accepts.
    pub(super) profiles: Vec<Value>,
}

/// A shared secret and a key pair, and others that the subscriber has never seen.
pub(super) struct Keys {
    pub(super) ours: [Secret; 2],
    others: [Secret; 2],
}

/// What is caught of an endpoint: its secret is the only one, or one of two while it is rotated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Secrets {
    One,
    OursIsNew,
    OursIsOld,
}

impl Subscriber {
    /// One with the package for a profile.
    pub(super) fn with_package(profile: &str, address: SocketAddr) -> Self {
        let plain = json!({ "profile": profile });
        let both = json!({ "profile": profile, "versions": ["v1", "v1a"] });
        let profiles = match profile {
            "standard" => vec![plain, both],
            "svix" => vec![plain, both, json!({ "profile": "standard" })],
            _ => vec![plain],
        };
        Self { name: profile.to_owned(), address, profiles }
    }

    /// What it answers.
    fn answer(&self, headers: &[(String, String)], body: &[u8]) -> u16 {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        send(self.address, "POST", "/", &headers, body).status
    }

    /// Gives it what was caught, and what somebody made of it.
    fn check(&self, profile: &Value, secrets: Secrets, caught: &ReceivedRequest, keys: &Keys, time_ms: i64) {
        let what = format!("{} with {profile}, {secrets:?}", self.name);
        // These three are said by who sends it again.
        let again = caught.headers.iter().filter(|(name, _)| {
            !["host", "connection", "content-length"].iter().any(|own| name.eq_ignore_ascii_case(own))
        });
        let headers: Vec<(String, String)> = again.cloned().collect();
        assert_eq!(self.answer(&headers, &caught.body), 204, "{what}: as it came over the wire");
        assert_eq!(self.answer(&headers, &with_another_bit(&caught.body)), 401, "{what}: another bit");
        if secrets != Secrets::One {
            let signatures: usize = headers.iter().map(|(_, value)| value.matches("v1").count()).sum();
            assert_eq!(signatures, 2, "{what}: {headers:?}");
            return;
        }
        let signed_by = |profile: &Profile, secrets: &[Secret], time_ms| {
            let signer = Signer::new(profile, secrets).unwrap();
            let id = "evt_again";
            let message =
                Message { id, topic: "order.paid", time_ms, method: "POST", url: "", body: &caught.body };
            let mut signed = headers.clone();
            signed.retain(|(name, _)| signer.header_names().all(|own| !own.eq_ignore_ascii_case(name)));
            let unsigned = signed.clone();
            let made = signer.headers(&message).unwrap();
            signed.extend(made.into_iter().map(|(name, value)| (name.to_owned(), value)));
            (signed, unsigned)
        };
        let parsed = Profile::parse(&profile.to_string()).unwrap();
        let signed = |secrets: &[Secret], time_ms| signed_by(&parsed, secrets, time_ms);
        let answer = |headers: &[(String, String)]| self.answer(headers, &caught.body);
        let (now, unsigned) = signed(&keys.ours, time_ms);
        assert_eq!(answer(&now), 204, "{what}: signed again");
        assert_eq!(answer(&unsigned), 401, "{what}: not signed");
        assert_eq!(answer(&signed(&keys.others, time_ms).0), 401, "{what}: with another key");
        if profile["versions"] == json!(["v1", "v1a"]) {
            // Packages skip ed25519: docs/verify/README.md says so.
            let alone = json!({ "profile": parsed.name(), "versions": ["v1a"] });
            let (alone, _) = signed_by(&Profile::parse(&alone.to_string()).unwrap(), &keys.ours, time_ms);
            assert_eq!(answer(&alone), 401, "{what}: v1a alone");
        }
        // These two sign no time: docs/verify/README.md says so.
        let timeless = ["github", "shopify"].contains(&parsed.name());
        let late = if timeless { 204 } else { 401 };
        assert_eq!(answer(&signed(&keys.ours, time_ms - TEN_MINUTES_MS).0), late, "{what}: too old");
    }
}

impl Keys {
    pub(super) fn new() -> Self {
        let mut rng = StdRng::try_from_rng(&mut SysRng).unwrap();
        let mut both = || [Secret::generate(&mut rng), Secret::generate_ed25519(&mut rng)];
        Self { ours: both(), others: both() }
    }

    /// The shared secret, which most subscribers have.
    pub(super) fn shared(&self) -> String {
        self.ours[0].expose().to_string()
    }
}

/// Sends them events by the real binary, once to themselves and once to us, and lets them judge what we caught.
pub(super) async fn check(subscribers: &[Subscriber], keys: &Keys) {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(204)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let mut cases = Vec::new();
    for subscriber in subscribers {
        for profile in &subscriber.profiles {
            register(&client, format!("http://{}/", subscriber.address), profile, Secrets::One, keys).await;
            for secrets in all_secrets(profile) {
                let path = format!("/{}", cases.len());
                register(&client, receiver.url(&path), profile, secrets, keys).await;
                cases.push((path, subscriber, profile, secrets));
            }
        }
    }
    let event = NewEvent::new(topic, &json!({ "order": 42 })).unwrap();
    let accepted = client.publish(&tenant(), &event).await.unwrap();
    let caught = receiver.wait_for(cases.len(), SOON).await;
    let time_ms = accepted_by_all(&client, &accepted.id).await;
    for (path, subscriber, profile, secrets) in cases {
        let request = caught.iter().find(|request| request.path == path).unwrap();
        subscriber.check(profile, secrets, request, keys, time_ms);
    }
}

/// While a secret is rotated, requests carry two signatures if the profile has room for them.
fn all_secrets(profile: &Value) -> Vec<Secrets> {
    let several = ["standard", "svix", "stripe"].iter().any(|name| profile["profile"] == *name);
    if several && profile["versions"].is_null() {
        vec![Secrets::One, Secrets::OursIsNew, Secrets::OursIsOld]
    } else {
        vec![Secrets::One]
    }
}

async fn register(client: &Client, url: String, profile: &Value, secrets: Secrets, keys: &Keys) {
    let kind = if profile["versions"] == json!(["v1a"]) { SecretKind::Ed25519 } else { SecretKind::Shared };
    let text = |secrets: &[Secret]| {
        SecretText::new(secrets.iter().find(|secret| secret.kind() == kind).unwrap().expose().as_str())
    };
    let (first, second) = match secrets {
        Secrets::One => (&keys.ours, None),
        Secrets::OursIsNew => (&keys.others, Some(&keys.ours)),
        Secrets::OursIsOld => (&keys.ours, Some(&keys.others)),
    };
    let endpoint =
        NewEndpoint { signature: Some(profile.clone()), secret: Some(text(first)), ..NewEndpoint::new(url) };
    let made = client.create_endpoint(&tenant(), &endpoint).await.unwrap();
    if let Some(second) = second {
        let rotation = Rotation { secret: Some(text(second)), ..Rotation::default() };
        client.rotate_secret(&tenant(), made.endpoint.id, &rotation).await.unwrap();
    }
}

/// Waits until everybody has answered, and gives the time.
async fn accepted_by_all(client: &Client, event: &EventId) -> i64 {
    let answered = async || {
        let detail = client.event(&tenant(), event).await.unwrap();
        detail.deliveries.iter().all(|delivery| delivery.attempts > 0).then_some(detail)
    };
    let detail = seen("an answer of everybody", answered).await;
    for delivery in &detail.deliveries {
        assert_eq!(
            (delivery.state, delivery.last_status),
            (DeliveryState::Delivered, Some(204)),
            "{delivery:?}"
        );
    }
    detail.event.accepted_at.as_millisecond()
}

/// The same JSON with another number, so that nothing but the signature can tell.
fn with_another_bit(body: &[u8]) -> Vec<u8> {
    let place = body.windows(2).position(|two| two == b"42").unwrap() + 1;
    let mut body = body.to_vec();
    body[place] ^= 1;
    serde_json::from_slice::<Value>(&body).unwrap();
    body
}
