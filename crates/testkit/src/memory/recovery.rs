//! What is given back: leases that were left behind, with an attempt of unknown outcome for each.

use posthaste_model::{Attempt, AttemptId, TenantId, Timestamp};
use posthaste_store::Epoch;

use super::tables::{LiveLease, Tables};

pub(super) fn recover(
    tables: &mut Tables,
    of: impl Fn(&TenantId) -> bool,
    epoch: Epoch,
    now: Timestamp,
) -> u64 {
    for row in tables.endpoints.values_mut().filter(|row| of(&row.endpoint.tenant)) {
        row.throttle = row.throttle.take().filter(|(said_under, _)| *said_under >= epoch);
    }
    let spared: Vec<Epoch> =
        tables.released.iter().filter(|(_, until)| now < **until).map(|(epoch, _)| *epoch).collect();
    let left_behind = |live: &LiveLease| {
        live.expires_at <= now || (live.id.epoch < epoch && !spared.contains(&live.id.epoch))
    };
    let own = tables.deliveries.iter().filter(|(_, row)| of(&row.delivery.tenant));
    let numbers: Vec<u64> = own.map(|(number, _)| *number).collect();
    let mut interrupted = 0;
    for number in numbers {
        let state = tables.waiting_state(tables.deliveries[&number].delivery.endpoint);
        let Some(row) = tables.deliveries.get_mut(&number) else { continue };
        let lost = row.lease.as_ref().is_some_and(left_behind);
        if lost {
            row.place(state, now, now);
        }
        let given_up = row.given_up.extract_if(.., |live| left_behind(live)).count();
        let lost_manual = row.manual.extract_if(.., |live| left_behind(live)).count();
        for _ in 0..given_up {
            let unknown = unknown(tables, false, now);
            if let Some(row) = tables.deliveries.get_mut(&number) {
                row.record(&unknown);
            }
        }
        for manual in std::iter::repeat_n(false, lost.into()).chain(std::iter::repeat_n(true, lost_manual)) {
            let unknown = unknown(tables, manual, now);
            if let Some(row) = tables.deliveries.get_mut(&number) {
                row.record(&unknown);
                row.note(&unknown);
                interrupted += 1;
            }
        }
    }
    interrupted
}

fn unknown(tables: &mut Tables, manual: bool, now: Timestamp) -> Attempt {
    // Not to be mistaken for one that a test made from a number.
    let mut random = [0xff; 10];
    random[2..].copy_from_slice(&tables.number().to_be_bytes());
    Attempt::interrupted(AttemptId::mint(now, random), manual, now)
}
