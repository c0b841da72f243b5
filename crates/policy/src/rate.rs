use std::collections::VecDeque;

use jiff::Timestamp;
use posthaste_model::RateLimit;

use crate::Room;

/// When the attempts began that still count against a rate limit.
///
/// A log of them, not a bucket or a counter: any time of the limit's length has at most so many begins,
/// wherever it starts, and whatever fits is let through. It is exact to the millisecond. Times are those of
/// one clock: what is said to begin before the last one is taken to begin with it.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// In Unix milliseconds, oldest first.
    begun: VecDeque<i64>,
}

impl Window {
    /// Notes that an attempt begins, whether there is room or not, and drops what does not count any more.
    ///
    /// Says when it counts as begun.
    pub fn begin(&mut self, rate: RateLimit, now: Timestamp) -> Timestamp {
        let now = now.as_millisecond();
        let over = self.over(rate, now);
        self.begun.drain(..over);
        if self.begun.len() < self.begun.capacity() / 4 {
            self.begun.shrink_to(self.begun.len() * 2);
        }
        let began = self.begun.back().map_or(now, |&last| now.max(last));
        self.begun.push_back(began);
        timestamp(began)
    }

    /// One that began is taken back, if it still counts. `began`: as [`begin`](Self::begin) said.
    pub fn withdraw(&mut self, began: Timestamp) {
        if let Ok(place) = self.begun.binary_search(&began.as_millisecond()) {
            self.begun.remove(place);
        }
    }

    /// Nothing counts any more.
    pub fn clear(&mut self) {
        self.begun = VecDeque::new();
    }

    /// When and how many attempts may begin, at `now` or after.
    pub fn room(&self, rate: RateLimit, now: Timestamp) -> Room {
        let most = rate.limit();
        let now = now.as_millisecond();
        if let Some(at_most @ 1..) = most.checked_sub(self.count(rate, now)) {
            return Room { from: None, at_most };
        }
        // The one with which the limit is reached. As soon as it does not count any more, another fits; those
        // that began in the same millisecond cease to count with it.
        let decisive = self.begun.len().saturating_sub(most as usize);
        let from = self.begun.get(decisive).map_or(now, |begun| begun.saturating_add(per(rate)));
        Room { from: Some(timestamp(from)), at_most: most.saturating_sub(self.count(rate, from)) }
    }

    /// From when on none of them counts any more; none: there is none.
    pub fn empty_from(&self, rate: RateLimit) -> Option<Timestamp> {
        self.begun.back().map(|last| timestamp(last.saturating_add(per(rate))))
    }

    /// How many count at a time.
    fn count(&self, rate: RateLimit, at: i64) -> u32 {
        u32::try_from(self.begun.len() - self.over(rate, at)).unwrap_or(u32::MAX)
    }

    /// How many do not count any more at a time. They are the oldest.
    fn over(&self, rate: RateLimit, at: i64) -> usize {
        let bound = at.saturating_sub(per(rate));
        self.begun.partition_point(|&begun| begun <= bound)
    }
}

