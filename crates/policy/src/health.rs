use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::Health;

/// After which share of the time a warning is given, in percent.
const WARNINGS: [u8; 3] = [90, 70, 50];

/// How many failed attempts weigh as much as one exhausted delivery.
const ATTEMPTS_PER_EXHAUSTED: u32 = 10;

/// When an endpoint that only fails is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoDisable {
    /// For how long it must have failed without one success.
    pub after: Duration,
    /// How many deliveries must have been exhausted meanwhile. Ten times as many failed attempts do as well.
    pub exhausted: u32,
}

impl Default for AutoDisable {
    /// Five days, and 10 deliveries.
    fn default() -> Self {
        Self { after: Duration::from_secs(5 * 24 * 3600), exhausted: 10 }
    }
}

impl AutoDisable {
    /// Why an endpoint is to be disabled, for people; none: it is not.
    pub(crate) fn reason(&self, health: &Health, now: Timestamp) -> Option<String> {
        let &Health { failing_since, failures, exhausted, .. } = health;
        let since = failing_since?;
        // A breaker lets so few attempts through to a busy endpoint that is dead that its deliveries may
        // never be exhausted: so attempts count as well.
        let enough =
            exhausted >= self.exhausted || failures >= self.exhausted.saturating_mul(ATTEMPTS_PER_EXHAUSTED);
        if !enough || failing_for(since, now) < self.after {
            return None;
        }
        let attempts = if failures == 1 { "attempt" } else { "attempts" };
        let deliveries = if exhausted == 1 { "delivery was" } else { "deliveries were" };
        let failed = format!("{failures} {attempts} failed, {exhausted} {deliveries} exhausted");
        Some(format!("no attempt has succeeded since {since:.0}: {failed}"))
    }

    /// The warning that is due, in percent of the time that has passed: the highest one that is reached.
    /// None: it was given before, or none is reached.
    pub(crate) fn warning(&self, health: &Health, now: Timestamp) -> Option<u8> {
        let passed = failing_for(health.failing_since?, now).as_millis() * 100;
        let reached = |percent: &u8| passed >= self.after.as_millis() * u128::from(*percent);
        WARNINGS.into_iter().find(reached).filter(|percent| *percent > health.warned)
    }
}

/// What is known of an endpoint's health once another attempt of it has failed.
pub(crate) fn worse(health: &Health, exhausted: bool, now: Timestamp) -> Health {
    Health {
        failing_since: Some(health.failing_since.unwrap_or(now)),
        failures: health.failures.saturating_add(1),
        exhausted: health.exhausted.saturating_add(u32::from(exhausted)),
        warned: health.warned,
    }
}

