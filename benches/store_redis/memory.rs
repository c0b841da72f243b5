use posthaste_model::Next;

use crate::at_work::{BATCH, Content, PAYLOAD, StoreAtWork};

const COUNT: usize = 100_000;

/// What a delivery takes beside its body: while it waits, and once it is done.
pub(crate) async fn measure() {
    println!("memory beside a body of {PAYLOAD} bytes, bytes");
    println!("{:>8} {:>24} {:>10} {:>10}", "body", "deliveries an endpoint", "pending", "delivered");
    for (content, endpoints) in
        [(Content::Json, 100), (Content::Json, COUNT), (Content::Noise, 100), (Content::Noise, COUNT)]
    {
        let mut work = StoreAtWork::new(content).await;
        let mut all = Vec::new();
        for tenant in 0..20 {
            all.extend(work.tenant(&format!("tenant-{tenant}"), endpoints / 20).await);
        }
        let before = work.memory();
        for chunk in 0..COUNT / 1_000 {
            let events: Vec<_> =
                (0..1_000).map(|n| work.event(&all[(chunk * 1_000 + n) % all.len()].clone())).collect();
            work.accept(events, 1_000).await;
        }
        let each = |now: f64| (now - before) / COUNT as f64 - PAYLOAD as f64;
        let pending = each(work.memory());
        let mut settled = 0;
        while settled < COUNT {
            let leases = work.lease(BATCH).await;
            work.settle(&leases, 200, Next::Delivered).await;
            settled += leases.len();
        }
        let (body, share, done) = (format!("{content:?}"), COUNT / endpoints, each(work.memory()));
        println!("{body:>8} {share:>24} {pending:>10.0} {done:>10.0}");
    }
}
