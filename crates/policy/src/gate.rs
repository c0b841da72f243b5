use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::{Health, Outcome, RateLimit};

use crate::{Breaker, Jitter, Room, Verdict, Window, classify, schedule::after};

/// For how long a failure is remembered. What grows with failures, the times of the breaker and the pauses of
/// a busy endpoint, is far shorter.
const QUIET: Duration = Duration::from_secs(600);

/// How many attempts of an endpoint may be made. They may differ from call to call: an endpoint can be
/// changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many may be under way at once, at least 1.
    pub max_in_flight: u32,
    /// How many may begin within a time; none: as many as there are.
    pub rate: Option<RateLimit>,
}

/// What the owner of an endpoint's partition remembers of it: what is under way, when attempts began, and how
/// they ended.
///
/// When an attempt is over, [`is_failing`](Self::is_failing) and [`pauses`](Self::pauses) are asked first and
/// handed to [`decide`](crate::decide); then [`end`](Self::end) and, if the endpoint is to be parked,
/// [`paused`](Self::paused) are told what came of it. Nothing of a gate is kept anywhere else: with the
/// process that has it, it is gone.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    breaker: Breaker,
    window: Window,
    /// When the last attempt failed that was charged; none: none has since the last success.
    failed_at: Option<Timestamp>,
    /// When the last attempt succeeded.
    succeeded_at: Option<Timestamp>,
    /// How many pauses in a row are over.
    pauses: u32,
    /// When the last pause will be over; none: an attempt has begun or ended since it was.
    paused_until: Option<Timestamp>,
}

impl Gate {
    /// Of an endpoint of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// An attempt begins, whatever room there is: a manual one needs none. Says when it counts as begun, to be handed to
    /// [`withdraw`](Self::withdraw) if need be.
    pub fn begin(&mut self, limits: &Limits, now: Timestamp) -> Timestamp {
        self.count_pause(now);
        self.breaker.begin();
        match limits.rate {
            Some(rate) => self.window.begin(rate, now),
            None => {
                self.window.clear();
                now
            }
        }
    }

    /// The attempt that began then made no request: it was given back, or the fault is ours. In place of
    /// [`end`](Self::end).
    pub fn withdraw(&mut self, began: Timestamp) {
        self.breaker.withdraw();
        self.window.withdraw(began);
    }

    /// An attempt is over.
    pub fn end(&mut self, outcome: &Outcome, now: Timestamp, jitter: &mut Jitter) {
        self.count_pause(now);
        self.breaker.end(outcome, now, jitter);
        let verdict = classify(outcome);
        match verdict {
            Verdict::Success => {
                self.failed_at = None;
                self.succeeded_at = self.succeeded_at.max(Some(now));
            }
            Verdict::Gone | Verdict::Busy | Verdict::Retry => {
                self.failed_at = Some(self.failed_at.map_or(now, |before| before.max(now)));
            }
            Verdict::Ours => {}
        }
        // An answer while a pause lasts is that of an attempt from before it, or of one that was asked for:
        // it does not tell whether the next pause has to be longer.
        let answers_again = outcome.status().is_some() && verdict != Verdict::Busy;
        if answers_again && self.paused_until.is_none() {
            self.pauses = 0;
        }
    }

    /// The endpoint is parked until then, because it was busy.
    pub fn paused(&mut self, until: Timestamp) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// When and how many more attempts may begin: as many as concurrency, rate, breaker and pause all allow.
    ///
    /// The store keeps the pause as well, but learns of it later, when what was decided is settled.
    pub fn room(&self, limits: &Limits, now: Timestamp) -> Room {
        let by_breaker = self.breaker.room(now);
        let begin = by_breaker.from.max(self.paused_until).filter(|begin| *begin > now);
        let begins = begin.unwrap_or(now);
        let by_rate = limits.rate.map_or(Room::BOUNDLESS, |rate| self.window.room(rate, begins));
        let left = limits.max_in_flight.saturating_sub(self.in_flight());
        Room {
            // The rate was asked about the time that the others allow, so what it says is later.
            from: by_rate.from.or(begin),
            at_most: left.min(by_breaker.at_most).min(by_rate.at_most),
        }
    }

    /// How many attempts are under way.
    pub fn in_flight(&self) -> u32 {
        self.breaker.under_way()
    }

    /// How many pauses in a row the endpoint has been given because it was busy, the one that lasts left out:
    /// a busy answer meanwhile is part of it. An answer that is not busy ends the row.
    pub fn pauses(&self) -> u32 {
        self.pauses
    }

