//! Signature profiles, over HTTP and down to the receiver.

use std::{sync::Arc, time::Duration};

use posthaste_client::{
    Client, CreatedEndpoint, CutOver, NewEndpoint, NewEvent, Rotation, SecretText, TenantPatch, TopicName,
};
use posthaste_signing::{Credential, DEFAULT_TOLERANCE, Profile, Received, Verifier, VerifyError};
use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use serde_json::{Value, json};

use crate::service::{Service, folder, posthaste, tenant, topic};

const SOON: Duration = Duration::from_secs(20);
const RAW: &str = "It's a Secret to Everybody";

/// Registers an endpoint that is signed by a profile.
async fn signed_by(client: &Client, url: String, profile: &Value, secret: Option<&str>) -> CreatedEndpoint {
    let (signature, secret) = (Some(profile.clone()), secret.map(SecretText::new));
    let endpoint = NewEndpoint { signature, secret, ..NewEndpoint::new(url) };
    client.create_endpoint(&tenant(), &endpoint).await.unwrap()
}

/// Publishes an event, and gives the time.
async fn publish(client: &Client, topic: &TopicName) -> i64 {
    let event = NewEvent::new(topic.clone(), &json!({ "order": 42 })).unwrap();
    let accepted = client.publish(&tenant(), &event).await.unwrap();
    client.event(&tenant(), &accepted.id).await.unwrap().event.accepted_at.as_second()
}

/// Verifies a request as its receiver would, which has these credentials.
fn verify(
    receiver: &Receiver,
    request: &ReceivedRequest,
    profile: &Value,
    credentials: &[&str],
    now: i64,
) -> Result<(), VerifyError> {
    let profile = Profile::parse(&profile.to_string()).unwrap();
    let credentials: Vec<Credential> = credentials.iter().map(|text| text.parse().unwrap()).collect();
    let url = receiver.url(&request.path);
    let received = Received { method: &request.method, url: &url, body: &request.body };
    let verifier = Verifier::new(&profile, &credentials).unwrap();
    verifier.verify(|name| request.header(name), &received, now, DEFAULT_TOLERANCE)
}

fn custom() -> Value {
    json!({
        "profile": "custom", "signed": "{method}\n{url}\n{ts_ms}\n{sha256(body)}", "algorithm": "hmac-sha512",
        "encoding": "base64", "key": "raw", "signature": "k1={value}", "separator": ",",
        "headers": { "X-Acme-Signature": "t={ts_ms};{signatures}", "X-Acme-Topic": "{topic}" }
    })
}

#[tokio::test]
async fn every_profile_verifies() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let presets = Profile::names().map(|name| json!({ "profile": name }));
    let others = [
        json!({ "profile": "standard", "versions": ["v1a"] }),
        json!({ "profile": "svix", "versions": ["v1", "v1a"] }),
        json!({ "profile": "shopify", "shop_domain": "acme.myshopify.com", "api_version": "2026-10" }),
        custom(),
    ];
    let profiles: Vec<Value> = presets.chain(others).collect();
    let mut endpoints = Vec::new();
    for (number, profile) in profiles.iter().enumerate() {
        let made = signed_by(&client, receiver.url(&format!("/{number}")), profile, None).await;
        assert_eq!(made.endpoint.signature, *profile);
        endpoints.push(made);
    }
    let now = publish(&client, &topic).await;
    let requests = receiver.wait_for(profiles.len(), SOON).await;
    for (number, (profile, made)) in profiles.iter().zip(&endpoints).enumerate() {
        let path = format!("/{number}");
        let request = requests.iter().find(|request| request.path == path).unwrap();
        let sample = made.endpoint.signature_sample.as_ref().unwrap();
        for name in sample.headers.keys() {
            assert!(request.header(name).is_some(), "{profile}: {name} is missing");
        }
        let checks = |credential: &str| verify(&receiver, request, profile, &[credential], now);
        let shared = made.secret.expose();
        for credential in [Some(shared), made.public_key.as_deref()].into_iter().flatten() {
            checks(credential).unwrap_or_else(|error| panic!("{profile}: {error}"));
        }
        if shared.starts_with("whsec_") {
            assert!(checks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err(), "{profile}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_brought_signs() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let github = json!({ "profile": "github" });
    let made = signed_by(&client, receiver.url("/"), &github, Some(RAW)).await;
    let now = publish(&client, &topic).await;
    let first = receiver.wait_for(1, SOON).await.remove(0);
    verify(&receiver, &first, &github, &[RAW], now).unwrap();
    assert_eq!(first.header("x-github-event"), Some("order.paid"));

    // One signature fits into such a request: the new secret takes over at once.
    let rotated = client.rotate_secret(&tenant(), made.endpoint.id, &Rotation::default()).await.unwrap();
    assert_eq!(rotated.cut_over, CutOver::AtOnce);
    let now = publish(&client, &topic).await;
    let second = receiver.wait_for(2, SOON).await.remove(1);
    verify(&receiver, &second, &github, &[rotated.secrets.secret.expose()], now).unwrap();
    verify(&receiver, &second, &github, &[RAW], now).unwrap_err();
}

#[tokio::test]
async fn both_secrets_sign_in_formats_that_carry_two() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let stripe = json!({ "profile": "stripe" });
    let made = signed_by(&client, receiver.url("/"), &stripe, None).await;
    let rotation = Rotation { secret: Some(SecretText::new(RAW)), ..Rotation::default() };
    let rotated = client.rotate_secret(&tenant(), made.endpoint.id, &rotation).await.unwrap();
    assert_eq!((rotated.secrets.secret.expose(), rotated.cut_over), (RAW, CutOver::AfterOverlap));
    let now = publish(&client, &topic).await;
    let request = receiver.wait_for(1, SOON).await.remove(0);
    for secret in [made.secret.expose(), RAW] {
        verify(&receiver, &request, &stripe, &[secret], now).unwrap();
    }
}

/// A default that changes leaves those alone who verify already.
#[tokio::test]
async fn defaults_are_for_new_endpoints() {
    let folder = folder();
    let service =
        Service::start_with(posthaste(folder.path()).env("POSTHASTE_SIGNATURE_PROFILE", "slack").args([
            "serve",
            "--listen",
            "127.0.0.1:0",
        ]));
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let register = async |path: &str| {
        let endpoint = NewEndpoint::new(receiver.url(path));
        client.create_endpoint(&tenant(), &endpoint).await.unwrap()
    };
    let of_service = register("/service").await;
    let svix = json!({ "profile": "svix" });
    let patch = TenantPatch { signature: Some(svix.clone()), ..TenantPatch::default() };
    assert_eq!(client.patch_tenant(&tenant(), &patch).await.unwrap().signature, Some(svix.clone()));
    let of_tenant = register("/tenant").await;
    let now = publish(&client, &topic).await;
    let requests = receiver.wait_for(2, SOON).await;
    let at = |path: &str| Arc::clone(requests.iter().find(|request| request.path == path).unwrap());
    let slack = json!({ "profile": "slack" });
    verify(&receiver, &at("/service"), &slack, &[of_service.secret.expose()], now).unwrap();
    verify(&receiver, &at("/tenant"), &svix, &[of_tenant.secret.expose()], now).unwrap();
}
