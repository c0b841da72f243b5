use posthaste_model::{Attempt, AttemptId, Decision, EndpointEffects, Next, Timestamp};
use posthaste_store::{Epoch, LeaseId, Recovered};

use crate::{
    deliveries::owner,
    fault::Outcome,
    given_up,
    key::DeliveryKey,
    leases::LiveLease,
    manual, rows,
    settling::{end_lease, insert_attempt, move_on, record_only},
    writer::Work,
};

/// Gives back what older epochs, and leases that ran out, left behind, and lifts what older epochs throttled.
pub(crate) fn recover(work: &mut Work<'_>, epoch: Epoch, now: i64) -> Outcome<Recovered> {
    owner(work, epoch)?;
    let at = rows::time(now)?;
    let released = &work.state.released;
    let is_left_behind = |of: Epoch, expires_at: i64| {
        expires_at <= now || (of < epoch && released.get(&of).is_none_or(|&until| until <= now))
    };
    let left_behind: Vec<(DeliveryKey, LiveLease)> = work
        .state
        .leases()
        .iter()
        .filter(|(_, lease)| is_left_behind(lease.epoch, lease.expires_at))
        .map(|(key, lease)| (key, *lease))
        .collect();
    let manual_left_behind = manual::left_behind(work.conn, is_left_behind)?;
    let given_up = given_up::left_behind(work.conn, is_left_behind)?;
    let mut recovered = Recovered::default();
    for (key, lease) in left_behind {
        let unknown = unknown(LeaseId { epoch: lease.epoch, number: lease.number }, false, at);
        insert_attempt(work.conn, key, &unknown)?;
        end_lease(work, key)?;
        let decision = Decision { next: Next::Release { at }, endpoint: EndpointEffects::default() };
        move_on(work, key, &lease, &decision, Some(&unknown), now)?;
        recovered.interrupted += 1;
    }
    // Their deliveries are over: nothing is given back.
    for (key, lease) in given_up {
        record_only(work.conn, key, &unknown(lease, false, at))?;
        given_up::forget(work.conn, key, lease)?;
    }
    for left in manual_left_behind {
        manual::interrupt(work.conn, &left, &unknown(left.lease, true, at))?;
        recovered.interrupted += 1;
    }
    let state = &mut *work.state;
    if state.throttles.lift(epoch, &mut state.schedule, now) {
        state.wake();
    }
    Ok(recovered)
}

/// The attempt that a lease may have made.
fn unknown(lease: LeaseId, manual: bool, at: Timestamp) -> Attempt {
    let mut unique = [0; 10];
    unique[..2].copy_from_slice(&(lease.epoch.0 as u16).to_be_bytes());
    unique[2..].copy_from_slice(&lease.number.to_be_bytes());
    Attempt::interrupted(AttemptId::mint(at, unique), manual, at)
}
