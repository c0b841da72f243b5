use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use posthaste_model::{Event, EventId, TenantId};
use posthaste_store::{
    Accepted, Intake, Missing, NewEvent, Partition, Result, StoreError, TenantView, ViewVersion,
};
use redis::Value;

use crate::{
    accepting::{Came, Group, Packed, push_target},
    envelope::{self, Envelope, Nonce},
    layout::millis,
    reply::bytes,
    store::RedisStore,
    views::Known,
};

/// How often events are looked at whose ids were used before: once, and once more for each that retention took
/// meanwhile.
const ROUNDS: usize = 5;

/// The longest period in milliseconds that is told from a longer one: more than a century.
const LONGEST_PERIOD: u64 = 1 << 42;

/// What is known of an event of a batch.
#[derive(Clone, Copy)]
struct Outcome {
    deliveries: u32,
    duplicate: bool,
}

#[async_trait]
impl Intake for RedisStore {
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>> {
        Ok(Arc::clone(&self.shared.view_of(tenant).await?.view))
    }

    async fn accept(
        &self,
        tenant: &TenantId,
        matched_against: ViewVersion,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Accepted>> {
        let partition = self.shared.layout.partition(tenant);
        let known = self.shared.view_at(tenant, matched_against).await?;
        let nonce = self.shared.nonces.next();
        let firsts = firsts(&events)?;
        // By their first places in the batch.
        let mut settled: HashMap<usize, Outcome> = HashMap::new();
        for _ in 0..ROUNDS {
            let places: Vec<usize> = firsts
                .iter()
                .enumerate()
                .filter(|(place, first)| place == *first && !settled.contains_key(place))
                .map(|(place, _)| place)
                .collect();
            if places.is_empty() && !events.is_empty() {
                break;
            }
            let packed = places.iter().map(|place| pack(&known, &events[*place], nonce));
            let group = Group {
                tenant_number: known.tenant_number,
                version: matched_against,
                events: packed.collect::<Result<_>>()?,
            };
            match self.accepting[usize::from(partition.0)].run(group).await? {
                Came::Stale => {
                    self.shared.views.forget_stale(tenant, matched_against);
                    return Err(StoreError::StaleView);
                }
                Came::From(first) => {
                    for (number, place) in (first..).zip(places) {
                        let NewEvent { event, endpoints } = &events[place];
                        if !endpoints.is_empty() {
                            self.shared.recent.put((partition, number), || event.clone());
                        }
                        let deliveries = endpoints.len() as u32;
                        settled.insert(place, Outcome { deliveries, duplicate: false });
                    }
                    break;
                }
                Came::Used(used) => {
                    for (place, name) in used {
                        let place = *places.get(place).ok_or_else(|| StoreError::damaged("no such place"))?;
                        let event = &events[place].event;
                        // None: retention has just taken it, and its id is free.
                        if let Some(before) = self.read_event(partition, tenant, &name).await? {
                            settled.insert(place, compare(event, &before, nonce)?);
                        }
                    }
                }
            }
        }
        let accepted = events.iter().zip(&firsts).enumerate().map(|(place, (new, first))| {
            let known = settled.get(first).copied();
            let known =
                known.ok_or_else(|| StoreError::damaged("an id is used by an event that is not there"))?;
            let duplicate = known.duplicate || place != *first;
            Ok(Accepted { id: new.event.id.clone(), deliveries: known.deliveries, duplicate })
        });
        accepted.collect()
    }
}

impl RedisStore {
    async fn read_event(
        &self,
        partition: Partition,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Option<Envelope>> {
        let mut get = redis::cmd("GET");
        get.arg(format!("{}:e:{name}", self.shared.layout.base(partition)));
        match self.shared.intake.call(&get).await? {
            Value::Nil => Ok(None),
            packed => envelope::read(bytes(packed)?, tenant).map(Some),
        }
    }
}

/// For each event the place of the first one with its id. A batch may not contradict itself.
fn firsts(events: &[NewEvent]) -> Result<Vec<usize>> {
    let mut seen: HashMap<&EventId, usize> = HashMap::new();
    events
        .iter()
        .enumerate()
        .map(|(place, NewEvent { event, .. })| {
            let first = *seen.entry(&event.id).or_insert(place);
            let same = is_same(&events[first].event, event);
            same.then_some(first).ok_or_else(|| StoreError::EventConflict { event: event.id.clone() })
        })
        .collect()
}

fn is_same(one: &Event, other: &Event) -> bool {
    one.topic == other.topic && one.payload == other.payload
}

/// An event whose id was used before: by the same event, or even by this very call, whose answer was lost.
fn compare(event: &Event, before: &Envelope, nonce: Nonce) -> Result<Outcome> {
    if !is_same(event, &before.record.event) {
        return Err(StoreError::EventConflict { event: event.id.clone() });
    }
    Ok(Outcome { deliveries: before.matched, duplicate: before.nonce != nonce })
}

/// When an event is due and how long it is kept, with a comma between; nothing if it asks for neither.
fn wishes(event: &Event) -> String {
    match (event.options.deliver_at, event.options.retention) {
        (None, None) => String::new(),
        (_, own) => {
            let own = own.map_or_else(String::new, |own| own.as_millis().min(LONGEST_PERIOD).to_string());
            format!("{},{own}", millis(event.due_at()))
        }
    }
}

fn pack(known: &Known, NewEvent { event, endpoints }: &NewEvent, nonce: Nonce) -> Result<Packed> {
    if endpoints.len() > usize::from(StoreError::MOST_DELIVERIES) {
        return Err(StoreError::TooManyDeliveries);
    }
    let mut targets = Vec::with_capacity(17 * endpoints.len());
    for endpoint in endpoints {
        let state = known.states.get(endpoint).ok_or(StoreError::NotFound(Missing::Endpoint))?;
        push_target(&mut targets, endpoint.uuid(), *state);
    }
    let too_long = || StoreError::damaged("an event has a content type that is longer than 65,535");
    Ok(Packed {
        id: envelope::pack_id(&event.id),
        accepted_at: millis(event.accepted_at),
        wishes: wishes(event),
        targets,
        envelope: envelope::pack(event, known.tenant_number, endpoints, nonce).ok_or_else(too_long)?,
    })
}
