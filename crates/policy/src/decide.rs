use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::{Decision, EndpointEffects, Health, HealthEffect, Next, Outcome, RetryPolicy};

use crate::{
    AutoDisable, Jitter, Verdict, classify, delay, health::worse, jitter::USUAL_RATIO, schedule::after,
    throttle::pause,
};

/// How soon a delivery is taken up again after a fault of our own.
const RELEASE_AFTER: Duration = Duration::from_secs(1);

/// Why an endpoint that is gone is disabled, for people.
const GONE: &str = "the endpoint answered 410 Gone";

/// What has to be known beside the outcome of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// When the attempt was over.
    pub now: Timestamp,
    /// When failed deliveries of the endpoint are tried again.
    pub policy: &'a RetryPolicy,
    /// How many failures of the delivery were charged before this attempt.
    pub failures: u32,
    /// What is noted of the endpoint's health, as of the lease.
    pub health: &'a Health,
    /// Whether attempts of the endpoint have failed since its last success, as far as the owner knows: what
    /// is noted may be older.
    pub failing: bool,
    /// When an endpoint that only fails is given up.
    pub auto_disable: &'a AutoDisable,
    /// How many pauses in a row the endpoint has been given because it was busy, before this answer.
    pub pauses: u32,
    /// Whether somebody asked for the attempt, beside the automatic ones.
    pub manual: bool,
    /// The event only tries the endpoint out: no retry.
    pub test: bool,
}

/// Decides what follows from an attempt.
///
/// | verdict | delivery | endpoint | its health |
/// |---|---|---|---|
/// | success | delivered | goes on | well, if it was failing |
/// | gone | skipped | disabled | one more failure |
/// | busy | retried by the policy, once the endpoint's pause is over, or exhausted | parked | one more failure |
/// | retry | retried by the policy, or exhausted | goes on | one more failure |
/// | ours | released, due again in about 1 s | goes on | as it was |
///
/// Of a manual attempt that does not succeed the delivery stays as it is; the endpoint fares as by any other.
/// The delivery of a test event is exhausted by its first failure.
///
/// A failure may be the one with which the endpoint has failed for long enough, and often enough, to be
/// disabled as well ([`AutoDisable`]); a warning is given when 50, 70 and 90 % of that time have passed. What
/// becomes of the delivery does not depend on it: that its endpoint is disabled is the store's to see to.
///
/// A retry is never due before `now`.
pub fn decide(situation: &Situation<'_>, outcome: &Outcome, jitter: &mut Jitter) -> Decision {
    let &Situation { now, health, failing, pauses, manual, .. } = situation;
    match classify(outcome) {
        Verdict::Success => {
            let recovered = failing || *health != Health::default();
            let health = recovered.then_some(HealthEffect::Well);
            Decision { next: Next::Delivered, endpoint: EndpointEffects { health, ..Default::default() } }
        }
        Verdict::Gone => {
            let next = without_retry(situation).unwrap_or(Next::Skipped);
            charge(situation, next, EndpointEffects { disable: Some(GONE.into()), ..Default::default() })
        }
        Verdict::Busy => {
            let until = after(now, pause(outcome, pauses, now, jitter));
            let next = without_retry(situation).unwrap_or_else(|| retry(situation, until, jitter));
            charge(situation, next, EndpointEffects { park_until: Some(until), ..Default::default() })
        }
        Verdict::Retry => {
            let next = without_retry(situation).unwrap_or_else(|| retry(situation, now, jitter));
            charge(situation, next, EndpointEffects::default())
        }
        Verdict::Ours => {
            let at = after(now, jitter.spread(RELEASE_AFTER, USUAL_RATIO));
            let next = if manual { Next::Stay } else { Next::Release { at } };
            Decision { next, endpoint: EndpointEffects::default() }
        }
    }
}

