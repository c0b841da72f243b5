use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use posthaste_model::{Decision, Endpoint, EndpointEffects, Next, Tenant, TenantId, Timestamp};
use posthaste_store::{
    Epoch, Lease, LeaseRequest, NewEvent, Partition, Settled, Settlement, Store,
    conformance::{START, sample_endpoint, sample_event},
};
use tokio::runtime::Runtime;

use crate::backend::{Backend, Ground, open_undivided};

/// Deliveries of a lease call.
const AT_ONCE: usize = 64;
/// Lease calls of a round, after which all is given back.
const CALLS: usize = 40;
/// Deliveries that are due, unless there are more endpoints: enough for a round.
const DUE: usize = 20_000;
/// How many tenants share the endpoints, if there are so many.
const TENANTS: usize = 20;
/// How much is done in one call where the call itself is not measured.
const BULK: usize = 500;
/// How many manual attempts the service asks for in a call, and how many of a tenant.
const MANUAL: usize = 32;
const PER_TENANT: usize = 64;
/// The first rounds warm everything up.
const WARMING: usize = 3;
/// How long leases and the hold of the partition last: nothing here outlives its lease.
const HOLD: Duration = Duration::from_secs(600);

/// What a delivery's part of a lease call costs, by how many endpoints have something due. One gives all of a call in its
/// turn; of many each gives one, so that a call has as many turns whatever their number.
pub(crate) fn measure(quick: bool) {
    let (crowds, rounds): (&[_], _) =
        if quick { (&[100, 1, 10_000], 8) } else { (&[100, 1, 10_000, 100_000], 20) };
    println!("lease of {AT_ONCE}, us for each delivery");
    println!(
        "{:<7} {:>9} {:>9} {:>12} {:>11} {:>12}",
        "store", "endpoints", "call", "ratio to 100", "server CPU", "ratio to 100"
    );
    for backend in Backend::ALL {
        let costs = Runtime::new().unwrap().block_on(costs(backend, crowds, rounds));
        for (endpoints, cost) in crowds.iter().zip(&costs) {
            print!("{:<7} {endpoints:>9} {:>9.2}", backend.as_str(), cost.call);
            print!(" {:>12.2}", cost.call / costs[0].call);
            if let (Some(server), Some(baseline)) = (cost.server, costs[0].server) {
                print!(" {server:>11.2} {:>12.2}", server / baseline);
            }
            println!();
        }
    }
}

/// Of a delivery, in microseconds.
#[derive(Clone, Copy)]
struct Cost {
    call: f64,
    server: Option<f64>,
}

