use std::time::Duration;

use jiff::Timestamp;
use posthaste_model::{Decision, EndpointEffect, Next, Outcome, RetryPolicy};

use crate::{
    Jitter, Verdict, classify, delay, jitter::USUAL_RATIO, latest, schedule::after, throttle::pause,
};

/// How soon a delivery is taken up again after a fault of our own.
const RELEASE_AFTER: Duration = Duration::from_secs(1);

/// What has to be known beside the outcome of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// When the attempt was over.
    pub now: Timestamp,
    /// When failed deliveries of the endpoint are tried again.
    pub policy: &'a RetryPolicy,
    /// How many failures of the delivery were charged before this attempt.
    pub failures: u32,
    /// When the first attempt of the delivery became due: as a rule when the delivery was created.
    pub first_due: Timestamp,
}

/// Decides what follows from an attempt.
///
/// | verdict | delivery | endpoint |
/// |---|---|---|
/// | success | delivered | goes on |
/// | gone | skipped | disabled |
/// | busy | retried by the policy, not before the endpoint's pause is over, or exhausted | parked |
/// | retry | retried by the policy, or exhausted | goes on |
/// | ours | released, due again in about 1 s | goes on |
///
/// A retry is never due before `now`, nor after the policy's `max_elapsed_time`: it is exhausted instead.
pub fn decide(situation: &Situation<'_>, outcome: &Outcome, jitter: &mut Jitter) -> Decision {
    let &Situation { now, failures, .. } = situation;
    match classify(outcome) {
        Verdict::Success => Decision { next: Next::Delivered, endpoint: None },
        Verdict::Gone => Decision {
            next: Next::Skipped,
            endpoint: Some(EndpointEffect::Disable { reason: "the endpoint answered 410 Gone".into() }),
        },
        Verdict::Busy => {
            let until = after(now, pause(outcome, failures, now, jitter));
            Decision { next: retry(situation, until, jitter), endpoint: Some(EndpointEffect::Park { until }) }
        }
        Verdict::Retry => Decision { next: retry(situation, now, jitter), endpoint: None },
        Verdict::Ours => {
            let at = after(now, jitter.spread(RELEASE_AFTER, USUAL_RATIO));
            Decision { next: Next::Release { at }, endpoint: None }
        }
    }
}

