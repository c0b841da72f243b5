//! Processes that do a part of the work.

use posthaste_client::NewEvent;
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;

use crate::{
    delivery::delivered,
    http::send,
    service::{KEY, Service, complaint, folder, posthaste, tenant, topic},
    subscriber::endpoint,
};

fn serve(folder: &std::path::Path, roles: &str) -> std::process::Command {
    let mut serve = posthaste(folder);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--roles", roles]);
    serve
}

/// One accepts what the next one delivers.
#[tokio::test]
async fn each_role_does_its_own_part() {
    let folder = folder();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let event = |n: u32| NewEvent::new("order.paid".parse().unwrap(), &json!({ "n": n })).unwrap();
    let log = folder.path().join("log");

    let mut command = serve(folder.path(), "api");
    let service = Service::start_logging(&mut command, std::fs::File::create(&log).unwrap());
    service.until_it_says("roles: api");
    let client = service.client();
    topic(&client, "order.paid").await;
    endpoint(&client, &tenant(), receiver.url("/"), &[100]).await;
    for n in 0..50 {
        client.publish(&tenant(), &event(n).with_id(format!("e{n}").parse().unwrap())).await.unwrap();
    }
    let waiting = client.deliveries(&tenant(), &Default::default(), &Default::default()).await.unwrap();
    assert_eq!(waiting.data.len(), 50);
    assert!(waiting.data.iter().all(|delivery| delivery.attempts == 0), "nobody drives them");
    assert_eq!(receiver.requests().len(), 0);
    assert!(client.ready().await.unwrap().is_ready());
    service.terminate();
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().success());
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("nothing is delivered: this process has not the role 'dispatch'"), "{log}");

    let service = Service::start_with(&mut serve(folder.path(), "dispatch"));
    receiver.wait_for(50, std::time::Duration::from_secs(20)).await;
    let key = format!("Bearer {KEY}");
    let headers = [("Authorization", key.as_str())];
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(service.address, "GET", path, &headers, b"").status, 200, "{path}");
    }
    for path in ["/v1/tenants", "/v1/openapi.json", "/"] {
        let answer = send(service.address, "GET", path, &headers, b"");
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body["detail"].as_str().unwrap().contains("has not the role 'api'"), "{answer:?}");
    }
    service.terminate();
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().success());

    let service = Service::start(folder.path());
    for n in [0, 49] {
        assert_eq!(delivered(&service.client(), &format!("e{n}")).await.attempts, 1);
    }
}

#[test]
fn a_process_that_only_delivers_has_no_admin_key() {
    let folder = folder();
    let _service = Service::start_with(serve(folder.path(), "dispatch").env_remove("POSTHASTE_ADMIN_KEY"));
    assert!(folder.path().join("encryption.key").exists());
    assert!(!folder.path().join("admin.key").exists());
}

#[test]
fn roles_that_do_not_exist_are_refused() {
    let folder = folder();
    let said = complaint(&mut serve(folder.path(), "api,cook"));
    assert!(said.contains("roles: there is no role 'cook'; the roles are api, dispatch"), "{said}");
    let said = complaint(&mut serve(folder.path(), ""));
    assert!(
        said.contains("roles: a process without a role does nothing; the roles are api, dispatch"),
        "{said}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}
