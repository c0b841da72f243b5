//! Accepts events, those of many callers in one call.

use std::{sync::Arc, time::Duration};

use posthaste_model::EndpointState;
use posthaste_store::{Partition, ViewVersion};
use redis::{Cmd, Value};

use crate::{
    endpoints::state_code,
    fault::Fault,
    gather::{Gatherer, Job},
    reply::Reply,
    script::ACCEPT,
    shared::Shared,
};

/// How many groups go into one call.
const MOST: usize = 256;
/// How long replicas get to take what was accepted.
const REPLICATION: Duration = Duration::from_secs(1);

/// Events of one tenant that are accepted together or not at all.
pub(crate) struct Group {
    pub(crate) tenant_number: u32,
    pub(crate) version: ViewVersion,
    pub(crate) events: Vec<Packed>,
}

/// An event as the script takes it.
pub(crate) struct Packed {
    pub(crate) id: Vec<u8>,
    /// Unix milliseconds.
    pub(crate) accepted_at: i64,
    /// When it is due, and how long it is kept, if either is its own.
    pub(crate) wishes: String,
    pub(crate) targets: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
}

/// What became of a group.
pub(crate) enum Came {
    /// Its events have the numbers from here on.
    From(u64),
    /// The view that it was matched against is not the current one.
    Stale,
    /// Some of its ids were used before: their places, and the names of the events that have them.
    Used(Vec<(usize, String)>),
}

impl Job for Group {
    type Answer = Came;

    fn size(&self) -> usize {
        self.events.iter().map(|event| event.envelope.len() + event.targets.len() + 64).sum()
    }
}

/// Adds an endpoint to an event's targets.
pub(crate) fn push_target(targets: &mut Vec<u8>, id: uuid::Uuid, state: EndpointState) {
    targets.extend(id.as_bytes());
    targets.extend(state_code(state).as_bytes());
}

/// Starts accepting for a partition.
pub(crate) fn start(shared: Arc<Shared>, partition: Partition) -> Gatherer<Group> {
    Gatherer::start(MOST, move |groups| {
        let shared = Arc::clone(&shared);
        async move { accept(&shared, partition, &groups).await }
    })
}

async fn accept(shared: &Shared, partition: Partition, groups: &[Group]) -> Result<Vec<Came>, Fault> {
    let base = shared.layout.base(partition);
    let channel = shared.layout.channel();
    let fill = |call: &mut Cmd| {
        call.arg(channel);
        for group in groups {
            call.arg(group.tenant_number)
                .arg(group.version.tenant)
                .arg(group.version.topics)
                .arg(group.events.len());
            for Packed { id, accepted_at, wishes, targets, envelope } in &group.events {
                call.arg(&id[..]).arg(accepted_at).arg(wishes).arg(&targets[..]).arg(&envelope[..]);
            }
        }
    };
    let (answers, reached) = match shared.replicas {
        0 => (shared.intake.run(&ACCEPT, base, fill).await?, 0),
        replicas => {
            let link = &shared.replicating[usize::from(partition.0)];
            link.run_replicated(&ACCEPT, base, fill, replicas, REPLICATION).await?
        }
    };
    let came = Reply::items(answers)?.rest().map(read).collect::<Result<Vec<_>, _>>()?;
    if came.iter().any(|came| matches!(came, Came::From(_))) {
        shared.wake(partition);
        shared.outage.has_room();
    }
    // What was accepted before is acknowledged again, and perhaps for the first time.
    let promised = came.iter().any(|came| !matches!(came, Came::Stale));
    if promised && reached < i64::from(shared.replicas) {
        let replicas = shared.replicas;
        let short = Fault::Short(format!(
            "{reached} of {replicas} replicas have confirmed an event within {REPLICATION:?}"
        ));
        shared.outage.note(&short);
        return Err(short);
    }
    if promised {
        shared.outage.is_replicated();
    }
    Ok(came)
}

fn read(value: Value) -> Result<Came, Fault> {
    if let Value::Int(first) = value {
        return Ok(Came::From(first as u64));
    }
    let mut reply = Reply::items(value)?;
    let mut used = Vec::new();
    while !reply.is_over() {
        used.push((reply.number()? as usize, reply.text()?));
    }
    Ok(if used.is_empty() { Came::Stale } else { Came::Used(used) })
}