    /// Whether an attempt has failed, by the endpoint's fault, since the last success seen here.
    pub fn is_failing(&self) -> bool {
        self.failed_at.is_some()
    }

    /// What is left of what was noted of the endpoint's health when an attempt was leased: nothing, if another one has
    /// succeeded since it began to fail.
    pub fn health(&self, noted: Health) -> Health {
        let over = noted.failing_since.is_some_and(|since| self.succeeded_at.is_some_and(|at| at >= since));
        if over { Health::default() } else { noted }
    }

    /// The endpoint was changed into another one: what it answered before says nothing of it.
    pub fn begin_anew(&mut self) {
        self.breaker.close();
        (self.failed_at, self.pauses, self.paused_until) = (None, 0, None);
    }

    /// Whether nothing is sent because the endpoint does not answer.
    pub fn breaker_open(&self, now: Timestamp) -> bool {
        self.breaker.is_open(now)
    }

    /// From when on nothing is lost by forgetting all this; none: something is under way.
    ///
    /// The rate limit's time and the pause are over then, and 10 min have passed since the last failure: what
    /// the breaker knows is too old to be of use, and the failure is on record.
    pub fn forgettable_from(&self, limits: &Limits) -> Option<Timestamp> {
        let begins_count_until = limits.rate.and_then(|rate| self.window.empty_from(rate));
        let failure_counts_until = self.failed_at.map(|failed_at| after(failed_at, QUIET));
        let last = begins_count_until.max(failure_counts_until).max(self.paused_until);
        (self.in_flight() == 0).then(|| last.unwrap_or(Timestamp::MIN))
    }

