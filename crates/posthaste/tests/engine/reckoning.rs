//! What must be true of what was seen and of what is shown, whatever happened.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use posthaste_dispatch::Body;
use posthaste_model::{
    Attempt, BodyFormat, Delivery, DeliveryReason, DeliveryState, Endpoint, EndpointId, ErrorClass, Next,
    RetryPolicy, TenantId,
};
use posthaste_policy::{delay, max_attempts};
use posthaste_signing::{Profile, Received, Verifier};
use posthaste_store::conformance::{Shown, invariants};

use crate::{
    leases,
    seen::{Seen, Sent},
    world::World,
};

/// Times are kept in whole milliseconds: one may be cut, and another not.
const CUT: Duration = Duration::from_millis(1);

/// Fails unless every invariant holds. Nothing may be in flight but what was left behind by a process that is gone.
pub(crate) async fn reckon(world: &World) -> Vec<Shown> {
    let shown = world.shown().await;
    let seen = world.seen();
    let matched = Matched::of(world, &seen, &shown);
    let mut wrong: Vec<String> = matched.wrong.clone();
    for shown in &shown {
        let broken = invariants::broken_in(shown).into_iter();
        let broken = broken.chain(invariants::beyond_policy(shown, allowed));
        wrong.extend(broken.map(|broken| broken.to_string()));
        for (delivery, attempts) in &shown.deliveries {
            wrong.extend(wrong_with(world, &seen, delivery, attempts));
        }
    }
    wrong.extend(not_as_accepted(world, &shown));
    wrong.extend(forgeries(world, &seen, &shown));
    wrong.extend(leases::wrong(world, &seen));
    wrong.extend(unexplained(&seen, &shown));
    wrong.extend(beyond_limits(world, &seen, &matched));
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    drop(seen);
    shown
}

/// Fails unless every delivery is over.
pub(crate) fn all_final(shown: &[Shown]) {
    for (delivery, attempts) in shown.iter().flat_map(|shown| &shown.deliveries) {
        assert!(delivery.state.is_final(), "still open: {delivery:?}, {attempts:?}");
    }
}

fn allowed(endpoint: &Endpoint) -> u32 {
    max_attempts(policy(endpoint))
}

fn policy(endpoint: &Endpoint) -> &RetryPolicy {
    static DEFAULT: std::sync::LazyLock<RetryPolicy> = std::sync::LazyLock::new(RetryPolicy::default);
    endpoint.retry.as_ref().unwrap_or(&DEFAULT)
}

fn is_unknown(attempt: &Attempt) -> bool {
    attempt.outcome.error() == Some(ErrorClass::Unknown)
}

/// Which request each attempt was.
struct Matched<'a> {
    /// With whether the attempt was a manual one.
    requests: Vec<(&'a Sent, EndpointId, bool)>,
    wrong: Vec<String>,
}

impl<'a> Matched<'a> {
    /// Every attempt is a request with its outcome, and every request an attempt; but for those whose process was gone
    /// before it could say what came of them, each of which has an attempt of unknown outcome.
    fn of(world: &World, seen: &'a Seen, shown: &[Shown]) -> Self {
        let mut requests: HashMap<(&str, &str), Vec<&Sent>> = HashMap::new();
        for sent in seen.requests.iter() {
            requests.entry((&sent.url, sent.event())).or_default().push(sent);
        }
        let mut matched = Self { requests: Vec::new(), wrong: Vec::new() };
        for (delivery, attempts) in shown.iter().flat_map(|shown| &shown.deliveries) {
            let (endpoint, _) = &world.endpoints[&delivery.endpoint];
            let mut own = requests.remove(&(&endpoint.url, delivery.event.as_str())).unwrap_or_default();
            let unknown = attempts.iter().filter(|attempt| is_unknown(attempt)).count();
            for attempt in attempts.iter().filter(|attempt| !is_unknown(attempt)) {
                match own.iter().position(|sent| sent.outcome() == Some(&attempt.outcome)) {
                    Some(at) => matched.requests.push((own.remove(at), endpoint.id, attempt.manual)),
                    None => matched
                        .wrong
                        .push(format!("an attempt that no subscriber saw: {delivery:?}, {attempt:?}")),
                }
            }
            own.retain(was_made);
            // A lease that was ended by hand is not known to be interrupted when its process is gone.
            let given_up = world.history.cancelled.iter().any(|(cancelled, ..)| *cancelled == delivery.id);
            let delivered = |attempt: &Attempt| attempt.manual && attempt.outcome.status() == Some(200);
            let spared = if given_up || attempts.iter().any(delivered) { own.len() } else { 0 };
            if own.len() > unknown + spared {
                let what = format!("requests without an attempt: {delivery:?}, {attempts:?}, {own:?}");
                matched.wrong.push(what);
            }
        }
        let others = requests.into_values().flatten();
        matched.wrong.extend(others.map(|sent| format!("a request of no delivery: {sent:?}")));
        matched
    }
}

