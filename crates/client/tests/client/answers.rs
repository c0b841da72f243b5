//! How answers are read that are not what was asked for.

use std::time::Duration;

use bytes::Bytes;
use posthaste_client::{ClientError, Level, Place, Problem, ProblemKind};
use posthaste_testkit::Reply;
use serde_json::json;

use crate::setup::{delivery, endpoint, event, exchange, json, tenant};

fn problem(status: u16, body: &str) -> Reply {
    Reply::status(status).with_header("content-type", "application/problem+json").with_body(body.to_owned())
}

/// What becomes of a call that reads, and of one that deletes.
#[track_caller]
fn check(reply: Reply, read: &str, delete: &str) {
    let told = |error: ClientError| match error {
        ClientError::Problem(problem) => format!("Problem: {problem}"),
        ClientError::Unexpected { status, body } => format!("Unexpected: {status} {body}"),
        ClientError::Unreadable { status, source } => {
            let source = source.to_string();
            format!("Unreadable: {status} {}", source.split(" at line").next().unwrap())
        }
        ClientError::Transport { .. } => "Transport".to_owned(),
        other => panic!("{other:?}"),
    };
    let (result, requests) = exchange(reply.clone(), async |client| client.tenant(&tenant()).await);
    assert_eq!(result.map_or_else(told, |tenant| tenant.name), read);
    assert_eq!(requests.len(), 1, "nothing is sent twice");
    let (result, _) = exchange(reply, async |client| client.delete_tenant(&tenant()).await);
    assert_eq!(result.map_or_else(told, |()| "deleted".to_owned()), delete);
}

