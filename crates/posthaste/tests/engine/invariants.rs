//! Long runs of everything at once: what fails is drawn from a seed that is printed, and can be given.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use bytes::Bytes;
use posthaste_model::{
    Delivery, DeliveryId, DeliveryState, Endpoint, EndpointState, ErrorClass, Event, Next, Payload, Period,
    RateLimit, TenantId,
};
use posthaste_policy::AutoDisable;
use posthaste_store::{
    DeliveryFilter, NewEvent, Order, Page, Partition, Settled, Settlement, StoreError,
    conformance::{Shown, sample_event},
};
use rand::{
    RngExt as _, SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, IteratorRandom as _},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    backend::Backend,
    process::Process,
    reckoning::{all_final, reckon},
    subscribers::Does,
    world::{AMPLE, World, schedule},
};

on_every_store!(hold_whatever_happens);

/// Gives the seed of a run that is to be repeated, as far as real time allows.
const SEED: &str = "POSTHASTE_TEST_SEED";

/// For how long things happen, and longer where the machine is so slow that too little of something was shown.
const LENGTH: Duration = Duration::from_secs(8);

/// How long a process works before it is replaced.
const WORKS_FOR: Duration = Duration::from_millis(1_200);

/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_millis(250);

/// A run under way.
struct Run {
    rng: StdRng,
    world: World,
    /// Those that are not deleted.
    endpoints: Vec<Endpoint>,
    processes: Vec<Process>,
    /// Those whose dispatcher was dropped, and those that are being drained.
    leaving: Vec<Process>,
    draining: JoinSet<()>,
    /// How many processes there were; their names are never used again.
    started: usize,
    replaced_at: Instant,
    /// How often each thing was done.
    done: BTreeMap<&'static str, usize>,
}

async fn hold_whatever_happens(backend: Backend) {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one("what happens"));
    println!("{SEED}={seed}");
    let mut run = Run::new(backend, seed).await;
    let begun = Instant::now();
    let mut until = LENGTH;
    while begun.elapsed() < until {
        run.step().await;
        if begun.elapsed() >= until
            && let Some(lacks) = run.lacks()
        {
            assert!(until < LENGTH + AMPLE, "the run shows too little: {lacks}");
            until += Duration::from_millis(500);
        }
    }
    run.calm().await;
    println!("{:?}", run.showed());
    let shown = reckon(&run.world).await;
    all_final(&shown);
    run.each_is_told(&shown);
}

impl Run {
    async fn new(backend: Backend, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::seeded(backend, rng.random()).await;
        for _ in 0..3 {
            world.another_tenant().await;
        }
        let mut behaves = rng.fork();
        world.subscribers.follow(move |sent| behaviour(&sent.url, &mut behaves));
        let mut run = Self {
            rng,
            world,
            endpoints: Vec::new(),
            processes: Vec::new(),
            leaving: Vec::new(),
            draining: JoinSet::new(),
            started: 0,
            replaced_at: Instant::now(),
            done: BTreeMap::new(),
        };
        for number in 0..run.world.tenants.len() * 4 {
            let tenant = run.world.tenants[number % run.world.tenants.len()].clone();
            run.make_endpoint(&tenant).await;
        }
        let operators = TenantId::posthaste();
        run.world.endpoint_of(&operators, |endpoint| endpoint.retry = Some(schedule(&[20; 3]))).await;
        for _ in 0..2 {
            run.start().await;
        }
        run
    }

    async fn step(&mut self) {
        if self.replaced_at.elapsed() >= WORKS_FOR {
            self.replaced_at = Instant::now();
            self.replace().await;
        }
        match self.rng.random_range(0..100) {
            0..60 => self.accept().await,
            60..62 => self.repeat().await,
            62..70 => self.turn().await,
            70..71 => {
                let tenant = self.world.tenants.choose(&mut self.rng).unwrap().clone();
                self.make_endpoint(&tenant).await;
            }
            71..72 => self.delete().await,
            72..84 => self.retry().await,
            84..90 => self.cancel().await,
            90..96 => self.send().await,
            _ => {}
        }
        sleep(Duration::from_millis(self.rng.random_range(0..12))).await;
    }

