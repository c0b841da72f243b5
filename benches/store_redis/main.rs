//! What a delivery costs a Redis: the server's CPU for its whole life, its memory while it waits, and what a million
//! parked retries change about a lease.
//!
//! Figures are the server's own (`INFO cpu`, `INFO memory`), of a real `redis-server` that is started for it.
//!
//!     cargo bench -p posthaste-benches --bench store_redis            # all
//!     cargo bench -p posthaste-benches --bench store_redis -- life    # one: life, memory, parked
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has nothing to say, and what it has to say is printed"
)]

mod at_work;
mod life;
mod memory;
mod parked;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    if is_wanted("life") {
        runtime.block_on(life::measure());
    }
    if is_wanted("memory") {
        runtime.block_on(memory::measure());
    }
    if is_wanted("parked") {
        runtime.block_on(parked::measure());
    }
}
