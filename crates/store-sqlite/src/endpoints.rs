//! The life of an endpoint, and what it means for the deliveries that are open.

use posthaste_model::{Endpoint, EndpointId, EndpointState, TenantId};
use posthaste_store::{Missing, StoreError};
use rusqlite::Connection;

use crate::{
    fault::{Fault, Outcome, damaged},
    key::{DeliveryKey, millis},
    rows::{self, RowState},
    state::hold,
    writer::Work,
};

pub(crate) fn create(work: &mut Work<'_>, endpoint: &Endpoint) -> Outcome<()> {
    let tenant = work.state.tenant(work.conn, &endpoint.tenant)?;
    work.conn
        .prepare_cached(
            "INSERT INTO endpoints (id, tenant_no, url, topics, description, metadata, timeout_ms, retry, state,
                 state_reason, parked_until, version, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            endpoint.id.uuid().as_bytes(),
            tenant.no,
            &endpoint.url,
            to_json(&endpoint.topics)?,
            &endpoint.description,
            to_json(&endpoint.metadata)?,
            endpoint.timeout.map(|timeout| timeout.as_millis()),
            endpoint.retry.as_ref().map(to_json).transpose()?,
            rows::endpoint_state_code(endpoint.state),
            &endpoint.state_reason,
            endpoint.parked_until.map(millis),
            endpoint.version,
            millis(endpoint.created_at),
            millis(endpoint.updated_at),
        ))?;
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
    work.conn
        .prepare_cached(
            "UPDATE endpoints SET url = ?, topics = ?, description = ?, metadata = ?, timeout_ms = ?, retry = ?,
                 state = ?, state_reason = ?, parked_until = ?, version = ?, updated_at = ? WHERE no = ?",
        )?
        .execute((
            &endpoint.url,
            to_json(&endpoint.topics)?,
            &endpoint.description,
            to_json(&endpoint.metadata)?,
            endpoint.timeout.map(|timeout| timeout.as_millis()),
            endpoint.retry.as_ref().map(to_json).transpose()?,
            rows::endpoint_state_code(endpoint.state),
            &endpoint.state_reason,
            endpoint.parked_until.map(millis),
            endpoint.version,
            millis(endpoint.updated_at),
            no,
        ))?;
    if endpoint.secrets != before.secrets {
        work.conn.prepare_cached("DELETE FROM endpoint_secrets WHERE endpoint_no = ?")?.execute([no])?;
        write_secrets(work.conn, no, &endpoint)?;
    }
    changed(work, no, &endpoint)?;
    Ok(endpoint)
}

/// Disables an endpoint because of what it answered, unless it is disabled or deleted already.
pub(crate) fn disable(work: &mut Work<'_>, no: i64, reason: &str, now: i64) -> Outcome<()> {
    let disabled = work
        .conn
        .prepare_cached(
            "UPDATE endpoints SET state = ?, state_reason = ?, version = version + 1, updated_at = ?
             WHERE no = ? AND deleted_at IS NULL AND state <> ?1",
        )?
        .execute((rows::endpoint_state_code(EndpointState::Disabled), reason, now, no))?;
    if disabled == 0 {
        return Ok(());
    }
    let endpoint = rows::endpoint_by_no(work.conn, no)?.ok_or_else(|| damaged("a lease without endpoint"))?;
    changed(work, no, &endpoint)
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
    work.state.forget_endpoint(no);
    work.state.forget_endpoint_id(endpoint.id);
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

/// What becomes of a delivery that would be scheduled again: an endpoint that is no more, or disabled, has no queue.
pub(crate) fn closed_as(conn: &Connection, no: i64) -> Outcome<Option<RowState>> {
    let (state, deleted): (i64, bool) = conn
        .prepare_cached("SELECT state, deleted_at IS NOT NULL FROM endpoints WHERE no = ?")?
        .query_row([no], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match rows::endpoint_state(state)? {
        _ if deleted => Some(RowState::Cancelled),
        EndpointState::Disabled => Some(RowState::Skipped),
        EndpointState::Enabled | EndpointState::Paused => None,
    })
}

/// Ends every open delivery of an endpoint, but for those in flight: their settlement decides.
fn close_queue(work: &mut Work<'_>, no: i64, end: RowState, now: i64) -> Outcome<()> {
    work.conn
        .prepare_cached(
            "UPDATE deliveries SET state = ?, due_at = NULL, completed_at = ?
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

fn to_json(value: &impl serde::Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(damaged)
}
