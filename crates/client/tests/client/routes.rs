//! What each method sends, and that it gives back what the service answers.

use posthaste_client::{
    ApiKeyId, BodyFormat, Client, ClientError, DeliveryFilter, DeliveryState, EndpointAuth, EndpointFilter,
    EndpointState, EndpointTls, ErrorClass, EventFilter, HandshakeKind, HeaderField, ListOptions,
    MatchQuestion, Method, NewApiKey, NewEndpoint, NewEvent, NewReplay, Order, Period, PublishOptions,
    RateLimit, Recovery, ReplayId, RetryPolicy, Role, Rotation, SecretText, StatsSpan, TenantFields,
    TenantPatch, TestEvent, Timestamp, TopicFields,
};
use posthaste_testkit::Reply;
use serde::Serialize;
use serde_json::{Value, json};

use crate::setup::{KEY, delivery, endpoint, event, exchange, json, tenant, topic};

/// Calls a service that gives `answer` (null: an empty 204), asserts that the request had this line and this body, and
/// that what the call returns is the answer.
#[track_caller]
fn check<T: Serialize>(
    call: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    line: &str,
    body: &str,
    answer: Value,
) {
    let reply = if answer.is_null() { Reply::status(204) } else { json(grown(&answer).to_string()) };
    let (returned, requests) = exchange(reply, call);
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(format!("{} {}", request.method, request.path), line);
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("content-type"), (!body.is_empty()).then_some("application/json"));
    assert_eq!(std::str::from_utf8(&request.body).unwrap(), body);
    assert_eq!(serde_json::to_value(returned.unwrap()).unwrap(), answer);
}

/// The answer of a newer service: each object has one more field, but for those that callers fill.
fn grown(answer: &Value) -> Value {
    match answer {
        Value::Object(fields) => {
            let grow = |(name, value): (&String, &Value)| match name.as_str() {
                "metadata" | "example" | "schema" | "filter" | "retry" | "rate_limit" | "errors"
                | "signature" | "headers" => (name.clone(), value.clone()),
                _ => (name.clone(), grown(value)),
            };
            fields.iter().map(grow).chain([("later".to_owned(), json!({"than": "this client"}))]).collect()
        }
        Value::Array(rows) => rows.iter().map(grown).collect(),
        _ => answer.clone(),
    }
}

fn list_of(row: Value) -> Value {
    json!({"data": [row], "next": "1f2e-7"})
}

/// What a list is asked by for its second page.
const SECOND_PAGE: &str = "limit=2&cursor=1f2e-a+b%26c%3Dd";

fn second_page() -> ListOptions {
    ListOptions { limit: Some(2), cursor: Some("1f2e-a b&c=d".into()) }
}

