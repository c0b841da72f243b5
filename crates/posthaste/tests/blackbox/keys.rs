//! API keys: each opens what its role is for, and nothing else.

use std::{fmt::Debug, time::Duration};

use posthaste_client::{
    Client, ClientError, CreatedApiKey, EndpointState, KeyKind, ListOptions, NewApiKey, NewEndpoint,
    NewEvent, ProblemKind, Role, TenantFields, TenantId, TopicFields,
};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    home::{Home, at_every_home},
    service::{Service, tenant, topic},
    subscriber::endpoint,
};

at_every_home!(
    each_role_does_its_own_part,
    a_key_of_one_tenant_sees_no_other,
    a_key_opens_nothing_when_it_is_over,
    a_secret_is_told_once,
);

/// An address that may be reached, and where nobody is.
const NOWHERE: &str = "http://127.0.0.9:8089/";
/// Longer than anything here takes, on a busy machine, too.
const AMPLE: Duration = Duration::from_secs(60);

fn with_key(service: &Service, made: &CreatedApiKey) -> Client {
    Client::new(&format!("http://{}", service.address), made.secret.expose()).unwrap()
}

/// Somebody with a new key.
async fn somebody(service: &Service, key: NewApiKey) -> Client {
    with_key(service, &service.client().create_key(&key).await.unwrap())
}

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

/// A service with the tenant `acme`, and a topic.
async fn stand(home: &Home) -> Service {
    let service = home.start();
    service.client().put_tenant(&acme(), &TenantFields::default()).await.unwrap();
    topic(&service.client(), "order.paid").await;
    service
}

fn event(id: &str) -> NewEvent {
    NewEvent::new("order.paid".parse().unwrap(), &json!({})).unwrap().with_id(id.parse().unwrap())
}

fn all() -> ListOptions {
    ListOptions::default()
}

/// Asserts that somebody is not for this, and is told so in these words.
#[track_caller]
fn refused<T: Debug>(answer: Result<T, ClientError>, kind: ProblemKind, words: &str) {
    match answer {
        Err(ClientError::Problem(problem)) => {
            assert!(problem.kind == kind && problem.detail.contains(words), "{problem}");
        }
        other => panic!("it should have been refused: {other:?}"),
    }
}

async fn each_role_does_its_own_part(home: Home) {
    let service = stand(&home).await;
    let made = endpoint(&service.client(), &tenant(), NOWHERE.into(), &[60_000]).await.endpoint;
    let role = |role: Role| somebody(&service, NewApiKey::new("", role));
    let forbidden = ProblemKind::Forbidden;

    let publisher = role(Role::Publisher).await;
    assert_eq!(publisher.publish(&tenant(), &event("e1")).await.unwrap().deliveries, 1);
    assert_eq!(publisher.event(&tenant(), &"e1".parse().unwrap()).await.unwrap().event.delivery_count, 1);
    assert_eq!(publisher.topics(&all()).await.unwrap().data.len(), 1);
    let takes = "that takes the role admin, operator, viewer or tenant";
    refused(publisher.endpoints(&tenant(), &all()).await, forbidden.clone(), takes);

    let viewer = role(Role::Viewer).await;
    assert_eq!(viewer.endpoint(&tenant(), made.id).await.unwrap().id, made.id);
    assert_eq!(viewer.tenants(&all()).await.unwrap().data.len(), 3);
    for answer in [
        viewer.pause_endpoint(&tenant(), made.id).await.map(drop),
        viewer.secret(&tenant(), made.id).await.map(drop),
        viewer.publish(&tenant(), &event("e2")).await.map(drop),
        viewer.keys(&all()).await.map(drop),
        viewer.audit(None, &all()).await.map(drop),
    ] {
        refused(answer, forbidden.clone(), "a key with the role 'viewer' is not for");
    }

    let operator = role(Role::Operator).await;
    assert_eq!(operator.pause_endpoint(&tenant(), made.id).await.unwrap().state, EndpointState::Paused);
    assert!(operator.secret(&tenant(), made.id).await.unwrap().secret.expose().starts_with("whsec_"));
    operator.create_portal_link(&acme(), None).await.unwrap();
    assert_eq!(operator.keys(&all()).await.unwrap().data.len(), 3);
    let topic = "order.sent".parse().unwrap();
    for answer in [
        operator.publish(&tenant(), &event("e3")).await.map(drop),
        operator.put_topic(&topic, &TopicFields::default()).await.map(drop),
        operator.delete_tenant(&acme()).await,
        operator.create_key(&NewApiKey::new("", Role::Admin)).await.map(drop),
    ] {
        refused(answer, forbidden.clone(), "a key with the role 'operator' is not for");
    }

    let admin = role(Role::Admin).await;
    admin.put_topic(&topic, &TopicFields::default()).await.unwrap();
    let more = admin.create_key(&NewApiKey::new("More", Role::Viewer)).await.unwrap();
    admin.delete_key(more.key.id).await.unwrap();
    admin.delete_tenant(&acme()).await.unwrap();
}

