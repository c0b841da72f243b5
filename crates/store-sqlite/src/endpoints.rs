//! The life of an endpoint, and what it means for the deliveries that are open.

use posthaste_model::{Endpoint, EndpointEffects, EndpointId, EndpointState, Health, TenantId};
use posthaste_store::{Missing, StoreError, Told};
use rusqlite::{Connection, named_params};

use crate::{
    fault::{Fault, Outcome, damaged},
    health,
    key::{DeliveryKey, millis},
    notices, order,
    rows::{self, RowState, to_json},
    state::hold,
    writer::Work,
};

/// The parameters that making and changing an endpoint have in common, and those of one of them.
macro_rules! params {
    ($endpoint:ident, $($name:literal: $value:expr),* $(,)?) => {
        named_params! {
            ":url": $endpoint.url,
            ":topics": to_json(&$endpoint.topics)?,
            ":description": $endpoint.description,
            ":metadata": to_json(&$endpoint.metadata)?,
            ":timeout": $endpoint.timeout.map(|timeout| timeout.as_millis()),
            ":retry": $endpoint.retry.as_ref().map(to_json).transpose()?,
            ":max_in_flight": $endpoint.max_in_flight,
            ":rate_limit": $endpoint.rate_limit.as_ref().map(to_json).transpose()?,
            ":ordered": $endpoint.ordered,
            ":filter": $endpoint.filter,
            ":wire": to_json(&$endpoint.wire)?,
            ":credentials": $endpoint.credentials.as_ref().map(|sealed| &sealed.0[..]),
            ":handshake": $endpoint.handshake.as_ref().map(to_json).transpose()?,
            ":state": rows::endpoint_state_code($endpoint.state),
            ":state_reason": $endpoint.state_reason,
            ":parked_until": $endpoint.parked_until.map(millis),
            ":version": $endpoint.version,
            ":updated_at": millis($endpoint.updated_at),
            $($name: $value,)*
        }
    };
}

pub(crate) fn create(work: &mut Work<'_>, endpoint: &Endpoint) -> Outcome<()> {
    let tenant = work.state.tenant(work.conn, &endpoint.tenant)?;
    let Endpoint { health, .. } = endpoint;
    work.conn
        .prepare_cached(
            "INSERT INTO endpoints (id, tenant_no, url, topics, description, metadata, timeout_ms, retry,
                 max_in_flight, rate_limit, ordered, filter, wire, credentials, handshake, state, state_reason,
                 parked_until, failing_since, failures, exhausted, warned, version, created_at, updated_at)
             VALUES (:id, :tenant, :url, :topics, :description, :metadata, :timeout, :retry, :max_in_flight,
                 :rate_limit, :ordered, :filter, :wire, :credentials, :handshake, :state, :state_reason,
                 :parked_until, :failing_since, :failures, :exhausted, :warned, :version, :created_at, :updated_at)",
        )?
        .execute(params! { endpoint,
            ":id": endpoint.id.uuid().as_bytes(),
            ":tenant": tenant.no,
            ":failing_since": health.failing_since.map(millis),
            ":failures": health.failures,
            ":exhausted": health.exhausted,
            ":warned": health.warned,
            ":created_at": millis(endpoint.created_at),
        })?;
    let no = work.conn.last_insert_rowid();
    write_secrets(work.conn, no, endpoint)?;
    work.state.schedule.hold(no, hold(endpoint.state, endpoint.parked_until.map(millis)));
    work.state.touch_tenant(work.conn, &endpoint.tenant)
}

pub(crate) fn find(conn: &Connection, tenant: &TenantId, id: EndpointId) -> Outcome<Endpoint> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} WHERE p.id = ? AND t.id = ? AND p.deleted_at IS NULL AND t.deleted_at IS NULL",
        rows::ENDPOINT
    ))?;
    let mut found = statement.query((id.uuid().as_bytes(), tenant.as_str()))?;
    let row = found.next()?.ok_or(Fault::missing(Missing::Endpoint))?;
    rows::endpoint(conn, row)
}