#[test]
fn tenants() {
    let answer = json!({
        "id": "acme", "name": "Acme", "signature": {"profile": "svix"}, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"
    });
    let fields = TenantFields { name: "Acme".into(), signature: Some(json!({"profile": "svix"})) };
    check(
        async |client| client.put_tenant(&tenant(), &fields).await,
        "PUT /v1/tenants/acme",
        r#"{"name":"Acme","signature":{"profile":"svix"}}"#,
        answer.clone(),
    );
    check(async |client| client.tenant(&tenant()).await, "GET /v1/tenants/acme", "", answer.clone());
    for (patch, body) in [
        (TenantPatch { name: Some("Acme".into()), ..TenantPatch::default() }, r#"{"name":"Acme"}"#),
        (TenantPatch { signature: Some(Value::Null), ..TenantPatch::default() }, r#"{"signature":null}"#),
        (TenantPatch::default(), "{}"),
    ] {
        check(
            async |client| client.patch_tenant(&tenant(), &patch).await,
            "PATCH /v1/tenants/acme",
            body,
            answer.clone(),
        );
    }
    check(async |client| client.delete_tenant(&tenant()).await, "DELETE /v1/tenants/acme", "", Value::Null);
    check(
        async |client| client.tenants(&ListOptions::default()).await,
        "GET /v1/tenants",
        "",
        list_of(answer.clone()),
    );
    check(
        async |client| client.tenants(&second_page()).await,
        &format!("GET /v1/tenants?{SECOND_PAGE}"),
        "",
        json!({"data": [answer.clone(), answer], "next": null}),
    );
}

#[test]
fn topics() {
    let answer = json!({
        "name": "order.paid", "description": "An order was paid", "example": {"order": 42},
        "schema": {"required": ["order"]}, "archived": true,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"
    });
    let full = TopicFields {
        description: "An order was paid".into(),
        example: Some(json!({"order": 42})),
        schema: Some(json!({"required": ["order"]})),
        archived: true,
    };
    for (fields, body) in [
        (
            full,
            concat!(
                r#"{"description":"An order was paid","example":{"order":42},"#,
                r#""schema":{"required":["order"]},"archived":true}"#
            ),
        ),
        (TopicFields::default(), r#"{"description":"","archived":false}"#),
    ] {
        check(
            async |client| client.put_topic(&topic(), &fields).await,
            "PUT /v1/topics/order.paid",
            body,
            answer.clone(),
        );
    }
    check(async |client| client.topic(&topic()).await, "GET /v1/topics/order.paid", "", answer.clone());
    check(
        async |client| client.delete_topic(&topic()).await,
        "DELETE /v1/topics/order.paid",
        "",
        Value::Null,
    );
    check(
        async |client| client.topics(&second_page()).await,
        &format!("GET /v1/topics?{SECOND_PAGE}"),
        "",
        list_of(answer),
    );
}

const ENDPOINT: &str = "/v1/tenants/acme/endpoints/ep_00000000000077078707070707070707";

fn an_endpoint() -> Value {
    json!({
        "id": endpoint(), "tenant": "acme", "url": "https://example.com/hooks", "topics": ["order.*", "refund"],
        "filter": {"data.amount": {"$gte": 100}},
        "description": "Orders", "metadata": {"team": "a"}, "timeout": "15s", "retry": {"schedule": ["5s", "5m"]},
        "max_in_flight": 8, "rate_limit": {"limit": 100, "per": "1s"}, "ordered": true,
        "signature": {"profile": "stripe"}, "format": "cloudevents", "method": "PUT",
        "headers": {"X-Env": "prod", "X-Key": {"secret": true}}, "metadata_headers": true,
        "auth": {"type": "basic", "username": "u", "password": true},
        "tls": {"certificate": "CERT", "private_key": true, "ca": "CA"},
        "handshake": {"type": "hmac", "verified_at": "2026-01-01T06:00:00Z"},
        "health": {"failing_since": "2026-01-01T12:00:00Z", "failures": 7, "exhausted": 1, "warned": 50},
        "state": "disabled", "state_reason": "it was gone", "parked_until": "2026-01-03T00:00:00Z",
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"
    })
}

#[test]
fn endpoints() {
    let mut created = an_endpoint();
    created["secret"] = json!("whsec_c2VjcmV0");
    created["public_key"] = json!("whpk_cHVibGlj");
    created["secrets"] = json!(["whsec_c2VjcmV0", "whsk_cHJpdmF0ZQ=="]);
    created["handshake"] = json!({"type": "hmac", "verified_at": null, "failure": "there was no answer"});
    created["signature_sample"] = json!({"headers": {"Stripe-Signature": "t=1,v1=00"}, "signed": "1.{}"});
    check(
        async |client| {
            client.create_endpoint(&tenant(), &NewEndpoint::new("https://example.com/hooks")).await
        },
        "POST /v1/tenants/acme/endpoints",
        concat!(
            r#"{"url":"https://example.com/hooks","topics":["*"],"description":"","metadata":{},"#,
            r#""ordered":false,"format":"standard","method":"POST","metadata_headers":false,"state":"enabled"}"#
        ),
        created.clone(),
    );
    let full = NewEndpoint {
        topics: vec!["order.*".parse().unwrap(), "refund".parse().unwrap()],
        filter: Some(r#"{"data.amount" : {"$gte": 1.50}}"#.parse().unwrap()),
        description: "Orders".into(),
        metadata: [("team".to_owned(), "a".to_owned())].into(),
        timeout: Some(Period::from_secs(15)),
        retry: Some(RetryPolicy::schedule(vec![Period::from_secs(5), Period::from_secs(300)]).unwrap()),
        max_in_flight: Some(8),
        rate_limit: Some(RateLimit::new(100, Period::from_secs(1)).unwrap()),
        ordered: true,
        signature: Some(json!({"profile": "stripe"})),
        secret: Some(SecretText::new("whsec_c2VjcmV0")),
        format: BodyFormat::CloudEvents,
        method: Method::Put,
        headers: [
            ("X-Env".to_owned(), HeaderField::from("prod")),
            ("X-Key".to_owned(), HeaderField::from(SecretText::new("abc"))),
        ]
        .into(),
        metadata_headers: true,
        auth: Some(EndpointAuth::Basic { username: "u".into(), password: SecretText::new("p").into() }),
        tls: Some(EndpointTls {
            certificate: Some("CERT".into()),
            private_key: Some(SecretText::new("KEY").into()),
            ca: Some("CA".into()),
        }),
        handshake: Some(HandshakeKind::Hmac.into()),
        state: EndpointState::Paused,
        ..NewEndpoint::new("https://example.com/hooks")
    };
    check(
        async |client| client.create_endpoint(&tenant(), &full).await,
        "POST /v1/tenants/acme/endpoints",
        concat!(
            r#"{"url":"https://example.com/hooks","topics":["order.*","refund"],"#,
            r#""filter":{"data.amount" : {"$gte": 1.50}},"description":"Orders","metadata":{"team":"a"},"timeout":"15s","retry":{"schedule":["5s","5m"]},"#,
            r#""max_in_flight":8,"rate_limit":{"limit":100,"per":"1s"},"ordered":true,"#,
            r#""signature":{"profile":"stripe"},"secret":"whsec_c2VjcmV0","format":"cloudevents","method":"PUT","#,
            r#""headers":{"X-Env":"prod","X-Key":{"secret":"abc"}},"metadata_headers":true,"#,
            r#""auth":{"type":"basic","username":"u","password":"p"},"#,
            r#""tls":{"certificate":"CERT","private_key":"KEY","ca":"CA"},"handshake":{"type":"hmac"},"state":"paused"}"#
        ),
        created,
    );
    check(
        async |client| client.endpoint(&tenant(), endpoint()).await,
        &format!("GET {ENDPOINT}"),
        "",
        an_endpoint(),
    );
    check(
        async |client| {
            client.patch_endpoint(&tenant(), endpoint(), &json!({"retry": null, "state": "paused"})).await
        },
        &format!("PATCH {ENDPOINT}"),
        r#"{"retry":null,"state":"paused"}"#,
        an_endpoint(),
    );
    check(
        async |client| client.delete_endpoint(&tenant(), endpoint()).await,
        &format!("DELETE {ENDPOINT}"),
        "",
        Value::Null,
    );
    check(
        async |client| client.endpoints(&tenant(), &second_page()).await,
        &format!("GET /v1/tenants/acme/endpoints?{SECOND_PAGE}"),
        "",
        list_of(an_endpoint()),
    );
}

#[test]
fn the_state_of_an_endpoint() {
    check(
        async |client| client.pause_endpoint(&tenant(), endpoint()).await,
        &format!("POST {ENDPOINT}/pause"),
        "",
        an_endpoint(),
    );
    check(
        async |client| client.resume_endpoint(&tenant(), endpoint()).await,
        &format!("POST {ENDPOINT}/resume"),
        "",
        an_endpoint(),
    );
    check(
        async |client| client.enable_endpoint(&tenant(), endpoint()).await,
        &format!("POST {ENDPOINT}/enable"),
        "",
        an_endpoint(),
    );
    for (reason, body) in [(None, ""), (Some("they left"), r#"{"reason":"they left"}"#)] {
        check(
            async |client| client.disable_endpoint(&tenant(), endpoint(), reason).await,
            &format!("POST {ENDPOINT}/disable"),
            body,
            an_endpoint(),
        );
    }
}

#[test]
fn handshakes() {
    check(
        async |client| client.verify_endpoint(&tenant(), endpoint()).await,
        &format!("POST {ENDPOINT}/verify"),
        "",
        an_endpoint(),
    );
}

#[test]
fn test_events() {
    let full = TestEvent {
        topic: Some(topic()),
        data: Some(serde_json::value::to_raw_value(&json!({"order": 42})).unwrap()),
        force: true,
    };
    let told = json!({"event": an_event(), "delivery": a_delivery(), "attempt": an_attempt(Value::Null, Value::Null)});
    let waiting = json!({"event": an_event(), "delivery": a_delivery(), "attempt": null});
    for (test, body, answer) in [
        (full, r#"{"topic":"order.paid","data":{"order":42},"force":true}"#, told),
        (TestEvent::default(), r#"{"force":false}"#, waiting),
    ] {
        check(
            async |client| client.test_endpoint(&tenant(), endpoint(), &test).await,
            &format!("POST {ENDPOINT}/test"),
            body,
            answer,
        );
    }
}

/// What no number of ours can hold comes back as well.
#[test]
fn a_filter_is_read_as_it_was_written() {
    let filter = r#"{ "data.a" : {"$gt": 1.50e400} }"#;
    let mut shown = an_endpoint();
    shown["secret"] = json!("whsec_c2VjcmV0");
    let shown = shown.to_string().replace(r#"{"data.amount":{"$gte":100}}"#, filter);
    assert!(shown.contains(filter));
    let (made, _) = exchange(json(shown.clone()), async |client: Client| {
        client.create_endpoint(&tenant(), &NewEndpoint::new("https://example.com")).await
    });
    assert_eq!(made.unwrap().endpoint.filter, Some(filter.parse().unwrap()));
    let (read, _) =
        exchange(json(shown), async |client: Client| client.endpoint(&tenant(), endpoint()).await);
    assert_eq!(read.unwrap().filter.unwrap().as_str(), filter);
    assert_ne!(EndpointFilter::new(&json!({"data.a": 1})).unwrap(), filter.parse().unwrap());
}

#[test]
fn dry_runs() {
    let held = json!({"at": "/data.a", "path": "data.a", "operator": "$eq", "operand": null, "held": true,
        "found": {"count": 1, "values": ["null"]}, "note": "the event has no data"});
    let group = json!({"at": "/$not", "operator": "$not", "held": false, "conditions": [held]});
    let why = json!({"matches": false, "conditions": [group]});
    let refused = json!({"type": "urn:posthaste:problem:invalid-field", "title": "A field is not valid", "status": 422,
        "detail": "does not fit", "errors": [{"pointer": "/data"}]});
    let row = |filter: &Value| json!({"endpoint": endpoint(), "matches": true, "delivery": "held", "topics": ["order.*"], "filter": filter});
    let full = MatchQuestion {
        metadata: [("team".to_owned(), "a".to_owned())].into(),
        endpoint: Some(endpoint()),
        filter: Some(EndpointFilter::new(&json!({"data.a": 1})).unwrap()),
        ..MatchQuestion::new(topic(), &1).unwrap()
    };
    for (question, body, answer) in [
        (
            full,
            concat!(
                r#"{"topic":"order.paid","data":1,"metadata":{"team":"a"},"#,
                r#""endpoint":"ep_00000000000077078707070707070707","filter":{"data.a":1}}"#
            ),
            json!({"refused": refused, "filter": why, "data": [], "next": null}),
        ),
        (
            MatchQuestion::new(topic(), &json!({"a": 1})).unwrap(),
            r#"{"topic":"order.paid","data":{"a":1}}"#,
            json!({"refused": null, "filter": null, "data": [row(&why), row(&Value::Null)], "next": "1f2e-7"}),
        ),
    ] {
        check(
            async |client| client.match_event(&tenant(), &question, &second_page()).await,
            &format!("POST /v1/tenants/acme/match?{SECOND_PAGE}"),
            body,
            answer,
        );
    }
}

#[test]
fn secrets() {
    let answer = json!({
        "secret": "whsec_bmV3", "retiring": [{"secret": "whsec_b2xk", "expires_at": "2026-01-02T00:00:00Z"}]
    });
    check(
        async |client| client.secret(&tenant(), endpoint()).await,
        &format!("GET {ENDPOINT}/secret"),
        "",
        answer.clone(),
    );
    let hour = Rotation { overlap: Some(Period::from_secs(3600)), ..Rotation::default() };
    let import = Rotation { secret: Some(SecretText::new("hush")), ..Rotation::default() };
    for (rotation, body, cut_over) in [
        (Rotation::default(), "{}", "after_overlap"),
        (hour, r#"{"overlap":"1h"}"#, "after_overlap"),
        (import, r#"{"secret":"hush"}"#, "at_once"),
    ] {
        let mut rotated = answer.clone();
        rotated["cut_over"] = json!(cut_over);
        check(
            async |client| client.rotate_secret(&tenant(), endpoint(), &rotation).await,
            &format!("POST {ENDPOINT}/secret/rotate"),
            body,
            rotated,
        );
    }
}

#[test]
fn events() {
    let accepted = json!({"id": "urn:ord-42:paid", "deliveries": 3, "duplicate": true});
    let new = NewEvent::new(topic(), &json!({"order": 42})).unwrap();
    let named = new.clone().with_id(event());
    check(
        async |client| client.publish(&tenant(), &named).await,
        "POST /v1/tenants/acme/events",
        r#"{"topic":"order.paid","data":{"order":42},"id":"urn:ord-42:paid"}"#,
        accepted.clone(),
    );
    check(
        async |client| {
            let accepted = client.publish_batch(&tenant(), &[new, named]).await;
            accepted.map(|accepted| json!({"events": accepted}))
        },
        "POST /v1/tenants/acme/events",
        concat!(
            r#"{"events":[{"topic":"order.paid","data":{"order":42}},"#,
            r#"{"topic":"order.paid","data":{"order":42},"id":"urn:ord-42:paid"}]}"#
        ),
        json!({"events": [accepted.clone(), accepted]}),
    );

    let options = PublishOptions {
        metadata: [("source".to_owned(), "billing".to_owned())].into(),
        deliver_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        delay: Some(Period::from_secs(600)),
        retention: Some(Period::from_secs(60)),
        endpoint: Some(endpoint()),
    };
    let asking = NewEvent::new(topic(), &1).unwrap().with_options(options);
    check(
        async |client| client.publish(&tenant(), &asking).await,
        "POST /v1/tenants/acme/events",
        concat!(
            r#"{"topic":"order.paid","data":1,"metadata":{"source":"billing"},"deliver_at":"2026-01-01T00:00:00Z","#,
            r#""delay":"10m","retention":"1m","endpoint":"ep_00000000000077078707070707070707"}"#
        ),
        json!({"id": "e", "deliveries": 1, "duplicate": false}),
    );

    let row = an_event();
    let some = EventFilter {
        topic: Some(topic()),
        unmatched: true,
        since: Some(Period::from_secs(3_600).into()),
        until: Some("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().into()),
    };
    let asked =
        format!("topic=order.paid&unmatched=true&since=1h&until=2026-01-01T00%3A00%3A00Z&{SECOND_PAGE}");
    check(
        async |client| client.search_events(&tenant(), &some, &second_page()).await,
        &format!("GET /v1/tenants/acme/events?{asked}"),
        "",
        list_of(row.clone()),
    );
    check(
        async |client| client.all_events(&some, &second_page()).await,
        &format!("GET /v1/events?{asked}"),
        "",
        list_of(row.clone()),
    );
    check(
        async |client| client.events(&tenant(), &second_page()).await,
        &format!("GET /v1/tenants/acme/events?{SECOND_PAGE}"),
        "",
        list_of(row.clone()),
    );
    let mut detail = row;
    detail["deliveries"] = json!([a_delivery()]);
    check(
        async |client| client.event(&tenant(), &event()).await,
        "GET /v1/tenants/acme/events/urn:ord-42:paid",
        "",
        detail,
    );
}

fn an_event() -> Value {
    json!({
        "id": "urn:ord-42:paid", "tenant": "acme", "topic": "order.paid", "accepted_at": "2026-01-01T00:00:00Z",
        "delivery_count": 0, "reason": "unmatched", "metadata": {"source": "billing"},
        "deliver_at": "2026-01-01T00:00:01Z", "retention": "1m", "test": true, "content_type": "text/plain",
        "body": "paid"
    })
}

fn a_delivery() -> Value {
    json!({
        "id": delivery(), "tenant": "acme", "event": "urn:ord-42:paid", "topic": "order.paid", "endpoint": endpoint(),
        "state": "in_flight", "reason": "operator", "attempts": 2, "failures": 1, "due_at": "2026-01-01T00:00:00.25Z", "last_status": 503,
        "last_error": "timeout", "created_at": "2026-01-01T00:00:00Z", "completed_at": null
    })
}

#[test]
fn deliveries() {
    let path = "/v1/tenants/acme/deliveries";
    let id = delivery();
    let all = DeliveryFilter::default();
    check(
        async |client| client.deliveries(&tenant(), &all, &ListOptions::default()).await,
        &format!("GET {path}"),
        "",
        list_of(a_delivery()),
    );
    let some = DeliveryFilter {
        states: vec![DeliveryState::InFlight, DeliveryState::Exhausted],
        endpoint: Some(endpoint()),
        event: Some(event()),
        topic: Some(topic()),
        status: Some("5xx".into()),
        error: Some(ErrorClass::Timeout),
        failed: true,
        since: Some(Period::from_secs(3_600).into()),
        until: Some("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().into()),
        order: Order::OldestFirst,
    };
    let asked = format!(
        "state=in_flight%2Cexhausted&endpoint={}&event=urn%3Aord-42%3Apaid&topic=order.paid&status=5xx&error=timeout\
         &failed=true&since=1h&until=2026-01-01T00%3A00%3A00Z&order=oldest&{SECOND_PAGE}",
        endpoint()
    );
    check(
        async |client| client.deliveries(&tenant(), &some, &second_page()).await,
        &format!("GET {path}?{asked}"),
        "",
        list_of(a_delivery()),
    );
    check(
        async |client| client.all_deliveries(&some, &second_page()).await,
        &format!("GET /v1/deliveries?{asked}"),
        "",
        list_of(a_delivery()),
    );
    for why in ["first_attempt", "deliver_at", "retry", "endpoint_paused", "endpoint_parked", "the_moon"] {
        let mut waiting = a_delivery();
        waiting["next_attempt"] =
            json!({"due_at": "2026-01-01T00:00:05Z", "number": 2, "of": 10, "why": why});
        check(async |client| client.delivery(&tenant(), id).await, &format!("GET {path}/{id}"), "", waiting);
    }
    check(async |client| client.delivery(&tenant(), id).await, &format!("GET {path}/{id}"), "", a_delivery());
    let text = json!({"status": 200, "headers": [["a", "1"], ["a", "2"]], "body": "ok", "truncated": false});
    let binary = json!({"status": 500, "headers": [], "body_base64": "/w==", "truncated": true});
    let error = json!({"class": "dns", "detail": "the name could not be resolved"});
    check(
        async |client| client.attempts(&tenant(), id).await.map(|attempts| json!({"data": attempts})),
        &format!("GET {path}/{id}/attempts"),
        "",
        json!({"data": [
            an_attempt(text, Value::Null), an_attempt(binary, Value::Null), an_attempt(Value::Null, error)
        ]}),
    );
}

fn an_attempt(response: Value, error: Value) -> Value {
    json!({
        "id": "att_00000000000077078707070707070707", "number": 1, "manual": true,
        "started_at": "2026-01-01T00:00:00Z",
        "timings": {"queued_ms": 0.25, "dns_ms": 1.5, "connect_ms": null, "tls_ms": null, "first_byte_ms": null,
            "total_ms": 12.5},
        "request": {"method": "POST", "url": "https://example.com/", "headers": [["authorization", "***"]]},
        "response": response, "error": error
    })
}

#[test]
fn repairs() {
    let path = format!("/v1/tenants/acme/deliveries/{}", delivery());
    for (force, body) in [(false, r#"{"force":false}"#), (true, r#"{"force":true}"#)] {
        check(
            async |client| client.retry_delivery(&tenant(), delivery(), force).await,
            &format!("POST {path}/retry"),
            body,
            a_delivery(),
        );
    }
    check(
        async |client| client.cancel_delivery(&tenant(), delivery()).await,
        &format!("POST {path}/cancel"),
        "",
        a_delivery(),
    );
    check(
        async |client| client.send_event(&tenant(), &event(), endpoint()).await.map(|sent| sent.delivery),
        "POST /v1/tenants/acme/events/urn:ord-42:paid/send",
        r#"{"endpoint":"ep_00000000000077078707070707070707"}"#,
        a_delivery(),
    );
}

#[test]
fn recovery() {
    let line = format!("POST {ENDPOINT}/recover");
    let full = Recovery { until: Some(Period::from_secs(60).into()), rate: Some(5), ..since_an_hour() };
    for (recovery, body) in
        [(since_an_hour(), r#"{"since":"1h"}"#), (full, r#"{"since":"1h","until":"1m","rate":5}"#)]
    {
        check(
            async |client| client.recover_endpoint(&tenant(), endpoint(), &recovery).await,
            &line,
            body,
            a_replay("running"),
        );
    }
    check(
        async |client| client.count_recovery(&tenant(), endpoint(), &since_an_hour()).await,
        &line,
        r#"{"since":"1h","dry_run":true}"#,
        json!({"found": 3, "more": false}),
    );
    check(
        async |client| client.replay_delivery(&tenant(), delivery()).await,
        &format!("POST /v1/tenants/acme/deliveries/{}/replay", delivery()),
        "",
        a_delivery(),
    );
}

fn since_an_hour() -> Recovery {
    Recovery::since(Period::from_secs(3_600))
}

fn a_replay(state: &str) -> Value {
    json!({
        "id": replay(), "tenant": "acme", "filter": {"states": ["exhausted"], "endpoint": endpoint(), "event": null,
            "topic": "order.paid", "status": "500-599", "error": null, "failed": true,
            "since": "2026-01-01T00:00:00Z", "until": null},
        "rate": 50, "state": state, "found": 100_000, "more": true, "reopened": 7, "passed_over": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"
    })
}

fn replay() -> ReplayId {
    ReplayId::mint(Timestamp::UNIX_EPOCH, [7; 10])
}

#[test]
fn replays() {
    let path = "/v1/tenants/acme/replays";
    let filter = DeliveryFilter {
        states: vec![DeliveryState::Exhausted],
        status: Some("5xx".into()),
        failed: true,
        // A replay has an order of its own.
        order: Order::OldestFirst,
        ..DeliveryFilter::default()
    };
    let full = NewReplay { filter, rate: Some(50) };
    for (new, body) in [
        (&full, r#"{"filter":{"states":["exhausted"],"status":"5xx","failed":true},"rate":50}"#),
        (&NewReplay::default(), r#"{"filter":{}}"#),
    ] {
        check(
            async |client| client.create_replay(&tenant(), new).await,
            &format!("POST {path}"),
            body,
            a_replay("running"),
        );
    }
    check(
        async |client| client.count_replay(&tenant(), &NewReplay::default()).await,
        &format!("POST {path}"),
        r#"{"filter":{},"dry_run":true}"#,
        json!({"found": 3, "more": false}),
    );
    check(
        async |client| client.replays(&tenant(), &second_page()).await,
        &format!("GET {path}?{SECOND_PAGE}"),
        "",
        list_of(a_replay("done")),
    );
    check(
        async |client| client.all_replays(&second_page()).await,
        &format!("GET /v1/replays?{SECOND_PAGE}"),
        "",
        list_of(a_replay("on_the_moon")),
    );
    check(
        async |client| client.replay(&tenant(), replay()).await,
        &format!("GET {path}/{}", replay()),
        "",
        a_replay("done"),
    );
    check(
        async |client| client.cancel_replay(&tenant(), replay()).await,
        &format!("POST {path}/{}/cancel", replay()),
        "",
        a_replay("cancelled"),
    );
}

#[test]
fn stats() {
    let counts = json!({
        "events": 1, "unmatched": 2, "deliveries": 3, "attempts": 4, "failed": 5, "retried": 6, "delivered": 7,
        "exhausted": 8, "queue_ms": {"p50": 1.5, "p95": 2.5, "p99": 3.5}, "receiver_ms": null
    });
    let mut row = counts.clone();
    row["begin"] = json!("2026-01-01T00:00:00Z");
    let backlog = json!({"open": 10_000, "more": true, "in_flight": 2, "oldest_due": "2026-01-01T00:00:00Z"});
    let stats = |backlog: Value| {
        json!({
            "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T01:00:00Z", "bucket": "1h", "data": [row],
            "total": counts, "backlog": backlog
        })
    };
    let last_hour = StatsSpan::default();
    let span = StatsSpan {
        since: Some(Period::from_secs(7_200).into()),
        until: Some("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().into()),
        bucket: Some(Period::from_secs(3_600)),
    };
    let asked = "since=2h&until=2026-01-01T00%3A00%3A00Z&bucket=1h";
    check(async |client| client.stats(&last_hour, None).await, "GET /v1/stats", "", stats(backlog.clone()));
    check(
        async |client| client.stats(&span, Some(&topic())).await,
        &format!("GET /v1/stats?{asked}&topic=order.paid"),
        "",
        stats(Value::Null),
    );
    check(
        async |client| client.tenant_stats(&tenant(), &span, Some(&topic())).await,
        &format!("GET /v1/tenants/acme/stats?{asked}&topic=order.paid"),
        "",
        stats(Value::Null),
    );
    check(
        async |client| client.endpoint_stats(&tenant(), endpoint(), &span).await,
        &format!("GET {ENDPOINT}/stats?{asked}"),
        "",
        stats(backlog),
    );
}

#[test]
fn whose_key_it_is() {
    for answer in [
        json!({"kind": "admin_key", "role": "admin"}),
        json!({"kind": "portal_link", "role": "tenant", "tenant": {"id": "acme", "name": "Acme"},
            "expires_at": "2026-01-01T00:00:00Z"}),
        json!({"kind": "api_key", "role": "operator", "id": api_key(), "name": "On-call"}),
        json!({"kind": "passport", "role": "auditor"}),
    ] {
        check(async |client| client.key().await, "GET /v1/key", "", answer);
    }
}

fn api_key() -> ApiKeyId {
    "key_0192f5d1c0007a8b9c0d1e2f3a4b5c6d".parse().unwrap()
}

#[test]
fn api_keys() {
    let answer = json!({
        "id": api_key(), "name": "Shop", "role": "publisher", "tenant": "acme",
        "created_at": "2026-01-01T00:00:00Z", "expires_at": "2027-01-01T00:00:00Z"
    });
    let mut made = answer.clone();
    made["secret"] = json!("phk_c2VjcmV0");
    let plain = NewApiKey::new("Shop", Role::Publisher);
    let full =
        NewApiKey { expires_at: Some("2027-01-01T00:00:00Z".parse().unwrap()), ..plain.clone().of(tenant()) };
    for (key, body) in [
        (plain, r#"{"name":"Shop","role":"publisher"}"#),
        (full, r#"{"name":"Shop","role":"publisher","tenant":"acme","expires_at":"2027-01-01T00:00:00Z"}"#),
    ] {
        check(async |client| client.create_key(&key).await, "POST /v1/keys", body, made.clone());
    }
    check(
        async |client| client.keys(&second_page()).await,
        &format!("GET /v1/keys?{SECOND_PAGE}"),
        "",
        list_of(answer),
    );
    let path = format!("DELETE /v1/keys/{}", api_key());
    check(async |client| client.delete_key(api_key()).await, &path, "", Value::Null);
}

#[test]
fn the_audit() {
    let entry = |by: Value, detail: Value, outcome: &str| {
        json!({
            "id": "aud_0192f5d1c0007a8b9c0d1e2f3a4b5c6d", "at": "2026-01-01T00:00:00Z", "by": by,
            "address": "192.0.2.7", "action": "patch_endpoint", "subject": ENDPOINT, "tenant": "acme",
            "fields": ["url"], "detail": detail, "outcome": outcome
        })
    };
    let all = ListOptions::default();
    let admin = list_of(entry(json!({"kind": "admin_key"}), json!("until tomorrow"), "unknown"));
    check(async |client| client.audit(None, &all).await, "GET /v1/audit", "", admin);
    for (by, outcome) in [
        (json!({"kind": "api_key", "id": api_key(), "name": "On-call", "role": "operator"}), "done"),
        (json!({"kind": "portal_link", "tenant": "acme", "made_by": null}), "done"),
        (json!({"kind": "portal_link", "tenant": "acme", "made_by": api_key()}), "half"),
        (json!({"kind": "other"}), "done"),
    ] {
        check(
            async |client| client.audit(Some(&tenant()), &second_page()).await,
            &format!("GET /v1/audit?tenant=acme&{SECOND_PAGE}"),
            "",
            list_of(entry(by, Value::Null, outcome)),
        );
    }
}

#[test]
fn portal_links() {
    for (ttl, body) in [(None, "{}"), (Some(Period::from_secs(60)), r#"{"ttl":"1m"}"#)] {
        check(
            async |client| client.create_portal_link(&tenant(), ttl).await,
            "POST /v1/tenants/acme/portal-links",
            body,
            json!({"token": "php_c2VhbGVk", "expires_at": "2026-01-01T00:00:00Z"}),
        );
    }
}

#[test]
fn health() {
    check(async |client| client.health().await, "GET /healthz", "", json!({"status": "alive"}));
    check(
        async |client| client.ready().await,
        "GET /readyz",
        "",
        json!({"status": "ready", "durability": "disk", "findings": [
            {"check": "durability", "level": "fine", "found": "disk", "remedy": null}
        ]}),
    );
}
