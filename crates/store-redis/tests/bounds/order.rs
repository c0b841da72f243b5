//! A long queue of an endpoint that becomes ordered, or ceases to be.

use posthaste_model::{DeliveryState, Endpoint, EndpointState, Next};
use posthaste_store::{
    Lease, LeaseRequest, Leases,
    conformance::{Driver, replied},
};

use crate::{Alone, accept, lease_all, line::Line, name};

/// More than two steps.
const COUNT: usize = 2_500;

struct Scene {
    driver: Driver,
    line: Line,
    endpoint: Endpoint,
}

impl Scene {
    /// An endpoint for which so many events wait, accepted at five times.
    async fn new(ordered: bool) -> Self {
        let fixture = Alone::new();
        let line = fixture.line();
        let mut driver = fixture.driver().await;
        let tenant = driver.tenant("acme").await;
        let endpoint = driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = ordered).await;
        for n in 0..5 {
            accept(&mut driver, &endpoint, n * COUNT / 5..(n + 1) * COUNT / 5).await;
            driver.pass(1);
        }
        Self { driver, line, endpoint }
    }

    async fn order(&mut self, ordered: bool) {
        self.driver.change(&self.endpoint, |endpoint| endpoint.ordered = ordered).await;
        self.line.check();
    }

    /// Leases until everybody was looked at; fails if anything is given before.
    async fn rearrange(&mut self) -> Vec<Lease> {
        for _ in 0..20 {
            let Leases { leases, unseen, .. } = self.driver.lease_until_due(1_000, 1_000).await;
            self.line.check();
            if !unseen {
                return leases;
            }
            assert!(leases.is_empty(), "nothing is given before it is done: {leases:?}");
        }
        panic!("it is never done");
    }

    /// Delivers these events in this order, and nothing beside them.
    async fn deliver(&mut self, numbers: &[usize]) {
        for n in numbers {
            let lease = self.driver.lease_only().await;
            assert_eq!(lease.event.id.as_str(), name(*n));
            self.driver.settle(&lease, replied(200), Next::Delivered).await;
        }
    }

    async fn state(&self, n: usize) -> DeliveryState {
        self.driver.delivery_of(&self.endpoint.tenant, &name(n)).await.state
    }

    async fn cancel(&mut self, n: usize) {
        let delivery = self.driver.delivery_of(&self.endpoint.tenant, &name(n)).await;
        assert_eq!(delivery.state, DeliveryState::Scheduled);
        self.driver.cancel(&delivery).await.unwrap();
        self.line.check();
        assert_eq!(self.state(n).await, DeliveryState::Cancelled);
    }
}

#[tokio::test]
async fn all_of_what_waits_gets_its_place() {
    let mut scene = Scene::new(false).await;
    let [again, back, over]: [Lease; 3] = scene.driver.lease_up_to(3, 3).await.try_into().unwrap();
    let (later, now) = (scene.driver.secs(3_600), scene.driver.now());
    scene.driver.settle(&again, replied(500), Next::Retry { at: later }).await;
    scene.driver.settle(&back, replied(500), Next::Retry { at: now }).await;
    scene.driver.settle(&over, replied(200), Next::Delivered).await;
    scene.order(true).await;
    let before = scene.driver.delivery_of(&scene.endpoint.tenant, &name(COUNT - 1)).await;
    assert!(scene.rearrange().await.is_empty(), "the first is not due");
    let tenant = scene.endpoint.tenant.clone();
    assert_eq!(scene.driver.delivery_of(&tenant, &name(COUNT - 1)).await, before);
    scene.driver.pass(3_600);
    scene.deliver(&[0, 1, 3, 4, 5, 6]).await;
    // And back.
    let waiting = scene.driver.lease_only().await;
    scene.driver.settle(&waiting, replied(500), Next::Retry { at: scene.driver.secs(60) }).await;
    scene.order(false).await;
    let mut rest = scene.rearrange().await;
    rest.extend(lease_all(&mut scene.driver).await);
    assert_eq!(rest.len(), COUNT - 8);
    scene.driver.pass(60);
    assert_eq!(scene.driver.lease_only().await.delivery, waiting.delivery);
}