/// A fault of ours is one that kept the request from being made.
fn was_made(sent: &&Sent) -> bool {
    sent.outcome().is_none_or(|outcome| outcome.error() != Some(ErrorClass::Internal))
}

/// What is wrong with a delivery by itself.
fn wrong_with(world: &World, seen: &Seen, delivery: &Delivery, attempts: &[Attempt]) -> Vec<String> {
    let (endpoint, _) = &world.endpoints[&delivery.endpoint];
    let mut wrong = Vec::new();
    let mut unless = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{what}: {delivery:?}, {attempts:?}"));
        }
    };
    let came_to = |next: Next| {
        let own = |settlement: &posthaste_store::Settlement| settlement.delivery == delivery.id;
        // What was not answered may have been done.
        let may = |report: &crate::seen::Report| report.answer.is_none() || report.applied().is_some();
        seen.reports
            .iter()
            .any(|report| own(&report.settlement) && report.settlement.decision.next == next && may(report))
    };
    match delivery.state {
        DeliveryState::Delivered => unless(came_to(Next::Delivered), "delivered by no live lease"),
        DeliveryState::Exhausted => {
            unless(came_to(Next::Exhausted), "exhausted by no live lease");
            unless(delivery.failures == allowed(endpoint), "exhausted too soon");
        }
        _ => {}
    }

    let of_history = |retry: &&crate::history::Retry| retry.delivery == delivery.id;
    let asked: Vec<_> = world.history.retries.iter().filter(of_history).collect();
    let manual = attempts.iter().filter(|attempt| attempt.manual).count();
    unless(manual <= asked.len(), "more manual attempts than were asked for");
    let closed_after = |asked: Instant| {
        let turns = world.history.turns.iter().filter(|turn| turn.endpoint == delivery.endpoint);
        let by_operators = turns.map(|turn| turn.done).max();
        let disabled =
            seen.reports.iter().any(|report| report.settlement.decision.endpoint.disable.is_some());
        by_operators.is_some_and(|done| done > asked) || disabled
    };
    let due = asked.iter().filter(|retry| !closed_after(retry.asked)).count();
    unless(manual >= due, "fewer manual attempts than were asked for");

    unless(attempts_in_time(world, endpoint, delivery, attempts), "attempts that came too soon");
    let recorded = |id| attempts.iter().filter(|attempt| attempt.id == id).count();
    let own = seen.reports.iter().filter(|report| report.settlement.delivery == delivery.id);
    for report in own.filter(|report| report.answer.is_some()) {
        if let Some(attempt) = &report.settlement.attempt {
            unless(recorded(attempt.id) == 1, "a reported attempt is not on record once");
        }
    }
    wrong
}

/// Whether no attempt came before its event was to be delivered, nor before the delay after the failure before it.
fn attempts_in_time(world: &World, endpoint: &Endpoint, delivery: &Delivery, attempts: &[Attempt]) -> bool {
    let automatic: Vec<&Attempt> = attempts.iter().filter(|attempt| !attempt.manual).collect();
    let accepted = world
        .history
        .accepted
        .iter()
        .find(|new| new.event.tenant == delivery.tenant && new.event.id == delivery.event);
    let sent = world.history.was_sent(&delivery.event, delivery.endpoint);
    let due = accepted.filter(|_| !sent).map(|new| new.event.due_at());
    let not_early = automatic.iter().all(|attempt| due.is_none_or(|due| attempt.started_at >= due));
    // Whoever was thought to be gone, and was not, may report after its delivery was tried again.
    let undisturbed = !attempts.iter().any(is_unknown);
    let waits = automatic.windows(2).enumerate().all(|(failures, two)| {
        let Some(wait) = delay(policy(endpoint), failures as u32 + 1) else { return false };
        let least = wait.base.mul_f64(1.0 - wait.ratio);
        let waited = Duration::try_from(two[1].started_at.duration_since(two[0].started_at));
        waited.is_ok_and(|waited| waited + CUT >= least)
    });
    not_early && (waits || !undisturbed)
}

