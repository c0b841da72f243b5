//! What waits to be brought to the store.

use posthaste_model::{Counts, Timestamp};
use posthaste_store::{Subject, Tally};

use crate::tallies::Counted;

/// Counts that wait, each subject's of a minute added up, up to a bound.
pub(crate) struct Waiting {
    counted: Counted,
    most: usize,
}

impl Waiting {
    pub(crate) fn new(most: usize) -> Self {
        Self { counted: Counted::new(), most }
    }

    /// Lets more wait. Answers with how many there was no room for: of the oldest minute the endpoints' go first, and what
    /// is about all goes last.
    pub(crate) fn put(&mut self, counted: Counted) -> u64 {
        for (of, counts) in counted {
            self.counted.entry(of).or_default().add(&counts);
        }
        let mut dropped = 0;
        while self.counted.len() > self.most {
            let Some(((oldest, _), _)) = self.counted.first_key_value() else { break };
            let next = (oldest + 1, Subject::All);
            let Some(last) = self.counted.range(..next).next_back().map(|(of, _)| of.clone()) else { break };
            self.counted.remove(&last);
            dropped += 1;
        }
        dropped
    }

    /// Takes up to `limit`, the oldest first.
    pub(crate) fn take(&mut self, limit: usize) -> Counted {
        let rest = self.counted.keys().nth(limit).cloned();
        let later = rest.map(|rest| self.counted.split_off(&rest)).unwrap_or_default();
        std::mem::replace(&mut self.counted, later)
    }
}

/// As the store takes them.
pub(crate) fn tallies(counted: Counted) -> Vec<Tally> {
    let tally = |((minute, of), counts): ((i64, Subject), Counts)| {
        // It was made of a time.
        let at = Timestamp::from_millisecond(minute).ok()?;
        Some(Tally { of, at, counts })
    };
    counted.into_iter().filter_map(tally).collect()
}

/// As they wait, given back by the store.
pub(crate) fn counted(tallies: Vec<Tally>) -> Counted {
    tallies.into_iter().map(|Tally { of, at, counts }| ((at.as_millisecond(), of), counts)).collect()
}

#[cfg(test)]
mod tests {
    use posthaste_model::TenantId;

    use super::*;

    fn tenant() -> Subject {
        Subject::Tenant(TenantId::default_tenant())
    }

    fn counted(rows: &[(i64, Subject)]) -> Counted {
        rows.iter().map(|of| (of.clone(), Counts { events: 1, ..Counts::default() })).collect()
    }

    #[test]
    fn what_waits_is_added_up() {
        let mut waiting = Waiting::new(9);
        assert_eq!(waiting.put(counted(&[(0, Subject::All), (0, tenant())])), 0);
        assert_eq!(waiting.put(counted(&[(0, tenant()), (60_000, tenant())])), 0);
        let events = |counted: Counted| counted.values().map(|counts| counts.events).collect::<Vec<_>>();
        assert_eq!(events(waiting.take(2)), [1, 2]);
        assert_eq!(events(waiting.take(2)), [1]);
        assert_eq!(waiting.take(2).len(), 0);
    }

    #[test]
    fn the_oldest_is_dropped_first_and_what_is_about_all_last() {
        let mut waiting = Waiting::new(3);
        let rows = [(0, Subject::All), (0, tenant()), (60_000, Subject::All), (60_000, tenant())];
        assert_eq!(waiting.put(counted(&rows)), 1);
        assert_eq!(waiting.put(counted(&[(120_000, Subject::All)])), 1);
        let left: Vec<_> = waiting.take(9).into_keys().collect();
        assert_eq!(left, [(60_000, Subject::All), (60_000, tenant()), (120_000, Subject::All)]);
    }

    #[test]
    fn tallies_lie_in_their_minute() {
        let counted = counted(&[(60_000, tenant())]);
        let tallies = tallies(counted.clone());
        let [Tally { of, at, counts }] = &tallies[..] else { panic!("one tally") };
        assert_eq!((of, at.as_millisecond(), counts.events), (&tenant(), 60_000, 1));
        assert_eq!(super::counted(tallies), counted);
    }
}
