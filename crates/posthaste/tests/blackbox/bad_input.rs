//! Whatever is wrong with a request is named, and nothing is written.

use serde_json::Value;

use crate::{
    http::{json, send},
    service::{KEY, Service, folder, posthaste},
};

/// Where an error says that the request is wrong.
fn places(body: &Value) -> Vec<String> {
    body["errors"].as_array().into_iter().flatten().map(Value::to_string).collect()
}

struct Case {
    method: &'static str,
    target: &'static str,
    body: &'static str,
    status: u16,
    kind: &'static str,
    place: &'static str,
}

const fn case(
    method: &'static str,
    target: &'static str,
    body: &'static str,
    status: u16,
    kind: &'static str,
    place: &'static str,
) -> Case {
    Case { method, target, body, status, kind, place }
}

const ENDPOINTS: &str = "/v1/tenants/default/endpoints";
const EVENTS: &str = "/v1/tenants/default/events";
const MATCH: &str = "/v1/tenants/default/match";
const NO_ENDPOINT: &str = "/v1/tenants/default/endpoints/ep_00000000000000000000000000000000";

const CASES: &[Case] = &[
    // Endpoints.
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "colour": "blue"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/colour"}"#,
    ),
    case("POST", ENDPOINTS, r#"{}"#, 422, "invalid-field", r#"{"pointer":"/url"}"#),
    case("POST", ENDPOINTS, r#"{"url": 5}"#, 422, "invalid-field", r#"{"pointer":"/url"}"#),
    case("POST", ENDPOINTS, r#"{"url": "not a url"}"#, 422, "invalid-field", r#"{"pointer":"/url"}"#),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "http://example.com"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/url"}"#,
    ),
    case("POST", ENDPOINTS, r#"{"url": "https://10.0.0.1/"}"#, 422, "invalid-field", r#"{"pointer":"/url"}"#),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://169.254.169.254/latest/meta-data"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/url"}"#,
    ),
    case("POST", ENDPOINTS, r#"{"url": "https://[::1]/"}"#, 422, "invalid-field", r#"{"pointer":"/url"}"#),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://u:p@example.com/"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/url"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "topics": []}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/topics"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "topics": ["a", "*.b"]}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/topics/1"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "timeout": "31s"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/timeout"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "retry": {"schedule": []}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/retry/schedule"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "retry": {"schedule": ["-5s"]}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/retry/schedule/0"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "filter": {"data.amount": {"$ne": 1}}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter/data.amount/$ne"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "filter": {"data.amount": {"$gte": true}}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter/data.amount/$gte"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "filter": {"amount": 1}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter/amount"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "filter": {}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "filter": [{"data.a": 1}]}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "filter": {"data.a": {"$regex": "(a{1000}){1000}"}}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter/data.a/$regex"}"#,
    ),
    case(
        "POST",
        ENDPOINTS,
        r#"{"url": "https://example.com", "filter": {"data.a": 1, "data.a": 2}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter/data.a"}"#,
    ),
    case("POST", ENDPOINTS, r#"{"url": "https://example.com""#, 400, "malformed-json", ""),
    case("POST", "/v1/tenants/nobody/endpoints", r#"{"url": "https://example.com"}"#, 404, "not-found", ""),
    case(
        "POST",
        "/v1/tenants/no%20body/endpoints",
        r#"{"url": "https://example.com"}"#,
        400,
        "invalid-parameter",
        r#"{"parameter":"tenant"}"#,
    ),
    case("GET", NO_ENDPOINT, "", 404, "not-found", ""),
    case("PATCH", NO_ENDPOINT, r#"{"description": "x"}"#, 404, "not-found", ""),
    case("DELETE", NO_ENDPOINT, "", 404, "not-found", ""),
    case(
        "GET",
        "/v1/tenants/default/endpoints/ep_1",
        "",
        400,
        "invalid-parameter",
        r#"{"parameter":"endpoint"}"#,
    ),
    case(
        "GET",
        "/v1/tenants/default/endpoints?limit=0",
        "",
        400,
        "invalid-parameter",
        r#"{"parameter":"limit"}"#,
    ),
    case(
        "GET",
        "/v1/tenants/default/endpoints?limt=5",
        "",
        400,
        "invalid-parameter",
        r#"{"parameter":"limt"}"#,
    ),
    case(
        "GET",
        "/v1/tenants/default/endpoints?cursor=x",
        "",
        400,
        "invalid-parameter",
        r#"{"parameter":"cursor"}"#,
    ),
    // Events.
    case(
        "POST",
        EVENTS,
        r#"{"topic": "unheard.of", "data": 1}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/topic"}"#,
    ),
    case("POST", EVENTS, r#"{"topic": "known", "dta": 1}"#, 422, "invalid-field", r#"{"pointer":"/dta"}"#),
    case("POST", EVENTS, r#"{"topic": "known"}"#, 422, "invalid-field", r#"{"pointer":"/data"}"#),
    case(
        "POST",
        EVENTS,
        r#"{"topic": "known", "data": 1, "id": "a.b"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/id"}"#,
    ),
    case("POST", EVENTS, r#"{"topic": "known", "data": {]}"#, 400, "malformed-json", ""),
    case("POST", EVENTS, r#"["known", 1, null]"#, 422, "invalid-field", r#"{"pointer":""}"#),
    case("POST", EVENTS, r#"{"events": [{"topic": "known", "data": 1},"#, 400, "malformed-json", ""),
    case(
        "POST",
        "/v1/tenants/default/events?topic=unheard.of",
        "{}",
        400,
        "invalid-parameter",
        r#"{"parameter":"topic"}"#,
    ),
    case("POST", EVENTS, r#"{"events": []}"#, 422, "invalid-field", r#"{"pointer":"/events"}"#),
    case(
        "POST",
        EVENTS,
        r#"{"events": [{"topic": "known", "data": 1}, {"topic": "unheard.of", "data": 1}]}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/events/1/topic"}"#,
    ),
    case(
        "POST",
        EVENTS,
        r#"{"events": [{"topic": "known", "data": 1, "x": 1}]}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/events/0/x"}"#,
    ),
    case(
        "POST",
        "/v1/tenants/default/events?topik=known",
        "{}",
        400,
        "invalid-parameter",
        r#"{"parameter":"topik"}"#,
    ),
    case(
        "POST",
        "/v1/tenants/default/events?topic=a..b",
        "{}",
        400,
        "invalid-parameter",
        r#"{"parameter":"topic"}"#,
    ),
    case("POST", "/v1/tenants/default/events?id=x", "{}", 400, "invalid-parameter", r#"{"parameter":"id"}"#),
    case("GET", "/v1/tenants/default/events/nothing", "", 404, "not-found", ""),
    // Dry runs.
    case("POST", MATCH, r#"{"topic": "known"}"#, 422, "invalid-field", r#"{"pointer":"/data"}"#),
    case(
        "POST",
        MATCH,
        r#"{"topic": "known", "data": 1, "id": "e1"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/id"}"#,
    ),
    case(
        "POST",
        MATCH,
        r#"{"topic": "known", "data": 1, "filter": {"data": {"$is": 1}}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/filter/data/$is"}"#,
    ),
    case(
        "POST",
        MATCH,
        r#"{"topic": "known", "data": 1, "endpoint": "ep_00000000000000000000000000000000"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/endpoint"}"#,
    ),
    case("POST", "/v1/tenants/nobody/match", r#"{"topic": "known", "data": 1}"#, 404, "not-found", ""),
    case("GET", MATCH, "", 405, "method-not-allowed", ""),
    // Deliveries.
    case(
        "GET",
        "/v1/tenants/default/deliveries?state=lost",
        "",
        400,
        "invalid-parameter",
        r#"{"parameter":"state"}"#,
    ),
    case(
        "GET",
        "/v1/tenants/default/deliveries/dlv_00000000000000000000000000000000",
        "",
        404,
        "not-found",
        "",
    ),
    case(
        "GET",
        "/v1/tenants/default/deliveries/dlv_00000000000000000000000000000000/attempts",
        "",
        404,
        "not-found",
        "",
    ),
    // Tenants, topics, and no route at all.
    case("PUT", "/v1/tenants/acme", r#"{"name": 5}"#, 422, "invalid-field", r#"{"pointer":"/name"}"#),
    case("GET", "/v1/tenants/nobody", "", 404, "not-found", ""),
    case("PUT", "/v1/topics/a.b", r#"{"schema": true}"#, 422, "invalid-field", r#"{"pointer":"/schema"}"#),
    case(
        "PUT",
        "/v1/topics/a.b",
        r#"{"schema": {"type": "text"}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/schema/type"}"#,
    ),
    case(
        "PUT",
        "/v1/topics/a.b",
        r#"{"schema": {"$ref": "https://example.com/a.json"}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/schema/$ref"}"#,
    ),
    case(
        "PUT",
        "/v1/topics/a.b",
        r#"{"schema": {"pattern": "("}}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/schema/pattern"}"#,
    ),
    case(
        "PUT",
        "/v1/topics/a.b",
        r#"{"schema": {"type": "integer"}, "example": "x"}"#,
        422,
        "invalid-field",
        r#"{"pointer":"/example"}"#,
    ),
    case("PUT", "/v1/topics/a..b", "{}", 400, "invalid-parameter", r#"{"parameter":"topic"}"#),
    case("GET", "/v1/topics/unheard.of", "", 404, "not-found", ""),
    case("GET", "/v1/nothing", "", 404, "not-found", ""),
    case("GET", "/nothing", "", 404, "not-found", ""),
    case("DELETE", EVENTS, "", 405, "method-not-allowed", ""),
];

#[test]
fn what_is_wrong_is_named_and_nothing_is_written() {
    let folder = folder();
    // As it comes: nothing but the public internet may be reached.
    let mut serve = posthaste(folder.path());
    serve.args(["serve", "--listen", "127.0.0.1:0"]).env_remove("POSTHASTE_EGRESS_ALLOW");
    let service = Service::start_with(&mut serve);
    assert_eq!(json(service.address, "PUT", "/v1/topics/known", "{}").status, 201);
    for Case { method, target, body, status, kind, place } in CASES {
        let answer = json(service.address, method, target, body);
        let shown = format!("{method} {target} {body}: {answer:?}");
        assert_eq!(answer.status, *status, "{shown}");
        assert!(answer.head.contains("content-type: application/problem+json"), "{shown}");
        assert_eq!(answer.body["type"], format!("urn:posthaste:problem:{kind}"), "{shown}");
        assert_eq!(answer.body["status"], *status, "{shown}");
        assert_eq!(places(&answer.body).concat(), *place, "{shown}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{shown}");
    }
    for list in [ENDPOINTS, EVENTS, "/v1/tenants/default/deliveries"] {
        let answer = json(service.address, "GET", list, "");
        assert_eq!(answer.body["data"], Value::Array(vec![]), "{list}: nothing was written");
    }
    // `default` and `posthaste`, which exist from the start.
    assert_eq!(json(service.address, "GET", "/v1/tenants", "").body["data"].as_array().unwrap().len(), 2);
}

#[test]
fn a_missing_or_wrong_key_is_refused_everywhere() {
    let folder = folder();
    let service = Service::start(folder.path());
    let specification = send(service.address, "GET", "/v1/openapi.json", &[], b"").body;
    let paths = specification["paths"].as_object().unwrap();
    assert!(paths.len() > 10, "the specification lists the routes");
    for (path, operations) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for method in operations.as_object().unwrap().keys().filter(|method| method.len() < 7) {
            let target = path.replace(['{', '}'], "");
            for headers in [
                vec![],
                vec![("Authorization", "Bearer wrong-wrong-wrong-wrong-wrong")],
                vec![("Authorization", KEY)],
                vec![("Authorization", "Basic YWRtaW46YWRtaW4=")],
            ] {
                let answer = send(service.address, &method.to_uppercase(), &target, &headers, b"");
                assert_eq!(answer.status, 401, "{method} {path} {headers:?}");
                assert_eq!(places(&answer.body), [r#"{"header":"authorization"}"#]);
                assert!(answer.head.contains("www-authenticate: bearer"));
            }
        }
    }
    for open in ["/healthz", "/readyz"] {
        assert_eq!(send(service.address, "GET", open, &[], b"").status, 200, "{open} needs no key");
    }
}

#[test]
fn a_repeated_id_with_other_bytes_is_refused() {
    let folder = folder();
    let service = Service::start(folder.path());
    json(service.address, "PUT", "/v1/topics/known", "{}");
    let publish = |data: &str| {
        json(service.address, "POST", EVENTS, &format!(r#"{{"topic": "known", "id": "e1", "data": {data}}}"#))
    };
    assert_eq!(publish("1").status, 202);
    let repeated = publish("1");
    assert_eq!((repeated.status, &repeated.body["duplicate"]), (202, &Value::Bool(true)));
    let other = publish("2");
    assert_eq!((other.status, places(&other.body).concat().as_str()), (409, r#"{"pointer":"/id"}"#));
    assert_eq!(json(service.address, "GET", "/v1/tenants/default/events/e1", "").body["data"], 1);
}

#[test]
fn oversized_bodies_are_refused() {
    let folder = folder();
    let service = Service::start(folder.path());
    json(service.address, "PUT", "/v1/topics/known", "{}");
    let event = |bytes: usize| format!(r#"{{"topic": "known", "data": "{}"}}"#, "x".repeat(bytes - 2));
    assert_eq!(json(service.address, "POST", EVENTS, &event(256 * 1024)).status, 202, "exactly the limit");
    let answer = json(service.address, "POST", EVENTS, &event(256 * 1024 + 1));
    assert_eq!((answer.status, places(&answer.body).concat().as_str()), (413, r#"{"pointer":"/data"}"#));
    let answer = json(service.address, "POST", EVENTS, &event(9 * 1024 * 1024));
    assert_eq!(answer.status, 413, "more than a request may have: {answer:?}");
}

#[test]
fn other_content_types_are_refused_for_json() {
    let folder = folder();
    let service = Service::start(folder.path());
    let bearer = format!("Bearer {KEY}");
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", content_type)];
        let answer = send(service.address, "POST", EVENTS, &headers, br#"{"topic": "known", "data": 1}"#);
        assert_eq!(
            (answer.status, places(&answer.body).concat().as_str()),
            (415, r#"{"header":"content-type"}"#)
        );
    }
}

#[test]
fn a_bad_idempotency_key_is_named() {
    let folder = folder();
    let service = Service::start(folder.path());
    json(service.address, "PUT", "/v1/topics/known", "{}");
    let bearer = format!("Bearer {KEY}");
    let publish = |key: &str, body: &str| {
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        send(service.address, "POST", EVENTS, &headers, body.as_bytes())
    };
    let event = r#"{"topic": "known", "data": 1}"#;
    assert_eq!(publish("key-1", event).body["id"], "key-1");
    assert_eq!(publish("key-1", event).body["duplicate"], true);
    let bad = publish("no spaces", event);
    assert_eq!((bad.status, places(&bad.body).concat().as_str()), (400, r#"{"header":"idempotency-key"}"#));
    assert_eq!(publish("key-2", r#"{"events": [{"topic": "known", "data": 1}]}"#).status, 400);
}

/// A publisher that lost the answer asks again, and must be told the truth even if the topic was closed meanwhile.
#[test]
fn a_repeat_is_a_repeat_though_its_topic_is_closed() {
    let folder = folder();
    let service = Service::start(folder.path());
    let publish = |data: &str| {
        json(service.address, "POST", EVENTS, &format!(r#"{{"topic": "known", "id": "e1", "data": {data}}}"#))
    };
    json(service.address, "PUT", "/v1/topics/known", "{}");
    assert_eq!(publish("1").status, 202);
    json(service.address, "PUT", "/v1/topics/known", r#"{"archived": true}"#);
    let repeat = publish("1");
    assert_eq!((repeat.status, &repeat.body["duplicate"]), (202, &Value::Bool(true)));
    assert_eq!(publish("2").status, 422);
    json(service.address, "DELETE", "/v1/topics/known", "");
    assert_eq!(publish("1").body["duplicate"], true);
}

#[test]
fn the_event_of_a_batch_that_conflicts_is_named() {
    let folder = folder();
    let service = Service::start(folder.path());
    json(service.address, "PUT", "/v1/topics/known", "{}");
    let event = |id: &str, data: u32| format!(r#"{{"topic": "known", "id": "{id}", "data": {data}}}"#);
    let batch = |events: &[String]| format!(r#"{{"events": [{}]}}"#, events.join(","));
    let answer =
        json(service.address, "POST", EVENTS, &batch(&[event("a", 1), event("b", 1), event("a", 2)]));
    assert_eq!(
        (answer.status, places(&answer.body).concat().as_str()),
        (409, r#"{"pointer":"/events/2/id"}"#)
    );
    assert_eq!(json(service.address, "GET", EVENTS, "").body["data"], Value::Array(vec![]), "all or none");
}

#[test]
fn compressed_bodies_are_refused() {
    let folder = folder();
    let service = Service::start(folder.path());
    let bearer = format!("Bearer {KEY}");
    let headers =
        [("Authorization", bearer.as_str()), ("Content-Type", "text/xml"), ("Content-Encoding", "gzip")];
    let target = "/v1/tenants/default/events?topic=known";
    let answer = send(service.address, "POST", target, &headers, b"\x1f\x8b");
    assert_eq!(
        (answer.status, places(&answer.body).concat().as_str()),
        (415, r#"{"header":"content-encoding"}"#)
    );
}

#[test]
fn an_unknown_field_is_refused_in_a_patch_whatever_its_value() {
    let folder = folder();
    let service = Service::start(folder.path());
    let created = json(service.address, "POST", ENDPOINTS, r#"{"url": "https://example.com/"}"#);
    let target = format!("{ENDPOINTS}/{}", created.body["id"].as_str().unwrap());
    for (patch, place) in [
        (r#"{"colour": null}"#, r#"{"pointer":"/colour"}"#),
        (r#"{"parked_until": null}"#, r#"{"pointer":"/parked_until"}"#),
        (r#"{"url": null}"#, r#"{"pointer":"/url"}"#),
        (r#"{"url": "https://10.0.0.1/"}"#, r#"{"pointer":"/url"}"#),
        ("[]", r#"{"pointer":""}"#),
    ] {
        let answer = json(service.address, "PATCH", &target, patch);
        assert_eq!((answer.status, places(&answer.body).concat().as_str()), (422, place), "{patch}");
    }
    let kept = json(service.address, "GET", &target, "");
    assert_eq!(kept.body["url"], "https://example.com/");
    assert_eq!(
        json(service.address, "PATCH", &target, r#"{"timeout": null, "topics": ["a.*"]}"#).status,
        200
    );
}