/// The length of a rate limit's time in milliseconds.
fn per(rate: RateLimit) -> i64 {
    i64::try_from(rate.per().as_millis()).unwrap_or(i64::MAX)
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use posthaste_model::Period;
    use proptest::prelude::*;

    use super::*;

    fn rate(limit: u32, per: u64) -> RateLimit {
        RateLimit::new(limit, Period::from_millis(per)).unwrap()
    }

    fn begun(rate: RateLimit, begins: &[i64]) -> Window {
        let mut window = Window::default();
        for at in begins {
            window.begin(rate, timestamp(*at));
        }
        window
    }

    /// With a limit of 3 in a second, after begins at these times, in milliseconds: the room at a time.
    #[track_caller]
    fn check(begins: &[i64], now: i64, from: Option<i64>, at_most: u32) {
        let rate = rate(3, 1_000);
        let expect = Room { from: from.map(timestamp), at_most };
        assert_eq!(begun(rate, begins).room(rate, timestamp(now)), expect, "{begins:?} at {now}");
    }

    #[test]
    fn rooms() {
        check(&[], 0, None, 3);
        check(&[0], 0, None, 2);
        check(&[0, 400], 400, None, 1);
        check(&[0, 400, 700], 700, Some(1_000), 1);
        check(&[0, 400, 700], 999, Some(1_000), 1);
        check(&[0, 400, 700], 1_000, None, 1);
        check(&[0, 400, 700], 1_400, None, 2);
        check(&[0, 400, 700, 1_000], 1_000, Some(1_400), 1);
        check(&[0, 0, 700], 700, Some(1_000), 2);
        check(&[5, 5, 5], 5, Some(1_005), 3);
        check(&[0, 400, 700], 1_000_000, None, 3);
    }

    #[test]
    fn what_began_without_room_counts_as_well() {
        check(&[0, 100, 200, 300], 300, Some(1_100), 1);
        check(&[0, 100, 200, 300], 1_000, Some(1_100), 1);
        check(&[0, 100, 200, 200, 200, 200], 300, Some(1_200), 3);
    }

    #[test]
    fn a_clock_that_goes_back_lets_nothing_through() {
        check(&[500, 400, 700], 600, Some(1_500), 2);
        check(&[500, 600, 700], 100, Some(1_500), 1);
        check(&[500, 100], 1_200, None, 1);
    }

    #[test]
    fn what_is_withdrawn_does_not_count() {
        let rate = rate(2, 1_000);
        let mut window = begun(rate, &[0, 300]);
        window.withdraw(timestamp(0));
        assert_eq!(window.room(rate, timestamp(300)), Room { from: None, at_most: 1 });
        // It is the other one that counts.
        assert_eq!(window.room(rate, timestamp(1_299)), Room { from: None, at_most: 1 });
        assert_eq!(window.room(rate, timestamp(1_300)), Room { from: None, at_most: 2 });
        // One that does not count any more takes no other one's place.
        window.withdraw(timestamp(0));
        assert_eq!(window.room(rate, timestamp(300)), Room { from: None, at_most: 1 });
        window.withdraw(timestamp(300));
        assert_eq!(window.room(rate, timestamp(300)), Room { from: None, at_most: 2 });
    }

    #[test]
    fn another_limit_counts_at_once() {
        let window = begun(rate(3, 1_000), &[0, 100, 200]);
        let room = |limit, per| window.room(rate(limit, per), timestamp(200));
        assert_eq!(room(1, 1_000), Room { from: Some(timestamp(1_200)), at_most: 1 });
        assert_eq!(room(2, 1_000), Room { from: Some(timestamp(1_100)), at_most: 1 });
        assert_eq!(room(5, 1_000), Room { from: None, at_most: 2 });
        assert_eq!(room(3, 5_000), Room { from: Some(timestamp(5_000)), at_most: 1 });
        assert_eq!(room(3, 150), Room { from: None, at_most: 1 });
    }

    #[test]
    fn only_what_counts_is_kept() {
        let rate = rate(1_000, 1_000);
        let mut window = begun(rate, &[0; 1_000]);
        assert_eq!(window.empty_from(rate), Some(timestamp(1_000)));
        window.begin(rate, timestamp(1_000));
        assert_eq!(window.begun, [1_000]);
        assert!(window.begun.capacity() < 100, "room for {}", window.begun.capacity());
        window.clear();
        assert_eq!(window.empty_from(rate), None);
    }

    fn limits() -> impl Strategy<Value = RateLimit> {
        (1..8_u32, 100..300_u64).prop_map(|(limit, per)| rate(limit, per))
    }

    proptest! {
        /// Times at which somebody would like to begin, each so many milliseconds after the one before it.
        #[test]
        fn no_time_has_more_than_the_limit_and_nothing_is_refused_that_fits(
            rate in limits(),
            steps in prop::collection::vec(0..90_i64, 1..200),
        ) {
            let (mut window, mut begins, mut now) = (Window::default(), Vec::<i64>::new(), 0);
            for step in steps {
                now += step;
                // By counting all that ever began: every time of this length that could be too full ends now.
                let counted_by = |at| begins.iter().filter(|begun| **begun > at - per(rate)).count() as u32;
                let counted = counted_by(now);
                let room = window.room(rate, timestamp(now));
                match room.from {
                    None => {
                        prop_assert_eq!(room.at_most, rate.limit() - counted);
                        window.begin(rate, timestamp(now));
                        begins.push(now);
                    }
                    Some(from) => {
                        prop_assert_eq!(counted, rate.limit(), "refused at {}", now);
                        // Then, and not before, so many fit.
                        let from = from.as_millisecond();
                        prop_assert!(from > now);
                        prop_assert_eq!(counted_by(from - 1), rate.limit());
                        prop_assert_eq!(room.at_most, rate.limit() - counted_by(from));
                    }
                }
                prop_assert!(window.begun.len() as u32 <= rate.limit());
            }
            for pair in begins.windows(rate.limit() as usize + 1) {
                prop_assert!(pair[pair.len() - 1] - pair[0] >= per(rate), "{pair:?}");
            }
        }

        /// What a room promises can be taken: all of it at once, and then nothing more.
        #[test]
        fn a_room_is_what_fits(
            rate in limits(),
            steps in prop::collection::vec((0..90_i64, any::<bool>()), 0..60),
        ) {
            let (mut window, mut now) = (Window::default(), 0);
            for (step, begins) in steps {
                now += step;
                if begins {
                    window.begin(rate, timestamp(now));
                }
            }
            let room = window.room(rate, timestamp(now));
            let from = room.from.unwrap_or(timestamp(now));
            prop_assert!(room.at_most > 0);
            for left in (1..=room.at_most).rev() {
                prop_assert_eq!(window.room(rate, from), Room { from: None, at_most: left });
                window.begin(rate, from);
            }
            prop_assert!(window.room(rate, from).from.is_some());
        }
    }
}
