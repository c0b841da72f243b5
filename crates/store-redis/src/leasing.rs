//! Leases deliveries, and finds what they deliver to whom.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use posthaste_model::{Endpoint, EndpointId, Event, Timestamp};
use posthaste_store::{Epoch, Lease, LeaseId, LeaseRequest, Leases, Partition, Result, StoreError};
use redis::{Cmd, Value};
use tokio::sync::Mutex;

use crate::{
    endpoints::{self, time},
    envelope::{self, Nonce},
    layout::{DeliveryKey, event_name, millis, uuid},
    reply::{Reply, bytes},
    script::LEASE,
    settling::drop_lease,
    shared::Shared,
};

/// How many leases a call gives at the most, and a turn in it: what a script can pass on in one go.
const MOST: usize = 1_000;

/// Leases one partition's deliveries.
#[derive(Default)]
pub(crate) struct Lessor(Mutex<Lost>);

/// What this process was given, and has not passed on.
#[derive(Default)]
struct Lost {
    /// A call whose answer did not come. It is asked again by its nonce, and gives the same.
    call: Option<(Epoch, Nonce, usize)>,
    /// More than was asked for when the answer came at last.
    left: VecDeque<Lease>,
}

/// A lease as the script gives it.
struct Given {
    key: DeliveryKey,
    number: u64,
    endpoint: EndpointId,
    revision: i64,
    parked: Option<Timestamp>,
    due_at: Timestamp,
    attempts: u32,
    failures: u32,
}

impl Lessor {
    pub(crate) async fn lease(&self, shared: &Shared, request: &LeaseRequest) -> Result<Leases> {
        shared.recent.lease_from();
        let mut lost = self.0.lock().await;
        lost.left.retain(|lease| lease.id.epoch == request.epoch);
        let before = lost.call.take().filter(|(epoch, ..)| *epoch == request.epoch);
        let limit = request.limit.min(MOST);
        let wanted = limit.saturating_sub(lost.left.len());
        let (epoch, nonce, asked) = before.unwrap_or_else(|| (request.epoch, shared.nonces.next(), wanted));
        lost.call = Some((epoch, nonce, asked));
        let (given, next_due) = match ask(shared, request, nonce, asked).await {
            Ok(answer) => answer,
            Err(StoreError::NotOwner) => {
                *lost = Lost::default();
                return Err(StoreError::NotOwner);
            }
            Err(error) => return Err(error),
        };
        let (leases, orphans) = complete(shared, request.epoch, given).await?;
        for orphan in orphans {
            drop_lease(shared, &orphan, request.now).await?;
        }
        // Only now it is sure that the call need not be asked again.
        lost.call = None;
        lost.left.extend(leases);
        let count = limit.min(lost.left.len());
        let leases: Vec<Lease> = lost.left.drain(..count).collect();
        let next_due = if lost.left.is_empty() { next_due } else { Some(request.now) };
        Ok(Leases { leases, next_due })
    }
}

async fn ask(
    shared: &Shared,
    request: &LeaseRequest,
    nonce: Nonce,
    limit: usize,
) -> Result<(Vec<Given>, Option<Timestamp>)> {
    let expiry = request.now.checked_add(request.lease_for).unwrap_or(Timestamp::MAX);
    let fill = |call: &mut Cmd| {
        call.arg(request.epoch.0)
            .arg(millis(request.now))
            .arg(limit)
            .arg(request.per_endpoint.clamp(1, MOST))
            .arg(millis(expiry))
            .arg(&nonce[..]);
    };
    let answer = shared.work.run(&LEASE, shared.layout.base(request.partition), fill).await?;
    let mut reply = Reply::of(answer)?.ok_or(StoreError::NotOwner)?;
    let next_due = reply.maybe_number()?.map(time).transpose()?;
    let mut number = reply.number()? as u64;
    let mut given = Vec::new();
    while !reply.is_over() {
        let endpoint = reply.bytes()?;
        let (revision, parked) = (reply.maybe_number()?.unwrap_or(0), reply.maybe_number()?);
        let parked = parked.map(time).transpose()?;
        for _ in 0..reply.number()? {
            let member = reply.text()?;
            let due_at = time(reply.number()?)?;
            let (attempts, failures) = (reply.number()? as u32, reply.number()? as u32);
            if !member.is_empty() {
                let key = DeliveryKey::of_member(request.partition, &member);
                given.push(Given {
                    key: key.ok_or_else(|| StoreError::damaged("a delivery has no name"))?,
                    number,
                    endpoint: EndpointId::from_uuid(uuid(&endpoint).map_err(StoreError::damaged)?),
                    revision,
                    parked,
                    due_at,
                    attempts,
                    failures,
                });
            }
            number += 1;
        }
    }
    Ok((given, next_due))
}

