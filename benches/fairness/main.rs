//! What others make of one tenant's deliveries, what many requests at once take, and what a crowd changes about a lease.
//! Every figure is printed beside its baseline of the same run, on the embedded store and on a Redis of its own.
//!
//!     cargo bench -p posthaste-benches --bench fairness                  # all, in less than five minutes
//!     cargo bench -p posthaste-benches --bench fairness -- neighbours    # one: neighbours, memory, lease
//!     cargo bench -p posthaste-benches --bench fairness -- --quick       # shorter, and rougher
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has nothing to say, and what it has to say is printed"
)]

mod backend;
mod in_flight;
mod latencies;
mod lease;
mod memory;
mod neighbours;
mod outside;
mod publishing;
mod service;

use self::{in_flight::IN_FLIGHT, outside::Outside};

/// That of the service: memory is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each request in flight is a file.
const FILES: u64 = 65_536;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    rlimit::increase_nofile_limit(FILES).unwrap();
    if let [task, args @ ..] = args.as_slice()
        && task == IN_FLIGHT
    {
        return in_flight::serve(args);
    }
    let (options, wanted): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.starts_with("--"));
    let quick = options.iter().any(|option| *option == "--quick");
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| *one == name);
    let outside = Outside::new();
    if is_wanted("neighbours") {
        neighbours::measure(&outside, quick);
    }
    if is_wanted("memory") {
        memory::measure(&outside);
    }
    if is_wanted("lease") {
        lease::measure(quick);
    }
}