/// Where a delivery goes after a failure that is never followed by a retry; none: the policy says.
fn without_retry(situation: &Situation<'_>) -> Option<Next> {
    match situation {
        Situation { manual: true, .. } => Some(Next::Stay),
        Situation { test: true, .. } => Some(Next::Exhausted),
        _ => None,
    }
}

/// Finds the time of the next attempt after one more failure, if the policy allows one.
fn retry(situation: &Situation<'_>, not_before: Timestamp, jitter: &mut Jitter) -> Next {
    let &Situation { now, policy, failures, .. } = situation;
    match delay(policy, failures.saturating_add(1)) {
        Some(delay) => {
            let at = after(now, jitter.spread(delay.base, delay.ratio)).max(not_before);
            Next::Retry { at }
        }
        None => Next::Exhausted,
    }
}

/// Charges a failure to the endpoint, beside its other effects: it is noted, and may be the last one or worth
/// a warning.
fn charge(situation: &Situation<'_>, next: Next, effects: EndpointEffects) -> Decision {
    let &Situation { now, health, auto_disable, .. } = situation;
    // A test event is never tried again, which says nothing of the endpoint.
    let exhausted = next == Next::Exhausted && !situation.test;
    let health = worse(health, exhausted, now);
    let disable = effects.disable.or_else(|| auto_disable.reason(&health, now));
    // Whoever hears that it is disabled need not hear that it will be.
    let warning = if disable.is_none() { auto_disable.warning(&health, now) } else { None };
    let health = Some(HealthEffect::Failed { exhausted, warning });
    Decision { next, endpoint: EndpointEffects { health, disable, ..effects } }
}