#[test]
fn errors_and_garbage() {
    #[track_caller]
    fn same(reply: Reply, told: &str) {
        check(reply, told, told);
    }
    let missing = r#"{"type": "urn:posthaste:problem:not-found", "title": "None",
        "status": 404, "detail": "no tenant"}"#;
    same(problem(404, missing), "Problem: None (404): no tenant");
    same(
        Reply::status(404)
            .with_header("content-type", "Application/Problem+JSON; charset=utf-8")
            .with_body(missing),
        "Problem: None (404): no tenant",
    );
    same(problem(502, "<html>"), "Unexpected: 502 <html>");
    same(problem(502, r#"{"title": "Bad gateway"}"#), r#"Unexpected: 502 {"title": "Bad gateway"}"#);
    same(Reply::status(404).with_body(missing), &format!("Unexpected: 404 {missing}"));
    same(Reply::status(500), "Unexpected: 500 ");
    same(Reply::status(500).with_body(&b"\xff"[..]), "Unexpected: 500 \u{fffd}");
    same(Reply::status(500).with_body(vec![b'x'; 5_000]), &format!("Unexpected: 500 {}", "x".repeat(1_000)));
    same(Reply::status(307).with_header("location", "/v1/tenants"), "Unexpected: 307 ");
    same(Reply::Close, "Transport");
    same(Reply::Raw(Bytes::from_static(b"SSH-2.0-OpenSSH\r\n")), "Transport");
    same(Reply::Raw(Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")), "Transport");

    let eof = "EOF while parsing a value";
    check(Reply::status(204), &format!("Unreadable: 204 {eof}"), "deleted");
    check(json(""), &format!("Unreadable: 200 {eof}"), "deleted");
    check(json("<html>"), "Unreadable: 200 expected value", "deleted");
    check(json(r#"{"id": "acme"}"#), "Unreadable: 200 missing field `name`", "deleted");
    check(
        json(r#"{"id": "a/b"}"#),
        "Unreadable: 200 not a tenant id: expected 1 to 64 letters, digits, '.', '_' or '-', not only dots",
        "deleted",
    );
}

#[test]
fn a_problem_keeps_all_that_it_says() {
    let kinds = [
        ("malformed-json", ProblemKind::MalformedJson),
        ("invalid-parameter", ProblemKind::InvalidParameter),
        ("unauthorized", ProblemKind::Unauthorized),
        ("forbidden", ProblemKind::Forbidden),
        ("reserved", ProblemKind::Reserved),
        ("not-found", ProblemKind::NotFound),
        ("method-not-allowed", ProblemKind::MethodNotAllowed),
        ("event-conflict", ProblemKind::EventConflict),
        ("endpoint-closed", ProblemKind::EndpointClosed),
        ("unverified", ProblemKind::Unverified),
        ("handshake-failed", ProblemKind::HandshakeFailed),
        ("delivery-over", ProblemKind::DeliveryOver),
        ("conflict", ProblemKind::Conflict),
        ("too-large", ProblemKind::TooLarge),
        ("unsupported-media-type", ProblemKind::UnsupportedMediaType),
        ("invalid-field", ProblemKind::InvalidField),
        ("internal", ProblemKind::Internal),
        ("unavailable", ProblemKind::Unavailable),
        ("full", ProblemKind::Full),
        ("gone-fishing", ProblemKind::Other("urn:posthaste:problem:gone-fishing".into())),
    ];
    for (name, kind) in kinds {
        let body = json!({
            "type": format!("urn:posthaste:problem:{name}"), "title": "Title", "status": 422, "detail": "detail",
            "errors": [{"pointer": "/events/0/data"}, {"parameter": "limit"}, {"header": "x"}, {"moon": 1}]
        });
        let (result, _) = exchange(problem(422, &body.to_string()), async |client| {
            client.tenants(&Default::default()).await
        });
        let Err(ClientError::Problem(problem)) = result else { panic!("{result:?}") };
        assert_eq!(serde_json::to_value(&problem).unwrap(), body);
        let errors = vec![
            Place::Pointer("/events/0/data".into()),
            Place::Parameter("limit".into()),
            Place::Header("x".into()),
            Place::Other(json!({"moon": 1})),
        ];
        let expect = Problem {
            kind,
            title: "Title".into(),
            status: 422,
            detail: "detail".into(),
            errors,
            retry_after: None,
        };
        assert_eq!(problem, expect);
        assert_eq!(
            problem.to_string(),
            r#"Title (422): detail [field /events/0/data] [parameter limit] [header x] [{"moon":1}]"#
        );
    }
}

#[test]
fn a_problem_says_when_to_try_again() {
    #[track_caller]
    fn check(retry_after: Option<&str>, expect: Option<u64>) {
        let full =
            r#"{"type": "urn:posthaste:problem:full", "title": "No room", "status": 507, "detail": "later"}"#;
        let mut reply = problem(507, full);
        if let Some(retry_after) = retry_after {
            reply = reply.with_header("retry-after", retry_after);
        }
        let (result, _) = exchange(reply, async |client| client.tenant(&tenant()).await);
        let Err(ClientError::Problem(problem)) = result else { panic!("{result:?}") };
        assert_eq!(problem.kind, ProblemKind::Full);
        assert_eq!(problem.retry_after, expect.map(Duration::from_secs));
    }
    check(Some("10"), Some(10));
    check(None, None);
    check(Some("soon"), None);
    check(Some("Fri, 21 Nov 2026 10:00:00 GMT"), None);
}

#[test]
fn whether_a_delivery_was_made_is_told_by_the_status() {
    let delivery = json!({
        "id": delivery(), "tenant": "acme", "event": "e", "topic": "order.paid", "endpoint": endpoint(),
        "state": "scheduled", "reason": null, "attempts": 0, "failures": 0, "due_at": "2026-01-01T00:00:00Z",
        "last_status": null, "last_error": null, "created_at": "2026-01-01T00:00:00Z", "completed_at": null
    });
    for (status, created) in [(201, true), (200, false)] {
        let reply = Reply::status(status).with_body(delivery.to_string());
        let (sent, _) =
            exchange(reply, async |client| client.send_event(&tenant(), &event(), endpoint()).await);
        assert_eq!(sent.unwrap().created, created);
    }
    let (refused, _) =
        exchange(Reply::status(500), async |client| client.send_event(&tenant(), &event(), endpoint()).await);
    refused.unwrap_err();
}

#[test]
fn what_the_store_stands_on_is_told() {
    let body = r#"{"status": "ready", "durability": "buffered", "findings": [
        {"check": "durability", "level": "danger", "found": "everysec", "remedy": "appendfsync always"},
        {"check": "clock", "level": "fine", "found": "1 ms apart", "remedy": null},
        {"check": "moon", "level": "waxing", "found": "gibbous"}]}"#;
    let (result, _) = exchange(json(body), async |client| client.ready().await);
    let findings = result.unwrap().findings;
    let levels: Vec<_> = findings.iter().map(|finding| finding.level.clone()).collect();
    assert_eq!(levels, [Level::Danger, Level::Fine, Level::Other("waxing".into())]);
    assert_eq!(findings[0].remedy.as_deref(), Some("appendfsync always"));
    assert_eq!(findings[1].remedy, None);
}

#[test]
fn a_service_that_is_not_ready_says_so() {
    #[track_caller]
    fn check(reply: Reply, expect: Result<bool, &str>) {
        let (result, _) = exchange(reply, async |client| client.ready().await);
        match (result, expect) {
            (Ok(readiness), Ok(expect)) => {
                assert_eq!(readiness.is_ready(), expect);
                assert_eq!(readiness.durability, "disk");
                assert_eq!(readiness.reason.as_deref(), (!expect).then_some("the disk is full"));
            }
            (Err(error), Err(expect)) => assert_eq!(error.to_string(), expect),
            (result, _) => panic!("{result:?}"),
        }
    }
    let unavailable = r#"{"status": "unavailable", "durability": "disk", "reason": "the disk is full"}"#;
    check(json(r#"{"status": "ready", "durability": "disk"}"#), Ok(true));
    check(Reply::status(503).with_body(unavailable), Ok(false));
    check(Reply::status(500).with_body("no"), Err("unexpected answer with status 500: no"));
    check(Reply::status(503).with_body("busy"), Err("unexpected answer with status 503: busy"));
    let title = r#"{"type": "about:blank", "title": "Busy", "status": 503, "detail": "wait"}"#;
    check(problem(503, title), Err("Busy (503): wait"));
}
