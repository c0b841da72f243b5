//! What operators are told: events of the tenant `posthaste`.

use std::{collections::BTreeSet, time::Duration};

use posthaste_model::{DeliveryState, Endpoint, EndpointState, Health, TenantId};
use posthaste_policy::AutoDisable;
use serde_json::Value;

use crate::{
    backend::Backend,
    process::Process,
    reckoning::{all_final, reckon},
    seen::Seen,
    subscribers::Does,
    world::{World, schedule},
};

on_every_store!(
    an_endpoint_that_only_fails_is_given_up_after_warnings,
    operators_hear_that_an_endpoint_works_again,
    operators_hear_of_exhausted_deliveries,
    what_one_process_did_not_tell_the_next_one_does,
);

const OPERATORS: &str = "https://operators.example/";

/// Long enough that failures fall between any two of the warnings, on a busy machine, too.
const GIVES_UP: AutoDisable = AutoDisable { after: Duration::from_millis(2_000), exhausted: 3 };

/// Where operators listen.
async fn operators(world: &mut World) -> Endpoint {
    world
        .endpoint_of(&TenantId::posthaste(), |endpoint| {
            endpoint.url = OPERATORS.into();
            endpoint.retry = Some(schedule(&[10; 5]));
        })
        .await
}

async fn start(world: &World, name: &str) -> Process {
    world.start_with(name, |settings| settings.auto_disable = GIVES_UP).await
}

/// What operators were told of a kind, in order.
fn told(seen: &Seen, topic: &str) -> Vec<Value> {
    let bodies = seen.to(OPERATORS).map(|sent| serde_json::from_slice::<Value>(&sent.body).unwrap());
    bodies.filter(|body| body["type"] == topic).map(|body| body["data"].clone()).collect()
}

/// Everybody answers 500 but the operators.
fn fail(world: &World) {
    world.subscribers.follow(|sent| Does::answer(if sent.url == OPERATORS { 200 } else { 500 }));
}

/// Has an endpoint fail until it has come to something; the number of events that took.
async fn fail_until(world: &mut World, endpoint: &Endpoint, fact: impl Fn(&Endpoint) -> bool) -> usize {
    let mut events = 0;
    while !fact(&world.reread(endpoint).await) {
        let id = format!("evt_{}", world.history.accepted.len());
        world.accept(&id, &[endpoint]).await;
        world.until_delivery(&id, endpoint, |delivery| delivery.state.is_final()).await;
        events += 1;
    }
    events
}

/// Nobody is told the same thing twice.
fn each_told_once(seen: &Seen) {
    let ids = seen.events_to(OPERATORS);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

async fn an_endpoint_that_only_fails_is_given_up_after_warnings(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1]).await;
    operators(&mut world).await;
    fail(&world);
    let process = start(&world, "one").await;
    fail_until(&mut world, &endpoint, |endpoint| endpoint.state == EndpointState::Disabled).await;
    world.until(|seen| !told(seen, "endpoint.disabled").is_empty()).await;
    process.drain().await;

    let given_up = world.reread(&endpoint).await;
    let seen = world.seen();
    let warnings = told(&seen, "endpoint.failing");
    let percents: Vec<u64> = warnings.iter().map(|data| data["percent"].as_u64().unwrap()).collect();
    // A machine that stood still may have missed one.
    assert!(percents.is_sorted() && !percents.is_empty(), "{percents:?}");
    assert!(percents.iter().all(|percent| [50, 70, 90].contains(percent)), "{percents:?}");
    let disabled = told(&seen, "endpoint.disabled");
    let [disabled] = &disabled[..] else { panic!("told {} times", disabled.len()) };
    assert_eq!(disabled["reason"].as_str(), given_up.state_reason.as_deref());
    for data in warnings.iter().chain([disabled]) {
        assert_eq!(data["tenant"], endpoint.tenant.as_str());
        assert_eq!(data["endpoint"], endpoint.id.to_string());
        assert_eq!(data["url"], endpoint.url);
    }
    each_told_once(&seen);
    drop(seen);
    reckon(&world).await;
}

async fn operators_hear_that_an_endpoint_works_again(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1]).await;
    operators(&mut world).await;
    fail(&world);
    let process = start(&world, "one").await;
    fail_until(&mut world, &endpoint, |endpoint| endpoint.health.warned > 0).await;
    let since = world.reread(&endpoint).await.health.failing_since.unwrap();
    world.subscribers.follow(|_| Does::answer(200));
    world.accept("evt_well", &[&endpoint]).await;
    world.until(|seen| !told(seen, "endpoint.recovered").is_empty()).await;
    process.drain().await;

    assert_eq!(world.reread(&endpoint).await.health, Health::default());
    let seen = world.seen();
    let recovered = told(&seen, "endpoint.recovered");
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0]["failing_since"], serde_json::to_value(since).unwrap());
    assert!(told(&seen, "endpoint.disabled").is_empty());
    each_told_once(&seen);
    drop(seen);
    reckon(&world).await;
}

async fn operators_hear_of_exhausted_deliveries(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1]).await;
    operators(&mut world).await;
    fail(&world);
    let process = start(&world, "one").await;
    for number in 0..5 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    world.until(|seen| told(seen, "delivery.exhausted").len() == 5).await;
    process.drain().await;
    for data in told(&world.seen(), "delivery.exhausted") {
        let (delivery, _) = world.delivery(data["event"].as_str().unwrap(), &endpoint).await;
        assert_eq!(delivery.state, DeliveryState::Exhausted);
        assert_eq!(data["delivery"], delivery.id.to_string());
        assert_eq!((&data["attempts"], &data["last_status"]), (&2.into(), &500.into()));
    }
    each_told_once(&world.seen());
    all_final(&reckon(&world).await);
}

/// What happened lies in the store until it was told.
async fn what_one_process_did_not_tell_the_next_one_does(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1]).await;
    operators(&mut world).await;
    world.subscribers.follow(|sent| match sent.url == OPERATORS {
        true => Does::hang(),
        false => Does::answer(410),
    });
    let process = start(&world, "one").await;
    world.accept("evt_0", &[&endpoint]).await;
    world.until_endpoint(&endpoint, |endpoint| endpoint.state == EndpointState::Disabled).await;
    process.kill();

    world.reopen().await;
    world.subscribers.follow(|_| Does::answer(200));
    let process = start(&world, "two").await;
    let heard = |seen: &Seen| {
        let answered = seen.to(OPERATORS).filter(|sent| sent.outcome().is_some());
        answered.map(|sent| sent.event().to_owned()).collect::<Vec<_>>()
    };
    world.until(|seen| !heard(seen).is_empty()).await;
    process.drain().await;
    let [id] = &heard(&world.seen())[..] else { panic!("told more than once") };
    assert!(id.starts_with("disabled-"), "{id}");
    all_final(&reckon(&world).await);
}
