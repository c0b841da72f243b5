//! Receivers that want to know who calls, and that no public authority vouches for.

use std::{collections::BTreeSet, time::Duration};

use posthaste_client::{Client, EndpointTls, SecretText};
use posthaste_model::{EndpointId, ErrorClass};
use posthaste_testkit::{
    Receiver, Reply,
    tls::{Authority, Certified},
};
use serde_json::json;

use crate::{
    delivery::{failed, publish},
    service::{Service, folder, tenant, topic},
    subscriber::endpoint_with,
};

const SOON: Duration = Duration::from_secs(20);

/// The endpoint's side of TLS: shows a certificate with all that leads to its root, and trusts an authority.
fn tls(shown: &Certified, trusted: &Authority) -> EndpointTls {
    let private_key = Some(SecretText::new(shown.key()).into());
    EndpointTls { certificate: Some(shown.chain()), private_key, ca: Some(trusted.pem()) }
}

/// A receiver that `authority` certifies, and that wants a certificate of `clients`.
async fn demanding(authority: &Authority, clients: &Authority) -> Receiver {
    let config = authority.certify("127.0.0.1").unwrap().demanding(clients).unwrap();
    Receiver::start_tls(config, |_| Reply::status(200)).await.unwrap()
}

/// Registers an endpoint for every topic whose deliveries are tried twice.
async fn endpoint(client: &Client, url: String, tls: Option<EndpointTls>) -> EndpointId {
    endpoint_with(client, &tenant(), url, &[20], |endpoint| endpoint.tls = tls).await.endpoint.id
}

#[tokio::test]
async fn a_receiver_sees_the_certificate_of_the_endpoint() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let (ours, theirs) = (Authority::root("ours").unwrap(), Authority::root("theirs").unwrap());
    let receiver = demanding(&theirs, &ours).await;
    let shown = ours.certify("posthaste").unwrap();
    endpoint(&client, receiver.url("/hooks"), Some(tls(&shown, &theirs))).await;
    publish(&client, &topic, "e1").await;
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks"));
    assert_eq!(request.certificates, shown.chain_der());
}

/// The receiver knows the root alone, and so does the endpoint: both sides show what lies between.
#[tokio::test]
async fn a_chain_leads_from_the_certificate_to_the_root() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let root = Authority::root("root").unwrap();
    let between = root.intermediate("between").unwrap();
    let receiver = demanding(&between, &root).await;
    let shown = between.certify("posthaste").unwrap();
    let whole = tls(&shown, &root);
    let alone = EndpointTls { certificate: Some(shown.pem()), ..whole.clone() };
    endpoint(&client, receiver.url("/whole"), Some(whole)).await;
    let alone = endpoint(&client, receiver.url("/alone"), Some(alone)).await;
    publish(&client, &topic, "e1").await;
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert_eq!(request.path, "/whole");
    assert_eq!(request.certificates.len(), 2);
    assert_eq!(request.certificates, shown.chain_der());
    let error = failed(&client, alone).await.remove(0).error.unwrap();
    assert_eq!(error.class, ErrorClass::Tls);
    assert_eq!(error.detail, "the receiver does not trust the authority of the client certificate");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_handshake_is_said_in_words() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let (ours, theirs) = (Authority::root("ours").unwrap(), Authority::root("theirs").unwrap());
    let receiver = demanding(&theirs, &ours).await;
    let right = tls(&ours.certify("posthaste").unwrap(), &theirs);
    let stranger = tls(&theirs.certify("posthaste").unwrap(), &theirs);
    let mut expected = Vec::new();
    for (tls, detail) in [
        (None, "the receiver's certificate is not signed by a trusted authority"),
        (
            Some(EndpointTls { ca: Some(theirs.pem()), ..EndpointTls::default() }),
            "the receiver requires a client certificate",
        ),
        (
            Some(EndpointTls { ca: None, ..right.clone() }),
            "the receiver's certificate is not signed by a trusted authority",
        ),
        (
            Some(EndpointTls { ca: Some(ours.pem()), ..right }),
            "the receiver's certificate is not signed by an authority that the endpoint names",
        ),
        (Some(stranger), "the receiver does not trust the authority of the client certificate"),
    ] {
        expected.push((endpoint(&client, receiver.url("/"), tls).await, detail));
    }
    publish(&client, &topic, "e1").await;
    for (endpoint, detail) in expected {
        let attempts = failed(&client, endpoint).await;
        assert_eq!(attempts.len(), 2);
        for attempt in attempts {
            let error = attempt.error.unwrap();
            assert_eq!((error.class, error.detail.as_str()), (ErrorClass::Tls, detail));
        }
    }
    assert!(receiver.requests().is_empty(), "nothing was said to a receiver that is not the right one");
}

#[tokio::test]
async fn two_identities_at_one_host_share_no_connection() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let authority = Authority::root("ours").unwrap();
    let receiver = demanding(&authority, &authority).await;
    let both = [("/ann", authority.certify("ann").unwrap()), ("/bob", authority.certify("bob").unwrap())];
    for (path, shown) in &both {
        endpoint(&client, receiver.url(path), Some(tls(shown, &authority))).await;
    }
    for round in 1..=3 {
        publish(&client, &topic, &format!("e{round}")).await;
        receiver.wait_for(2 * round, SOON).await;
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 6);
    let connections = both.map(|(path, shown)| {
        let of_one: Vec<_> = requests.iter().filter(|request| request.path == path).collect();
        assert_eq!(of_one.len(), 3);
        assert!(of_one.iter().all(|request| request.certificates == shown.chain_der()));
        of_one.iter().map(|request| request.connection).collect::<BTreeSet<_>>()
    });
    assert!(connections[0].is_disjoint(&connections[1]), "{connections:?}");
}

/// Although a connection is open on which the former certificate was shown.
#[tokio::test]
async fn a_new_certificate_is_shown_from_the_next_attempt_on() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let (ours, theirs) = (Authority::root("ours").unwrap(), Authority::root("theirs").unwrap());
    let receiver = demanding(&theirs, &ours).await;
    let (former, new) = (ours.certify("posthaste").unwrap(), ours.certify("posthaste").unwrap());
    let id = endpoint(&client, receiver.url("/"), Some(tls(&former, &theirs))).await;
    publish(&client, &topic, "e1").await;
    receiver.wait_for(1, SOON).await;
    let change = json!({ "tls": { "certificate": new.chain(), "private_key": new.key() } });
    client.patch_endpoint(&tenant(), id, &change).await.unwrap();
    publish(&client, &topic, "e2").await;
    let requests = receiver.wait_for(2, SOON).await;
    let shown: Vec<_> = requests.iter().map(|request| request.certificates.clone()).collect();
    assert_eq!(shown, [former.chain_der(), new.chain_der()]);
}
