//! What holds for leases, by when they were asked for and given.

use std::{collections::BTreeMap, time::Instant};

use posthaste_model::{DeliveryId, EndpointId, EndpointState, Next};

use crate::{
    history::{History, Retry, Turn},
    seen::{Lent, Report, Seen},
    world::World,
};

/// Whatever is wrong with the leases that processes were given.
pub(crate) fn wrong(world: &World, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let endings = Endings::of(seen, &world.history);
    let mut of_delivery: BTreeMap<DeliveryId, Vec<&Lent>> = BTreeMap::new();
    let mut of_ordered: BTreeMap<EndpointId, Vec<&Lent>> = BTreeMap::new();
    for lent in &seen.lent {
        let lease = &lent.lease;
        // One that is made by hand may be asked for while it is being leased.
        if !lease.manual && lease.due_at > lent.now {
            wrong.push(format!("leased at {}, before it was due: {lease:?}", lent.now));
        }
        if let Some(why) = closed(world, seen, lent) {
            wrong.push(format!("leased though {why}: {lease:?}"));
        }
        if lease.manual {
            continue;
        }
        if endings.of_delivery(lease.delivery).is_some_and(|over| over < lent.asked) {
            wrong.push(format!("leased though it was over: {lease:?}"));
        }
        of_delivery.entry(lease.delivery).or_default().push(lent);
        if lease.endpoint.ordered {
            of_ordered.entry(lease.endpoint.id).or_default().push(lent);
        }
    }
    for leases in of_delivery.into_values().chain(of_ordered.values().cloned()) {
        wrong.extend(two_at_once(leases, seen, &world.history));
    }
    wrong.extend(of_ordered.iter().flat_map(|(endpoint, leases)| out_of_order(world, *endpoint, leases)));
    wrong
}

/// When each delivery is known to be over, whatever its endpoint does.
struct Endings(BTreeMap<DeliveryId, Instant>);

impl Endings {
    fn of(seen: &Seen, history: &History) -> Self {
        let last = |report: &&Report| {
            matches!(report.settlement.decision.next, Next::Delivered | Next::Exhausted | Next::Skipped)
        };
        let settled = seen.reports.iter().filter(last);
        let settled = settled.filter_map(|report| Some((report.settlement.delivery, report.applied()?)));
        let cancelled = history.cancelled.iter().map(|(delivery, _, done)| (*delivery, *done));
        let mut endings = BTreeMap::new();
        for (delivery, at) in settled.chain(cancelled) {
            endings.entry(delivery).and_modify(|first: &mut Instant| *first = at.min(*first)).or_insert(at);
        }
        Self(endings)
    }

    fn of_delivery(&self, delivery: DeliveryId) -> Option<Instant> {
        self.0.get(&delivery).copied()
    }
}

/// Why an endpoint takes nothing during the whole of a lease call; none: it may.
fn closed(world: &World, seen: &Seen, lent: &Lent) -> Option<&'static str> {
    let endpoint = lent.lease.endpoint.id;
    let turns: Vec<&Turn> = world.history.turns.iter().filter(|turn| turn.endpoint == endpoint).collect();
    if turns.iter().any(|turn| turn.state.is_none() && turn.done < lent.asked) {
        return Some("its endpoint was deleted");
    }
    let forced = |retry: &&Retry| retry.delivery == lent.lease.delivery && retry.force;
    if lent.lease.manual && world.history.retries.iter().any(|retry| forced(&retry)) {
        return None;
    }
    let shut = |turn: &&&Turn| turn.state != Some(EndpointState::Enabled);
    let by_operators = turns.iter().filter(shut).map(|turn| (turn.asked, turn.done));
    let disabling = |report: &&Report| {
        report.settlement.decision.endpoint.disable.is_some() && of(seen, report, endpoint)
    };
    // What an attempt says of an endpoint that was changed since its lease does not count.
    let of_now = |report: &&Report| {
        let lent = seen.lent.iter().find(|lent| lent.lease.id == report.settlement.lease);
        let changed =
            |since: Instant, by: Instant| turns.iter().any(|turn| turn.done >= since && turn.asked <= by);
        lent.zip(report.applied()).is_some_and(|(lent, applied)| !changed(lent.asked, applied))
    };
    let by_dispatchers = seen.reports.iter().filter(disabling).filter(of_now);
    let by_dispatchers = by_dispatchers.filter_map(|report| Some((report.asked, report.applied()?)));
    let opened_since = |asked: Instant| {
        let opens = |turn: &&&Turn| turn.state == Some(EndpointState::Enabled);
        turns.iter().filter(opens).any(|turn| turn.done >= asked && turn.asked <= lent.given)
    };
    let mut closings = by_operators.chain(by_dispatchers);
    closings
        .any(|(asked, done)| done < lent.asked && !opened_since(asked))
        .then_some("its endpoint was paused or disabled")
}

/// Whether what was reported is of an endpoint.
fn of(seen: &Seen, report: &Report, endpoint: EndpointId) -> bool {
    let delivery = report.settlement.delivery;
    seen.lent.iter().any(|lent| lent.lease.delivery == delivery && lent.lease.endpoint.id == endpoint)
}

/// Leases that were given though the one before was live.
fn two_at_once(mut leases: Vec<&Lent>, seen: &Seen, history: &History) -> Vec<String> {
    leases.sort_by_key(|lent| lent.given);
    let twos = leases.windows(2).map(|two| (two[0], two[1]));
    let wrong = twos.filter(|(one, next)| {
        let swapped = one.given > next.asked && may_be_over(next, one.given, seen, history);
        !may_be_over(one, next.given, seen, history) && !swapped
    });
    wrong.map(|(one, next)| format!("leased twice at once: {:?} and {:?}", one.lease, next.lease)).collect()
}

/// Whether a lease may have ended by then.
fn may_be_over(lent: &Lent, by: Instant, seen: &Seen, history: &History) -> bool {
    let (id, delivery) = (lent.lease.id, lent.lease.delivery);
    let settled = seen.reports.iter().any(|Report { settlement, asked, .. }| {
        let this = settlement.lease == id;
        let delivered = settlement.manual && settlement.decision.next == Next::Delivered;
        *asked <= by && settlement.delivery == delivery && (this || delivered)
    });
    let given_back = seen.recoveries.iter().any(|recovery| {
        recovery.partition == lent.partition && recovery.epoch > id.epoch && recovery.asked <= by
    });
    let cancelled = history.cancelled.iter().any(|(of, asked, _)| *of == delivery && *asked <= by);
    settled || given_back || cancelled
}

/// Leases of an ordered endpoint that were given after one of a later event.
fn out_of_order(world: &World, endpoint: EndpointId, leases: &[&Lent]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut later: Option<&Lent> = None;
    for new in world.history.accepted.iter().rev() {
        let event = &new.event;
        let in_line = new.endpoints.contains(&endpoint)
            && event.options.deliver_at.is_none()
            && !world.history.was_sent(&event.id, endpoint);
        if !in_line {
            continue;
        }
        for lent in leases.iter().filter(|lent| lent.lease.event.id == event.id) {
            match later {
                Some(first) if first.given < lent.asked => {
                    let (before, after) = (&first.lease.event.id, &event.id);
                    wrong.push(format!("{before} was leased before {after}, which came first"));
                }
                _ => {}
            }
        }
        let own = leases.iter().filter(|lent| lent.lease.event.id == event.id);
        later = own.copied().chain(later).min_by_key(|lent| lent.given);
    }
    wrong
}
