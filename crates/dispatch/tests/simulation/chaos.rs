//! Long runs of everything at once, each drawn from a seed: what fails can be repeated.

use std::time::Duration;

use posthaste_model::{
    Delivery, DeliveryState, Endpoint, EndpointState, ErrorClass, ExponentialRetry, Period, RateLimit,
    RetryPolicy,
};
use posthaste_store::{Missing, StoreError, conformance::Shown};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::task::JoinSet;

use crate::{
    access::{Course, Fault},
    process::Process,
    reckoning::reckon,
    seen::Op,
    subscribers::Does,
    world::World,
};

const SEEDS: std::ops::Range<u64> = 0..20;
/// How many things happen in a run.
const LENGTH: usize = 250;

/// A run under way.
struct Chaos {
    rng: StdRng,
    world: World,
    /// Those that are not deleted.
    endpoints: Vec<Endpoint>,
    processes: Vec<Process>,
    draining: JoinSet<()>,
    /// Names of processes are never used again.
    started: usize,
    /// The bound of each process that was ever started.
    bounds: Vec<(String, usize)>,
}

impl Chaos {
    async fn new(seed: u64) -> Self {
        let mut chaos = Self {
            rng: StdRng::seed_from_u64(seed),
            // A store of one partition now and then: most processes have nothing to do then.
            world: World::seeded(seed, [3, 1, 4, 2][seed as usize % 4]).await,
            endpoints: Vec::new(),
            processes: Vec::new(),
            draining: JoinSet::new(),
            started: 0,
            bounds: Vec::new(),
        };
        for n in 0..chaos.world.tenants.len().max(4) {
            chaos.make_endpoint_in(n % chaos.world.tenants.len()).await;
        }
        for _ in 0..2 {
            chaos.start();
        }
        let mut rng = chaos.rng.fork();
        chaos.world.subscribers.follow(move |_| behaviour(&mut rng));
        chaos.trouble();
        chaos
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..60 => self.accept().await,
            60..72 => self.turn().await,
            72..75 => self.make_endpoint().await,
            75..78 => self.delete().await,
            78..82 => self.kill(),
            82..85 => self.drain(),
            85..86 => self.join(),
            86..87 => self.leave(),
            87..88 => self.outage().await,
            88..90 => self.trouble(),
            90..94 => self.retry().await,
            94..95 => self.cancel().await,
            95..97 => self.send().await,
            _ => {}
        }
        // Often nothing passes between two things, and seldom much.
        let millis = self.rng.random_range(0_f64..4.2);
        tokio::time::sleep(Duration::from_millis(10_f64.powf(millis) as u64 - 1)).await;
    }

    /// Everything is in order from now on, and stays so until nothing is left to do.
    async fn calm(&mut self) {
        self.world.road.follow(|_| Course::default());
        self.world.subscribers.follow(|_| Does::answer(200));
        for endpoint in &self.endpoints {
            self.world.turn(endpoint, EndpointState::Enabled).await;
        }
        for _ in 0..100 {
            self.world.pass(60).await;
            let shown = self.world.shown().await;
            if shown.deliveries.iter().all(|(delivery, _)| delivery.state.is_final()) {
                break;
            }
        }
        while let Some(process) = self.processes.pop() {
            process.drain().await;
        }
        while let Some(drained) = self.draining.join_next().await {
            drained.unwrap();
        }
    }

    async fn check(&self) -> Shown {
        reckon(&self.world).await;
        let shown = self.world.shown().await;
        for (delivery, attempts) in &shown.deliveries {
            assert!(delivery.state.is_final(), "still open: {delivery:?}, {attempts:?}");
        }
        let seen = self.world.seen();
        for (process, bound) in &self.bounds {
            let most = seen.most_at_once(process);
            assert!(most <= *bound, "{most} requests at once of {process}, {bound} allowed");
        }
        drop(seen);
        shown
    }

    fn start(&mut self) {
        self.started += 1;
        let name = format!("process {}", self.started);
        let bound = self.rng.random_range(1..=8);
        let per_endpoint = self.rng.random_range(1..=4);
        let process = self.world.start_with(&name, |settings| {
            settings.max_in_flight = bound;
            settings.per_endpoint = per_endpoint;
            settings.timeout = Duration::from_secs(5);
        });
        self.bounds.push((name, bound));
        self.processes.push(process);
    }

    /// A process vanishes, and another is started.
    fn kill(&mut self) {
        let victim = self.rng.random_range(0..self.processes.len());
        drop(self.processes.swap_remove(victim));
        self.start();
    }

    /// A process is told to stop, and another is started at once.
    fn drain(&mut self) {
        let chosen = self.rng.random_range(0..self.processes.len());
        self.draining.spawn(self.processes.swap_remove(chosen).drain());
        self.start();
    }

    /// One more process comes to share the work.
    fn join(&mut self) {
        if self.processes.len() < 4 {
            self.start();
        }
    }

    /// A process leaves, in order or killed on its way out.
    fn leave(&mut self) {
        if self.processes.len() > 1 {
            let chosen = self.rng.random_range(0..self.processes.len());
            let process = self.processes.swap_remove(chosen);
            let patience = Duration::from_millis(self.rng.random_range(0..20_000));
            self.draining.spawn(async move {
                // Dropped on the way, it is killed.
                let _ = tokio::time::timeout(patience, process.drain()).await;
            });
        }
    }

    /// The store is away for a while, which may be longer than leases live.
    async fn outage(&mut self) {
        let secs = *[1, 5, 20, 150].choose(&mut self.rng).unwrap();
        let fault = *[Fault::Away, Fault::Away, Fault::Lost].choose(&mut self.rng).unwrap();
        self.world.road.follow(move |_| fault.into());
        let over = tokio::time::Instant::now() + Duration::from_secs(secs);
        while tokio::time::Instant::now() < over {
            self.accept().await;
            self.world.pass(3).await;
        }
        self.trouble();
    }

    /// From now on some calls to the store are slow, some fail, and the answers of some are lost.
    fn trouble(&mut self) {
        let mut rng = self.rng.fork();
        let slowest = *[0, 0, 20, 2_000].choose(&mut rng).unwrap();
        let faults = *[0.0, 0.02, 0.2].choose(&mut rng).unwrap();
        self.world.road.follow(move |_: Op| {
            let mut pause = || Duration::from_millis(rng.random_range(0..=slowest));
            let (there, back) = (pause(), pause());
            let fault = *[Fault::Away, Fault::Lost].choose(&mut rng).unwrap();
            Course { there, back, fault: rng.random_bool(faults).then_some(fault) }
        });
    }

    async fn accept(&mut self) {
        let id = format!("evt_{}", self.world.events.len());
        let tenant = self.world.tenants.choose(&mut self.rng).unwrap();
        let own: Vec<&Endpoint> = self.endpoints.iter().filter(|e| e.tenant == *tenant).collect();
        let wanting = self.rng.random_range(0..=own.len());
        let endpoints: Vec<Endpoint> = own.sample(&mut self.rng, wanting).map(|e| (*e).clone()).collect();
        self.world.accept(&id, &endpoints.iter().collect::<Vec<_>>()).await;
    }

    async fn turn(&mut self) {
        let states = [
            EndpointState::Enabled,
            EndpointState::Enabled,
            EndpointState::Enabled,
            EndpointState::Paused,
            EndpointState::Disabled,
        ];
        let state = *states.choose(&mut self.rng).unwrap();
        if let Some(endpoint) = self.endpoints.choose(&mut self.rng) {
            self.world.turn(endpoint, state).await;
        }
    }

    async fn make_endpoint(&mut self) {
        let partition = self.rng.random_range(0..self.world.tenants.len());
        self.make_endpoint_in(partition).await;
    }

    async fn make_endpoint_in(&mut self, partition: usize) {
        let policy = policy(&mut self.rng);
        let rng = &mut self.rng;
        let limit = |endpoint: &mut Endpoint| {
            endpoint.retry = Some(policy);
            endpoint.ordered = rng.random_bool(0.2);
            endpoint.max_in_flight = rng.random_bool(0.3).then(|| rng.random_range(1..4));
            endpoint.rate_limit = rng.random_bool(0.2).then(|| rate(rng));
        };
        let endpoint = self.world.endpoint_in(partition, limit).await;
        self.endpoints.push(endpoint);
    }

    /// A delivery of those that are shown, in whatever state.
    async fn some_delivery(&mut self) -> Option<Delivery> {
        let shown = self.world.shown().await;
        shown.deliveries.choose(&mut self.rng).map(|(delivery, _)| delivery.clone())
    }

    async fn retry(&mut self) {
        if let Some(delivery) = self.some_delivery().await {
            let force = self.rng.random_bool(0.5);
            let asked = self.world.retry(&delivery, force).await;
            let refused =
                matches!(asked, Err(StoreError::EndpointClosed(_) | StoreError::NotFound(Missing::Endpoint)));
            assert!(asked.is_ok() || refused, "{asked:?}");
        }
    }

    async fn cancel(&mut self) {
        if let Some(delivery) = self.some_delivery().await.filter(|delivery| !delivery.state.is_final()) {
            self.world.cancel(&delivery).await;
        }
    }

    async fn send(&mut self) {
        let (Some(event), Some(endpoint)) =
            (self.world.events.choose(&mut self.rng), self.endpoints.choose(&mut self.rng))
        else {
            return;
        };
        if event.tenant == endpoint.tenant {
            self.world.send(&event.clone(), &endpoint.clone()).await;
        }
    }

    async fn delete(&mut self) {
        if self.endpoints.len() > 2 {
            let chosen = self.rng.random_range(0..self.endpoints.len());
            let endpoint = self.endpoints.swap_remove(chosen);
            self.world.delete(&endpoint).await;
        }
    }
}