#[tokio::test]
async fn an_endpoint_for_which_nothing_waits_changes_at_once() {
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for (ordered, given) in [(true, 1), (false, 3)] {
        driver.change(&endpoint, |endpoint| endpoint.ordered = ordered).await;
        driver.accept(&tenant, &format!("a-{ordered}"), &[&endpoint]).await;
        driver.accept(&tenant, &format!("b-{ordered}"), &[&endpoint]).await;
        assert_eq!(driver.lease().await.len(), given, "ordered: {ordered}");
        assert!(driver.lease().await.is_empty(), "ordered: {ordered}");
    }
}

#[tokio::test]
async fn what_is_in_flight_is_waited_for() {
    let mut scene = Scene::new(false).await;
    let leases = scene.driver.lease_up_to(2, 2).await;
    scene.order(true).await;
    assert!(scene.rearrange().await.is_empty());
    for lease in leases.iter().rev() {
        scene.driver.settle(lease, replied(500), Next::Retry { at: scene.driver.now() }).await;
        scene.line.check();
    }
    let lease = scene.rearrange().await.remove(0);
    assert_eq!(lease.event.id.as_str(), name(0));
    scene.driver.settle(&lease, replied(200), Next::Delivered).await;
    scene.deliver(&[1, 2, 3]).await;
}

#[tokio::test]
async fn what_was_in_flight_before_it_changed_its_mind_is_waited_for() {
    let mut scene = Scene::new(true).await;
    let first = scene.driver.lease_only().await;
    scene.order(false).await;
    scene.order(true).await;
    assert!(scene.rearrange().await.is_empty());
    scene.driver.settle(&first, replied(500), Next::Retry { at: scene.driver.now() }).await;
    scene.line.check();
    let again = scene.rearrange().await.remove(0);
    assert_eq!(again.delivery, first.delivery);
    scene.driver.settle(&again, replied(200), Next::Delivered).await;
    scene.deliver(&[1, 2]).await;
}

#[tokio::test]
async fn what_is_new_meanwhile_stands_behind() {
    let mut scene = Scene::new(false).await;
    scene.order(true).await;
    accept(&mut scene.driver, &scene.endpoint.clone(), COUNT..COUNT + 1).await;
    for n in 0..COUNT - 2 {
        if n % 500 > 1 {
            scene.cancel(n).await;
        }
    }
    let first = scene.rearrange().await.remove(0);
    assert_eq!(first.event.id.as_str(), name(0));
    scene.driver.settle(&first, replied(200), Next::Delivered).await;
    scene.deliver(&[1, 500, 501, 1_000, 1_001, 1_500, 1_501, 2_000, 2_001, 2_498, 2_499, 2_500]).await;
    assert!(scene.driver.lease().await.is_empty());
}

#[tokio::test]
async fn who_changes_its_mind_gets_what_was_asked_for_last() {
    for (ordered, times) in [(false, 2), (false, 3), (true, 2), (true, 3)] {
        let mut scene = Scene::new(ordered).await;
        let mut last = ordered;
        for _ in 0..times {
            last = !last;
            scene.order(last).await;
            // What is done already is not the whole.
            assert!(scene.driver.lease_up_to(1, 1).await.is_empty());
        }
        let mut given = scene.rearrange().await;
        if last {
            let first = given.remove(0);
            assert!(given.is_empty() && first.event.id.as_str() == name(0), "{first:?}, {given:?}");
            scene.driver.settle(&first, replied(200), Next::Delivered).await;
            scene.deliver(&[1, 2, 3]).await;
        } else {
            given.extend(lease_all(&mut scene.driver).await);
            assert_eq!(given.len(), COUNT);
        }
    }
}

#[tokio::test]
async fn a_process_that_dies_meanwhile_leaves_the_rest_to_the_next_one() {
    let mut scene = Scene::new(false).await;
    scene.order(true).await;
    scene.driver.crash().await;
    scene.driver.recover().await;
    let first = scene.rearrange().await.remove(0);
    scene.driver.settle(&first, replied(200), Next::Delivered).await;
    scene.deliver(&[1, 2]).await;
}

