//! How figures come to the store.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use posthaste_model::{Counts, Next};
use posthaste_store::Subject;
use posthaste_telemetry::Load;

use crate::setup::{Bench, pass};

impl Bench {
    fn deliver(&self, endpoint: u64) {
        let (event, now) = (self.event("evt"), self.clock.now());
        self.telemetry.settled(&event, self.endpoint(endpoint).id, Next::Delivered, now);
    }

    async fn delivered(&self) -> u64 {
        let Counts { delivered, .. } = self.figures.sum(Subject::All).await;
        delivered
    }
}

#[tokio::test(start_paused = true)]
async fn figures_are_brought_every_quarter_of_a_minute() {
    let bench = Bench::new();
    let _keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    bench.deliver(1);
    bench.deliver(1);
    pass(14).await;
    assert_eq!(bench.delivered().await, 0);
    pass(2).await;
    assert_eq!(bench.delivered().await, 2);
    // Of all, a topic, a tenant, a topic of it and an endpoint.
    assert_eq!(bench.figures.calls(), [5]);
    pass(60).await;
    assert_eq!(bench.figures.calls(), [] as [usize; 0], "nothing has happened");
    bench.deliver(1);
    pass(16).await;
    assert_eq!(bench.delivered().await, 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_brought_is_brought_later() {
    let bench = Bench::new();
    let _keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    bench.figures.away(true);
    for _ in 0..10 {
        bench.deliver(1);
        pass(20).await;
    }
    assert_eq!(bench.delivered().await, 0);
    // After 15 s, 30 s, 60 s, 120 s and 180 s.
    assert_eq!(bench.figures.calls().len(), 5);
    bench.figures.away(false);
    pass(60).await;
    assert_eq!(bench.delivered().await, 10);
    bench.check("posthaste_stats_dropped_total 0");
    pass(60).await;
    assert_eq!(bench.delivered().await, 10);
}

#[tokio::test(start_paused = true)]
async fn what_a_part_of_the_store_does_not_take_counts_once_and_holds_up_nothing() {
    const ENDPOINTS: u64 = 3_000;
    let bench = Bench::new();
    let tenant = bench.tenant().await;
    let _keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    bench.figures.part_away(true);
    let (mut delivered, mut some) = (0, Vec::new());
    for _ in 0..5 {
        (0..ENDPOINTS).for_each(|endpoint| bench.deliver(endpoint));
        delivered += ENDPOINTS;
        some.extend([0, 7, ENDPOINTS - 1].map(|endpoint| bench.endpoint(endpoint).id));
        pass(90).await;
        assert_eq!(bench.delivered().await, delivered);
    }
    let of = |endpoint| Subject::Endpoint(tenant.clone(), endpoint);
    assert_eq!(bench.figures.sum(of(some[0])).await, Counts::default());
    bench.figures.part_away(false);
    pass(200).await;
    assert_eq!(bench.delivered().await, delivered);
    for endpoint in some {
        assert_eq!(bench.figures.sum(of(endpoint)).await.delivered, 1, "of {endpoint}");
    }
    bench.check("posthaste_stats_dropped_total 0");
}

#[tokio::test(start_paused = true)]
async fn many_figures_go_in_small_calls_and_the_rest_waits() {
    let bench = Bench::new();
    let _keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    (0..24_996).for_each(|endpoint| bench.deliver(endpoint));
    pass(16).await;
    assert_eq!(bench.figures.calls(), [100; 240]);
    pass(15).await;
    assert_eq!(bench.figures.calls(), [100; 10]);
    assert_eq!(bench.delivered().await, 24_996);
    pass(60).await;
    assert_eq!(bench.figures.calls(), [] as [usize; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_for_good_is_given_up_and_holds_up_nothing() {
    let bench = Bench::new();
    let _keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    bench.figures.refuse_once();
    (0..296).for_each(|endpoint| bench.deliver(endpoint));
    pass(16).await;
    assert_eq!(bench.figures.calls(), [100; 3]);
    bench.check("posthaste_stats_dropped_total 100");
    pass(60).await;
    assert_eq!(bench.figures.calls(), [] as [usize; 0]);
    bench.deliver(1);
    pass(16).await;
    assert_eq!(bench.delivered().await, 1, "what is about all was among the first");
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_what_is_given_up_is_counted() {
    let bench = Bench::new();
    (0..50_010).for_each(|endpoint| bench.deliver(endpoint));
    bench.check("posthaste_stats_dropped_total 11");
    bench.telemetry.keep(Arc::clone(&bench.figures)).stop().await;
    assert_eq!(bench.delivered().await, 49_999);
}

#[tokio::test(start_paused = true)]
async fn the_last_figures_are_brought_at_the_end() {
    let bench = Bench::new();
    let keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    (0..9_996).for_each(|endpoint| bench.deliver(endpoint));
    keeper.stop().await;
    assert_eq!(bench.delivered().await, 9_996);
    // A store that is away does not keep the process.
    let keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    bench.figures.away(true);
    bench.deliver(1);
    keeper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_backlog_is_looked_at_and_grows_old() {
    let bench = Bench::new();
    let _keeper = bench.telemetry.keep(Arc::clone(&bench.figures));
    bench.check("posthaste_oldest_due_seconds 0.0");
    bench.accept("evt").await;
    pass(11).await;
    // Another process looks.
    bench.check("posthaste_open_deliveries 0");
    let looks = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&looks);
    bench.telemetry.watch(move || Load { looks: asked.load(Ordering::Relaxed), ..Load::default() });
    pass(10).await;
    bench.check("posthaste_open_deliveries 1");
    bench.check("posthaste_oldest_due_seconds 21.0");
    pass(60).await;
    bench.check("posthaste_oldest_due_seconds 81.0");
    looks.store(false, Ordering::Relaxed);
    bench.check("posthaste_open_deliveries 0");
    bench.check("posthaste_oldest_due_seconds 0.0");
    bench.check(r#"posthaste_store_errors_total{operation="backlog"} 0"#);
}