fn policy(rng: &mut StdRng) -> RetryPolicy {
    if rng.random_bool(0.5) {
        let delays = (0..rng.random_range(1..5)).map(|_| Period::from_secs(rng.random_range(0..30)));
        return RetryPolicy::schedule(delays.collect()).unwrap();
    }
    RetryPolicy::Exponential(ExponentialRetry {
        initial_interval: Period::from_secs(rng.random_range(1..5)),
        multiplier: 2.0,
        randomization_factor: 0.5,
        max_interval: Period::from_secs(60),
        max_elapsed_time: None,
        max_attempts: rng.random_range(1..6),
    })
}

fn rate(rng: &mut StdRng) -> RateLimit {
    RateLimit::new(rng.random_range(1..5), Period::from_secs(rng.random_range(1..10))).unwrap()
}

fn behaviour(rng: &mut StdRng) -> Does {
    let does = match rng.random_range(0..100) {
        0..60 => Does::answer(200),
        60..70 => Does::answer(500),
        70..73 => Does::answer(302),
        73..78 => Does::answer(503),
        78..82 => Does::answer(429).retry_after(rng.random_range(0..40)),
        82..88 => Does::fail(ErrorClass::Connect),
        88..90 => Does::fail(ErrorClass::Internal),
        90..91 => Does::answer(410),
        _ => return Does::hang(),
    };
    // Now and then longer than the deadline.
    if rng.random_bool(0.5) { does } else { does.after(rng.random_range(0.0..6.0)) }
}