/// Where the events and deliveries that are shown are not those that were accepted.
fn not_as_accepted(world: &World, shown: &[Shown]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (tenant, shown) in world.tenants.iter().zip(shown) {
        let accepted = || world.history.accepted.iter().filter(|new| new.event.tenant == *tenant);
        let mut events: BTreeMap<_, _> =
            shown.events.iter().map(|record| (&record.event.id, &record.event)).collect();
        let mut expected = BTreeSet::new();
        for new in accepted() {
            let found = events.remove(&new.event.id);
            if found != Some(&new.event) {
                wrong.push(format!("accepted as {:?}, shown as {found:?}", new.event));
            }
            expected.extend(new.endpoints.iter().map(|endpoint| (&new.event.id, *endpoint)));
            let sent = world.history.sent.iter().filter(|(event, _)| *event == new.event.id);
            expected.extend(sent.map(|(event, endpoint)| (event, *endpoint)));
        }
        wrong.extend(events.values().map(|event| format!("nobody published {event:?}")));
        let found: BTreeSet<_> =
            shown.deliveries.iter().map(|(delivery, _)| (&delivery.event, delivery.endpoint)).collect();
        wrong.extend(expected.difference(&found).map(|missing| format!("no delivery of {missing:?}")));
        wrong.extend(
            found.difference(&expected).map(|other| format!("a delivery that nobody wants: {other:?}")),
        );
    }
    wrong
}

/// Requests with other bytes than those of their event, or that are not signed.
fn forgeries(world: &World, seen: &Seen, shown: &[Shown]) -> Vec<String> {
    let tenants = world.tenants.iter().cloned().chain([TenantId::posthaste()]);
    let bodies: HashMap<_, _> = tenants
        .zip(shown)
        .flat_map(|(tenant, shown)| shown.events.iter().map(move |record| (tenant.clone(), &record.event)))
        .map(|(tenant, event)| {
            ((tenant, event.id.as_str()), Body::new(event, BodyFormat::Standard, "").bytes)
        })
        .collect();
    let by_url: HashMap<_, _> = world
        .endpoints
        .values()
        .map(|(endpoint, secret)| (endpoint.url.as_str(), (endpoint, secret)))
        .collect();
    let standard = Profile::named("standard").unwrap();
    let mut wrong = Vec::new();
    for sent in &seen.requests {
        let (endpoint, secret) = by_url[sent.url.as_str()];
        let body = bodies.get(&(endpoint.tenant.clone(), sent.event()));
        if body != Some(&sent.body) {
            wrong.push(format!("other bytes than those of its event: {sent:?}"));
        }
        let credentials = [secret.clone().into()];
        let verifier = Verifier::new(&standard, &credentials).unwrap();
        let received = Received { method: "POST", url: &sent.url, body: &sent.body };
        // It was signed when the attempt began, which may be a moment before it was sent.
        let signed_at = sent.header("webhook-timestamp").unwrap().parse().unwrap();
        let verified = verifier.verify(|name| sent.header(name), &received, signed_at, Duration::ZERO);
        if !(0..=5).contains(&(sent.at.as_second() - signed_at)) {
            wrong.push(format!("signed at {signed_at}: {sent:?}"));
        }
        if let Err(error) = verified {
            wrong.push(format!("{error}: {sent:?}"));
        }
    }
    wrong
}

/// Attempts of unknown outcome that no recovery tells of.
fn unexplained(seen: &Seen, shown: &[Shown]) -> Option<String> {
    let deliveries = || shown.iter().flat_map(|shown| &shown.deliveries);
    let unknown = |attempts: &[Attempt]| attempts.iter().filter(|attempt| is_unknown(attempt)).count();
    let of_all: usize = deliveries().map(|(_, attempts)| unknown(attempts)).sum();
    // A delivery that was ended by hand while a request of it was under way is not given back when that is found.
    let ended = deliveries().filter(|(delivery, attempts)| is_ended_by_hand(delivery, attempts));
    let of_ended: usize = ended.map(|(_, attempts)| unknown(attempts)).sum();
    let told: u64 = seen.recoveries.iter().filter_map(|recovery| recovery.interrupted).sum();
    let untold = seen.recoveries.iter().any(|recovery| recovery.interrupted.is_none());
    let (least, most, of_all) = (told, told + of_ended as u64, of_all as u64);
    let fits = (least..=most).contains(&of_all) || untold && of_all > told;
    (!fits).then(|| {
        format!("{of_all} attempts of unknown outcome, where {least} to {most} leases were left behind")
    })
}

