use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::{ErrorClass, Outcome};

use crate::{Jitter, Room, growth::grow, jitter::USUAL_RATIO, schedule::after};

/// How many attempts in a row get no answer before nothing more is sent for a while.
const UNANSWERED: u32 = 5;

/// How long nothing is sent then: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Keeps attempts back from an endpoint that does not answer at all.
///
/// | state | what happens | then |
/// |---|---|---|
/// | closed | five attempts in a row get no answer | open for 1 s |
/// | open | its time is over | half-open |
/// | half-open | the probe, one at a time, gets no answer | open, twice as long as before, up to 60 s |
/// | any | an attempt is answered, whatever the status | closed, and all is forgotten |
///
/// The times have jitter. No answer is a name that is not found, no connection, no TLS, or no end in time.
/// What is not HTTP is an answer of sorts. Where the guard forbade the address, or the fault is ours, nothing
/// was learned.
///
/// Attempts that were under way when it opened do not keep it open for longer. Which of those under way it
/// was that ended is not known here, so those that began first are taken to end first. At worst a probe is
/// thought to be under way until they are all over.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    /// How many attempts have begun and not ended.
    under_way: u32,
    /// How many of them began before it opened; 0 while it is closed.
    begun_before: u32,
    /// How many in a row got no answer while it was closed.
    unanswered: u32,
    /// Half-open once the time is over; none: it is closed.
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Timestamp,
    /// How many probes in a row got no answer.
    probes: u32,
}

impl Breaker {
    /// An attempt begins: one for which there is room, or one that asks for none.
    pub fn begin(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
    }

    /// The last one that began made no request.
    pub fn withdraw(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.begun_before = self.begun_before.min(self.under_way);
    }

    /// An attempt is over.
    pub fn end(&mut self, outcome: &Outcome, now: Timestamp, jitter: &mut Jitter) {
        self.under_way = self.under_way.saturating_sub(1);
        let of_before = self.begun_before > 0;
        self.begun_before = self.begun_before.saturating_sub(1);
        match answered(outcome) {
            Some(true) => self.close(),
            Some(false) if !of_before => self.miss(now, jitter),
            Some(false) | None => {}
        }
    }

    /// Closes, and forgets all but what is under way.
    pub fn close(&mut self) {
        *self = Self { under_way: self.under_way, ..Self::default() };
    }

    /// How many attempts are under way.
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Whether nothing is to be sent, not even a probe.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.open.is_some_and(|open| now < open.until)
    }

    /// When and how many attempts may begin.
    pub fn room(&self, now: Timestamp) -> Room {
        let Some(Open { until, .. }) = self.open else {
            return Room::BOUNDLESS;
        };
        let probing = self.under_way > self.begun_before;
        Room { from: (now < until).then_some(until), at_most: u32::from(!probing) }
    }

    /// An attempt got no answer.
    fn miss(&mut self, now: Timestamp, jitter: &mut Jitter) {
        let probes = match self.open {
            // It went out although the breaker was open, because somebody asked for it.
            Some(open) if now < open.until => return,
            Some(open) => open.probes.saturating_add(1),
            None => {
                self.unanswered += 1;
                if self.unanswered < UNANSWERED {
                    return;
                }
                0
            }
        };
        let pause = jitter.spread(grow(PAUSE.0, 2.0, PAUSE.1, probes), USUAL_RATIO);
        self.open = Some(Open { until: after(now, pause), probes });
        self.begun_before = self.under_way;
    }
}

