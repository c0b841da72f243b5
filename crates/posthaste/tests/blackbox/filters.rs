//! What endpoints want to see in an event, over HTTP and down to the receiver.

use std::{sync::Arc, time::Duration};

use posthaste_client::{
    Client, EndpointFilter, EndpointId, ListOptions, MatchQuestion, NewEndpoint, NewEvent,
};
use posthaste_model::DeliveryState;
use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use serde_json::{Value, json};

use crate::service::{Service, folder, tenant, topic};

const SOON: Duration = Duration::from_secs(20);

/// Registers an endpoint with a filter.
async fn filtered(client: &Client, url: String, filter: Value) -> EndpointId {
    let filter = Some(EndpointFilter::new(&filter).unwrap());
    let endpoint = NewEndpoint { filter, ..NewEndpoint::new(url) };
    client.create_endpoint(&tenant(), &endpoint).await.unwrap().endpoint.id
}

/// The amounts of the events that a receiver got.
fn amounts(requests: &[Arc<ReceivedRequest>]) -> Vec<u64> {
    let amount = |request: &Arc<ReceivedRequest>| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["data"]["amount"].as_u64().unwrap()
    };
    let mut amounts: Vec<u64> = requests.iter().map(amount).collect();
    amounts.sort_unstable();
    amounts
}

#[tokio::test]
async fn a_filter_decides_who_gets_an_event() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let (small, large) = (
        Receiver::start(|_| Reply::status(200)).await.unwrap(),
        Receiver::start(|_| Reply::status(200)).await.unwrap(),
    );
    let topic = topic(&client, "order.paid").await;
    filtered(&client, small.url("/"), json!({ "data.amount": { "$lt": 100 } })).await;
    let changed = filtered(&client, large.url("/"), json!({ "data.amount": { "$gte": 100 } })).await;
    let publish = async |amounts: &[u64]| {
        let event = |amount: &u64| NewEvent::new(topic.clone(), &json!({ "amount": amount })).unwrap();
        let events: Vec<_> = amounts.iter().map(event).collect();
        let accepted = client.publish_batch(&tenant(), &events).await.unwrap();
        accepted.iter().map(|event| event.deliveries).collect::<Vec<_>>()
    };
    assert_eq!(publish(&[1, 99, 100, 500]).await, [1, 1, 1, 1]);
    assert_eq!(amounts(&small.wait_for(2, SOON).await), [1, 99]);
    assert_eq!(amounts(&large.wait_for(2, SOON).await), [100, 500]);

    // What is accepted from now on is matched against the new filter.
    let patch = json!({ "filter": { "data.amount": { "$in": [7, 500] } } });
    client.patch_endpoint(&tenant(), changed, &patch).await.unwrap();
    assert_eq!(publish(&[7, 100, 501]).await, [2, 0, 0]);
    let patched = client.patch_endpoint(&tenant(), changed, &json!({ "filter": null })).await.unwrap();
    assert_eq!(patched.filter, None);
    assert_eq!(publish(&[600]).await, [1]);
    assert_eq!(amounts(&small.wait_for(3, SOON).await), [1, 7, 99]);
    assert_eq!(amounts(&large.wait_for(4, SOON).await), [7, 100, 500, 600]);
}

/// Filters are kept by the store to the letter, and count after a restart.
#[tokio::test]
async fn a_filter_outlives_the_service() {
    let folder = folder();
    let service = Service::start(folder.path());
    let filter: EndpointFilter = r#"{ "data.amount" : {"$gte": 1.50e2} }"#.parse().unwrap();
    let endpoint = NewEndpoint { filter: Some(filter.clone()), ..NewEndpoint::new("https://example.com/") };
    let created = service.client().create_endpoint(&tenant(), &endpoint).await.unwrap();
    topic(&service.client(), "order.paid").await;
    service.kill();
    let service = Service::start(folder.path());
    let client = service.client();
    let shown = client.endpoint(&tenant(), created.endpoint.id).await.unwrap();
    assert_eq!((created.endpoint.filter, shown.filter), (Some(filter.clone()), Some(filter)));
    for (amount, matches) in [(149, false), (150, true)] {
        let question =
            MatchQuestion::new("order.paid".parse().unwrap(), &json!({ "amount": amount })).unwrap();
        let found = client.match_event(&tenant(), &question, &ListOptions::default()).await.unwrap();
        assert_eq!(found.data[0].matches, matches, "{amount}");
    }
}

#[tokio::test]
async fn a_dry_run_says_who_would_get_an_event_and_why() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let topic = topic(&client, "order.paid").await;
    let url = || "https://example.com/hooks".to_owned();
    let picky = filtered(&client, url(), json!({ "data.amount": { "$gte": 100 } })).await;
    let paused = filtered(&client, url(), json!({ "metadata.source": "shop" })).await;
    client.pause_endpoint(&tenant(), paused).await.unwrap();
    let mut question = MatchQuestion::new(topic, &json!({ "amount": 5 })).unwrap();
    question.metadata = [("source".to_owned(), "shop".to_owned())].into();

    let found = client.match_event(&tenant(), &question, &ListOptions::default()).await.unwrap();
    assert!(found.refused.is_none());
    let [held, none] = &found.data[..] else { panic!("{found:?}") };
    assert_eq!((held.endpoint, held.delivery), (paused, Some(DeliveryState::Held)));
    assert_eq!((none.endpoint, none.delivery, none.matches), (picky, None, false));
    let condition = &none.filter.as_ref().unwrap().conditions[0];
    assert_eq!((condition.at.as_str(), condition.held), ("/data.amount/$gte", false));
    assert_eq!(condition.found.as_ref().unwrap().values, ["5"]);

    let first = ListOptions { limit: Some(1), cursor: None };
    let first = client.match_event(&tenant(), &question, &first).await.unwrap();
    let second = ListOptions { limit: Some(1), cursor: first.next };
    let second = client.match_event(&tenant(), &question, &second).await.unwrap();
    assert_eq!((first.data[0].endpoint, second.data[0].endpoint, second.next), (paused, picky, None));

    question.filter = Some(EndpointFilter::new(&json!({ "data.amount": 5 })).unwrap());
    let found = client.match_event(&tenant(), &question, &ListOptions::default()).await.unwrap();
    assert!(found.filter.unwrap().matches && found.data.is_empty());
    let events = client.events(&tenant(), &ListOptions::default()).await.unwrap();
    assert!(events.data.is_empty(), "nothing was written");
}