/// The numbers of a tenant's endpoints.
pub(crate) fn nos(conn: &Connection, tenant_no: i64) -> Outcome<Vec<i64>> {
    let mut statement = conn
        .prepare_cached("SELECT no FROM endpoints WHERE tenant_no = ? AND deleted_at IS NULL ORDER BY no")?;
    Ok(statement.query_map([tenant_no], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn update(work: &mut Work<'_>, mut endpoint: Endpoint) -> Outcome<Endpoint> {
    let before = find(work.conn, &endpoint.tenant, endpoint.id)?;
    if before.version != endpoint.version {
        return Err(StoreError::StaleEndpoint.into());
    }
    let no = work.state.endpoint_no(work.conn, endpoint.id)?;
    endpoint.version += 1;
    endpoint.created_at = before.created_at;
    let fresh_start = endpoint.state != before.state || endpoint.url != before.url;
    endpoint.parked_until = before.parked_until.filter(|_| !fresh_start);
    endpoint.health = if fresh_start { Health::default() } else { before.health };
    work.conn
        .prepare_cached(
            "UPDATE endpoints SET url = :url, topics = :topics, description = :description, metadata = :metadata,
                 timeout_ms = :timeout, retry = :retry, max_in_flight = :max_in_flight, rate_limit = :rate_limit,
                 ordered = :ordered, filter = :filter, wire = :wire, credentials = :credentials,
                 handshake = :handshake, state = :state, state_reason = :state_reason, parked_until = :parked_until,
                 version = :version, updated_at = :updated_at
             WHERE no = :no",
        )?
        .execute(params! { endpoint, ":no": no })?;
    if endpoint.health != before.health {
        health::write(work, no, endpoint.health)?;
    }
    if endpoint.secrets != before.secrets {
        work.conn.prepare_cached("DELETE FROM endpoint_secrets WHERE endpoint_no = ?")?.execute([no])?;
        write_secrets(work.conn, no, &endpoint)?;
    }
    let state = &mut *work.state;
    state.throttles.lift_one(no, &mut state.schedule, millis(endpoint.updated_at));
    changed(work, no, &endpoint)?;
    match (before.ordered, endpoint.ordered) {
        (false, true) => order::impose(work, no, millis(endpoint.updated_at))?,
        (true, false) => order::lift(work, no, millis(endpoint.updated_at))?,
        _ => {}
    }
    Ok(endpoint)
}

/// Does to an endpoint what an attempt does to it, and leaves the notices; unless the endpoint was changed since the
/// version that was attempted.
pub(crate) fn affect(
    work: &mut Work<'_>,
    no: i64,
    version: u64,
    effects: &EndpointEffects,
    now: i64,
) -> Outcome<()> {
    if *effects == EndpointEffects::default()
        || work.state.endpoint(work.conn, no)?.is_none_or(|stands| stands.version != version)
    {
        return Ok(());
    }
    let EndpointEffects { park_until, health, disable } = effects;
    if let Some(until) = park_until {
        park(work, no, millis(*until))?;
    }
    if let Some(effect) = health {
        health::note(work, no, *effect, now)?;
    }
    if let Some(reason) = disable
        && self::disable(work, no, reason, now)?
    {
        notices::leave(work.conn, no, now, &Told::Disabled { reason: reason.clone() })?;
    }
    Ok(())
}

/// Disables an endpoint because of what it answered, unless it is disabled or deleted already; says whether it did.
fn disable(work: &mut Work<'_>, no: i64, reason: &str, now: i64) -> Outcome<bool> {
    let disabled = work
        .conn
        .prepare_cached(
            "UPDATE endpoints SET state = ?, state_reason = ?, version = version + 1, updated_at = ?
             WHERE no = ? AND deleted_at IS NULL AND state <> ?1",
        )?
        .execute((rows::endpoint_state_code(EndpointState::Disabled), reason, now, no))?;
    if disabled == 0 {
        return Ok(false);
    }
    let endpoint = rows::endpoint_by_no(work.conn, no)?.ok_or_else(|| damaged("a lease without endpoint"))?;
    changed(work, no, &endpoint)?;
    Ok(true)
}

/// Brings what hangs on an endpoint up to its new state.
fn changed(work: &mut Work<'_>, no: i64, endpoint: &Endpoint) -> Outcome<()> {
    if endpoint.state == EndpointState::Disabled {
        close_queue(work, no, RowState::Skipped, millis(endpoint.updated_at))?;
    }
    work.state.schedule.hold(no, hold(endpoint.state, endpoint.parked_until.map(millis)));
    work.state.forget_endpoint(no);
    work.state.touch_tenant(work.conn, &endpoint.tenant)?;
    work.state.wake();
    Ok(())
}

/// Deletes an endpoint. Its row stays for the deliveries that name it.
pub(crate) fn delete(work: &mut Work<'_>, no: i64, now: i64) -> Outcome<()> {
    let endpoint = rows::endpoint_by_no(work.conn, no)?.ok_or(Fault::missing(Missing::Endpoint))?;
    close_queue(work, no, RowState::Cancelled, now)?;
    work.conn
        .prepare_cached("UPDATE endpoints SET deleted_at = ?, state = ?, updated_at = ?1 WHERE no = ?")?
        .execute((now, rows::endpoint_state_code(EndpointState::Disabled), no))?;
    work.conn.prepare_cached("DELETE FROM endpoint_secrets WHERE endpoint_no = ?")?.execute([no])?;
    work.state.forget_deleted(no, endpoint.id);
    Ok(())
}

/// Keeps an endpoint's deliveries back; of two such times the later one counts.
pub(crate) fn park(work: &mut Work<'_>, no: i64, until: i64) -> Outcome<()> {
    work.conn
        .prepare_cached("UPDATE endpoints SET parked_until = max(ifnull(parked_until, 0), ?) WHERE no = ?")?
        .execute((until, no))?;
    let (state, parked_until) = work
        .conn
        .prepare_cached("SELECT state, parked_until FROM endpoints WHERE no = ?")?
        .query_row([no], |row| Ok((row.get(0)?, row.get(1)?)))?;
    work.state.schedule.hold(no, hold(rows::endpoint_state(state)?, parked_until));
    work.state.forget_endpoint(no);
    Ok(())
}

/// What a delivery finds that would be scheduled again.
pub(crate) enum Queue {
    /// The endpoint is no more, or disabled: it has no queue, and this becomes of the delivery.
    Closed(RowState),
    Open {
        ordered: bool,
    },
}

pub(crate) fn queue(conn: &Connection, no: i64) -> Outcome<Queue> {
    let (state, deleted, ordered): (i64, bool, bool) = conn
        .prepare_cached("SELECT state, deleted_at IS NOT NULL, ordered FROM endpoints WHERE no = ?")?
        .query_row([no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(match rows::endpoint_state(state)? {
        _ if deleted => Queue::Closed(RowState::Cancelled),
        EndpointState::Disabled => Queue::Closed(RowState::Skipped),
        EndpointState::Enabled | EndpointState::Paused => Queue::Open { ordered },
    })
}

/// Ends every open delivery of an endpoint, but for those in flight: their settlement decides.
fn close_queue(work: &mut Work<'_>, no: i64, end: RowState, now: i64) -> Outcome<()> {
    work.conn
        .prepare_cached(
            "UPDATE deliveries SET state = ?, due_at = NULL, attempt_at = NULL, completed_at = ?
             WHERE endpoint_no = ? AND due_at IS NOT NULL",
        )?
        .execute((end as i64, now, no))?;
    let in_flight: Vec<(DeliveryKey, i64)> = work
        .state
        .leases()
        .iter()
        .filter(|(_, lease)| lease.endpoint_no == no)
        .map(|(key, lease)| (key, lease.due_at))
        .collect();
    let mut reopen = work.conn.prepare_cached(
        "UPDATE deliveries SET state = ?, due_at = ?, completed_at = NULL WHERE event_seq = ? AND n = ?",
    )?;
    for (key, due_at) in in_flight {
        reopen.execute((RowState::Scheduled as i64, due_at, key.seq, key.n))?;
    }
    work.state.schedule.clear(no);
    Ok(())
}

fn write_secrets(conn: &Connection, no: i64, endpoint: &Endpoint) -> Outcome<()> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO endpoint_secrets (endpoint_no, rank, sealed, expires_at) VALUES (?, ?, ?, ?)",
    )?;
    for (rank, secret) in endpoint.secrets.iter().enumerate() {
        insert.execute((no, rank, &secret.sealed.0[..], secret.expires_at.map(millis)))?;
    }
    Ok(())
}
