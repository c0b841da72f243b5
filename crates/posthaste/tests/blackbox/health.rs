//! What probes are told.

use std::net::TcpListener;

use crate::{
    http::send,
    service::{Service, folder, output, posthaste},
};

/// What `posthaste health` says of whoever listens there, and its exit code.
fn health(folder: &std::path::Path, listen: &str) -> (String, i32) {
    let output = output(posthaste(folder).args(["health", "--listen", listen]));
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code().unwrap())
}

#[test]
fn readiness_says_what_the_store_stands_on() {
    let folder = folder();
    let service = Service::start(folder.path());
    let answer = send(service.address, "GET", "/readyz", &[], b"");
    assert_eq!(answer.status, 200);
    let findings = answer.body["findings"].as_array().unwrap();
    let durability = findings.iter().find(|finding| finding["check"] == "durability").unwrap();
    assert_eq!(durability["level"], "fine");
    assert!(durability["found"].as_str().unwrap().starts_with("disk"), "{durability}");
    assert!(durability["remedy"].is_null());
}

#[tokio::test]
async fn the_client_reads_the_findings() {
    let folder = folder();
    let service = Service::start(folder.path());
    let readiness = service.client().ready().await.unwrap();
    assert!(readiness.is_ready());
    assert!(readiness.findings.iter().any(|finding| finding.check == "durability"), "{readiness:?}");
}

#[test]
fn a_service_is_asked_for_its_health() {
    let folder = folder();
    let service = Service::start(folder.path());
    let port = service.address.port();
    assert_eq!(health(folder.path(), &service.address.to_string()), ("ready\n".into(), 0));
    assert_eq!(health(folder.path(), &format!("0.0.0.0:{port}")).1, 0, "reached by loopback");
    std::fs::remove_file(folder.path().join("posthaste.db")).unwrap();
    // What was found before is good for a second.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let said = loop {
        let (said, code) = health(folder.path(), &service.address.to_string());
        if code == 1 {
            break said;
        }
        assert!(std::time::Instant::now() < deadline, "it stays ready without a store");
    };
    assert!(said.starts_with("unavailable: ") && said.contains("removed or replaced"), "{said}");
}

#[test]
fn who_is_not_there_is_not_healthy() {
    let folder = folder();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (said, code) = health(folder.path(), &nobody.to_string());
    assert!(code == 1 && said.contains("could not be reached"), "{said}");
    let (said, code) = health(folder.path(), "127.0.0.1:0");
    assert!(code == 1 && said.contains("port 0"), "{said}");
}