/// Finds the events and endpoints of what was given, those that are not at hand in one call.
///
/// What has no event or endpoint any more comes back by itself: its endpoint was deleted just now, or a crash of the
/// server took the event with it.
async fn complete(
    shared: &Shared,
    epoch: Epoch,
    given: Vec<Given>,
) -> Result<(Vec<Lease>, Vec<(DeliveryKey, LeaseId)>)> {
    let mut events: HashMap<u64, Sought> = HashMap::new();
    let mut endpoints: HashMap<EndpointId, Option<Arc<Endpoint>>> = HashMap::new();
    for one in &given {
        let accepted_at = one.due_at;
        let recent = || shared.recent.get((one.key.partition, one.key.event), accepted_at);
        events.entry(one.key.event).or_insert_with(|| Sought {
            endpoint: one.endpoint,
            event: if one.attempts == 0 { recent() } else { None },
        });
        endpoints
            .entry(one.endpoint)
            .or_insert_with(|| shared.endpoints.get(one.endpoint, one.revision, one.parked));
    }
    if let Some(partition) = given.first().map(|one| one.key.partition) {
        fetch(shared, partition, &mut events, &mut endpoints).await?;
    }
    let (mut leases, mut orphans) = (Vec::with_capacity(given.len()), Vec::new());
    for one in given {
        let id = LeaseId { epoch, number: one.number };
        let event = events.get(&one.key.event).and_then(|sought| sought.event.as_ref());
        let (Some(event), Some(Some(endpoint))) = (event, endpoints.get(&one.endpoint)) else {
            orphans.push((one.key, id));
            continue;
        };
        leases.push(Lease {
            id,
            delivery: one.key.id(millis(event.accepted_at)),
            event: Arc::clone(event),
            endpoint: Arc::clone(endpoint),
            attempt: one.attempts + 1,
            failures: one.failures,
            due_at: one.due_at,
        });
    }
    Ok((leases, orphans))
}

/// An event that is needed, and one of those that it goes to.
struct Sought {
    /// An event says whose it is by a number alone: its tenant is that of its endpoints.
    endpoint: EndpointId,
    event: Option<Arc<Event>>,
}

async fn fetch(
    shared: &Shared,
    partition: Partition,
    events: &mut HashMap<u64, Sought>,
    endpoints: &mut HashMap<EndpointId, Option<Arc<Endpoint>>>,
) -> Result<()> {
    let base = shared.layout.base(partition);
    let wanted: Vec<EndpointId> =
        endpoints.iter().filter(|(_, known)| known.is_none()).map(|(id, _)| *id).collect();
    let mut unknown: Vec<(u64, &mut Sought)> = events
        .iter_mut()
        .filter(|(_, sought)| sought.event.is_none())
        .map(|(number, sought)| (*number, sought))
        .collect();
    if wanted.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    let mut calls = redis::pipe();
    for id in &wanted {
        let key = [base.as_bytes(), b":p:", id.uuid().as_bytes()].concat();
        endpoints::ask(&key, &mut calls);
    }
    if !unknown.is_empty() {
        let keys: Vec<String> =
            unknown.iter().map(|(number, _)| format!("{base}:e:{}", event_name(*number))).collect();
        calls.cmd("MGET").arg(keys);
    }
    let mut answers = Reply::items(Value::Array(shared.work.call_all(&calls).await?))?;
    for id in wanted {
        let endpoint =
            endpoints::read_hash(id, answers.next()?)?.map(|endpoint| shared.endpoints.put(endpoint));
        endpoints.insert(id, endpoint);
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let mut packed = Reply::items(answers.next()?)?;
    for (_, sought) in &mut unknown {
        let endpoint = endpoints.get(&sought.endpoint).and_then(Option::as_ref);
        if let (value @ Value::BulkString(_), Some(endpoint)) = (packed.next()?, endpoint) {
            let event = envelope::read(bytes(value)?, &endpoint.tenant)?.record.event;
            sought.event = Some(Arc::new(event));
        }
    }
    Ok(())
}