#[tokio::test]
async fn an_endpoint_is_closed_meanwhile() {
    let mut scene = Scene::new(false).await;
    scene.order(true).await;
    scene.driver.turn(&scene.endpoint, EndpointState::Paused).await;
    scene.line.check();
    assert!(scene.driver.lease().await.is_empty());
    assert_eq!(scene.state(COUNT - 1).await, DeliveryState::Held);
    scene.driver.turn(&scene.endpoint, EndpointState::Disabled).await;
    scene.line.check();
    for n in [0, COUNT / 2, COUNT - 1] {
        assert_eq!(scene.state(n).await, DeliveryState::Skipped, "{n}");
    }
    scene.driver.turn(&scene.endpoint, EndpointState::Enabled).await;
    scene.line.check();
    accept(&mut scene.driver, &scene.endpoint.clone(), COUNT..COUNT + 2).await;
    scene.deliver(&[COUNT, COUNT + 1]).await;
    scene.driver.check_invariants().await;
}

#[tokio::test]
async fn the_last_step_is_done_once_where_its_tenant_had_its_share() {
    let mut scene = Scene::new(false).await;
    scene.order(true).await;
    assert!(scene.driver.lease_up_to(1, 1).await.is_empty());
    let other = scene.driver.endpoint(&scene.endpoint.tenant).await;
    accept(&mut scene.driver, &other, COUNT..COUNT + 2).await;
    let ask = |ask: &mut LeaseRequest| (ask.limit, ask.per_tenant, ask.per_endpoint) = (10, 1, 2);
    let given = scene.driver.lease_with(ask).await;
    scene.line.check();
    assert!(given.unseen && given.leases.len() == 2, "{given:?}");
    assert!(given.leases.iter().all(|lease| lease.endpoint.id == other.id), "{given:?}");
    scene.deliver(&[0, 1, 2]).await;
}

#[tokio::test]
async fn who_changes_holds_nobody_up() {
    let fixture = Alone::new();
    let line = fixture.line();
    let mut driver = fixture.driver().await;
    let (tenant, neighbour) = (driver.tenant("acme").await, driver.tenant("other").await);
    let mut changing = Vec::new();
    for n in 0..3 {
        let endpoint = driver.endpoint(&tenant).await;
        accept(&mut driver, &endpoint, n * 2_000..n * 2_000 + 1_500).await;
        driver.change(&endpoint, |endpoint| endpoint.ordered = true).await;
        changing.push(endpoint);
    }
    driver.pass(1);
    let other = driver.endpoint(&neighbour).await;
    accept(&mut driver, &other, 0..1).await;
    // Each call does one of the three steps that are left, and gives something to who was done before.
    let [first, second, third] = changing.try_into().unwrap();
    for (unseen, expected) in [(true, other), (true, first), (true, second), (false, third)] {
        let call = driver.lease_until_due(100, 100).await;
        let given: Vec<_> = call.leases.iter().map(|lease| lease.endpoint.id).collect();
        assert_eq!((call.unseen, given), (unseen, vec![expected.id]));
        line.check();
    }
}

#[tokio::test]
async fn who_changes_keeps_its_place_in_line() {
    let mut scene = Scene::new(false).await;
    let other = scene.driver.endpoint(&scene.endpoint.tenant).await;
    accept(&mut scene.driver, &other, COUNT..COUNT + 1).await;
    // With its turn it goes behind the other.
    let lease = scene.driver.lease_up_to(1, 1).await.remove(0);
    assert_eq!(lease.endpoint.id, scene.endpoint.id);
    scene.driver.settle(&lease, replied(200), Next::Delivered).await;
    for _ in 0..2 {
        scene.order(true).await;
    }
    let given = scene.driver.lease_until_due(1, 1).await;
    assert!(!given.unseen && given.leases[0].endpoint.id == other.id, "{given:?}");
    // So that no step was done in that call.
    for (unseen, count) in [(true, 0), (true, 0), (false, 1)] {
        let given = scene.driver.lease_until_due(2, 1).await;
        assert_eq!((given.unseen, given.leases.len()), (unseen, count));
    }
}