/// Whether somebody is there; none: nothing was learned of that.
fn answered(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Replied(_) => Some(true),
        Outcome::Failed { class, .. } => match class {
            ErrorClass::Protocol => Some(true),
            ErrorClass::Dns
            | ErrorClass::Connect
            | ErrorClass::Tls
            | ErrorClass::Timeout
            | ErrorClass::Auth => Some(false),
            ErrorClass::Blocked | ErrorClass::Internal | ErrorClass::Unknown => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{failed, replied};

    const START: Timestamp = Timestamp::constant(1_700_000_000, 0);

    /// A breaker, and the time.
    struct Bench {
        breaker: Breaker,
        now: Timestamp,
        jitter: Jitter,
    }

    impl Bench {
        fn new() -> Self {
            Self { breaker: Breaker::default(), now: START, jitter: Jitter::seeded(5) }
        }

        /// Opened by five attempts that were refused, with so many more under way.
        fn opened(under_way: u32) -> Self {
            let mut bench = Self::new();
            (0..under_way).for_each(|_| bench.breaker.begin());
            (0..UNANSWERED).for_each(|_| bench.attempt(ErrorClass::Connect));
            bench
        }

        fn attempt(&mut self, class: ErrorClass) {
            self.breaker.begin();
            self.end(&failed(class));
        }

        fn end(&mut self, outcome: &Outcome) {
            self.breaker.end(outcome, self.now, &mut self.jitter);
        }

        /// Lets the time of an open breaker pass, and says how long it was, in seconds.
        #[track_caller]
        fn wait(&mut self) -> f64 {
            assert!(self.breaker.is_open(self.now));
            let until = self.breaker.room(self.now).from.unwrap();
            let waited = self.now.duration_until(until).as_secs_f64();
            self.now = until;
            assert!(!self.breaker.is_open(self.now));
            waited
        }

        #[track_caller]
        fn waits_about(&mut self, secs: f64) {
            let waited = self.wait();
            assert!((waited - secs).abs() <= secs / 10.0, "{waited} s instead of {secs}");
        }

        /// How many may begin now.
        #[track_caller]
        fn lets_through(&self, expect: u32) {
            assert_eq!(self.breaker.room(self.now), Room { from: None, at_most: expect });
        }

        #[track_caller]
        fn is_closed(&self) {
            self.lets_through(u32::MAX);
            assert!(!self.breaker.is_open(self.now));
        }
    }

    /// What an attempt with this outcome tells.
    #[track_caller]
    fn check(outcome: &Outcome, expect: Option<bool>) {
        let closed_after = |misses: u32| {
            let mut bench = Bench::new();
            (0..misses).for_each(|_| bench.attempt(ErrorClass::Timeout));
            bench.breaker.begin();
            bench.end(outcome);
            (0..UNANSWERED - 1 - misses).for_each(|_| bench.attempt(ErrorClass::Timeout));
            bench.breaker.open.is_none()
        };
        // The fifth in a row opens it, whichever of them this one was.
        assert!((0..UNANSWERED).all(|misses| closed_after(misses) == (expect != Some(false))), "{outcome:?}");

        let mut probe = Bench::opened(0);
        probe.wait();
        probe.breaker.begin();
        probe.lets_through(0);
        probe.end(outcome);
        match expect {
            Some(true) => probe.is_closed(),
            Some(false) => probe.waits_about(2.0),
            None => probe.lets_through(1),
        }
    }

    #[test]
    fn every_outcome() {
        for class in ErrorClass::ALL {
            let expect = match class {
                ErrorClass::Dns
                | ErrorClass::Connect
                | ErrorClass::Tls
                | ErrorClass::Timeout
                | ErrorClass::Auth => Some(false),
                ErrorClass::Protocol => Some(true),
                ErrorClass::Blocked | ErrorClass::Internal | ErrorClass::Unknown => None,
            };
            check(&failed(class), expect);
        }
        for status in 100..600 {
            check(&replied(status, &[]), Some(true));
        }
    }

    #[test]
    fn five_in_a_row_open_it() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            (0..4).for_each(|_| bench.attempt(ErrorClass::Timeout));
            bench.is_closed();
            bench.attempt(ErrorClass::Protocol);
        }
        (0..4).for_each(|_| bench.attempt(ErrorClass::Dns));
        // What tells nothing does not break the row.
        bench.attempt(ErrorClass::Internal);
        bench.is_closed();
        bench.attempt(ErrorClass::Tls);
        bench.waits_about(1.0);
        bench.lets_through(1);
    }

    #[test]
    fn each_failed_probe_doubles_the_time_up_to_a_minute() {
        let mut bench = Bench::opened(0);
        for secs in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] {
            bench.waits_about(secs);
            bench.lets_through(1);
            bench.attempt(ErrorClass::Timeout);
        }
    }

    #[test]
    fn an_answer_forgets_how_long_it_was_open() {
        let mut bench = Bench::opened(0);
        for _ in 0..4 {
            bench.wait();
            bench.attempt(ErrorClass::Connect);
        }
        bench.wait();
        bench.breaker.begin();
        bench.end(&replied(500, &[]));
        bench.is_closed();
        (0..4).for_each(|_| bench.attempt(ErrorClass::Connect));
        bench.is_closed();
        bench.attempt(ErrorClass::Connect);
        bench.waits_about(1.0);
    }

    #[test]
    fn attempts_that_were_under_way_do_not_keep_it_open() {
        let mut bench = Bench::opened(27);
        let until = bench.breaker.room(bench.now).from;
        (0..20).for_each(|_| bench.end(&failed(ErrorClass::Timeout)));
        assert_eq!(bench.breaker.room(bench.now).from, until);
        bench.waits_about(1.0);
        // Nor while it is half-open, with a probe and without.
        bench.end(&failed(ErrorClass::Timeout));
        bench.lets_through(1);
        bench.breaker.begin();
        (0..6).for_each(|_| bench.end(&failed(ErrorClass::Timeout)));
        bench.lets_through(0);
        bench.end(&failed(ErrorClass::Timeout));
        bench.waits_about(2.0);
        assert_eq!(bench.breaker.under_way(), 0);
    }

    #[test]
    fn one_of_them_that_is_answered_closes_it() {
        let mut bench = Bench::opened(3);
        bench.end(&replied(503, &[]));
        bench.is_closed();
        assert_eq!(bench.breaker.under_way(), 2);
    }

    #[test]
    fn a_probe_that_made_no_request_makes_way_for_another() {
        let mut bench = Bench::opened(2);
        bench.wait();
        bench.breaker.begin();
        bench.lets_through(0);
        bench.breaker.withdraw();
        bench.lets_through(1);
        // Those of before are still known as such.
        bench.end(&failed(ErrorClass::Timeout));
        bench.breaker.withdraw();
        bench.lets_through(1);
        assert_eq!(bench.breaker.under_way(), 0);
    }

    #[test]
    fn an_attempt_that_asks_for_no_room_can_close_it_and_does_not_lengthen_its_time() {
        let mut bench = Bench::opened(0);
        let until = bench.breaker.room(bench.now).from;
        bench.breaker.begin();
        assert_eq!(bench.breaker.room(bench.now), Room { from: until, at_most: 0 });
        bench.end(&failed(ErrorClass::Timeout));
        assert_eq!(bench.breaker.room(bench.now), Room { from: until, at_most: 1 });
        bench.breaker.begin();
        bench.end(&replied(200, &[]));
        bench.is_closed();
    }

    #[test]
    fn an_end_without_a_beginning_is_borne() {
        let mut bench = Bench::new();
        bench.end(&failed(ErrorClass::Internal));
        bench.breaker.withdraw();
        bench.is_closed();
        assert_eq!(bench.breaker.under_way(), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// So many would like to begin.
        Begin(u32),
        Manual,
        Withdraw,
        End(Outcome),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let classes = prop::sample::select(&ErrorClass::ALL[..]).prop_map(failed);
        let misses = Just(failed(ErrorClass::Timeout));
        let ends = prop_oneof![6 => misses, 2 => classes, 1 => Just(replied(500, &[]))].prop_map(Step::End);
        let waits = (0..3_000_u64).prop_map(Step::Wait);
        let begins = (1..4_u32).prop_map(Step::Begin);
        let step = prop_oneof![
            6 => begins,
            1 => Just(Step::Manual),
            1 => Just(Step::Withdraw),
            10 => ends,
            4 => waits
        ];
        prop::collection::vec(step, 0..150)
    }

    proptest! {
        #[test]
        fn whatever_happens(steps in steps(), seed: u64) {
            let (mut breaker, mut jitter, mut now) = (Breaker::default(), Jitter::seeded(seed), START);
            let mut in_a_row = 0;
            for step in steps {
                let (was, under_way) = (breaker.room(now), breaker.under_way());
                match step {
                    Step::Begin(wanted) => {
                        let begin = if was.from.is_none() { was.at_most.min(wanted) } else { 0 };
                        (0..begin).for_each(|_| breaker.begin());
                        prop_assert_eq!(breaker.under_way(), under_way + begin);
                        // A probe is alone, and whatever is not a probe had as much room as it wanted.
                        prop_assert_eq!(breaker.room(now).at_most, match was.at_most {
                            u32::MAX => u32::MAX,
                            room => room - begin,
                        });
                    }
                    Step::Manual => breaker.begin(),
                    Step::Withdraw => breaker.withdraw(),
                    Step::End(_) if under_way == 0 => {}
                    Step::End(outcome) => {
                        breaker.end(&outcome, now, &mut jitter);
                        in_a_row = match answered(&outcome) {
                            Some(true) => 0,
                            Some(false) => in_a_row + 1,
                            None => in_a_row,
                        };
                        let room = breaker.room(now);
                        if in_a_row == 0 {
                            prop_assert_eq!(room, Room::BOUNDLESS);
                        }
                        prop_assert!(room.at_most > 1 || in_a_row >= UNANSWERED, "open after {in_a_row}");
                        if let Some(until) = room.from && was.from != room.from {
                            // It opened, and not while it was open.
                            prop_assert_eq!(was.from, None);
                            let pause = now.duration_until(until).as_secs_f64();
                            prop_assert!((0.9..=66.0).contains(&pause), "{pause} s");
                            prop_assert_eq!(room.at_most, 1);
                        }
                    }
                    Step::Wait(millis) => now = after(now, Duration::from_millis(millis)),
                }
                prop_assert_eq!(breaker.is_open(now), breaker.room(now).from.is_some());
                prop_assert!(breaker.begun_before <= breaker.under_way());
            }
            // Once all that is under way is over, a probe is let through in a while, and closes it.
            let miss = failed(ErrorClass::Timeout);
            (0..breaker.under_way()).for_each(|_| breaker.end(&miss, now, &mut jitter));
            now = after(now, Duration::from_secs(66));
            prop_assert!(breaker.room(now).from.is_none() && breaker.room(now).at_most > 0);
            breaker.begin();
            breaker.end(&replied(404, &[]), now, &mut jitter);
            prop_assert_eq!(breaker.room(now), Room::BOUNDLESS);
        }
    }
}