/// No time at all where another clock, which was ahead, said since when.
fn failing_for(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).try_into().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::after;

    /// A Monday, 9 o'clock, and a bit.
    const SINCE: Timestamp = Timestamp::constant(1_794_819_600, 123_456_789);
    const HOUR: Duration = Duration::from_secs(3600);

    fn failing(failures: u32, exhausted: u32, warned: u8) -> Health {
        Health { failing_since: Some(SINCE), failures, exhausted, warned }
    }

    fn later(hours: u32) -> Timestamp {
        after(SINCE, HOUR * hours)
    }

    /// By the default, after so many hours, whether it is disabled.
    #[track_caller]
    fn check(hours: u32, failures: u32, exhausted: u32, expect: bool) {
        let reason = AutoDisable::default().reason(&failing(failures, exhausted, 90), later(hours));
        assert_eq!(reason.is_some(), expect, "{reason:?}");
    }

    #[test]
    fn long_enough_and_often_enough() {
        check(119, 5_000, 500, false);
        check(120, 90, 9, false);
        check(120, 90, 10, true);
        check(120, 99, 0, false);
        check(120, 100, 0, true);
        check(9_000, 99, 9, false);
        check(9_000, 10, 10, true);
    }

    #[test]
    fn an_endpoint_that_is_well_is_left_alone() {
        let always = AutoDisable { after: Duration::ZERO, exhausted: 0 };
        assert_eq!(always.reason(&Health::default(), SINCE), None);
        assert_eq!(always.warning(&Health::default(), SINCE), None);
        assert!(always.reason(&failing(1, 0, 0), SINCE).is_some());
    }

    #[test]
    fn the_bounds_may_be_as_large_as_they_like() {
        let never = AutoDisable { after: Duration::MAX, exhausted: u32::MAX };
        let health = failing(u32::MAX, u32::MAX, 0);
        assert_eq!(never.reason(&health, Timestamp::MAX), None);
        assert_eq!(never.warning(&health, Timestamp::MAX), None);
        assert_eq!(worse(&health, true, Timestamp::MAX), health);
    }

    #[test]
    fn the_reason_is_for_people() {
        let reason = |failures, exhausted, least| {
            let auto_disable = AutoDisable { exhausted: least, ..AutoDisable::default() };
            let reason = auto_disable.reason(&failing(failures, exhausted, 0), later(200)).unwrap();
            reason.strip_prefix("no attempt has succeeded since 2026-11-16T09:00:00Z: ").unwrap().to_owned()
        };
        assert_eq!(reason(120, 12, 10), "120 attempts failed, 12 deliveries were exhausted");
        assert_eq!(reason(1, 1, 1), "1 attempt failed, 1 delivery was exhausted");
    }

    /// By the default, after so many hours, with the last warning that was given.
    #[track_caller]
    fn warns(hours: u32, warned: u8, expect: Option<u8>) {
        let warning = AutoDisable::default().warning(&failing(1, 0, warned), later(hours));
        assert_eq!(warning, expect, "after {hours} h, {warned} warned");
    }

    #[test]
    fn warnings() {
        warns(0, 0, None);
        warns(59, 0, None);
        warns(60, 0, Some(50));
        warns(60, 50, None);
        warns(83, 50, None);
        warns(84, 50, Some(70));
        warns(84, 0, Some(70));
        warns(107, 70, None);
        warns(108, 0, Some(90));
        warns(108, 70, Some(90));
        warns(108, 90, None);
        warns(9_000, 70, Some(90));
        warns(9_000, 90, None);
    }

    #[test]
    fn a_clock_behind_the_one_that_began_has_no_time_passed() {
        let auto_disable = AutoDisable { after: HOUR, exhausted: 0 };
        let earlier = Timestamp::UNIX_EPOCH;
        assert_eq!(auto_disable.warning(&failing(9, 9, 0), earlier), None);
        assert_eq!(auto_disable.reason(&failing(9, 9, 0), earlier), None);
    }

    #[test]
    fn a_failure_is_added() {
        let first = worse(&Health::default(), false, SINCE);
        assert_eq!(first, failing(1, 0, 0));
        assert_eq!(worse(&first, true, later(1)), failing(2, 1, 0));
        assert_eq!(worse(&failing(7, 3, 70), true, later(1)), failing(8, 4, 70));
    }

    proptest! {
        /// An endpoint that fails now and then, and never succeeds.
        #[test]
        fn each_warning_comes_once_before_the_end_and_the_end_comes(
            hours in 1..500_u32,
            least in 1..30_u32,
            steps in prop::collection::vec((0..20_u32, any::<bool>()), 1..400),
        ) {
            let auto_disable = AutoDisable { after: HOUR * hours, exhausted: least };
            let (mut health, mut hour) = (Health::default(), 0);
            for (step, exhausted) in steps {
                hour += step;
                let began = health.failing_since.is_none();
                if began {
                    hour = 0;
                }
                health = worse(&health, exhausted, later(hour));
                let enough = health.exhausted >= least || health.failures >= 10 * least;
                prop_assert_eq!(auto_disable.reason(&health, later(hour)).is_some(), enough && hour >= hours);
                if let Some(warning) = auto_disable.warning(&health, later(hour)) {
                    prop_assert!(warning > health.warned);
                    prop_assert!(hour * 100 >= hours * u32::from(warning));
                    health.warned = warning;
                }
                let reached = [50, 70, 90].into_iter().filter(|percent| hour * 100 >= hours * percent).max();
                prop_assert_eq!(u32::from(health.warned), reached.unwrap_or(0));
            }
        }
    }
}
