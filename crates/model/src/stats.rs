//! What happened in a stretch of time, counted.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// What happened in a stretch of time, to whatever it is counted for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Events that were accepted. Not counted for an endpoint.
    pub events: u64,
    /// Events among them that no endpoint wanted.
    pub unmatched: u64,
    /// Deliveries that were made of them.
    pub deliveries: u64,
    /// Attempts that were made.
    pub attempts: u64,
    /// Attempts among them that failed.
    pub failed: u64,
    /// Attempts among those that failed after which the delivery is tried again by itself.
    pub retried: u64,
    /// Deliveries that have arrived.
    pub delivered: u64,
    /// Deliveries that have used up their attempts.
    pub exhausted: u64,
    /// From when a delivery's first attempt was due until it began.
    pub queue: Histogram,
    /// From the beginning of a request until its end, of attempts that were answered.
    pub receiver: Histogram,
}

impl Counts {
    /// Adds what happened besides.
    pub fn add(&mut self, other: &Self) {
        let Self {
            events,
            unmatched,
            deliveries,
            attempts,
            failed,
            retried,
            delivered,
            exhausted,
            queue,
            receiver,
        } = other;
        self.events += events;
        self.unmatched += unmatched;
        self.deliveries += deliveries;
        self.attempts += attempts;
        self.failed += failed;
        self.retried += retried;
        self.delivered += delivered;
        self.exhausted += exhausted;
        self.queue.add(queue);
        self.receiver.add(receiver);
    }
}

/// Lengths of time, counted by size: four classes for each doubling, so that what is read from it lies within 10 % of what
/// was put in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(BTreeMap<u8, u64>);

/// Classes for each doubling.
const PER_DOUBLING: f64 = 4.0;
/// The last class: 100 µs, doubled 45 times, is beyond every deadline and every backlog.
const LAST: u8 = 180;
/// Where the classes begin.
const SHORTEST: Duration = Duration::from_micros(100);

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, time: Duration) {
        self.count(class(time), 1);
    }

    /// Counts what another one has counted.
    pub fn add(&mut self, other: &Self) {
        for (class, count) in &other.0 {
            self.count(*class, *count);
        }
    }

    /// Counts so many of a class. A class beyond the last one is the last one.
    pub fn count(&mut self, class: u8, count: u64) {
        if count > 0 {
            *self.0.entry(class.min(LAST)).or_default() += count;
        }
    }

    /// The classes and how many are in each, the shortest first; those without any are left out.
    pub fn classes(&self) -> impl Iterator<Item = (u8, u64)> {
        self.0.iter().map(|(class, count)| (*class, *count))
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The length of time below which so much of all lies, from 0 to 1; none: nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (share.clamp(0.0, 1.0) * self.total() as f64).ceil().max(1.0);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen as f64 >= wanted
        });
        found.map(|(class, _)| middle(*class))
    }
}

/// The class of a length of time.
fn class(time: Duration) -> u8 {
    let doublings = (time.as_secs_f64() / SHORTEST.as_secs_f64()).max(1.0).log2();
    // Saturates: a number beyond what the type holds is its last one.
    ((doublings * PER_DOUBLING) as u8).min(LAST)
}

/// The middle of a class, as ratios go.
fn middle(class: u8) -> Duration {
    SHORTEST.mul_f64(2_f64.powf((f64::from(class) + 0.5) / PER_DOUBLING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_lies_within_a_tenth_of_what_was_put_in() {
        for micros in [100, 101, 1_000, 15_300, 1_000_000, 29_999_999, 86_400_000_000] {
            let time = Duration::from_micros(micros);
            let mut histogram = Histogram::default();
            histogram.record(time);
            let read = histogram.quantile(0.5).unwrap();
            let ratio = read.as_secs_f64() / time.as_secs_f64();
            assert!((0.9..=1.1).contains(&ratio), "{time:?} was read as {read:?}");
        }
    }

    #[test]
    fn a_share_lies_below_its_quantile() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for millis in 1..=1_000 {
            histogram.record(Duration::from_millis(millis));
        }
        for (share, millis) in [(0.0, 1.0), (0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let read = histogram.quantile(share).unwrap().as_secs_f64() * 1_000.0;
            assert!((0.85..=1.15).contains(&(read / millis)), "{share} of it lies below {read} ms");
        }
        assert_eq!(histogram.total(), 1_000);
    }

    #[test]
    fn the_extremes_have_a_class() {
        let mut histogram = Histogram::default();
        for time in [Duration::ZERO, Duration::MAX] {
            histogram.record(time);
        }
        assert_eq!(histogram.classes().collect::<Vec<_>>(), [(0, 1), (LAST, 1)]);
    }

    #[test]
    fn counts_add_up() {
        let one = |events| {
            let mut counts = Counts { events, failed: 2, ..Counts::default() };
            counts.queue.record(Duration::from_millis(5));
            counts
        };
        let mut sum = one(1);
        sum.add(&one(3));
        assert_eq!((sum.events, sum.failed, sum.queue.total()), (4, 4, 2));
    }
}
