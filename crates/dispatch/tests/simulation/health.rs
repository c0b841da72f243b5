//! Endpoints that fail for days, and what operators are told of it.

use std::time::Duration;

use posthaste_model::{DeliveryState, Endpoint, EndpointState, Health, Period, RetryPolicy, TenantId};
use posthaste_policy::AutoDisable;
use serde_json::Value;

use crate::{process::Process, reckoning::reckon, subscribers::Does, world::World};

/// An endpoint that only fails is given up after so many minutes.
const MINUTES: u64 = 120;

const OPERATORS: &str = "https://operators.example/";

/// Where operators listen: an endpoint of the tenant `posthaste`.
async fn operators(world: &mut World) -> Endpoint {
    world.tenants.push(TenantId::posthaste());
    let change = |endpoint: &mut Endpoint| {
        hasty(endpoint);
        endpoint.url = OPERATORS.into();
    };
    world.endpoint_in(world.tenants.len() - 1, change).await
}

/// What operators were told on a topic: a fact of each, in order, as often as it came.
fn told_of(world: &World, topic: &str, fact: &str) -> Vec<Value> {
    let seen = world.seen();
    let own = seen.requests.iter().filter(|sent| sent.url == OPERATORS);
    let read = own.map(|sent| serde_json::from_slice::<Value>(&sent.body).unwrap());
    read.filter(|body| body["type"] == topic).map(|body| body["data"][fact].clone()).collect()
}

fn warnings(world: &World) -> Vec<Value> {
    told_of(world, "endpoint.failing", "percent")
}

fn start(world: &World, name: &str) -> Process {
    world.start_with(name, |settings| {
        settings.auto_disable = AutoDisable { after: Duration::from_secs(MINUTES * 60), exhausted: 10 };
    })
}

/// Retries soon over.
fn hasty(endpoint: &mut Endpoint) {
    endpoint.retry = Some(RetryPolicy::schedule(vec![Period::from_secs(5)]).unwrap());
}

/// Whatever process it is that drives the deliveries: what is known of the endpoint lies in the store.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_only_fails_is_given_up_after_warnings() {
    let mut world = World::new().await;
    let (dead, well) = (world.endpoint_with(hasty).await, world.endpoint().await);
    operators(&mut world).await;
    let url = dead.url.clone();
    world.subscribers.follow(move |sent| Does::answer(if sent.url == url { 500 } else { 200 }));
    let mut process = start(&world, "0");
    let mut disabled_after = None;
    for minute in 0..MINUTES + 10 {
        world.accept(&format!("evt_{minute}"), &[&dead, &well]).await;
        world.pass(60).await;
        let Endpoint { state, health, .. } = world.reread(&dead).await;
        match state {
            EndpointState::Enabled => assert!(health.failing_since.is_some() && health.failures > 0),
            _ => {
                disabled_after = Some(minute);
                break;
            }
        }
        if minute % 10 == 9 {
            process.drain().await;
            process = start(&world, &minute.to_string());
        }
    }
    let minutes = disabled_after.unwrap();
    assert!((MINUTES - 1..=MINUTES + 2).contains(&minutes), "disabled after {minutes} minutes");
    world.pass(60).await;
    assert_eq!(warnings(&world), [50, 70, 90]);
    let endpoint = world.reread(&dead).await;
    assert_eq!(endpoint.state, EndpointState::Disabled);
    let reason = endpoint.state_reason.unwrap();
    assert!(reason.contains("no attempt has succeeded since"), "{reason}");
    assert_eq!(told_of(&world, "endpoint.disabled", "reason"), [Value::from(reason)]);
    assert_eq!(world.reread(&well).await.health, Health::default());
    let (skipped, _) = world.delivery(&format!("evt_{minutes}"), &dead).await;
    assert_eq!(skipped.state, DeliveryState::Skipped);
    process.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_success_makes_an_endpoint_well_and_operators_hear_of_it() {
    let mut world = World::new().await;
    let endpoint = world.endpoint_with(hasty).await;
    operators(&mut world).await;
    let url = endpoint.url.clone();
    world.subscribers.follow(move |sent| Does::answer(if sent.url == url { 500 } else { 200 }));
    let process = start(&world, "one");
    for minute in 0..70 {
        world.accept(&format!("evt_{minute}"), &[&endpoint]).await;
        world.pass(60).await;
    }
    let since = world.reread(&endpoint).await.health.failing_since.unwrap();
    assert_eq!(warnings(&world), [50]);
    world.subscribers.follow(|_| Does::answer(200));
    world.accept("evt_well", &[&endpoint]).await;
    world.pass(60).await;
    assert_eq!(world.reread(&endpoint).await.health, Health::default());
    let told = told_of(&world, "endpoint.recovered", "failing_since");
    assert_eq!(told, [serde_json::to_value(since).unwrap()]);
    process.drain().await;
    reckon(&world).await;
}

/// Those to operators, too; but that is not told, or it would be told for ever.
#[tokio::test(start_paused = true)]
async fn exhausted_deliveries_are_told() {
    let mut world = World::new().await;
    let endpoint = world.endpoint_with(hasty).await;
    let ops = operators(&mut world).await;
    world.subscribers.follow(|_| Does::answer(500));
    let process = start(&world, "one");
    world.accept("evt", &[&endpoint]).await;
    world.pass(60).await;
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    assert_eq!(delivery.state, DeliveryState::Exhausted);
    // Twice, because it was not taken the first time.
    let id = Value::from(delivery.id.to_string());
    assert_eq!(told_of(&world, "delivery.exhausted", "delivery"), [id.clone(), id]);
    let to_operators: Vec<_> =
        world.shown().await.deliveries.into_iter().filter(|(own, _)| own.endpoint == ops.id).collect();
    assert_eq!(to_operators.len(), 1);
    assert_eq!(to_operators[0].0.state, DeliveryState::Exhausted);
    process.drain().await;
    reckon(&world).await;
}

/// Operators have filters, too.
#[tokio::test(start_paused = true)]
async fn operators_are_told_what_they_want_to_hear() {
    let mut world = World::new().await;
    let (one, other) = (world.endpoint_with(hasty).await, world.endpoint_with(hasty).await);
    let operators = operators(&mut world).await;
    let filter = format!(r#"{{"data.endpoint": "{}"}}"#, other.id);
    world.change(&operators, |endpoint| endpoint.filter = Some(filter)).await;
    world.subscribers.follow(|sent| Does::answer(if sent.url == OPERATORS { 200 } else { 410 }));
    let _process = start(&world, "one");
    world.accept("evt", &[&one, &other]).await;
    world.until(|seen| seen.requests.iter().any(|sent| sent.url == OPERATORS)).await;
    world.pass(60).await;
    let told = told_of(&world, "endpoint.disabled", "endpoint");
    assert_eq!(told, [Value::from(other.id.to_string())]);
}
