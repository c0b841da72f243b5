//! What a newer build has written, and this one cannot read, does not hide the rest.

use posthaste_model::{Actor, ApiKey, ApiKeyId, AuditEntry, AuditId, AuditOutcome, Role};
use posthaste_store::{KeyDigest, conformance::all};
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::{
    scene::{at, drive},
    witness::Witness,
};

#[tokio::test]
async fn entries_of_the_audit_that_cannot_be_read_do_not_hide_the_others() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(at(server.url())).await;
    let mut made = Vec::new();
    for n in 0..2 {
        made.insert(
            0,
            AuditEntry {
                id: AuditId::mint(driver.now(), [n; 10]),
                at: driver.now(),
                by: Actor::AdminKey,
                address: None,
                action: "delete_tenant".into(),
                subject: "/v1/tenants/acme".into(),
                tenant: "acme".parse().ok(),
                fields: Vec::new(),
                detail: None,
                outcome: AuditOutcome::Done,
            },
        );
        driver.store().record(made[0].clone(), 10).await.unwrap();
        driver.pass(1);
    }
    // Their ids come after those of all others.
    for id in ["newer-than-all-1", "newer-than-all-2"] {
        let entry = format!(r#"{id}acme {{"by":{{"kind":"robot"}}}}"#);
        server.command(&["ZADD", "posthaste:1:{0}:audit", "0", &entry]).unwrap();
    }
    let acme = "acme".parse().unwrap();
    let witness = Witness::new();
    for of in [None, Some(&acme)] {
        for limit in [1, 2, 10] {
            let seen = all(limit, |page| driver.store().audit(of, page)).await.unwrap();
            assert_eq!(seen, made, "in pages of {limit}");
        }
    }
    let lines = witness.lines();
    assert_eq!(lines.len(), 2 * 3 * 2, "{lines:?}");
    let told =
        |line: &String| line.contains("ERROR") && line.contains("an entry of the audit cannot be read");
    assert!(lines.iter().all(told), "{lines:?}");
}

#[tokio::test]
async fn keys_that_cannot_be_read_do_not_hide_the_others() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(at(server.url())).await;
    let mut made = Vec::new();
    for n in 0..2 {
        let key = ApiKey {
            id: ApiKeyId::mint(driver.now(), [n; 10]),
            name: String::new(),
            role: Role::Viewer,
            tenant: None,
            created_at: driver.now(),
            expires_at: None,
        };
        driver.store().create_key(key.clone(), KeyDigest([n; 32])).await.unwrap();
        made.insert(0, key);
        driver.pass(1);
    }
    // Their places come after those of all others.
    for (place, digest) in [("9000000000000", "newer-1"), ("9000000000001", "newer-2")] {
        server.command(&["ZADD", "posthaste:1:{0}:api_keys", place, digest]).unwrap();
        server.command(&["HSET", "posthaste:1:{0}:api_keys:d", digest, r#"{"role":"robot"}"#]).unwrap();
    }
    let witness = Witness::new();
    for limit in [1, 2, 10] {
        assert_eq!(all(limit, |page| driver.store().keys(page)).await.unwrap(), made, "in pages of {limit}");
    }
    let lines = witness.lines();
    assert_eq!(lines.len(), 3 * 2, "{lines:?}");
    let told = |line: &String| line.contains("ERROR") && line.contains("an API key cannot be read");
    assert!(lines.iter().all(told), "{lines:?}");
}
