use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use posthaste_model::{EndpointId, EndpointState, Event, EventId, TenantId};
use posthaste_store::{Accepted, Intake, Missing, NewEvent, Result, StoreError, TenantView, ViewVersion};
use rusqlite::OptionalExtension as _;

use crate::{
    fault::{Fault, Outcome, damaged},
    key::{DeliveryKey, millis},
    rows::RowState,
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

/// What is known of an event before anything is written.
enum Fate {
    New {
        /// The numbers and states of its endpoints.
        targets: Vec<(i64, EndpointState)>,
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
        "SELECT topic, content_type, payload, deliveries FROM events WHERE tenant_no = ? AND id = ?",
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
fn targets(
    work: &mut Work<'_>,
    tenant: &TenantId,
    endpoints: &[EndpointId],
) -> Outcome<Vec<(i64, EndpointState)>> {
    if endpoints.len() > usize::from(u16::MAX) {
        return Err(damaged("an event matched more than 65,535 endpoints"));
    }
    let missing = || Fault::missing(Missing::Endpoint);
    let target = |id: &EndpointId| {
        let no = work.state.endpoint_no(work.conn, *id)?;
        let endpoint = work.state.endpoint(work.conn, no)?.filter(|endpoint| endpoint.tenant == *tenant);
        Ok((no, endpoint.ok_or_else(missing)?.state))
    };
    endpoints.iter().map(target).collect()
}

/// Writes an event with its deliveries; answers with their number.
fn write(
    work: &mut Work<'_>,
    tenant_no: i64,
    event: &Event,
    targets: &[(i64, EndpointState)],
) -> Outcome<u32> {
    let Event { id, topic, payload, accepted_at, .. } = event;
    let accepted_at = millis(*accepted_at);
    work.state.last_event += 1;
    let seq = work.state.last_event;
    work.conn
        .prepare_cached(
            "INSERT INTO events (seq, tenant_no, id, topic, content_type, payload, deliveries, accepted_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
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
        ))?;
    let mut insert = work.conn.prepare_cached(
        "INSERT INTO deliveries
             (event_seq, n, endpoint_no, state, leases, attempts, failures, due_at, completed_at)
         VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?)",
    )?;
    for (n, (endpoint_no, state)) in (0..).zip(targets) {
        if *state == EndpointState::Disabled {
            insert.execute((seq, n, endpoint_no, RowState::Skipped as i64, None::<i64>, accepted_at))?;
        } else {
            insert.execute((seq, n, endpoint_no, RowState::Scheduled as i64, accepted_at, None::<i64>))?;
            work.state.schedule.add(*endpoint_no, Place { due_at: accepted_at, key: DeliveryKey { seq, n } });
        }
    }
    Ok(targets.len() as u32)
}
