//! What a search costs in a store that holds a million deliveries, most of which have arrived.
//!
//!     cargo bench -p posthaste-benches --bench searches                # both stores, a million deliveries each
//!     cargo bench -p posthaste-benches --bench searches -- --quick     # a tenth of that
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has nothing to say, and what it has to say is printed"
)]

#[path = "../fairness/backend.rs"]
mod backend;
mod history;
#[path = "../fairness/latencies.rs"]
mod latencies;
mod questions;

use std::time::Instant;

use posthaste_store::{Cursor, Page};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::runtime::Runtime;

use self::{
    backend::{Backend, Ground},
    history::History,
    latencies::Latencies,
    questions::{QUESTIONS, Question},
};

/// That of the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DELIVERIES: usize = 1_000_000;
/// How often each question is asked, each time of another tenant, endpoint, topic or hour.
const ASKED: usize = 200;
/// Rows of a page, as the API has it where nobody says.
const ROWS: u32 = 50;
/// How many pages are turned at the most, each of them measured.
const PAGES: usize = 3;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let deliveries = if quick { DELIVERIES / 10 } else { DELIVERIES };
    let runtime = Runtime::new().unwrap();
    for backend in Backend::ALL {
        runtime.block_on(measure(backend, deliveries));
    }
}

async fn measure(backend: Backend, deliveries: usize) {
    let ground = Ground::new(backend);
    let begun = Instant::now();
    let history = History::make(&ground, deliveries).await;
    println!("\n{}: {deliveries} deliveries, made in {:.0?}", backend.as_str(), begun.elapsed());
    println!("{:<52} {:>9} {:>9} {:>9} {:>6}", "a page, ms", "p50", "p99", "max", "rows");
    for (name, question) in QUESTIONS {
        let mut rng = StdRng::seed_from_u64(1);
        let (mut took, mut rows) = (Vec::new(), 0);
        for _ in 0..ASKED {
            rows += ask(&history, &question(&history, &mut rng), &mut took).await;
        }
        let rows = rows as f64 / took.len() as f64;
        println!("{name:<52} {} {rows:>6.1}", Latencies::new(took));
    }
}

/// Turns the first pages; answers with how many rows they had.
async fn ask(history: &History, question: &Question, took: &mut Vec<std::time::Duration>) -> usize {
    let (mut rows, mut after) = (0, None::<Cursor>);
    for _ in 0..PAGES {
        let begun = Instant::now();
        let (found, next) = question.ask(&*history.store, Page { limit: ROWS, after }).await;
        took.push(begun.elapsed());
        rows += found;
        if next.is_none() {
            break;
        }
        after = next;
    }
    rows
}
