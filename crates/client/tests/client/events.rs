//! The bytes of events, in both directions.

use posthaste_client::{Event, NewEvent, Period, PublishOptions, TestEvent};
use serde_json::value::RawValue;

use crate::setup::{endpoint, event, exchange, json, tenant, topic};

const ACCEPTED: &str = r#"{"id": "e", "deliveries": 0, "duplicate": false}"#;

/// Values that do not survive being read and written.
const VALUES: [&str; 4] =
    [r#"{ "b" : 1.50,"b":1e2, "a":"\u0041" }"#, "123456789012345678901234567890", "null", "[ ]"];

#[test]
fn data_is_sent_byte_for_byte() {
    for value in VALUES {
        let data = RawValue::from_string(value.to_owned()).unwrap();
        let new =
            NewEvent { topic: topic(), data: data.clone(), id: None, options: PublishOptions::default() };
        let (result, requests) =
            exchange(json(ACCEPTED), async |client| client.publish(&tenant(), &new).await);
        result.unwrap();
        assert_eq!(requests[0].body, format!(r#"{{"topic":"order.paid","data":{value}}}"#));

        let test = TestEvent { data: Some(data), ..TestEvent::default() };
        let (_, requests) =
            exchange(json("{}"), async |client| client.test_endpoint(&tenant(), endpoint(), &test).await);
        assert_eq!(requests[0].body, format!(r#"{{"data":{value},"force":false}}"#));
    }
}

#[test]
fn data_is_read_byte_for_byte() {
    for value in VALUES {
        let row = format!(
            r#"{{"id": "e", "tenant": "t", "topic": "t", "accepted_at": "2026-01-01T00:00:00Z",
                "delivery_count": 0, "metadata": {{}}, "test": false, "data": {value}, "deliveries": []}}"#
        );
        let data = |event: &Event| event.data.as_deref().map(RawValue::get).map(str::to_owned);

        let list = json(format!(r#"{{"data": [{row}], "next": null}}"#));
        let (page, _) = exchange(list, async |client| client.events(&tenant(), &Default::default()).await);
        assert_eq!(data(&page.unwrap().data[0]).as_deref(), Some(value));

        let (detail, _) = exchange(json(row), async |client| client.event(&tenant(), &event()).await);
        let detail = detail.unwrap();
        assert_eq!(data(&detail.event).as_deref(), Some(value));
        let written = serde_json::to_string(&detail).unwrap();
        assert!(written.contains(&format!(r#""data":{value},"#)), "{written}");
    }
}

#[test]
fn raw_bodies_are_sent_as_they_are() {
    let body = &b"\xff\x00{"[..];
    for (id, target) in [
        (None, "/v1/tenants/acme/events?topic=order.paid"),
        (Some(event()), "/v1/tenants/acme/events?topic=order.paid&id=urn%3Aord-42%3Apaid"),
    ] {
        let (result, requests) = exchange(json(ACCEPTED), async |client| {
            client.publish_raw(&tenant(), &topic(), id.as_ref(), "text/x; a=\"b\"", body.into()).await
        });
        result.unwrap();
        let [request] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", target));
        assert_eq!(request.header("content-type"), Some("text/x; a=\"b\""));
        assert_eq!(request.body, body);
    }
}

#[test]
fn what_is_asked_for_a_raw_body_is_in_parameters() {
    let options = PublishOptions {
        metadata: [("source".to_owned(), "a&b".to_owned())].into(),
        deliver_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        delay: Some(Period::from_secs(600)),
        retention: Some(Period::from_secs(60)),
        endpoint: Some(endpoint()),
    };
    let (result, requests) = exchange(json(ACCEPTED), async |client| {
        client.publish_raw_with(&tenant(), &topic(), None, "text/csv", "a".into(), &options).await
    });
    result.unwrap();
    assert_eq!(
        requests[0].path,
        format!(
            "/v1/tenants/acme/events?topic=order.paid&metadata=%7B%22source%22%3A%22a%26b%22%7D\
             &deliver_at=2026-01-01T00%3A00%3A00Z&delay=10m&retention=1m&endpoint={}",
            endpoint()
        )
    );
}

#[test]
fn a_content_type_that_is_no_header_is_not_sent() {
    let (result, requests) = exchange(json(ACCEPTED), async |client| {
        client.publish_raw(&tenant(), &topic(), None, "text/plain\r\nx: y", "a".into()).await
    });
    assert_eq!(result.unwrap_err().to_string(), "the value of the header 'content-type' is not valid");
    assert!(requests.is_empty());
}