    /// Everything is in order from now on, and stays so until nothing is left to do.
    async fn calm(&mut self) {
        self.world.subscribers.follow(|_| Does::answer(200));
        for process in self.processes.drain(..) {
            self.draining.spawn(process.drain());
        }
        // What is new finds no breaker open, and what is turned twice is not parked.
        self.start().await;
        for endpoint in &self.endpoints {
            self.world.turn(endpoint, EndpointState::Paused).await;
            self.world.turn(endpoint, EndpointState::Enabled).await;
        }
        let over = async {
            while self.has_notices().await || self.has_open_deliveries().await {
                // Nobody tells when there is nothing left to do.
                sleep(Duration::from_millis(50)).await;
            }
        };
        // Whatever is still open is told by whoever reckons.
        let _ = timeout(AMPLE, over).await;
        for process in self.processes.drain(..) {
            process.drain().await;
        }
        while let Some(drained) = self.draining.join_next().await {
            drained.unwrap();
        }
        // Whoever was abandoned reports what it was at, and is heard.
        let left = |name: &str| self.leaving.iter().any(|process| process.name == name);
        self.world
            .until(|seen| seen.requests.iter().all(|sent| sent.ended.is_some() || !left(&sent.process)))
            .await;
    }

    async fn has_notices(&self) -> bool {
        let store = self.world.store();
        for partition in (0..store.partitions()).map(Partition) {
            if !store.notices(partition, 1).await.unwrap().is_empty() {
                return true;
            }
        }
        false
    }

    async fn has_open_deliveries(&self) -> bool {
        let shown = self.world.shown().await;
        shown.iter().flat_map(|shown| &shown.deliveries).any(|(delivery, _)| !delivery.state.is_final())
    }

    async fn start(&mut self) {
        self.started += 1;
        let name = format!("process {}", self.started);
        let process = self.world.start_with(&name, |settings| {
            settings.timeout = TIMEOUT;
            settings.auto_disable = AutoDisable { after: Duration::from_millis(1_500), exhausted: 3 };
        });
        self.processes.push(process.await);
    }

    /// A process ends, in one of the ways in which one can, and another is started.
    async fn replace(&mut self) {
        let mut process = self.processes.remove(0);
        let ways = ["drained", "killed", "abandoned"];
        let way = ways[self.started % ways.len()];
        match way {
            "drained" => drop(self.draining.spawn(process.drain())),
            "killed" => process.kill(),
            _ => {
                process.abandon();
                self.leaving.push(process);
            }
        }
        self.did(way);
        self.start().await;
    }

