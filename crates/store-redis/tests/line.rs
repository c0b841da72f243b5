//! Whatever happens to who was set aside for want of room counts at once: everybody stands where it should, and what can
//! be leased is leased when there is room.

// A test fails when its scene does.
#![allow(clippy::unwrap_used)]

mod fixture;

use posthaste_model::{Endpoint, EndpointEffects, EndpointState, Next, TenantId};
use posthaste_store::{
    Lease, LeaseRequest, TenantRoom, Throttle,
    conformance::{Driver, disable, replied},
};

use fixture::Line;

/// A tenant without room. Each of its endpoints has one delivery in flight, and one that waits.
struct Scene {
    driver: Driver,
    line: Line,
    tenant: TenantId,
    endpoints: Vec<Endpoint>,
    leases: Vec<Lease>,
}

const ENDPOINTS: usize = 3;

impl Scene {
    async fn new() -> Self {
        let fixture = fixture::standalone().await;
        let line = fixture.line();
        let mut driver = Driver::new(fixture).await;
        let tenant = driver.tenant("acme").await;
        let mut endpoints = Vec::new();
        for _ in 0..ENDPOINTS {
            endpoints.push(driver.endpoint(&tenant).await);
        }
        driver.accept(&tenant, "first", &endpoints.iter().collect::<Vec<_>>()).await;
        let leases = driver.lease().await;
        let mut scene = Self { driver, line, tenant, endpoints, leases };
        scene.accept("second").await;
        scene.cramp().await;
        scene
    }

    async fn accept(&mut self, event: &str) {
        let all: Vec<&Endpoint> = self.endpoints.iter().collect();
        self.driver.accept(&self.tenant, event, &all).await;
    }

    /// Looks for what is due while there is no room.
    async fn cramp(&mut self) {
        let rooms = vec![TenantRoom { tenant: self.tenant.clone(), room: 0 }];
        let given = self.driver.lease_with(|ask| ask.rooms = rooms.clone()).await;
        assert!(given.leases.is_empty() && !given.unseen, "{given:?}");
        self.line.check();
    }

    fn first(&self) -> Endpoint {
        self.endpoints[0].clone()
    }

    /// What was leased of the first endpoint.
    fn lease_of_first(&self) -> Lease {
        self.leases.iter().find(|lease| lease.endpoint.id == self.first().id).unwrap().clone()
    }

    /// Says something of the first endpoint, when there is no room.
    async fn throttle(&mut self, secs: Option<i64>) {
        let until = secs.map(|secs| self.driver.secs(secs));
        let (tenant, endpoint) = (self.tenant.clone(), self.first().id);
        let throttle = Throttle { tenant, endpoint, until, at_most: None };
        let rooms = vec![TenantRoom { tenant: self.tenant.clone(), room: 0 }];
        let ask = |ask: &mut LeaseRequest| {
            (ask.rooms, ask.throttles) = (rooms.clone(), vec![throttle.clone()]);
        };
        self.driver.lease_with(ask).await;
    }
}

/// Something happens; then there is room for so many.
async fn check(happens: impl AsyncFnOnce(&mut Scene), expected: usize) {
    let mut scene = Scene::new().await;
    happens(&mut scene).await;
    scene.line.check();
    let given = scene.driver.lease().await;
    assert_eq!(given.len(), expected, "{given:?}");
    scene.line.check();
    scene.driver.check_invariants().await;
}

#[tokio::test]
async fn nothing() {
    check(async |_| (), 3).await;
}

#[tokio::test]
async fn another_look() {
    check(async |scene| scene.cramp().await, 3).await;
}

#[tokio::test]
async fn more_events() {
    check(async |scene| scene.accept("third").await, 6).await;
}

#[tokio::test]
async fn a_pause() {
    let pause = async |scene: &mut Scene| {
        scene.driver.turn(&scene.first(), EndpointState::Paused).await;
    };
    check(pause, 2).await;
    let resumed = async |scene: &mut Scene| {
        pause(scene).await;
        scene.accept("third").await;
        scene.driver.turn(&scene.first(), EndpointState::Enabled).await;
    };
    check(resumed, 6).await;
}