#[cfg(test)]
mod tests {
    use posthaste_model::{ErrorClass, ExponentialRetry, Period};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        max_attempts,
        sample::{failed, replied},
    };

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);
    const WELL: Health = Health { failing_since: None, failures: 0, exhausted: 0, warned: 0 };
    const PATIENT: AutoDisable = AutoDisable { after: Duration::from_secs(5 * 24 * 3_600), exhausted: 10 };

    /// An automatic attempt of an endpoint that is well.
    fn situation(policy: &RetryPolicy, failures: u32) -> Situation<'_> {
        Situation {
            now: NOW,
            policy,
            failures,
            health: &WELL,
            failing: false,
            auto_disable: &PATIENT,
            pauses: 0,
            manual: false,
            test: false,
        }
    }

    fn decided(policy: &RetryPolicy, failures: u32, outcome: &Outcome) -> Decision {
        decide(&situation(policy, failures), outcome, &mut Jitter::seeded(11))
    }

    /// What the endpoint's first failure does to it, when nothing else does.
    fn noted(exhausted: bool) -> EndpointEffects {
        let health = Some(HealthEffect::Failed { exhausted, warning: None });
        EndpointEffects { health, ..Default::default() }
    }

    /// Whether a time lies so many seconds ahead, give or take a tenth.
    #[track_caller]
    fn about(at: Timestamp, secs: f64) {
        let ahead = NOW.duration_until(at).as_secs_f64();
        assert!((ahead - secs).abs() <= secs / 10.0, "{ahead} s instead of {secs}");
    }

    #[test]
    fn success_is_delivered() {
        for status in [200, 204, 299] {
            let expect = Decision { next: Next::Delivered, endpoint: EndpointEffects::default() };
            assert_eq!(decided(&RetryPolicy::default(), 9, &replied(status, &[])), expect);
        }
    }

    #[test]
    fn gone_disables_the_endpoint_and_says_why() {
        let Decision { next, endpoint } = decided(&RetryPolicy::default(), 0, &replied(410, &[]));
        assert_eq!(next, Next::Skipped);
        let disable = Some("the endpoint answered 410 Gone".into());
        assert_eq!(endpoint, EndpointEffects { disable, ..noted(false) });
    }

    #[test]
    fn other_failures_follow_the_schedule() {
        let classes = [
            ErrorClass::Blocked,
            ErrorClass::Auth,
            ErrorClass::Dns,
            ErrorClass::Connect,
            ErrorClass::Tls,
            ErrorClass::Timeout,
            ErrorClass::Protocol,
        ];
        let replies = [100, 302, 404, 500].map(|status| replied(status, &[("Retry-After", "9999")]));
        for outcome in classes.map(failed).into_iter().chain(replies) {
            let Decision { next: Next::Retry { at }, endpoint } =
                decided(&RetryPolicy::default(), 1, &outcome)
            else {
                panic!("{outcome:?}")
            };
            about(at, 300.0);
            assert_eq!(endpoint, noted(false));
            let expect = Decision { next: Next::Exhausted, endpoint: noted(true) };
            assert_eq!(decided(&RetryPolicy::default(), 9, &outcome), expect);
        }
    }

    #[test]
    fn our_own_fault_is_not_charged() {
        for class in [ErrorClass::Internal, ErrorClass::Unknown] {
            // Even when nothing of the policy is left.
            let Decision { next: Next::Release { at }, endpoint } =
                decided(&RetryPolicy::default(), 10, &failed(class))
            else {
                panic!("{class:?}")
            };
            about(at, 1.0);
            assert_eq!(endpoint, EndpointEffects::default());
        }
    }

    /// After a 503 that follows so many pauses: when the delivery is due again, none meaning never, and until
    /// when its endpoint is parked.
    #[track_caller]
    fn busy(failures: u32, pauses: u32, headers: &[(&str, &str)], due: Option<f64>, parked: f64) {
        let policy = RetryPolicy::default();
        let situation = Situation { pauses, ..situation(&policy, failures) };
        let Decision { next, endpoint } = decide(&situation, &replied(503, headers), &mut Jitter::seeded(11));
        match (next, due) {
            (Next::Retry { at }, Some(secs)) => about(at, secs),
            (Next::Exhausted, None) => {}
            (next, due) => panic!("{next:?} instead of {due:?}"),
        }
        let until = endpoint.park_until.unwrap();
        about(until, parked);
        assert_eq!(endpoint, EndpointEffects { park_until: Some(until), ..noted(due.is_none()) });
    }

    #[test]
    fn a_busy_endpoint_is_parked() {
        busy(0, 0, &[], Some(5.0), 5.0);
        busy(1, 0, &[], Some(300.0), 5.0);
        busy(0, 1, &[], Some(10.0), 10.0);
        busy(0, 3, &[], Some(40.0), 40.0);
        busy(3, 3, &[], Some(7_200.0), 40.0);
        busy(9, 0, &[], None, 5.0);
        busy(0, 9, &[], Some(300.0), 300.0);
        busy(0, u32::MAX, &[], Some(300.0), 300.0);
        busy(0, 0, &[("Retry-After", "3600")], Some(3_600.0), 3_600.0);
        busy(2, 9, &[("Retry-After", "60")], Some(1_800.0), 60.0);
        busy(0, 0, &[("Retry-After", "99999999999999999999")], Some(86_400.0), 86_400.0);
        busy(0, 2, &[("Retry-After", "-1")], Some(20.0), 20.0);
        busy(9, 0, &[("Retry-After", "60")], None, 60.0);
    }

    #[test]
    fn the_elapsed_time_ends_the_retries() {
        let policy = RetryPolicy::Exponential(ExponentialRetry {
            initial_interval: Period::from_secs(10),
            multiplier: 2.0,
            randomization_factor: 0.0,
            max_interval: Period::from_secs(3_600),
            max_elapsed_time: Some(Period::from_secs(70)),
            max_attempts: 100,
        });
        let after_failures = |failures, outcome| decided(&policy, failures, &outcome).next;
        let in_secs = |secs| Next::Retry { at: after(NOW, Duration::from_secs(secs)) };
        assert_eq!(after_failures(2, replied(500, &[])), in_secs(40));
        assert_eq!(after_failures(3, replied(500, &[])), Next::Exhausted);
        // The delays count, not for how long the receiver wanted to be left alone.
        assert_eq!(after_failures(2, replied(503, &[("Retry-After", "3600")])), in_secs(3_600));
    }

    #[test]
    fn every_status_is_decided() {
        for (status, failures) in (100..=599).flat_map(|status| [(status, 0), (status, 9)]) {
            let Decision { next, endpoint } =
                decided(&RetryPolicy::default(), failures, &replied(status, &[]));
            let busy = [429, 502, 503, 504].contains(&status);
            let effects =
                (endpoint.disable.is_some(), endpoint.park_until.is_some(), endpoint.health.is_some());
            assert_eq!(effects, (status == 410, busy, !(200..300).contains(&status)), "{status}");
            let as_expected = match next {
                Next::Delivered => (200..300).contains(&status),
                Next::Skipped => status == 410,
                Next::Retry { at } => failures == 0 && at > NOW,
                Next::Exhausted => failures == 9,
                Next::Release { .. } | Next::Stay => false,
            };
            assert!(as_expected, "{status}: {next:?}");
        }
    }

    /// What becomes of the delivery, without the times.
    fn word(next: Next) -> &'static str {
        match next {
            Next::Delivered => "delivered",
            Next::Retry { .. } => "retry",
            Next::Exhausted => "exhausted",
            Next::Skipped => "skipped",
            Next::Release { .. } => "release",
            Next::Stay => "stay",
        }
    }

    /// An outcome of each verdict.
    const OUTCOMES: [(Verdict, fn() -> Outcome); 5] = [
        (Verdict::Success, || replied(200, &[])),
        (Verdict::Gone, || replied(410, &[])),
        (Verdict::Busy, || replied(503, &[])),
        (Verdict::Retry, || failed(ErrorClass::Timeout)),
        (Verdict::Ours, || failed(ErrorClass::Internal)),
    ];

    /// What becomes of the delivery after each verdict, in the order of [`OUTCOMES`].
    #[track_caller]
    fn walk(manual: bool, test: bool, expect: [&str; 5]) {
        let policy = RetryPolicy::default();
        let ill = Health { failing_since: Some(NOW), failures: 3, exhausted: 1, warned: 0 };
        // As the owner knows it, and as it is noted: what is noted may be behind.
        for (failing, health) in [(false, &WELL), (false, &ill), (true, &WELL), (true, &ill)] {
            for ((verdict, outcome), expect) in OUTCOMES.into_iter().zip(expect) {
                let situation = Situation { manual, test, failing, health, ..situation(&policy, 0) };
                let Decision { next, endpoint } = decide(&situation, &outcome(), &mut Jitter::seeded(11));
                let case = format!("{verdict:?}, failing: {failing}, {health:?}");
                assert_eq!(word(next), expect, "{case}");
                // To the endpoint it is all the same who asked for the attempt, and of what.
                let noted = match verdict {
                    Verdict::Success => (failing || *health == ill).then_some(HealthEffect::Well),
                    Verdict::Gone | Verdict::Busy | Verdict::Retry => {
                        Some(HealthEffect::Failed {
                            // A test event is never tried again, whatever comes of it.
                            exhausted: expect == "exhausted" && !test,
                            warning: None,
                        })
                    }
                    Verdict::Ours => None,
                };
                assert_eq!(endpoint.health, noted, "{case}");
                assert_eq!(endpoint.disable.is_some(), verdict == Verdict::Gone, "{case}");
                assert_eq!(endpoint.park_until.is_some(), verdict == Verdict::Busy, "{case}");
            }
        }
    }

    #[test]
    fn every_verdict_of_every_kind_of_attempt() {
        let (automatic, manual) = (false, true);
        let (real, test) = (false, true);
        walk(automatic, real, ["delivered", "skipped", "retry", "retry", "release"]);
        walk(automatic, test, ["delivered", "exhausted", "exhausted", "exhausted", "release"]);
        walk(manual, real, ["delivered", "stay", "stay", "stay", "stay"]);
        walk(manual, test, ["delivered", "stay", "stay", "stay", "stay"]);
    }

    #[test]
    fn a_manual_attempt_never_exhausts_its_delivery() {
        let policy = RetryPolicy::default();
        let situation = Situation { manual: true, ..situation(&policy, 9) };
        let decision = decide(&situation, &replied(500, &[]), &mut Jitter::seeded(11));
        assert_eq!(decision, Decision { next: Next::Stay, endpoint: noted(false) });
    }

    /// How an endpoint fares that has failed for so many hours before an attempt of each verdict that fails:
    /// whether it is disabled, and the warning that is given. Failures and exhausted deliveries are those of
    /// before.
    #[track_caller]
    fn given_up(hours: u64, health: Health, last_attempt: bool, disabled: bool, warning: Option<u8>) {
        let policy = RetryPolicy::default();
        let since = NOW.checked_sub(Duration::from_secs(hours * 3_600)).unwrap();
        let health = Health { failing_since: Some(since), ..health };
        for (manual, outcome) in
            [(false, replied(500, &[])), (false, replied(503, &[])), (true, replied(500, &[]))]
        {
            let exhausted = last_attempt && !manual;
            let situation =
                Situation { health: &health, manual, ..situation(&policy, if last_attempt { 9 } else { 0 }) };
            let Decision { next, endpoint } = decide(&situation, &outcome, &mut Jitter::seeded(11));
            // The delivery does not suffer.
            let expect = match (manual, exhausted) {
                (true, _) => "stay",
                (false, true) => "exhausted",
                (false, false) => "retry",
            };
            assert_eq!(word(next), expect);
            if last_attempt && manual {
                // It is the exhausted delivery that matters.
                continue;
            }
            let reason = endpoint.disable.as_deref().unwrap_or_default();
            assert_eq!(reason.starts_with("no attempt has succeeded since"), disabled, "{reason:?}");
            assert_eq!(endpoint.health, Some(HealthEffect::Failed { exhausted, warning }));
            assert_eq!(endpoint.park_until.is_some(), outcome.status() == Some(503));
        }
    }

    #[test]
    fn an_endpoint_that_only_fails_is_warned_about_and_given_up() {
        let health = |failures, exhausted, warned| Health { failures, exhausted, warned, ..WELL };
        given_up(1, health(500, 50, 0), false, false, None);
        given_up(60, health(500, 50, 0), false, false, Some(50));
        given_up(60, health(500, 50, 50), false, false, None);
        given_up(110, health(500, 50, 50), false, false, Some(90));
        given_up(120, health(20, 10, 0), false, true, None);
        // This attempt is the hundredth that failed, or its delivery the tenth that is exhausted.
        given_up(120, health(99, 0, 90), false, true, None);
        given_up(120, health(98, 0, 90), false, false, None);
        given_up(120, health(20, 9, 90), true, true, None);
        given_up(120, health(20, 9, 90), false, false, None);
        given_up(120, health(20, 8, 70), true, false, Some(90));
    }

    #[test]
    fn an_endpoint_that_is_gone_is_disabled_for_that() {
        let policy = RetryPolicy::default();
        let health =
            Health { failing_since: Some(Timestamp::UNIX_EPOCH), failures: 900, exhausted: 90, warned: 0 };
        let situation = Situation { health: &health, ..situation(&policy, 0) };
        let endpoint = decide(&situation, &replied(410, &[]), &mut Jitter::seeded(11)).endpoint;
        assert_eq!(endpoint.disable.as_deref(), Some(GONE));
        assert_eq!(endpoint.health, Some(HealthEffect::Failed { exhausted: false, warning: None }));
    }

    fn policies() -> impl Strategy<Value = RetryPolicy> {
        let secs = |range: std::ops::Range<u64>| range.prop_map(Period::from_secs);
        let lists = prop::collection::vec(secs(0..3_600_u64), 1..30).prop_map(RetryPolicy::Schedule);
        let exponential = (
            secs(1..60_u64),
            1.0..100.0_f64,
            0.0..=1.0_f64,
            secs(60..86_400_u64),
            prop::option::of(secs(1..1_000_000_u64)),
            1..=RetryPolicy::MAX_ATTEMPTS,
        )
            .prop_map(
                |(initial_interval, multiplier, randomization_factor, max_interval, bound, max_attempts)| {
                    RetryPolicy::Exponential(ExponentialRetry {
                        initial_interval,
                        multiplier,
                        randomization_factor,
                        max_interval,
                        max_elapsed_time: bound,
                        max_attempts,
                    })
                },
            );
        prop_oneof![lists, exponential]
    }

    fn failures() -> impl Strategy<Value = Outcome> {
        let statuses = prop_oneof![Just(503_u16), Just(429), 300..400_u16, 500..502_u16];
        prop_oneof![
            (statuses, "[0-9]{0,6}").prop_map(|(status, wait)| replied(status, &[("retry-after", &wait)])),
            Just(failed(ErrorClass::Timeout)),
        ]
    }

    proptest! {
        /// A receiver that never takes the event, from the first attempt to the last.
        #[test]
        fn attempts_stay_within_the_policy(
            policy in policies(),
            outcomes in prop::collection::vec(failures(), 1..20),
            seed: u64,
        ) {
            let mut jitter = Jitter::seeded(seed);
            let mut now = NOW;
            let (mut attempts, mut pauses) = (0, 0);
            for outcome in outcomes.iter().cycle() {
                let situation = Situation { now, pauses, ..situation(&policy, attempts) };
                let Decision { next, endpoint } = decide(&situation, outcome, &mut jitter);
                attempts += 1;
                let exhausted = next == Next::Exhausted;
                prop_assert_eq!(endpoint.health, Some(HealthEffect::Failed { exhausted, warning: None }));
                if let Some(until) = endpoint.park_until {
                    pauses += 1;
                    prop_assert!(now < until && until <= after(now, crate::MAX_RETRY_AFTER));
                    let early = matches!(next, Next::Retry { at } if at < until);
                    prop_assert!(!early, "{next:?}, though parked until {until}");
                }
                match next {
                    Next::Retry { at } => {
                        prop_assert!(at >= now, "due at {at}, before {now}");
                        now = at;
                    }
                    Next::Exhausted => break,
                    next => prop_assert!(false, "{next:?}"),
                }
                prop_assert!(attempts < max_attempts(&policy), "one attempt too many");
            }
            prop_assert_eq!(attempts, max_attempts(&policy));
        }

        /// The default schedule: ten attempts, each within a tenth of its documented delay.
        #[test]
        fn the_default_schedule(seed: u64) {
            let mut jitter = Jitter::seeded(seed);
            let minutes = [1.0 / 12.0, 5.0, 30.0, 120.0, 300.0, 600.0, 840.0, 1_200.0, 1_440.0];
            let policy = RetryPolicy::default();
            for (failures, minutes) in (0..).zip(minutes) {
                let situation = situation(&policy, failures);
                let Next::Retry { at } = decide(&situation, &replied(500, &[]), &mut jitter).next else {
                    return Err(TestCaseError::fail(format!("no retry after {failures} failures")));
                };
                let ahead = NOW.duration_until(at).as_secs_f64() / 60.0;
                prop_assert!((minutes * 0.9..=minutes * 1.1).contains(&ahead), "{ahead} min, not {minutes}");
            }
            prop_assert_eq!(decided(&policy, 9, &replied(500, &[])).next, Next::Exhausted);
        }
    }
}
