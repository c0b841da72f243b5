//! What Prometheus reads, and what is left of it in the store.

use std::{net::SocketAddr, path::Path, process::Command};

use posthaste_client::NewEvent;
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;

use crate::{
    delivery::delivered,
    http::send,
    service::{Service, complaint, folder, posthaste, tenant, topic},
    subscriber::endpoint,
};

fn metrics(address: SocketAddr) -> String {
    let answer = send(address, "GET", "/metrics", &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        answer.head
    );
    answer.text
}

#[track_caller]
fn check(text: &str, line: &str) {
    assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
}

/// The service has delivered an event, and accepted one that nobody wanted.
async fn busy(service: &Service, receiver: &Receiver) {
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let event = NewEvent::new(topic, &json!({})).unwrap();
    // There is no endpoint yet.
    client.publish(&tenant(), &event).await.unwrap();
    endpoint(&client, &tenant(), receiver.url("/"), &[100]).await;
    let event = event.with_id("e1".parse().unwrap());
    for _ in 0..2 {
        client.publish(&tenant(), &event).await.unwrap();
    }
    delivered(&client, "e1").await;
}

#[tokio::test]
async fn metrics_tell_what_happened_and_of_no_tenant() {
    let folder = folder();
    let service = Service::start(folder.path());
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    busy(&service, &receiver).await;
    let text = metrics(service.address);
    for line in [
        "posthaste_events_total{result=\"accepted\"} 1",
        "posthaste_events_total{result=\"unmatched\"} 1",
        "posthaste_events_total{result=\"duplicate\"} 1",
        "posthaste_deliveries_total 1",
        "posthaste_attempts_total{outcome=\"success\",status_class=\"2xx\",error_class=\"none\"} 1",
        "posthaste_deliveries_ended_total{state=\"delivered\"} 1",
        "posthaste_partitions 1",
        "posthaste_store_errors_total{operation=\"accept\"} 0",
    ] {
        check(&text, line);
    }
    let resident =
        text.lines().find_map(|line| line.strip_prefix("posthaste_memory_resident_bytes ")).unwrap();
    assert!(resident.parse::<u64>().unwrap() > 1_000_000, "{resident}");
    for name in ["default", "order", "127.0.0.1", "evt", "ep_"] {
        assert!(!text.contains(name), "{name} is told: {text}");
    }
}

/// What was counted is in the store when the process has ended.
#[tokio::test]
async fn figures_outlive_the_process() {
    let folder = folder();
    let service = Service::start(folder.path());
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    busy(&service, &receiver).await;
    service.terminate();
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().success());
    let service = Service::start(folder.path());
    let stats = service.client().tenant_stats(&tenant(), &Default::default(), None).await.unwrap();
    let total = stats.total;
    assert_eq!((total.events, total.unmatched, total.deliveries), (2, 1, 1));
    assert_eq!((total.attempts, total.failed, total.delivered), (1, 0, 1));
}

fn serve(folder: &Path, roles: &str, key: &str) -> Command {
    let mut serve = posthaste(folder);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--roles", roles]).env("POSTHASTE_METRICS_KEY", key);
    serve
}

#[test]
fn metrics_can_need_a_key_of_their_own() {
    let (folder, key) = (folder(), "only-for-the-scraper-2026");
    for roles in ["api", "dispatch"] {
        let service = Service::start_with(&mut serve(folder.path(), roles, key));
        let shown = |key: &str| {
            let key = format!("Bearer {key}");
            send(service.address, "GET", "/metrics", &[("Authorization", &key)], b"").status
        };
        assert_eq!(send(service.address, "GET", "/metrics", &[], b"").status, 401, "{roles}");
        assert_eq!((shown(key), shown(crate::service::KEY)), (200, 401), "{roles}");
        assert_eq!(send(service.address, "GET", "/healthz", &[], b"").status, 200, "{roles}");
    }
    let said = complaint(&mut serve(folder.path(), "api", "short"));
    assert!(said.contains("metrics.key: must be 24 printable ASCII characters or more"), "{said}");
}