/// Does it all, and tells what came of it.
fn run(seed: u64) -> (Shown, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let mut chaos = Chaos::new(seed).await;
        for _ in 0..LENGTH {
            chaos.step().await;
        }
        chaos.calm().await;
        let shown = chaos.check().await;
        let requests = &chaos.world.seen().requests;
        (shown, requests.iter().map(|sent| format!("{sent:?}")).collect())
    })
}

#[test]
fn invariants_hold_whatever_happens() {
    let mut states = std::collections::BTreeMap::<DeliveryState, usize>::new();
    let (mut requests, mut unknown) = (0, 0);
    for seed in SEEDS {
        println!("seed {seed}");
        let (shown, sent) = run(seed);
        requests += sent.len();
        for (delivery, attempts) in shown.deliveries {
            *states.entry(delivery.state).or_default() += 1;
            unknown += attempts.iter().filter(|a| a.outcome.error() == Some(ErrorClass::Unknown)).count();
        }
    }
    println!("{states:?}, {requests} requests, {unknown} attempts of unknown outcome");
    for state in DeliveryState::ALL.into_iter().filter(|state| state.is_final()) {
        let count = states.get(&state).copied().unwrap_or(0);
        assert!(count > 20, "{count} deliveries were {state:?}: the runs show too little");
    }
    assert!(unknown > 20, "{unknown} attempts of unknown outcome: the runs show too little");
}

#[test]
fn a_run_can_be_repeated() {
    let (one, other) = (run(3), run(3));
    assert_eq!(one.1, other.1);
    assert_eq!(one.0, other.0);
}
