use std::{fmt, time::Duration};

use serde_json::{Value, json};

/// What was measured.
pub(super) struct Figures {
    /// Posts a second, before and after the service.
    pub(super) bare_loop: [f64; 2],
    pub(super) full: Run,
    pub(super) paced: Run,
    /// Bytes.
    pub(super) memory: Option<u64>,
}

/// One load of the service.
pub(super) struct Run {
    pub(super) accepted: u64,
    /// From the first post to the last answer.
    pub(super) accepting: Duration,
    /// From the first post to the last arrival.
    pub(super) delivering: Duration,
    /// From post to arrival.
    pub(super) latencies: Vec<Duration>,
    /// Seconds.
    pub(super) cpu: Option<f64>,
}

const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl Run {
    fn accepted_per_second(&self) -> f64 {
        self.accepted as f64 / self.accepting.as_secs_f64()
    }

    fn delivered_per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.delivering.as_secs_f64()
    }

    /// Milliseconds, for each of [`PERCENTILES`].
    fn percentiles(&self) -> [f64; 4] {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        PERCENTILES.map(|(_, share)| {
            let rank = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
            sorted.get(rank).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
        })
    }

    /// Microseconds.
    fn cpu_per_delivery(&self) -> Option<f64> {
        Some(self.cpu? * 1e6 / self.latencies.len() as f64)
    }

    fn json(&self) -> Value {
        let percentiles = self.percentiles();
        let latency: serde_json::Map<_, _> = PERCENTILES
            .iter()
            .zip(percentiles)
            .map(|((name, _), ms)| ((*name).to_owned(), json!(ms)))
            .collect();
        json!({
            "accepted_per_second": self.accepted_per_second(),
            "delivered_per_second": self.delivered_per_second(),
            "latency_ms": latency,
            "cpu_us_per_delivery": self.cpu_per_delivery(),
        })
    }
}

impl Figures {
    fn ceiling(&self) -> f64 {
        self.bare_loop.iter().sum::<f64>() / 2.0
    }

    fn ratio(&self) -> f64 {
        self.full.delivered_per_second() / self.ceiling()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "bare_loop_per_second": self.bare_loop,
            "ratio": self.ratio(),
            "full": self.full.json(),
            "paced": self.paced.json(),
            "peak_memory_bytes": self.memory,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = self.bare_loop;
        writeln!(
            f,
            "{:<28}{:>10.0}/s   before {before:.0}, after {after:.0}",
            "bare loop of signed posts",
            self.ceiling()
        )?;
        for (name, run) in [("full load", &self.full), ("paced load", &self.paced)] {
            writeln!(f, "{name}")?;
            writeln!(f, "{:<28}{:>10.0}/s", "  accepted", run.accepted_per_second())?;
            writeln!(f, "{:<28}{:>10.0}/s", "  delivered", run.delivered_per_second())?;
            write!(f, "{:<28}", "  post to arrival")?;
            for ((name, _), ms) in PERCENTILES.iter().zip(run.percentiles()) {
                write!(f, "{name} {ms:.1} ms   ")?;
            }
            writeln!(f)?;
            if let Some(cpu) = run.cpu_per_delivery() {
                writeln!(f, "{:<28}{cpu:>10.0} us", "  CPU for a delivery")?;
            }
        }
        if let Some(memory) = self.memory {
            writeln!(f, "{:<28}{:>10.0} MiB", "peak memory", memory as f64 / 1_048_576.0)?;
        }
        write!(f, "{:<28}{:>10.2}", "delivered / bare loop", self.ratio())
    }
}
