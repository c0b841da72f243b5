//! What the data of an event must be.

use posthaste_client::{ListOptions, MatchQuestion, NewEvent, TopicFields};
use serde_json::json;

use crate::{
    http::{Answer, json, send},
    service::{KEY, Service, folder, tenant},
};

const EVENTS: &str = "/v1/tenants/default/events";

fn place(answer: &Answer) -> (u16, String) {
    (answer.status, answer.body["errors"][0].to_string())
}

#[tokio::test]
async fn data_that_do_not_fit_are_refused_by_their_place() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let fields = TopicFields {
        schema: Some(
            json!({ "type": "object", "required": ["order"], "properties": { "order": { "type": "integer" } } }),
        ),
        example: Some(json!({ "order": 42 })),
        ..TopicFields::default()
    };
    let topic = "order.paid".parse().unwrap();
    let put = client.put_topic(&topic, &fields).await.unwrap();
    assert_eq!((&put.schema, &client.topic(&topic).await.unwrap()), (&fields.schema, &put));

    let post = |body: String| json(service.address, "POST", EVENTS, &body);
    let event = |data: &str| format!(r#"{{"topic": "order.paid", "data": {data}}}"#);
    let bad = event(r#"{"order": "42"}"#);
    assert_eq!(place(&post(bad.clone())), (422, r#"{"pointer":"/data/order"}"#.to_owned()));
    let good = event(r#"{"order": 42}"#);
    let batch = format!(r#"{{"events": [{good}, {good}, {good}, {bad}]}}"#);
    assert_eq!(place(&post(batch)), (422, r#"{"pointer":"/events/3/data/order"}"#.to_owned()));

    let key = format!("Bearer {KEY}");
    let raw = |content_type: &str, body: &str| {
        let headers = [("Authorization", key.as_str()), ("Content-Type", content_type)];
        send(service.address, "POST", &format!("{EVENTS}?topic=order.paid"), &headers, body.as_bytes())
    };
    let unfit = raw("application/json", r#"{"order": "42"}"#);
    assert_eq!(place(&unfit), (422, r#"{"pointer":"/order"}"#.to_owned()));
    let other = raw("text/csv", "order,42");
    assert_eq!(place(&other), (415, r#"{"header":"content-type"}"#.to_owned()));
    let events = client.events(&tenant(), &ListOptions::default()).await.unwrap();
    assert!(events.data.is_empty(), "nothing was written");

    let question = MatchQuestion::new(topic.clone(), &json!({})).unwrap();
    let refused = client.match_event(&tenant(), &question, &ListOptions::default()).await.unwrap().refused;
    assert_eq!(refused.unwrap().status, 422);

    // A repeat is told the truth, whatever the schema is by then.
    let event = NewEvent::new(topic.clone(), &json!({ "order": 42 })).unwrap().with_id("e1".parse().unwrap());
    assert!(!client.publish(&tenant(), &event).await.unwrap().duplicate);
    assert_eq!(raw("application/vnd.acme+json", r#"{"order": 1}"#).status, 202);
    let never = TopicFields { schema: Some(json!({ "not": {} })), ..TopicFields::default() };
    client.put_topic(&topic, &never).await.unwrap();
    assert!(client.publish(&tenant(), &event).await.unwrap().duplicate);
    assert_eq!(place(&post(good)), (422, r#"{"pointer":"/data"}"#.to_owned()));
}

/// Nobody is asked for a schema: not the network, and not the disk.
#[test]
fn a_schema_that_leads_elsewhere_is_refused() {
    let folder = folder();
    let service = Service::start(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let here = format!("http://{}/order.json", listener.local_addr().unwrap());
    for reference in
        [here.as_str(), "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "order.json"]
    {
        let body = json!({ "schema": { "properties": { "a": { "$ref": reference } } } }).to_string();
        let answer = json(service.address, "PUT", "/v1/topics/order.paid", &body);
        assert_eq!(
            place(&answer),
            (422, r#"{"pointer":"/schema/properties/a/$ref"}"#.to_owned()),
            "{answer:?}"
        );
        assert!(answer.body["detail"].as_str().unwrap().contains("is never fetched"));
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}
