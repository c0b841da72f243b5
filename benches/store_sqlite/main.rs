//! What the embedded store does on this disk: durable accepts, leases, settlements, and what size changes about them.
//!
//! The store lies in the system's folder for temporary files; `TMPDIR` names another disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on has nothing to say"
)]

mod accepting;
mod at_work;
mod crowd;
mod delivering;
mod opening;
mod parked;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets =
        accepting::benches,
        delivering::benches,
        crowd::benches,
        parked::benches,
        opening::benches,
}
criterion_main!(benches);
