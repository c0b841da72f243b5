//! Who changed what, and to whom secrets were shown.

use std::{fs::File, time::Duration};

use posthaste_client::{
    Actor, AuditEntry, AuditOutcome, Client, ListOptions, NewApiKey, NewEvent, Role, TenantFields, TenantId,
};
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    home::{Home, at_every_home},
    service::{KEY, Service, folder, posthaste, tenant, topic},
    subscriber::endpoint,
};

at_every_home!(the_audit_says_who_did_what, what_somebody_did_who_hung_up_is_recorded);

/// An address that may be reached, and where nobody is.
const NOWHERE: &str = "http://127.0.0.9:8089/";
/// Longer than anything here takes, on a busy machine, too.
const AMPLE: Duration = Duration::from_secs(40);

async fn listed(client: &Client, of: Option<&TenantId>) -> Vec<AuditEntry> {
    client.audit(of, &ListOptions::default()).await.unwrap().data
}

async fn the_audit_says_who_did_what(home: Home) {
    let service = home.start();
    let client = service.client();
    let acme: TenantId = "acme".parse().unwrap();
    client.put_tenant(&acme, &TenantFields { name: "Acme".into(), ..TenantFields::default() }).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let made = endpoint(&client, &acme, NOWHERE.into(), &[60_000]).await.endpoint;
    let key = client.create_key(&NewApiKey::new("On-call", Role::Operator)).await.unwrap();
    let base = format!("http://{}", service.address);
    let operator = Client::new(&base, key.secret.expose()).unwrap();
    operator.secret(&acme, made.id).await.unwrap();
    let link = operator.create_portal_link(&acme, None).await.unwrap();
    let theirs = Client::new(&base, link.token.expose()).unwrap();
    for _ in 0..50 {
        // From the second time on nothing changes.
        theirs.pause_endpoint(&acme, made.id).await.unwrap();
    }
    theirs.patch_endpoint(&acme, made.id, &json!({"description": "Ours", "timeout": null})).await.unwrap();
    // Neither of these is for the audit.
    client.publish(&acme, &NewEvent::new(topic, &json!({})).unwrap()).await.unwrap();
    theirs.delete_tenant(&acme).await.unwrap_err();

    let endpoint = format!("/v1/tenants/acme/endpoints/{}", made.id);
    let on_call = Actor::ApiKey { id: key.key.id, name: "On-call".into(), role: Role::Operator };
    let subscriber = Actor::PortalLink { tenant: acme.clone(), made_by: Some(key.key.id) };
    let until = format!("until {}", link.expires_at);
    let details = [("create_key", r#"operator "On-call""#), ("create_portal_link", until.as_str())];
    let expect = [
        (&subscriber, "patch_endpoint", endpoint.clone(), vec!["description", "timeout"]),
        (&subscriber, "pause_endpoint", format!("{endpoint}/pause"), vec![]),
        (&on_call, "create_portal_link", "/v1/tenants/acme/portal-links".into(), vec![]),
        (&on_call, "get_secret", format!("{endpoint}/secret"), vec![]),
        (&Actor::AdminKey, "create_key", format!("/v1/keys/{}", key.key.id), vec!["name", "role"]),
        (&Actor::AdminKey, "create_endpoint", endpoint.clone(), vec!["retry", "url"]),
        (&Actor::AdminKey, "put_topic", "/v1/topics/order.paid".into(), vec![]),
        (&Actor::AdminKey, "put_tenant", "/v1/tenants/acme".into(), vec!["name"]),
    ];
    let check = async |client: &Client| {
        let entries = listed(client, None).await;
        let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, expect.each_ref().map(|(_, action, ..)| *action));
        for (entry, (by, action, subject, fields)) in entries.iter().zip(&expect) {
            assert_eq!((&entry.by, &entry.subject), (*by, subject), "{action}");
            let detail = details.iter().find_map(|(of, detail)| (of == action).then_some(*detail));
            assert_eq!((entry.detail.as_deref(), &entry.outcome), (detail, &AuditOutcome::Done), "{action}");
            assert_eq!(entry.address.as_deref(), Some("127.0.0.1"));
            let of_acme = subject.starts_with("/v1/tenants/acme");
            assert_eq!(entry.tenant.as_ref(), of_acme.then_some(&acme), "{action}");
            // A client names more fields of an endpoint than are of interest here.
            assert!(fields.iter().all(|field| entry.fields.iter().any(|named| named == field)), "{entry:?}");
        }
        let newest = &entries[0];
        assert_eq!(newest.fields, ["description", "timeout"]);
        let of_acme = entries.into_iter().filter(|entry| entry.tenant.is_some()).collect::<Vec<_>>();
        assert_eq!(listed(client, Some(&acme)).await, of_acme);
        assert_eq!(listed(client, Some(&tenant())).await, []);
    };
    check(&operator).await;
    service.kill();
    let service = home.start();
    check(&service.client()).await;
}

/// The log has what is recorded, and by itself where nothing else is wanted of it.
#[tokio::test]
async fn what_is_recorded_is_in_the_log() {
    let folder = folder();
    let log = folder.path().join("log");
    let mut command = posthaste(&folder.path().join("data"));
    command.env("POSTHASTE_LOG_LEVEL", "warn,posthaste::audit=info");
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let service = Service::start_logging(&mut command, File::create(&log).unwrap());
    let made = service.client().create_key(&NewApiKey::new("Shop", Role::Publisher)).await.unwrap();
    // It is written before the answer goes out.
    let lines = std::fs::read_to_string(&log).unwrap();
    let line = lines.lines().find(|line| line.contains("create_key")).unwrap();
    for part in ["INFO posthaste::audit", "AdminKey", "127.0.0.1", "Shop", &made.key.id.to_string()] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!lines.contains(&made.secret.expose()[4..]), "{lines}");
}

/// Whoever does not wait for the answer has done it all the same.
async fn what_somebody_did_who_hung_up_is_recorded(home: Home) {
    let service = home.start();
    let client = service.client();
    let slow = Reply::After(Duration::from_secs(1), Box::new(Reply::status(200)));
    let receiver = Receiver::start(move |_| slow.clone()).await.unwrap();
    let made = endpoint(&client, &tenant(), receiver.url("/"), &[60_000]).await.endpoint;
    let path = format!("/v1/tenants/default/endpoints/{}/test", made.id);

    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    receiver.wait_for(1, AMPLE).await;
    // At once: the service finds the connection broken.
    stream.set_zero_linger().unwrap();
    drop(stream);

    let recorded = async {
        loop {
            if let Some(entry) =
                listed(&client, None).await.into_iter().find(|entry| entry.action == "test_endpoint")
            {
                return entry;
            }
            // Between two looks at what only the API shows.
            sleep(Duration::from_millis(50)).await;
        }
    };
    let entry = timeout(AMPLE, recorded).await.expect("it is recorded");
    assert_eq!((entry.by, entry.subject), (Actor::AdminKey, path));
}
