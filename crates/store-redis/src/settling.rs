//! Records attempts and what comes next, those of many callers in one call.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::try_join_all;
use posthaste_model::{EndpointEffects, HealthEffect, Next, Timestamp};
use posthaste_store::{LeaseId, Partition, Result, Settled, Settlement, StoreError};
use redis::Cmd;

use crate::{
    endpoints::maybe_millis,
    fault::Fault,
    gather::{Gatherer, Job},
    layout::{DeliveryKey, millis},
    record::{error_code, pack_attempt},
    reply::text,
    script::SETTLE,
    shared::Shared,
};

/// How many jobs go into one call.
const MOST: usize = 64;
/// How many settlements go into one job, so that nobody waits long behind a call.
const IN_A_JOB: usize = 256;

/// Settlements of one partition: some places of a list.
pub(crate) struct Part {
    all: Arc<[Settlement]>,
    places: Vec<usize>,
}

impl Part {
    fn disables(&self) -> bool {
        self.places.iter().any(|place| self.all[*place].decision.endpoint.disable.is_some())
    }
}

impl Job for Part {
    type Answer = Vec<Settled>;

    fn size(&self) -> usize {
        // What subscribers answered is bounded, and mostly short.
        self.places.len() * 1_024
    }
}

/// Starts settling for a partition.
pub(crate) fn start(shared: Arc<Shared>, partition: Partition) -> Gatherer<Part> {
    Gatherer::start(MOST, move |jobs: Vec<Part>| {
        let shared = Arc::clone(&shared);
        async move {
            let base = shared.layout.base(partition);
            let channel = shared.layout.channel();
            let fill = |call: &mut Cmd| {
                call.arg(channel);
                for job in &jobs {
                    job.places.iter().for_each(|place| push(call, &job.all[*place]));
                }
            };
            let answer = text(shared.work.run(&SETTLE, base, fill).await?)?;
            shared.wake(partition);
            // Whose endpoint was disabled is not said; it happens seldom.
            if jobs.iter().any(Part::disables) {
                shared.views.forget_all();
            }
            let mut settled =
                answer.bytes().map(|one| if one == b'1' { Settled::Applied } else { Settled::Stale });
            Ok(jobs.iter().map(|job| settled.by_ref().take(job.places.len()).collect()).collect())
        }
    })
}

/// Settles each where its partition is.
pub(crate) async fn settle(
    partitions: &[Gatherer<Part>],
    settlements: Arc<[Settlement]>,
) -> Result<Vec<Settled>> {
    let mut by_partition: BTreeMap<Partition, Vec<usize>> = BTreeMap::new();
    let mut settled = vec![Settled::Stale; settlements.len()];
    for (place, settlement) in settlements.iter().enumerate() {
        let (key, accepted_at) = DeliveryKey::of(settlement.delivery);
        // An id that is not one of ours was never leased.
        if key.id(accepted_at) == settlement.delivery && usize::from(key.partition.0) < partitions.len() {
            by_partition.entry(key.partition).or_default().push(place);
        }
    }
    let jobs = by_partition.into_iter().flat_map(|(partition, places)| {
        let chunks: Vec<Vec<usize>> = places.chunks(IN_A_JOB).map(<[usize]>::to_vec).collect();
        chunks.into_iter().map(move |places| (partition, places))
    });
    let calls = jobs.map(|(Partition(n), places)| {
        let job = Part { all: Arc::clone(&settlements), places: places.clone() };
        async move { Ok::<_, Fault>((places, partitions[usize::from(n)].run(job).await?)) }
    });
    for (places, answers) in try_join_all(calls).await? {
        if answers.len() != places.len() {
            return Err(StoreError::damaged("a settlement has no answer"));
        }
        for (place, answer) in places.into_iter().zip(answers) {
            settled[place] = answer;
        }
    }
    Ok(settled)
}

fn push(call: &mut Cmd, settlement: &Settlement) {
    let Settlement { lease, delivery, manual, endpoint_version, attempt, decision, now } = settlement;
    let (key, accepted_at) = DeliveryKey::of(*delivery);
    call.arg(key.member()).arg(lease.epoch.0).arg(lease.number).arg(accepted_at);
    match attempt {
        None => call.arg("").arg(0).arg(0),
        Some(attempt) => call
            .arg(pack_attempt(attempt))
            .arg(attempt.outcome.status().unwrap_or(0))
            .arg(error_code(attempt.outcome.error())),
    };
    call.arg(by_hand(*manual));
    match decision.next {
        Next::Delivered => call.arg("d").arg(0),
        Next::Exhausted => call.arg("x").arg(0),
        Next::Skipped => call.arg("s").arg(0),
        Next::Retry { at } => call.arg("r").arg(millis(at)),
        Next::Release { at } => call.arg("b").arg(millis(at)),
        Next::Stay => call.arg("y").arg(millis(*now)),
    };
    let EndpointEffects { park_until, health, disable } = &decision.endpoint;
    call.arg(maybe_millis(*park_until));
    match health {
        None => call.arg(""),
        Some(HealthEffect::Well) => call.arg("w"),
        Some(HealthEffect::Failed { exhausted, warning }) => {
            call.arg(format!("f{}{}", u8::from(*exhausted), warning.unwrap_or(0)))
        }
    };
    match disable {
        None => call.arg(""),
        Some(reason) => call.arg(format!("!{reason}")),
    };
    call.arg(*endpoint_version).arg(millis(*now));
}

/// How the script knows a manual lease.
fn by_hand(manual: bool) -> &'static str {
    if manual { "m" } else { "" }
}

/// Ends a lease that nobody can act on: its endpoint decides what becomes of the delivery.
pub(crate) async fn drop_lease(
    shared: &Shared,
    (key, lease, manual): &(DeliveryKey, LeaseId, bool),
    now: Timestamp,
) -> Result<()> {
    let channel = shared.layout.channel();
    let fill = |call: &mut Cmd| {
        call.arg(channel).arg(key.member()).arg(lease.epoch.0).arg(lease.number).arg(0);
        call.arg("").arg(0).arg(0).arg(by_hand(*manual)).arg("b").arg(millis(now));
        call.arg("").arg("").arg("").arg(0).arg(millis(now));
    };
    shared.work.run(&SETTLE, shared.layout.base(key.partition), fill).await?;
    Ok(())
}
