use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use posthaste_model::{Endpoint, EndpointId, EndpointState, Event, EventId, TenantId};
use posthaste_store::{Accepted, Intake, Missing, NewEvent, Result, StoreError, TenantView, ViewVersion};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{
    fault::{Fault, Outcome},
    key::{DeliveryKey, millis},
    rows::{RowState, to_json},
    schedule::Place,
    store::SqliteStore,
    writer::Work,
};

#[async_trait]
impl Intake for SqliteStore {
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>> {
        if let Some(view) = self.shared.view(tenant) {
            return Ok(view);
        }
        let tenant = tenant.clone();
        // The writer makes views, so that none can be older than the change that made it necessary.
        self.writer.run(move |work| make_view(work, &tenant)).await
    }

    async fn accept(
        &self,
        tenant: &TenantId,
        matched_against: ViewVersion,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Accepted>> {
        let tenant = tenant.clone();
        self.writer.run(move |work| accept(work, &tenant, matched_against, events)).await
    }
}

fn make_view(work: &mut Work<'_>, tenant: &TenantId) -> Outcome<Arc<TenantView>> {
    let card = work.state.tenant(work.conn, tenant)?;
    let mut statement = work
        .conn
        .prepare_cached("SELECT no FROM endpoints WHERE tenant_no = ? AND deleted_at IS NULL ORDER BY no")?;
    let nos = statement.query_map([card.no], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut endpoints = Vec::with_capacity(nos.len());
    for no in nos {
        endpoints.extend(work.state.endpoint(work.conn, no)?);
    }
    Ok(work.state.make_view(tenant, card, endpoints))
}

/// An endpoint that an event goes to.
struct Target {
    no: i64,
    endpoint: Arc<Endpoint>,
}

/// What is known of an event before anything is written.
enum Fate {
    New {
        targets: Vec<Target>,
    },
    Duplicate {
        deliveries: u32,
    },
    /// The same as an earlier one of the batch.
    Repeated {
        of: usize,
    },
}

fn accept(
    work: &mut Work<'_>,
    tenant: &TenantId,
    matched_against: ViewVersion,
    events: Vec<NewEvent>,
) -> Outcome<Vec<Accepted>> {
    let card = work.state.tenant(work.conn, tenant)?;
    if work.state.view_version(card) != matched_against {
        return Err(StoreError::StaleView.into());
    }
    let fates = fates(work, tenant, card.no, &events)?;
    let mut accepted: Vec<Accepted> = Vec::with_capacity(events.len());
    for (new, fate) in events.iter().zip(fates) {
        let (deliveries, duplicate) = match fate {
            Fate::New { targets } => (write(work, card.no, &new.event, &targets)?, false),
            Fate::Duplicate { deliveries } => (deliveries, true),
            Fate::Repeated { of } => (accepted[of].deliveries, true),
        };
        accepted.push(Accepted { id: new.event.id.clone(), deliveries, duplicate });
    }
    work.state.wake();
    Ok(accepted)
}

/// Decides about every event of a batch before the first is written.
fn fates(work: &mut Work<'_>, tenant: &TenantId, tenant_no: i64, events: &[NewEvent]) -> Outcome<Vec<Fate>> {
    let mut known = work.conn.prepare_cached(
        "SELECT topic, content_type, payload, deliveries - sent FROM events WHERE tenant_no = ? AND id = ?",
    )?;
    let mut first: HashMap<&EventId, usize> = HashMap::new();
    let mut fates = Vec::with_capacity(events.len());
    for (index, NewEvent { event, endpoints }) in events.iter().enumerate() {
        let conflict = || StoreError::EventConflict { event: event.id.clone() };
        if events.len() > 1 {
            let of = *first.entry(&event.id).or_insert(index);
            if of != index {
                let same = events[of].event.topic == event.topic && events[of].event.payload == event.payload;
                fates.push(if same { Fate::Repeated { of } } else { return Err(conflict().into()) });
                continue;
            }
        }
        let before = known
            .query_row((tenant_no, event.id.as_str()), |row| {
                let same = row.get_ref(0)?.as_str()? == event.topic.as_str()
                    && row.get_ref(1)?.as_str_or_null()? == event.payload.content_type()
                    && row.get_ref(2)?.as_blob()? == &event.payload.bytes()[..];
                Ok(same.then_some(row.get(3)?))
            })
            .optional()?;
        fates.push(match before {
            None => Fate::New { targets: targets(work, tenant, endpoints)? },
            Some(Some(deliveries)) => Fate::Duplicate { deliveries },
            Some(None) => return Err(conflict().into()),
        });
    }
    Ok(fates)
}

/// Finds the endpoints that an event goes to, among those of its tenant.
fn targets(work: &mut Work<'_>, tenant: &TenantId, endpoints: &[EndpointId]) -> Outcome<Vec<Target>> {
    if endpoints.len() > usize::from(StoreError::MOST_DELIVERIES) {
        return Err(StoreError::TooManyDeliveries.into());
    }
    let missing = || Fault::missing(Missing::Endpoint);
    let target = |id: &EndpointId| {
        let no = work.state.endpoint_no(work.conn, *id)?;
        let endpoint = work.state.endpoint(work.conn, no)?.filter(|endpoint| endpoint.tenant == *tenant);
        Ok(Target { no, endpoint: endpoint.ok_or_else(missing)? })
    };
    endpoints.iter().map(target).collect()
}

/// Writes an event with its deliveries; answers with their number.
fn write(work: &mut Work<'_>, tenant_no: i64, event: &Event, targets: &[Target]) -> Outcome<u32> {
    let Event { id, topic, payload, options, .. } = event;
    let (accepted_at, due_at) = (millis(event.accepted_at), millis(event.due_at()));
    let metadata = (!options.metadata.is_empty()).then(|| to_json(&options.metadata)).transpose()?;
    // Half of what there is of time is enough, and can be added to a time.
    let retention = options.retention.map(|retention| retention.as_millis().min(i64::MAX as u64 / 2) as i64);
    work.state.last_event += 1;
    let seq = work.state.last_event;
    work.conn
        .prepare_cached(
            "INSERT INTO events (seq, tenant_no, id, topic, content_type, payload, deliveries, accepted_at,
                 metadata, deliver_at, retention_ms, test)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            seq,
            tenant_no,
            id.as_str(),
            topic.as_str(),
            payload.content_type(),
            &payload.bytes()[..],
            targets.len(),
            accepted_at,
            metadata,
            options.deliver_at.map(millis),
            retention,
            options.test,
        ))?;
    for (n, Target { no, endpoint }) in (0..).zip(targets) {
        let (whose, key) = (Whose { tenant_no, endpoint_no: *no }, DeliveryKey { seq, n });
        if endpoint.state == EndpointState::Disabled {
            insert(work.conn, whose, key, Stands::SkippedAt(accepted_at), retention)?;
            continue;
        }
        let place = if endpoint.ordered && options.deliver_at.is_none() {
            work.state.last_places.next(work.conn, *no, accepted_at)?
        } else {
            due_at
        };
        schedule(work, whose, Place { due_at: place, key }, due_at, retention)?;
    }
    Ok(targets.len() as u32)
}

