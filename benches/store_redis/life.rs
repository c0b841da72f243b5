use posthaste_model::Next;

use crate::at_work::{BATCH, Content, StoreAtWork};

/// How many deliveries live through it.
const COUNT: usize = 60_000;
/// How many tenants share the endpoints.
const TENANTS: usize = 20;

/// The server's CPU for each step of a delivery that arrives at once, by how many endpoints there are.
pub(crate) async fn measure() {
    println!("server CPU for a delivery's life, us");
    println!(
        "{:>10} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "endpoints", "accept", "lease", "settle", "prune", "life"
    );
    for endpoints in [20, 10_000, 100_000] {
        one(endpoints).await;
    }
}

async fn one(endpoints: usize) {
    let mut work = StoreAtWork::new(Content::Json).await;
    let mut all = Vec::new();
    for tenant in 0..TENANTS {
        all.extend(work.tenant(&format!("tenant-{tenant}"), endpoints / TENANTS).await);
    }
    // Every tenant's view is at hand, and everything was done once.
    let (mut spent, mut done, mut next) = ([0.0; 4], 0, 0);
    let mut warm = false;
    while done < COUNT {
        // As many as a busy service has waiting, at endpoints that are far apart.
        let events: Vec<_> = (0..10_000)
            .map(|_| {
                next += 7_919;
                let endpoint = all[next % all.len()].clone();
                work.event(&endpoint)
            })
            .collect();
        let start = work.cpu();
        work.accept(events, 512).await;
        let accepted = work.cpu();
        let (mut leasing, mut settling, mut settled) = (0.0, 0.0, 0);
        while settled < 10_000 {
            let before = work.cpu();
            let leases = work.lease(BATCH).await;
            let between = work.cpu();
            work.settle(&leases, 200, Next::Delivered).await;
            leasing += between - before;
            settling += work.cpu() - between;
            settled += leases.len();
        }
        let before = work.cpu();
        assert_eq!(work.prune().await, 10_000);
        let pruning = work.cpu() - before;
        if warm {
            for (sum, one) in spent.iter_mut().zip([accepted - start, leasing, settling, pruning]) {
                *sum += one;
            }
            done += 10_000;
        }
        warm = true;
    }
    let [accept, lease, settle, prune] = spent.map(|seconds| seconds * 1e6 / COUNT as f64);
    let life = accept + lease + settle + prune;
    println!("{endpoints:>10} {accept:>8.1} {lease:>8.1} {settle:>8.1} {prune:>8.1} {life:>8.1}");
}