    /// A pause counts once it is over, so that all busy answers that come meanwhile find the same number.
    fn count_pause(&mut self, now: Timestamp) {
        if self.paused_until.is_some_and(|until| now >= until) {
            self.pauses = self.pauses.saturating_add(1);
            self.paused_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use posthaste_model::{ErrorClass, Period};
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{failed, replied};

    const START: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn limits(max_in_flight: u32, rate: Option<(u32, u64)>) -> Limits {
        let rate = rate.map(|(limit, secs)| RateLimit::new(limit, Period::from_secs(secs)).unwrap());
        Limits { max_in_flight, rate }
    }

    /// A gate, and the time.
    struct Bench {
        gate: Gate,
        limits: Limits,
        now: Timestamp,
        jitter: Jitter,
    }

    impl Bench {
        fn new(limits: Limits) -> Self {
            Self { gate: Gate::new(), limits, now: START, jitter: Jitter::seeded(8) }
        }

        fn begin(&mut self, number: u32) {
            for _ in 0..number {
                self.gate.begin(&self.limits, self.now);
            }
        }

        fn end(&mut self, outcome: &Outcome) {
            self.gate.end(outcome, self.now, &mut self.jitter);
        }

        fn attempt(&mut self, outcome: &Outcome) {
            self.begin(1);
            self.end(outcome);
        }

        /// A busy answer, for which the endpoint is parked so long.
        fn busy(&mut self, secs: u64) {
            self.attempt(&replied(503, &[]));
            self.gate.paused(after(self.now, Duration::from_secs(secs)));
        }

        fn wait(&mut self, secs: u64) {
            self.now = after(self.now, Duration::from_secs(secs));
        }

        /// The room, with its time in seconds from now.
        #[track_caller]
        fn room(&self, from: Option<u64>, at_most: u32) {
            let from = from.map(|secs| after(self.now, Duration::from_secs(secs)));
            assert_eq!(self.gate.room(&self.limits, self.now), Room { from, at_most });
        }

        /// From when on it may be forgotten, in seconds from now.
        #[track_caller]
        fn forgettable(&self, secs: u64) {
            let expect = Some(after(self.now, Duration::from_secs(secs)));
            assert_eq!(self.gate.forgettable_from(&self.limits), expect);
        }
    }

    #[test]
    fn so_many_are_under_way_at_once() {
        let mut bench = Bench::new(limits(3, None));
        bench.room(None, 3);
        bench.begin(2);
        bench.room(None, 1);
        bench.begin(1);
        bench.room(None, 0);
        bench.end(&replied(200, &[]));
        bench.room(None, 1);
        bench.gate.withdraw(bench.now);
        bench.room(None, 2);
        bench.limits = limits(1, None);
        bench.room(None, 0);
        assert_eq!(bench.gate.in_flight(), 1);
    }

    #[test]
    fn a_manual_attempt_needs_no_room_and_counts() {
        let mut bench = Bench::new(limits(1, Some((1, 60))));
        bench.begin(3);
        assert_eq!(bench.gate.in_flight(), 3);
        bench.room(Some(60), 0);
        (0..2).for_each(|_| bench.end(&replied(200, &[])));
        bench.room(Some(60), 0);
        bench.end(&replied(200, &[]));
        bench.room(Some(60), 1);
    }

    #[test]
    fn so_many_begin_within_a_time() {
        let mut bench = Bench::new(limits(32, Some((4, 60))));
        bench.begin(3);
        bench.room(None, 1);
        bench.wait(20);
        bench.begin(1);
        bench.room(Some(40), 3);
        // That one ended makes no room.
        bench.end(&replied(200, &[]));
        bench.room(Some(40), 3);
        bench.gate.withdraw(bench.now);
        bench.room(None, 1);
        bench.wait(40);
        bench.room(None, 4);
    }

    #[test]
    fn another_rate_limit_counts_at_once() {
        let mut bench = Bench::new(limits(32, Some((4, 60))));
        bench.begin(4);
        bench.room(Some(60), 4);
        bench.limits = limits(32, Some((4, 10)));
        bench.room(Some(10), 4);
        bench.limits = limits(32, Some((6, 60)));
        bench.room(None, 2);
        bench.limits = limits(32, None);
        bench.room(None, 28);
        // Without one nothing is remembered.
        bench.begin(1);
        bench.limits = limits(32, Some((4, 60)));
        bench.room(None, 4);
    }

    #[test]
    fn the_breaker_lets_one_through_and_the_rate_limit_holds_for_it() {
        let mut bench = Bench::new(limits(32, Some((6, 60))));
        (0..5).for_each(|_| bench.attempt(&failed(ErrorClass::Connect)));
        assert!(bench.gate.breaker_open(bench.now));
        let by_breaker = bench.gate.room(&bench.limits, bench.now);
        assert_eq!(by_breaker.at_most, 1);
        let until = by_breaker.from.unwrap();
        assert!(until < after(bench.now, Duration::from_secs(2)));

        bench.limits = limits(32, Some((5, 60)));
        bench.room(Some(60), 1);
        // The later of the two counts.
        bench.limits.rate = RateLimit::new(5, Period::from_millis(500)).ok();
        assert_eq!(bench.gate.room(&bench.limits, bench.now), by_breaker);
        bench.now = until;
        assert!(!bench.gate.breaker_open(bench.now));
        bench.begin(1);
        assert_eq!(bench.gate.room(&bench.limits, bench.now).at_most, 0);
        bench.end(&replied(200, &[]));
        assert!(bench.gate.room(&bench.limits, bench.now).at_most > 1);
    }

    #[test]
    fn a_pause_counts_at_once_and_the_other_limits_after_it() {
        let mut bench = Bench::new(limits(3, Some((4, 60))));
        bench.begin(1);
        bench.busy(20);
        bench.room(Some(20), 2);
        bench.begin(2);
        bench.room(Some(60), 0);
        bench.busy(90);
        // The rate limit's time is over when the pause is.
        bench.room(Some(90), 0);
        (0..3).for_each(|_| bench.end(&replied(200, &[])));
        bench.room(Some(90), 3);
        bench.wait(89);
        bench.room(Some(1), 3);
        bench.wait(1);
        bench.room(None, 3);
    }

    #[test]
    fn the_later_of_pause_and_breaker_counts() {
        let mut bench = Bench::new(limits(32, None));
        (0..5).for_each(|_| bench.attempt(&failed(ErrorClass::Connect)));
        let by_breaker = bench.gate.room(&bench.limits, bench.now);
        bench.gate.paused(after(bench.now, Duration::from_millis(10)));
        assert_eq!(bench.gate.room(&bench.limits, bench.now), by_breaker);
        bench.gate.paused(after(bench.now, Duration::from_secs(5)));
        bench.room(Some(5), 1);
    }

    /// Whether the endpoint is failing after an outcome, if it was failing before and if it was not.
    #[track_caller]
    fn failing(outcome: &Outcome, when_failing: bool, when_well: bool) {
        for (before, expect) in [(500, when_failing), (200, when_well)] {
            let mut bench = Bench::new(limits(32, None));
            bench.attempt(&replied(before, &[]));
            bench.attempt(outcome);
            assert_eq!(bench.gate.is_failing(), expect, "{outcome:?} after {before}");
        }
    }

    #[test]
    fn it_fails_from_a_charged_failure_to_the_next_success() {
        for status in [302, 404, 410, 429, 500, 503] {
            failing(&replied(status, &[]), true, true);
        }
        failing(&replied(204, &[]), false, false);
        for class in ErrorClass::ALL {
            let charged = classify(&failed(class)) == Verdict::Retry;
            failing(&failed(class), true, charged);
        }
        assert!(!Gate::new().is_failing());
    }

    #[test]
    fn busy_answers_while_a_pause_lasts_are_part_of_it() {
        let mut bench = Bench::new(limits(32, None));
        bench.begin(4);
        for expect in [0, 1, 2] {
            for _ in 0..3 {
                assert_eq!(bench.gate.pauses(), expect);
                bench.busy(5);
                bench.wait(1);
            }
            bench.wait(4);
            bench.begin(1);
        }
        assert_eq!(bench.gate.pauses(), 3);
    }

    #[test]
    fn a_shorter_pause_does_not_end_a_longer_one() {
        let mut bench = Bench::new(limits(32, None));
        bench.busy(60);
        bench.busy(5);
        bench.wait(30);
        bench.busy(5);
        bench.wait(29);
        bench.begin(1);
        assert_eq!(bench.gate.pauses(), 0);
        bench.wait(1);
        bench.begin(1);
        assert_eq!(bench.gate.pauses(), 1);
    }

    /// Whether an outcome ends a row of pauses, when it comes after the last one and while that lasts.
    #[track_caller]
    fn ends_the_row(outcome: &Outcome, expect: bool) {
        for (secs, expect) in [(5, expect), (4, false)] {
            let mut bench = Bench::new(limits(32, None));
            bench.busy(5);
            bench.wait(5);
            bench.busy(5);
            bench.wait(secs);
            bench.attempt(outcome);
            // The first pause, and the second as well when it was over.
            let row = if secs == 5 { 2 } else { 1 };
            assert_eq!(bench.gate.pauses(), if expect { 0 } else { row }, "{outcome:?} after {secs} s");
        }
    }

    #[test]
    fn an_answer_that_is_not_busy_ends_the_row() {
        for status in [200, 302, 404, 410, 500] {
            ends_the_row(&replied(status, &[]), true);
        }
        for status in [429, 502, 503, 504] {
            ends_the_row(&replied(status, &[]), false);
        }
        for class in ErrorClass::ALL {
            ends_the_row(&failed(class), false);
        }
    }

    #[test]
    fn it_is_forgettable_when_nothing_of_it_counts_any_more() {
        let mut bench = Bench::new(limits(32, Some((4, 60))));
        assert_eq!(bench.gate.forgettable_from(&bench.limits), Some(Timestamp::MIN));
        bench.begin(1);
        assert_eq!(bench.gate.forgettable_from(&bench.limits), None);
        bench.wait(1);
        bench.end(&replied(200, &[]));
        bench.forgettable(59);

        bench.attempt(&failed(ErrorClass::Timeout));
        bench.forgettable(600);
        bench.busy(10);
        bench.wait(5);
        bench.forgettable(595);
        bench.busy(3_600);
        bench.forgettable(3_600);
        // A success ends all of that but the pause and the rate limit.
        bench.attempt(&replied(200, &[]));
        bench.forgettable(3_600);
        bench.wait(3_600);
        bench.attempt(&replied(200, &[]));
        bench.forgettable(60);
        bench.limits = limits(32, None);
        assert_eq!(bench.gate.forgettable_from(&bench.limits), Some(Timestamp::MIN));
    }

    #[test]
    fn ten_thousand_of_them_are_small() {
        assert!(size_of::<Gate>() <= 208, "{} bytes", size_of::<Gate>());
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        let classes = prop::sample::select(&ErrorClass::ALL[..]).prop_map(failed);
        let statuses = prop::sample::select(&[200_u16, 200, 404, 410, 429, 503][..]);
        prop_oneof![
            classes,
            Just(failed(ErrorClass::Timeout)),
            statuses.prop_map(|status| replied(status, &[]))
        ]
    }

    fn some_limits() -> impl Strategy<Value = Limits> {
        (1..6_u32, prop::option::of((1..6_u32, 1..4_u64)))
            .prop_map(|(max_in_flight, rate)| limits(max_in_flight, rate))
    }

    proptest! {
        /// An owner that begins as many as there is room for, whenever there is some.
        #[test]
        fn no_limit_is_exceeded_and_it_never_stands_still(
            limits in some_limits(),
            steps in prop::collection::vec((0..1_500_u64, outcomes(), 0..4_u32, any::<bool>()), 1..100),
            seed: u64,
        ) {
            let (mut gate, mut jitter, mut now) = (Gate::new(), Jitter::seeded(seed), START);
            let mut begins = Vec::<Timestamp>::new();
            for (millis, outcome, ends, withdraws) in steps {
                now = after(now, Duration::from_millis(millis));
                let room = gate.room(&limits, now);
                let opened = gate.breaker_open(now);
                if room.from.is_none() {
                    (0..room.at_most).for_each(|_| {
                        gate.begin(&limits, now);
                        begins.push(now);
                    });
                    // What it offered was all: nothing more fits now.
                    let left = gate.room(&limits, now);
                    prop_assert!(left.from.is_some() || left.at_most == 0, "{room:?}, then {left:?}");
                }
                prop_assert!(gate.in_flight() <= limits.max_in_flight);
                prop_assert!(!opened || room.from.is_some_and(|from| from > now));
                // Something is under way, or the time is known from which on something may begin.
                let left = gate.room(&limits, now);
                prop_assert!(gate.in_flight() > 0 || (left.at_most > 0 && left.from.is_some()), "{left:?}");
                prop_assert_eq!(gate.forgettable_from(&limits).is_some(), gate.in_flight() == 0);
                if withdraws && room.from.is_none() && room.at_most > 0 {
                    gate.withdraw(now);
                    begins.pop();
                }
                let ends = ends.min(gate.in_flight());
                (0..ends).for_each(|_| gate.end(&outcome, now, &mut jitter));
                if ends > 0 && classify(&outcome) == Verdict::Busy {
                    let until = after(now, Duration::from_millis(millis));
                    gate.paused(until);
                    let from = gate.room(&limits, now).from;
                    prop_assert!(until == now || from >= Some(until), "{from:?} before {until}");
                }
            }
            if let Some(rate) = limits.rate {
                for begun in begins.windows(rate.limit() as usize + 1) {
                    let apart = begun[0].duration_until(begun[begun.len() - 1]);
                    prop_assert!(apart.as_millis() >= i128::from(rate.per().as_millis()), "{begun:?}");
                }
            }
        }

        /// A gate that may be forgotten leaves as much room as one that knows nothing.
        #[test]
        fn nothing_is_lost_by_forgetting(
            limits in some_limits(),
            steps in prop::collection::vec((0..1_500_u64, outcomes(), 0..20_u64), 0..60),
            seed: u64,
        ) {
            let (mut gate, mut jitter, mut now) = (Gate::new(), Jitter::seeded(seed), START);
            for (millis, outcome, pause) in steps {
                now = after(now, Duration::from_millis(millis));
                gate.begin(&limits, now);
                gate.end(&outcome, now, &mut jitter);
                if classify(&outcome) == Verdict::Busy {
                    gate.paused(after(now, Duration::from_secs(pause)));
                }
            }
            let from = gate.forgettable_from(&limits);
            prop_assert!(from.is_some_and(|from| from <= after(now, QUIET)));
            let from = from.unwrap_or(now).max(now);
            prop_assert!(!gate.breaker_open(from));
            let room = gate.room(&limits, from);
            let fresh = Gate::new().room(&limits, from);
            // But for a breaker that has been quiet for so long: it would let one through first.
            let quiet = gate.is_failing() && room == Room { from: None, at_most: 1 };
            prop_assert!(room == fresh || quiet, "{room:?} instead of {fresh:?}");
        }
    }

    #[test]
    fn what_was_noted_before_a_success_is_over() {
        let noted = |since: i64| Health {
            failing_since: Some(Timestamp::from_second(since).unwrap()),
            failures: 9,
            ..Health::default()
        };
        let at = |secs: i64| Timestamp::from_second(secs).unwrap();
        let mut gate = Gate::new();
        assert_eq!(gate.health(noted(5)), noted(5));
        let limits = Limits { max_in_flight: 4, rate: None };
        gate.begin(&limits, at(6));
        gate.end(&replied(200, &[]), at(7), &mut Jitter::seeded(1));
        assert_eq!(gate.health(noted(5)), Health::default());
        assert_eq!(gate.health(noted(8)), noted(8));
    }

    #[test]
    fn another_endpoint_begins_anew() {
        let now = Timestamp::from_second(100).unwrap();
        let limits = Limits { max_in_flight: 10, rate: None };
        let mut gate = Gate::new();
        for _ in 0..6 {
            gate.begin(&limits, now);
        }
        for _ in 0..5 {
            gate.end(&failed(ErrorClass::Connect), now, &mut Jitter::seeded(1));
        }
        gate.paused(Timestamp::from_second(9_000).unwrap());
        assert!(gate.room(&limits, now).from.is_some());
        gate.begin_anew();
        assert_eq!(gate.room(&limits, now), Room { from: None, at_most: 9 });
        assert!(!gate.is_failing());
    }
}