/// Charges a failure and finds the time of the next attempt, if the policy allows one.
fn retry(situation: &Situation<'_>, not_before: Timestamp, jitter: &mut Jitter) -> Next {
    let &Situation { now, policy, failures, first_due } = situation;
    let Some(delay) = delay(policy, failures.saturating_add(1)) else {
        return Next::Exhausted;
    };
    let at = after(now, jitter.spread(delay.base, delay.ratio)).max(not_before);
    if latest(policy, first_due).is_some_and(|latest| at > latest) {
        Next::Exhausted
    } else {
        Next::Retry { at }
    }
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

    fn decided(policy: &RetryPolicy, failures: u32, outcome: &Outcome) -> Decision {
        let situation = Situation { now: NOW, policy, failures, first_due: NOW };
        decide(&situation, outcome, &mut Jitter::seeded(11))
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
            let expect = Decision { next: Next::Delivered, endpoint: None };
            assert_eq!(decided(&RetryPolicy::default(), 9, &replied(status, &[])), expect);
        }
    }

    #[test]
    fn gone_disables_the_endpoint_and_says_why() {
        let Decision { next, endpoint } = decided(&RetryPolicy::default(), 0, &replied(410, &[]));
        assert_eq!(next, Next::Skipped);
        let Some(EndpointEffect::Disable { reason }) = endpoint else { panic!("{endpoint:?}") };
        assert!(reason.contains("410"), "{reason}");
    }

    #[test]
    fn other_failures_follow_the_schedule() {
        let classes = [
            ErrorClass::Blocked,
            ErrorClass::Dns,
            ErrorClass::Connect,
            ErrorClass::Tls,
            ErrorClass::Timeout,
            ErrorClass::Protocol,
        ];
        let replies = [100, 302, 404, 500].map(|status| replied(status, &[("Retry-After", "9999")]));
        for outcome in classes.map(failed).into_iter().chain(replies) {
            let Decision { next: Next::Retry { at }, endpoint: None } =
                decided(&RetryPolicy::default(), 1, &outcome)
            else {
                panic!("{outcome:?}")
            };
            about(at, 300.0);
            let expect = Decision { next: Next::Exhausted, endpoint: None };
            assert_eq!(decided(&RetryPolicy::default(), 9, &outcome), expect);
        }
    }

    #[test]
    fn our_own_fault_is_not_charged() {
        for class in [ErrorClass::Internal, ErrorClass::Unknown] {
            // Even when nothing of the policy is left.
            let Decision { next: Next::Release { at }, endpoint: None } =
                decided(&RetryPolicy::default(), 10, &failed(class))
            else {
                panic!("{class:?}")
            };
            about(at, 1.0);
        }
    }

    /// After a 503: when the delivery is due again, none meaning never, and until when its endpoint is parked.
    #[track_caller]
    fn busy(failures: u32, headers: &[(&str, &str)], due: Option<f64>, parked: f64) {
        let Decision { next, endpoint } = decided(&RetryPolicy::default(), failures, &replied(503, headers));
        match (next, due) {
            (Next::Retry { at }, Some(secs)) => about(at, secs),
            (Next::Exhausted, None) => {}
            (next, due) => panic!("{next:?} instead of {due:?}"),
        }
        let Some(EndpointEffect::Park { until }) = endpoint else { panic!("{endpoint:?}") };
        about(until, parked);
    }

    #[test]
    fn a_busy_endpoint_is_parked() {
        busy(0, &[], Some(5.0), 5.0);
        busy(1, &[], Some(300.0), 10.0);
        busy(3, &[], Some(7_200.0), 40.0);
        busy(9, &[], None, 300.0);
        busy(0, &[("Retry-After", "3600")], Some(3_600.0), 3_600.0);
        busy(2, &[("Retry-After", "60")], Some(1_800.0), 60.0);
        busy(0, &[("Retry-After", "99999999999999999999")], Some(86_400.0), 86_400.0);
        busy(0, &[("Retry-After", "-1")], Some(5.0), 5.0);
        busy(9, &[("Retry-After", "60")], None, 60.0);
    }

    #[test]
    fn the_elapsed_time_ends_the_retries() {
        let policy = RetryPolicy::Exponential(ExponentialRetry {
            initial_interval: Period::from_secs(10),
            multiplier: 2.0,
            randomization_factor: 0.0,
            max_interval: Period::from_secs(3_600),
            max_elapsed_time: Some(Period::from_secs(60)),
            max_attempts: 100,
        });
        let after_failures = |failures, outcome| decided(&policy, failures, &outcome).next;
        let in_secs = |secs| Next::Retry { at: after(NOW, Duration::from_secs(secs)) };
        assert_eq!(after_failures(2, replied(500, &[])), in_secs(40));
        assert_eq!(after_failures(3, replied(500, &[])), Next::Exhausted);
        assert_eq!(after_failures(0, replied(503, &[("Retry-After", "60")])), in_secs(60));
        assert_eq!(after_failures(0, replied(503, &[("Retry-After", "61")])), Next::Exhausted);
    }

    #[test]
    fn every_status_is_decided() {
        for (status, failures) in (100..=599).flat_map(|status| [(status, 0), (status, 9)]) {
            let Decision { next, endpoint } =
                decided(&RetryPolicy::default(), failures, &replied(status, &[]));
            let disabled = matches!(endpoint, Some(EndpointEffect::Disable { .. }));
            let parked = matches!(endpoint, Some(EndpointEffect::Park { .. }));
            let busy = [429, 502, 503, 504].contains(&status);
            assert_eq!((disabled, parked), (status == 410, busy), "{status}");
            let as_expected = match next {
                Next::Delivered => (200..300).contains(&status),
                Next::Skipped => status == 410,
                Next::Retry { at } => failures == 0 && at > NOW,
                Next::Exhausted => failures == 9,
                Next::Release { .. } => false,
            };
            assert!(as_expected, "{status}: {next:?}");
        }
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
            let latest = latest(&policy, NOW);
            let mut now = NOW;
            let mut attempts = 0;
            for outcome in outcomes.iter().cycle() {
                let situation = Situation { now, policy: &policy, failures: attempts, first_due: NOW };
                let Decision { next, endpoint } = decide(&situation, outcome, &mut jitter);
                attempts += 1;
                if let Some(EndpointEffect::Park { until }) = endpoint {
                    prop_assert!(now < until && until <= after(now, crate::MAX_RETRY_AFTER));
                    let early = matches!(next, Next::Retry { at } if at < until);
                    prop_assert!(!early, "{next:?}, though parked until {until}");
                }
                match next {
                    Next::Retry { at } => {
                        prop_assert!(at >= now, "due at {at}, before {now}");
                        prop_assert!(latest.is_none_or(|latest| at <= latest));
                        now = at;
                    }
                    Next::Exhausted => break,
                    next => prop_assert!(false, "{next:?}"),
                }
                prop_assert!(attempts < max_attempts(&policy), "one attempt too many");
            }
            prop_assert!(latest.is_some() || attempts == max_attempts(&policy));
        }

        /// The default schedule: ten attempts, each within a tenth of its documented delay.
        #[test]
        fn the_default_schedule(seed: u64) {
            let mut jitter = Jitter::seeded(seed);
            let minutes = [1.0 / 12.0, 5.0, 30.0, 120.0, 300.0, 600.0, 840.0, 1_200.0, 1_440.0];
            let policy = RetryPolicy::default();
            for (failures, minutes) in (0..).zip(minutes) {
                let situation = Situation { now: NOW, policy: &policy, failures, first_due: NOW };
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
