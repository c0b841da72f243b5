use posthaste_model::{Attempt, AttemptId, Decision, Next, Timestamp};
use posthaste_store::{Epoch, Recovered};

use crate::{
    deliveries::owner,
    fault::Outcome,
    key::DeliveryKey,
    leases::LiveLease,
    rows,
    settling::{end_lease, insert_attempt, move_on},
    writer::Work,
};

/// Gives back what older epochs, and leases that ran out, left behind.
pub(crate) fn recover(work: &mut Work<'_>, epoch: Epoch, now: i64) -> Outcome<Recovered> {
    owner(work, epoch)?;
    let at = rows::time(now)?;
    let spared = |epoch| work.state.released.get(&epoch).is_some_and(|&until| now < until);
    let left_behind: Vec<(DeliveryKey, LiveLease)> = work
        .state
        .leases()
        .iter()
        .filter(|(_, lease)| lease.expires_at <= now || (lease.epoch < epoch && !spared(lease.epoch)))
        .map(|(key, lease)| (key, *lease))
        .collect();
    let mut recovered = Recovered::default();
    for (key, lease) in left_behind {
        let unknown = unknown(lease, at);
        insert_attempt(work.conn, key, &unknown)?;
        end_lease(work, key)?;
        let decision = Decision { next: Next::Release { at }, endpoint: None };
        move_on(work, key, lease.endpoint_no, &decision, Some(&unknown), now)?;
        recovered.interrupted += 1;
    }
    Ok(recovered)
}

/// The attempt that a lease may have made.
fn unknown(lease: LiveLease, at: Timestamp) -> Attempt {
    let mut unique = [0; 10];
    unique[..2].copy_from_slice(&(lease.epoch.0 as u16).to_be_bytes());
    unique[2..].copy_from_slice(&lease.number.to_be_bytes());
    Attempt::interrupted(AttemptId::mint(at, unique), at)
}
