use std::time::Duration;

use posthaste_model::Timestamp;

/// How long an endpoint without room is throttled. It is told earlier when there is room; should that be lost, it is
/// looked at anew after this time.
const NO_ROOM_FOR: Duration = Duration::from_secs(60);

/// What an endpoint may be leased, as it is told to the store. The default: what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    until: Option<Timestamp>,
    at_most: Option<usize>,
    /// Nothing, before a request that is under way is over.
    full: bool,
}

impl Bounds {
    /// Nothing for now.
    pub(super) fn no_room(now: Timestamp) -> Self {
        let until = now.checked_add(NO_ROOM_FOR).unwrap_or(Timestamp::MAX);
        Self { until: Some(until), at_most: None, full: true }
    }

    /// So many from a time on, where a turn gives `turn` without bounds.
    pub(super) fn new(from: Option<Timestamp>, at_most: usize, turn: usize, now: Timestamp) -> Self {
        Self {
            until: from.filter(|from| *from > now),
            at_most: Some(at_most).filter(|at_most| *at_most < turn),
            full: false,
        }
    }

    pub(super) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    pub(super) fn at_most(&self) -> Option<usize> {
        self.at_most
    }

    pub(super) fn are_full(&self) -> bool {
        self.full
    }

    /// Whether they bound nothing any more.
    pub(super) fn are_none_at(self, now: Timestamp) -> bool {
        self.at(now) == Self::default()
    }

    /// Whether the store is to be told these, when it was told others before. Less room is told at once, because the
    /// store must not give more than there is; more room when it is worth a word: at least `worthwhile` where there was
    /// none, and twice as much, or a whole turn, where there was some.
    pub(super) fn are_news_after(self, told: Self, turn: usize, worthwhile: usize, now: Timestamp) -> bool {
        let told = told.at(now);
        let room = |bounds: Self| bounds.at_most.unwrap_or(turn);
        if self == told {
            false
        } else if self.full {
            !told.full
        } else if told.full {
            self.until.is_some() || room(self) >= worthwhile
        } else {
            let (room, before) = (room(self), room(told));
            self.until != told.until || room < before || room == turn || room >= 2 * before
        }
    }

    /// What is left of them at a time.
    fn at(self, now: Timestamp) -> Self {
        match self.until {
            Some(until) if until <= now => Self { until: None, full: false, ..self },
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: usize = 16;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).unwrap()
    }

    fn room(at_most: usize) -> Bounds {
        Bounds::new(None, at_most, TURN, at(0))
    }

    #[track_caller]
    fn check(told: Bounds, new: Bounds, now: i64, expect: bool) {
        assert_eq!(new.are_news_after(told, TURN, 4, at(now)), expect, "{told:?}, then {new:?}");
    }

    #[test]
    fn less_room_is_told_at_once() {
        check(room(16), room(15), 0, true);
        check(room(5), room(4), 0, true);
        check(room(5), Bounds::no_room(at(0)), 0, true);
        check(room(16), Bounds::new(Some(at(9)), 16, TURN, at(0)), 0, true);
    }

    #[test]
    fn more_room_is_told_when_it_is_worth_a_word() {
        check(Bounds::no_room(at(0)), room(3), 1, false);
        check(Bounds::no_room(at(0)), room(4), 1, true);
        check(room(4), room(7), 0, false);
        check(room(4), room(8), 0, true);
        check(room(4), room(16), 0, true);
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        check(room(16), room(16), 0, false);
        check(room(99), room(16), 0, false);
        check(room(4), room(4), 0, false);
        check(Bounds::no_room(at(0)), Bounds::no_room(at(5)), 5, false);
        let later = Bounds::new(Some(at(9)), 2, TURN, at(0));
        check(later, later, 3, false);
    }

    #[test]
    fn a_time_that_is_over_bounds_nothing() {
        let full = Bounds::no_room(at(0));
        assert!(!full.are_none_at(at(59)) && full.are_none_at(at(60)));
        check(full, Bounds::no_room(at(60)), 60, true);
        check(full, room(16), 60, false);
        check(Bounds::new(Some(at(9)), 16, TURN, at(0)), room(16), 9, false);
    }
}
