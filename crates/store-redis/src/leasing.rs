//! Leases deliveries, and finds what they deliver to whom.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use posthaste_model::{Endpoint, EndpointId, Event, Health, Timestamp};
use posthaste_store::{
    Epoch, Lease, LeaseId, LeaseRequest, Leases, Partition, Result, StoreError, TenantRoom, Throttle,
};
use redis::{Cmd, Value};
use tokio::sync::Mutex;

use crate::{
    endpoints::{self, health, maybe_millis, time},
    envelope::{self, Nonce},
    layout::{DeliveryKey, MEMBER, event_name, millis, uuid},
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
    call: Option<Asked>,
    /// More than was asked for when the answer came at last.
    left: VecDeque<Lease>,
}

/// A call for leases.
#[derive(Clone, Copy)]
struct Asked {
    epoch: Epoch,
    nonce: Nonce,
    limit: usize,
    /// How many of them may be manual.
    manual: usize,
}

/// What the script answers.
struct Answer {
    given: Vec<Given>,
    next_due: Option<Timestamp>,
    unseen: bool,
}

/// A lease as the script gives it.
struct Given {
    key: DeliveryKey,
    manual: bool,
    number: u64,
    endpoint: EndpointId,
    revision: i64,
    parked: Option<Timestamp>,
    health: Health,
    due_at: Timestamp,
    attempts: u32,
    failures: u32,
}

impl Lessor {
    pub(crate) async fn lease(&self, shared: &Shared, request: &LeaseRequest) -> Result<Leases> {
        shared.recent.lease_from();
        let mut lost = self.0.lock().await;
        lost.left.retain(|lease| lease.id.epoch == request.epoch);
        let before = lost.call.take().filter(|asked| asked.epoch == request.epoch);
        let limit = request.limit.min(MOST);
        let asked = before.unwrap_or_else(|| Asked {
            epoch: request.epoch,
            nonce: shared.nonces.next(),
            limit: limit.saturating_sub(lost.left.len()),
            manual: request.manual.saturating_sub(lost.left.iter().filter(|lease| lease.manual).count()),
        });
        lost.call = Some(asked);
        let Answer { given, next_due, unseen } = match ask(shared, request, asked).await {
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
        let leases = pass_on(&mut lost.left, limit, request.manual);
        let next_due = if lost.left.is_empty() { next_due } else { Some(request.now) };
        Ok(Leases { leases, next_due, unseen })
    }
}

/// Takes up to so many of what is there, of which so many may be manual, in their order.
fn pass_on(left: &mut VecDeque<Lease>, limit: usize, mut manual: usize) -> Vec<Lease> {
    let (mut passed, mut kept) = (Vec::with_capacity(limit.min(left.len())), VecDeque::new());
    for lease in left.drain(..) {
        if passed.len() == limit || (lease.manual && manual == 0) {
            kept.push_back(lease);
        } else {
            manual -= usize::from(lease.manual);
            passed.push(lease);
        }
    }
    *left = kept;
    passed
}

async fn ask(shared: &Shared, request: &LeaseRequest, asked: Asked) -> Result<Answer> {
    let expiry = request.now.checked_add(request.lease_for).unwrap_or(Timestamp::MAX);
    let fill = |call: &mut Cmd| {
        call.arg(request.epoch.0)
            .arg(millis(request.now))
            .arg(asked.limit)
            .arg(asked.manual.min(MOST))
            .arg(request.per_endpoint.clamp(1, MOST))
            .arg(request.per_tenant.clamp(1, MOST))
            .arg(millis(expiry))
            .arg(&asked.nonce[..])
            .arg(request.rooms.len());
        for TenantRoom { tenant, room } in &request.rooms {
            call.arg(tenant.as_str()).arg((*room).min(MOST));
        }
        for Throttle { tenant, endpoint, until, at_most } in &request.throttles {
            let at_most = at_most.map_or_else(String::new, |most| most.clamp(1, MOST).to_string());
            call.arg(tenant.as_str())
                .arg(&endpoint.uuid().as_bytes()[..])
                .arg(maybe_millis(*until))
                .arg(at_most);
        }
    };
    let answer = shared.work.run(&LEASE, shared.layout.base(request.partition), fill).await?;
    let mut reply = Reply::of(answer)?.ok_or(StoreError::NotOwner)?;
    let next_due = reply.maybe_number()?.map(time).transpose()?;
    let unseen = reply.number()? == 1;
    let mut number = reply.number()? as u64;
    let mut given = Vec::new();
    while !reply.is_over() {
        let endpoint = reply.bytes()?;
        let (revision, parked) = (reply.maybe_number()?.unwrap_or(0), reply.maybe_number()?);
        let parked = parked.map(time).transpose()?;
        let health = health(&reply.bytes()?)?;
        for _ in 0..reply.number()? {
            // The name of its delivery, with more behind it if it is a manual one.
            let field = reply.text()?;
            let due_at = time(reply.number()?)?;
            let (attempts, failures) = (reply.number()? as u32, reply.number()? as u32);
            if !field.is_empty() {
                let key = DeliveryKey::of_member(request.partition, &field);
                given.push(Given {
                    key: key.ok_or_else(|| StoreError::damaged("a delivery has no name"))?,
                    manual: field.len() > MEMBER,
                    number,
                    endpoint: EndpointId::from_uuid(uuid(&endpoint).map_err(StoreError::damaged)?),
                    revision,
                    parked,
                    health,
                    due_at,
                    attempts,
                    failures,
                });
            }
            number += 1;
        }
    }
    Ok(Answer { given, next_due, unseen })
}

/// Finds the events and endpoints of what was given, those that are not at hand in one call.
///
/// What has no event or endpoint any more comes back by itself: its endpoint was deleted just now, or a crash of the
/// server took the event with it.
async fn complete(
    shared: &Shared,
    epoch: Epoch,
    given: Vec<Given>,
) -> Result<(Vec<Lease>, Vec<(DeliveryKey, LeaseId, bool)>)> {
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
            .or_insert_with(|| shared.endpoints.get(one.endpoint, one.revision, one.parked, one.health));
    }
    if let Some(partition) = given.first().map(|one| one.key.partition) {
        fetch(shared, partition, &mut events, &mut endpoints).await?;
    }
    let (mut leases, mut orphans) = (Vec::with_capacity(given.len()), Vec::new());
    for one in given {
        let id = LeaseId { epoch, number: one.number };
        let event = events.get(&one.key.event).and_then(|sought| sought.event.as_ref());
        let (Some(event), Some(Some(endpoint))) = (event, endpoints.get(&one.endpoint)) else {
            orphans.push((one.key, id, one.manual));
            continue;
        };
        leases.push(Lease {
            id,
            delivery: one.key.id(millis(event.accepted_at)),
            event: Arc::clone(event),
            endpoint: Arc::clone(endpoint),
            attempt: one.attempts + 1,
            failures: one.failures,
            manual: one.manual,
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