/// By whose event a delivery comes to be, and to whom it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) tenant_no: i64,
    pub(crate) endpoint_no: i64,
}

/// Writes a delivery that is due at a time, and has a place in the queue of its endpoint. So long after it is over retention
/// looks at its event, if it does for the sake of this one.
pub(crate) fn schedule(
    work: &mut Work<'_>,
    whose: Whose,
    place: Place,
    due_at: i64,
    look_after: Option<i64>,
) -> Outcome<()> {
    insert(work.conn, whose, place.key, Stands::Scheduled { place: place.due_at, due_at }, look_after)?;
    work.state.schedule.add_due(whose.endpoint_no, place, due_at);
    Ok(())
}

/// Where a new delivery stands.
enum Stands {
    Scheduled { place: i64, due_at: i64 },
    SkippedAt(i64),
}

fn insert(
    conn: &Connection,
    Whose { tenant_no, endpoint_no }: Whose,
    key: DeliveryKey,
    stands: Stands,
    look_after: Option<i64>,
) -> Outcome<()> {
    let (state, queued_at, kept_place, attempt_at, completed_at) = match stands {
        Stands::Scheduled { place, due_at } if place == due_at => {
            (RowState::Scheduled, Some(place), None, None, None)
        }
        Stands::Scheduled { place, due_at } => {
            (RowState::Scheduled, Some(place), Some(place), Some(due_at), None)
        }
        Stands::SkippedAt(at) => (RowState::Skipped, None, None, None, Some(at)),
    };
    conn.prepare_cached(
        "INSERT INTO deliveries
             (event_seq, n, tenant_no, endpoint_no, state, leases, attempts, failures, due_at, place, attempt_at,
              completed_at, look_after_ms)
         VALUES (?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?, ?)",
    )?
    .execute((
        key.seq,
        key.n,
        tenant_no,
        endpoint_no,
        state as i64,
        queued_at,
        kept_place,
        attempt_at,
        completed_at,
        look_after,
    ))?;
    Ok(())
}