    fn did(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    async fn accept(&mut self) {
        let tenant = self.world.tenants.choose(&mut self.rng).unwrap().clone();
        let many = *[1, 1, 1, 2, 4].choose(&mut self.rng).unwrap();
        let mut batch = Vec::new();
        for number in 0..many {
            let mut event = self.event(&tenant, number);
            if self.rng.random_bool(0.1) {
                let later = Duration::from_millis(self.rng.random_range(1..800));
                event.options.deliver_at = Some(self.world.clock.now() + later);
            }
            let own = self.endpoints.iter().filter(|endpoint| endpoint.tenant == tenant);
            let wanting = self.rng.random_range(0..=3);
            let endpoints = own.map(|endpoint| endpoint.id).sample(&mut self.rng, wanting);
            batch.push(NewEvent { event, endpoints });
        }
        self.world.accept_all(batch).await;
        self.did("accepted");
    }

    fn event(&mut self, tenant: &TenantId, number: usize) -> Event {
        let id = format!("evt_{}", self.world.history.accepted.len() + number);
        let mut noise = [0; 16];
        self.rng.fill(&mut noise[..]);
        Event {
            payload: Payload::Raw {
                content_type: "application/octet-stream".into(),
                body: Bytes::copy_from_slice(&noise),
            },
            ..sample_event(tenant, &id, self.world.clock.now())
        }
    }

    /// An event is published again, as by a publisher who got no answer: nothing comes of it.
    async fn repeat(&mut self) {
        if let Some(new) = self.world.history.accepted.choose(&mut self.rng).cloned() {
            let live = |id| self.endpoints.iter().any(|endpoint| endpoint.id == id);
            let endpoints = new.endpoints.into_iter().filter(|id| live(*id)).collect();
            let before = self.world.history.accepted.len();
            self.world.accept_all(vec![NewEvent { event: new.event, endpoints }]).await;
            assert_eq!(self.world.history.accepted.len(), before, "a repeat is no new event");
            self.did("repeated");
        }
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
        let endpoint = self.endpoints.choose(&mut self.rng).unwrap();
        if only_fails(&endpoint.url) {
            return;
        }
        self.world.turn(endpoint, state).await;
        self.did(state.as_str());
    }

    async fn make_endpoint(&mut self, tenant: &TenantId) {
        let number = self.world.endpoints.len();
        let delays = (0..self.rng.random_range(1..4)).map(|_| self.rng.random_range(0..150));
        let retry = schedule(&delays.collect::<Vec<_>>());
        let endpoint = self.world.endpoint_of(tenant, |endpoint| {
            endpoint.retry = Some(retry);
            match number % 4 {
                0 => endpoint.ordered = true,
                1 => endpoint.max_in_flight = Some(2),
                2 => endpoint.rate_limit = Some(RateLimit::new(4, Period::from_millis(300)).unwrap()),
                _ => {}
            }
        });
        self.endpoints.push(endpoint.await);
    }

    async fn delete(&mut self) {
        if self.endpoints.len() > 10 {
            let chosen = self.rng.random_range(0..self.endpoints.len());
            if only_fails(&self.endpoints[chosen].url) {
                return;
            }
            let endpoint = self.endpoints.swap_remove(chosen);
            self.world.delete(&endpoint).await;
            self.did("deleted");
        }
    }

    /// One of the younger deliveries there are.
    async fn some_delivery(&mut self, state: Option<DeliveryState>) -> Option<Delivery> {
        let tenant = self.world.tenants.choose(&mut self.rng).unwrap();
        let filter = DeliveryFilter { states: Vec::from_iter(state), ..DeliveryFilter::default() };
        let store = self.world.store();
        let page = store.deliveries(Some(tenant), filter, Order::NewestFirst, Page::first(30)).await.unwrap();
        page.rows.choose(&mut self.rng).cloned()
    }

    async fn retry(&mut self) {
        let Some(delivery) = self.some_delivery(None).await else { return };
        let force = self.rng.random_bool(0.4);
        match self.world.retry(&delivery, force).await {
            Ok(()) => self.did(if force { "forced" } else { "retried" }),
            Err(StoreError::NotFound(_)) => self.did("retried too late"),
            Err(StoreError::EndpointClosed(_)) if !force => self.did("retried at a closed endpoint"),
            Err(error) => panic!("{error}"),
        }
    }

    async fn cancel(&mut self) {
        let states = [None, Some(DeliveryState::InFlight), Some(DeliveryState::Scheduled)];
        let state = *states.choose(&mut self.rng).unwrap();
        let Some(delivery) = self.some_delivery(state).await else { return };
        match self.world.cancel(&delivery).await {
            Ok(()) => self.did("cancelled"),
            Err(StoreError::DeliveryOver(state)) => assert!(state.is_final()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn send(&mut self) {
        let Some(new) = self.world.history.accepted.choose(&mut self.rng) else { return };
        let event = new.event.id.clone();
        let own = self.endpoints.iter().filter(|endpoint| endpoint.tenant == new.event.tenant);
        let Some(endpoint) = own.choose(&mut self.rng).cloned() else { return };
        match self.world.send(&event, &endpoint).await {
            Ok(true) => self.did("sent"),
            Ok(false) | Err(StoreError::EndpointClosed(EndpointState::Disabled)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// How often the run showed each thing.
    fn showed(&self) -> BTreeMap<&'static str, usize> {
        let seen = self.world.seen();
        let mut showed = self.done.clone();
        let ordered = seen.lent.iter().filter(|lent| lent.lease.endpoint.ordered);
        showed.insert("ordered leases", ordered.count());
        showed.insert("requests", seen.requests.len());
        showed.insert("manual attempts", seen.lent.iter().filter(|lent| lent.lease.manual).count());
        showed.insert("delivered", seen.applied(Next::Delivered));
        showed.insert("exhausted", seen.applied(Next::Exhausted));
        let applied = seen.reports.iter().filter(|report| report.applied().is_some());
        let disabled = applied.filter_map(|report| report.settlement.decision.endpoint.disable.as_deref());
        let (gone, given_up): (Vec<_>, Vec<_>) = disabled.partition(|reason| reason.contains("410"));
        showed.insert("gone", gone.len());
        showed.insert("given up", given_up.len());
        let interrupted = seen.recoveries.iter().filter_map(|recovery| recovery.interrupted);
        showed.insert("interrupted", interrupted.sum::<u64>() as usize);
        let stale = seen.reports.iter().filter_map(|report| report.answer);
        showed.insert("stale", stale.filter(|(_, settled)| *settled == Settled::Stale).count());
        showed
    }

    /// What the run shows too little of to say that it works.
    fn lacks(&self) -> Option<String> {
        let showed = self.showed();
        let lacking = ENOUGH.iter().find(|(what, least)| showed.get(what).is_none_or(|count| count < least));
        lacking.map(|(what, least)| format!("{least} times '{what}' are wanted: {showed:?}"))
    }

    /// Fails unless operators were told once of each delivery that was exhausted.
    fn each_is_told(&self, shown: &[Shown]) {
        let operators = shown.last().unwrap();
        let ids = operators.events.iter().map(|record| record.event.id.as_str());
        let told: Vec<&str> = ids.filter_map(|id| id.strip_prefix("exhausted-")?.split('-').next()).collect();
        let once: BTreeSet<&str> = told.iter().copied().collect();
        assert_eq!(once.len(), told.len(), "told twice of one delivery");
        let seen = self.world.seen();
        let own: BTreeSet<DeliveryId> =
            operators.deliveries.iter().map(|(delivery, _)| delivery.id).collect();
        for report in &seen.reports {
            let Settlement { delivery, decision, .. } = &report.settlement;
            if decision.next == Next::Exhausted && report.applied().is_some() && !own.contains(delivery) {
                assert!(
                    once.contains(delivery.to_string().as_str()),
                    "{delivery} was exhausted, and nobody told"
                );
            }
        }
    }
}

/// What a run shows at the least.
const ENOUGH: &[(&str, usize)] = &[
    ("accepted", 100),
    ("repeated", 2),
    ("enabled", 5),
    ("paused", 2),
    ("disabled", 2),
    ("deleted", 1),
    ("retried", 10),
    ("forced", 10),
    ("cancelled", 5),
    ("sent", 2),
    ("drained", 2),
    ("killed", 2),
    ("abandoned", 2),
    ("requests", 300),
    ("manual attempts", 10),
    ("ordered leases", 50),
    ("delivered", 100),
    ("exhausted", 5),
    ("gone", 1),
    ("given up", 1),
    ("interrupted", 3),
    ("stale", 1),
];

/// Endpoints that do nothing but fail. Operators leave them alone: what becomes of them follows from that.
fn only_fails(url: &str) -> bool {
    url.ends_with('7')
}

fn behaviour(url: &str, rng: &mut StdRng) -> Does {
    if only_fails(url) {
        return Does::answer(500);
    }
    let does = match rng.random_range(0..1_000) {
        0..700 => Does::answer(200),
        700..850 => Does::answer(500),
        850..870 => Does::answer(302),
        870..876 => Does::answer(503).retry_after(1),
        876..930 => Does::fail(ErrorClass::Connect),
        930..940 => Does::fail(ErrorClass::Internal),
        940..952 => Does::answer(410),
        _ => return Does::hang(),
    };
    // Now and then longer than it may take.
    let after = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..300) };
    does.after(Duration::from_millis(after))
}