fn is_ended_by_hand(delivery: &Delivery, attempts: &[Attempt]) -> bool {
    delivery.reason == Some(DeliveryReason::Operator)
        || attempts
            .iter()
            .any(|attempt| attempt.manual && matches!(attempt.outcome.status(), Some(200..=299)))
}

/// Requests of a process beyond what an endpoint may have under way, or within a time.
fn beyond_limits(world: &World, seen: &Seen, matched: &Matched<'_>) -> Vec<String> {
    let mut by_process: BTreeMap<(&str, EndpointId), Vec<(&Sent, bool)>> = BTreeMap::new();
    for (sent, endpoint, manual) in &matched.requests {
        by_process.entry((&sent.process, *endpoint)).or_default().push((sent, *manual));
    }
    let mut wrong = Vec::new();
    for ((process, endpoint), mut requests) in by_process {
        requests.sort_by_key(|(sent, _)| sent.began);
        let (endpoint, _) = &world.endpoints[&endpoint];
        let most = if endpoint.ordered { Some(1) } else { endpoint.max_in_flight };
        if let Some(most) = most {
            let automatic = requests.iter().filter(|(_, manual)| !manual).map(|(sent, _)| *sent);
            let found = at_once(automatic);
            if found > most as usize {
                wrong
                    .push(format!("{found} requests of {process} at once, {most} allowed: {}", endpoint.url));
            }
        }
        if let Some(rate) = endpoint.rate_limit {
            let per = rate.per().0;
            // Of what somebody asked for, a fault of ours is on record, too, though no request was made.
            let made: Vec<_> = requests.iter().copied().filter(|(sent, _)| was_made(sent)).collect();
            for window in made.windows(rate.limit() as usize + 1) {
                let (first, (last, manual)) = (window[0].0, window[window.len() - 1]);
                // It counts as begun between its lease and its request.
                let took = last.began - leased_for(seen, first);
                // One that was asked for counts, and waits for nobody; not every one of these left an attempt that says so.
                if !manual && !may_be_manual(seen, last) && took + CUT < per {
                    let many = window.len();
                    let shown: Vec<String> = window
                        .iter()
                        .map(|(sent, manual)| {
                            let at = sent.began - leased_for(seen, first);
                            format!("{at:?} {} manual: {manual}, {:?}", sent.event(), sent.outcome())
                        })
                        .collect();
                    wrong.push(format!(
                        "{many} requests of {process} within {took:?}: {}: {shown:#?}",
                        endpoint.url
                    ));
                }
            }
        }
    }
    wrong
}

/// The most requests that were under way at the same time.
pub(crate) fn at_once<'a>(requests: impl Iterator<Item = &'a Sent>) -> usize {
    let mut edges = Vec::new();
    for sent in requests {
        edges.push((sent.began, 1));
        // One that never ended was over when its process was.
        edges.extend(sent.ended.as_ref().map(|(ended, _)| (*ended, -1)));
    }
    edges.sort();
    let sums = edges.iter().scan(0_i64, |sum, (_, step)| {
        *sum += step;
        Some(*sum)
    });
    sums.max().unwrap_or(0) as usize
}

/// Whether the request may be one that somebody asked for.
fn may_be_manual(seen: &Seen, sent: &Sent) -> bool {
    seen.lent.iter().any(|lent| {
        lent.lease.manual
            && lent.process == sent.process
            && lent.lease.event.id.as_str() == sent.event()
            && lent.lease.endpoint.url == sent.url
    })
}

/// When the lease was given that a request was made by.
fn leased_for(seen: &Seen, sent: &Sent) -> Instant {
    let leases = seen.lent.iter().filter(|lent| {
        lent.process == sent.process
            && lent.lease.event.id.as_str() == sent.event()
            && lent.lease.endpoint.url == sent.url
    });
    leases.map(|lent| lent.given).filter(|given| *given <= sent.began).max().unwrap_or(sent.began)
}