#[tokio::test]
async fn a_disabled_endpoint() {
    let disabled = async |scene: &mut Scene| {
        scene.driver.turn(&scene.first(), EndpointState::Disabled).await;
    };
    check(disabled, 2).await;
    let enabled = async |scene: &mut Scene| {
        disabled(scene).await;
        scene.driver.turn(&scene.first(), EndpointState::Enabled).await;
        scene.accept("third").await;
    };
    check(enabled, 5).await;
}

#[tokio::test]
async fn an_endpoint_that_its_own_answer_disables() {
    let settled = async |scene: &mut Scene| {
        let lease = scene.lease_of_first();
        scene.driver.settle_with(&lease, replied(410), Next::Skipped, disable("it answered 410")).await;
    };
    check(settled, 2).await;
}

#[tokio::test]
async fn a_deleted_endpoint() {
    check(async |scene| scene.driver.delete(&scene.first()).await, 2).await;
    let all = async |scene: &mut Scene| {
        for endpoint in scene.endpoints.clone() {
            scene.driver.delete(&endpoint).await;
        }
    };
    check(all, 0).await;
}

#[tokio::test]
async fn a_deleted_tenant() {
    check(async |scene| scene.driver.delete_tenant(&scene.tenant).await, 0).await;
}

#[tokio::test]
async fn a_pause_that_the_endpoint_asked_for() {
    let parked = async |scene: &mut Scene| {
        let until = scene.driver.secs(60);
        scene.driver.store().park(&scene.tenant, scene.first().id, until).await.unwrap();
    };
    check(parked, 2).await;
    let over = async |scene: &mut Scene| {
        parked(scene).await;
        scene.cramp().await;
        scene.driver.pass(60);
    };
    check(over, 3).await;
    let settled = async |scene: &mut Scene| {
        let (lease, until) = (scene.lease_of_first(), scene.driver.secs(60));
        let effects = EndpointEffects { park_until: Some(until), ..EndpointEffects::default() };
        scene.driver.settle_with(&lease, replied(429), Next::Retry { at: until }, effects).await;
    };
    check(settled, 2).await;
}

#[tokio::test]
async fn a_throttle() {
    check(async |scene| scene.throttle(Some(60)).await, 2).await;
    let lifted = async |scene: &mut Scene| {
        scene.throttle(Some(60)).await;
        scene.throttle(None).await;
        scene.cramp().await;
    };
    check(lifted, 3).await;
    let forgotten = async |scene: &mut Scene| {
        scene.throttle(Some(3_600)).await;
        scene.driver.crash().await;
        // What was in flight is given back, too.
        scene.driver.recover().await;
    };
    check(forgotten, 6).await;
}

#[tokio::test]
async fn a_retry() {
    let at_once = async |scene: &mut Scene| {
        let (lease, at) = (scene.lease_of_first(), scene.driver.now());
        scene.driver.settle(&lease, replied(500), Next::Retry { at }).await;
    };
    check(at_once, 4).await;
}

#[tokio::test]
async fn the_end_of_what_waited() {
    let cancelled = async |scene: &mut Scene| {
        let mut waiting = scene.driver.deliveries_of(&scene.tenant, "second").await;
        waiting.retain(|delivery| delivery.endpoint == scene.first().id);
        scene.driver.cancel(&waiting[0]).await.unwrap();
    };
    check(cancelled, 2).await;
    let once_more = async |scene: &mut Scene| {
        cancelled(scene).await;
        scene.accept("third").await;
    };
    check(once_more, 5).await;
}

#[tokio::test]
async fn an_order() {
    let ordered = async |scene: &mut Scene| {
        scene.driver.change(&scene.first(), |endpoint| endpoint.ordered = true).await;
    };
    // One of it is in flight.
    check(ordered, 2).await;
    let its_turn = async |scene: &mut Scene| {
        ordered(scene).await;
        let lease = scene.lease_of_first();
        scene.driver.settle(&lease, replied(200), Next::Delivered).await;
        scene.cramp().await;
        scene.accept("third").await;
    };
    check(its_turn, 5).await;
    let not_any_more = async |scene: &mut Scene| {
        its_turn(scene).await;
        scene.driver.change(&scene.first(), |endpoint| endpoint.ordered = false).await;
    };
    check(not_any_more, 6).await;
}

#[tokio::test]
async fn one_more_endpoint_for_an_event() {
    let sent = async |scene: &mut Scene| {
        scene.driver.accept(&scene.tenant, "third", &[]).await;
        scene.driver.send("third", &scene.first()).await.unwrap();
    };
    check(sent, 4).await;
}