async fn a_key_of_one_tenant_sees_no_other(home: Home) {
    let service = stand(&home).await;
    let theirs = endpoint(&service.client(), &tenant(), NOWHERE.into(), &[60_000]).await.endpoint;
    for role in [Role::Tenant, Role::Operator] {
        let own = somebody(&service, NewApiKey::new("Acme's", role.clone()).of(acme())).await;
        let whose = own.key().await.unwrap();
        assert_eq!((whose.kind, whose.role, whose.name.as_deref()), (KeyKind::ApiKey, role, Some("Acme's")));
        assert_eq!(whose.tenant.unwrap().id, acme());
        own.create_endpoint(&acme(), &NewEndpoint::new(NOWHERE)).await.unwrap();
        for answer in [
            own.endpoints(&tenant(), &all()).await.map(drop),
            own.endpoint(&tenant(), theirs.id).await.map(drop),
            own.pause_endpoint(&tenant(), theirs.id).await.map(drop),
            own.secret(&tenant(), theirs.id).await.map(drop),
            own.endpoints(&"nobody".parse().unwrap(), &all()).await.map(drop),
        ] {
            refused(answer, ProblemKind::NotFound, "no such tenant");
        }
        refused(own.all_replays(&all()).await, ProblemKind::Forbidden, "that takes");
        refused(own.publish(&acme(), &event("e1")).await, ProblemKind::Forbidden, "admin or publisher");
    }
    let publisher = somebody(&service, NewApiKey::new("", Role::Publisher).of(acme())).await;
    publisher.publish(&acme(), &event("e1")).await.unwrap();
    refused(publisher.publish(&tenant(), &event("e1")).await, ProblemKind::NotFound, "no such tenant");

    // With the tenant its keys have ended, also where another comes under the same name.
    service.client().delete_tenant(&acme()).await.unwrap();
    let deleted = "the tenant of the key was deleted";
    refused(publisher.topics(&all()).await, ProblemKind::Unauthorized, deleted);
    service.client().put_tenant(&acme(), &TenantFields::default()).await.unwrap();
    refused(publisher.topics(&all()).await, ProblemKind::Unauthorized, deleted);
}

/// Waits until somebody is refused; why.
async fn until_refused(client: &Client) -> String {
    let asked = async {
        loop {
            if let Err(ClientError::Problem(problem)) = client.topics(&all()).await {
                assert_eq!(problem.kind, ProblemKind::Unauthorized);
                return problem.detail;
            }
            // Between two looks at what only time changes.
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(AMPLE, asked).await.expect("it is refused at last")
}

async fn a_key_opens_nothing_when_it_is_over(home: Home) {
    let service = stand(&home).await;
    let client = service.client();
    let viewer = NewApiKey::new("", Role::Viewer);
    let deleted = client.create_key(&viewer).await.unwrap();
    // Long enough for what comes before, on a busy machine, too.
    let over = deleted.key.created_at + Duration::from_secs(30);
    let short = somebody(&service, NewApiKey { expires_at: Some(over), ..viewer.clone() }).await;
    short.topics(&all()).await.unwrap();

    let gone = with_key(&service, &deleted);
    gone.topics(&all()).await.unwrap();
    client.delete_key(deleted.key.id).await.unwrap();
    refused(gone.topics(&all()).await, ProblemKind::Unauthorized, "the key is not valid");
    refused(client.delete_key(deleted.key.id).await, ProblemKind::NotFound, "no such key");

    assert_eq!(until_refused(&short).await, "the key has expired");
    let past = NewApiKey { expires_at: Some(over), ..viewer.clone() };
    refused(client.create_key(&past).await, ProblemKind::InvalidField, "must lie in the future");
    // It is told still that there was one.
    assert_eq!(client.keys(&all()).await.unwrap().data.len(), 1);
}

async fn a_secret_is_told_once(home: Home) {
    let service = stand(&home).await;
    let made = service.client().create_key(&NewApiKey::new("Shop", Role::Publisher)).await.unwrap();
    let secret = made.secret.expose().to_owned();
    assert!(secret.starts_with("phk_") && secret.len() > 40, "{secret}");
    let key = format!("Bearer {}", crate::service::KEY);
    let id = made.key.id.to_string();
    let own = format!("Bearer {secret}");
    for (path, key) in [("/v1/keys", &key), ("/v1/audit", &key), ("/v1/key", &own)] {
        let told = crate::http::send(service.address, "GET", path, &[("Authorization", key)], b"");
        assert_eq!(told.status, 200, "{path}: {}", told.text);
        assert!(told.text.contains(&id) && !told.text.contains(&secret[4..]), "{path}: {}", told.text);
    }
    service.terminate();
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().success());
    let written = home.written();
    let has = |text: &str| written.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("Shop"), "the key is there");
    assert!(!has(&secret) && !has(&secret[4..]), "its secret is not");

    let service = home.start();
    with_key(&service, &made).publish(&tenant(), &event("e1")).await.unwrap();
}

/// What another process deletes is not opened for longer than a second, and is soon found out.
#[tokio::test]
async fn a_key_that_another_process_deletes_opens_nothing_either() {
    let home = Home::redis();
    let here = stand(&home).await;
    let elsewhere = home.start();
    let made = here.client().create_key(&NewApiKey::new("", Role::Viewer)).await.unwrap();
    let viewer = with_key(&elsewhere, &made);
    viewer.topics(&all()).await.unwrap();
    here.client().delete_key(made.key.id).await.unwrap();
    let begun = Instant::now();
    assert_eq!(until_refused(&viewer).await, "the key is not valid");
    // A second is what is promised; the rest is for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