/// Of each crowd the median of its rounds. The crowds take turns, so that the machine's moods meet all of them.
async fn costs(backend: Backend, crowds: &[usize], rounds: usize) -> Vec<Cost> {
    let mut sides = Vec::new();
    for endpoints in crowds {
        let ground = Ground::new(backend);
        let crowd = Crowd::new(&ground, *endpoints).await;
        sides.push((crowd, ground, Vec::new()));
    }
    for round in 0..WARMING + rounds {
        for (crowd, ground, costs) in &mut sides {
            let cost = crowd.round(ground).await;
            if round >= WARMING {
                costs.push(cost);
            }
        }
    }
    let median = |costs: &Vec<Cost>| Cost {
        call: median(costs.iter().map(|cost| cost.call)),
        server: costs[0].server.map(|_| median(costs.iter().filter_map(|cost| cost.server))),
    };
    sides.iter().map(|(_, _, costs)| median(costs)).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Endpoints that all have something due, in one partition. Their clock stands still but for what is given back.
struct Crowd {
    store: Arc<dyn Store>,
    epoch: Epoch,
    per_endpoint: usize,
    now: Timestamp,
}

impl Crowd {
    async fn new(ground: &Ground, endpoints: usize) -> Self {
        let store = open_undivided(&ground.address()).await;
        let now = Timestamp::from_millisecond(START).unwrap();
        let epoch = store.claim(Partition(0), "benchmark", now, HOLD).await.unwrap().unwrap();
        let per_endpoint = if endpoints == 1 { AT_ONCE } else { 1 };
        let crowd = Self { store, epoch, per_endpoint, now };
        let tenants = TENANTS.min(endpoints);
        for tenant in 0..tenants {
            crowd.tenant(tenant, endpoints / tenants, DUE.max(endpoints) / tenants).await;
        }
        crowd
    }

    /// Makes a tenant with so many endpoints that have so much due between them.
    async fn tenant(&self, number: usize, endpoints: usize, due: usize) {
        let Self { store, now, .. } = self;
        let id: TenantId = format!("tenant-{number}").parse().unwrap();
        let tenant = Tenant::new(id.clone(), *now);
        store.put_tenant(tenant).await.unwrap();
        let endpoints: Vec<Endpoint> =
            (0..endpoints).map(|n| sample_endpoint(&id, (number * endpoints + n) as u64, *now)).collect();
        for some in endpoints.chunks(BULK) {
            let calls = some.iter().map(|endpoint| store.create_endpoint(endpoint.clone()));
            join_all(calls).await.into_iter().for_each(Result::unwrap);
        }
        let version = store.view(&id).await.unwrap().version;
        let events: Vec<NewEvent> = (0..due)
            .map(|n| NewEvent {
                event: sample_event(&id, &format!("event-{n:08}"), *now),
                endpoints: vec![endpoints[n % endpoints.len()].id],
            })
            .collect();
        for some in events.chunks(BULK) {
            store.accept(&id, version, some.to_vec()).await.unwrap();
        }
    }

    /// Leases some, and gives them back, so that as much is due as before.
    async fn round(&mut self, ground: &Ground) -> Cost {
        let mut leased = Vec::new();
        let (cpu, begun) = (server_cpu(ground), Instant::now());
        for _ in 0..CALLS {
            leased.push(self.lease().await);
        }
        let (took, used) = (begun.elapsed(), server_cpu(ground));
        self.now += Duration::from_millis(1);
        for leases in &leased {
            self.give_back(leases).await;
        }
        let each = |seconds: f64| seconds * 1e6 / (CALLS * AT_ONCE) as f64;
        Cost {
            call: each(took.as_secs_f64()),
            server: cpu.zip(used).map(|(before, after)| each(after - before)),
        }
    }

    async fn lease(&self) -> Vec<Lease> {
        let request = LeaseRequest {
            partition: Partition(0),
            epoch: self.epoch,
            now: self.now,
            limit: AT_ONCE,
            manual: MANUAL,
            per_endpoint: self.per_endpoint,
            per_tenant: PER_TENANT,
            rooms: Vec::new(),
            throttles: Vec::new(),
            lease_for: HOLD,
        };
        let leases = self.store.lease(request).await.unwrap().leases;
        assert_eq!(leases.len(), AT_ONCE, "too little was due");
        leases
    }

    /// Each is due again at once, behind everything that was due before it.
    async fn give_back(&self, leases: &[Lease]) {
        let decision =
            || Decision { next: Next::Release { at: self.now }, endpoint: EndpointEffects::default() };
        let settlements: Arc<[Settlement]> = leases
            .iter()
            .map(|lease| Settlement {
                lease: lease.id,
                delivery: lease.delivery,
                manual: false,
                endpoint_version: lease.endpoint.version,
                attempt: None,
                decision: decision(),
                now: self.now,
            })
            .collect();
        let settled = self.store.settle(settlements).await.unwrap();
        assert!(settled.iter().all(|settled| *settled == Settled::Applied), "a lease was lost");
    }
}

/// Seconds of CPU that the server has used; none: there is none.
fn server_cpu(ground: &Ground) -> Option<f64> {
    let Ground::Server(server) = ground else { return None };
    let info = server.command(&["INFO", "cpu"]).unwrap();
    let seconds = |name: &str| -> f64 {
        let text = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        text.trim().parse().unwrap()
    };
    Some(seconds("used_cpu_user:") + seconds("used_cpu_sys:"))
}
