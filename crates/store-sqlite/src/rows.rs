//! From the tables' rows to the model's nouns, and the numbers that stand for words.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use bytes::Bytes;
use posthaste_model::{
    Attempt, AttemptId, Delivery, DeliveryReason, DeliveryState, Endpoint, EndpointId, EndpointSecret,
    EndpointState, ErrorClass, Event, EventOptions, Health, Outcome as AttemptOutcome, Payload, Period,
    Reply, Sealed, SentRequest, Timestamp, Timings,
};
use posthaste_store::EventRecord;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::de::DeserializeOwned;

use crate::{
    fault::{Outcome, damaged},
    key::{DeliveryKey, uuid_from_blob},
    schedule::Place,
};

/// The state of a delivery as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(crate) enum RowState {
    /// And held, and in flight: see the schema.
    Scheduled = 0,
    Delivered = 1,
    Exhausted = 2,
    Skipped = 3,
    /// Because its endpoint was deleted.
    Cancelled = 4,
    /// By an operator.
    GivenUp = 5,
}

impl RowState {
    /// What a row says of its delivery.
    pub(crate) fn read(
        code: i64,
        leased: bool,
        endpoint: EndpointState,
    ) -> Outcome<(DeliveryState, Option<DeliveryReason>)> {
        Ok(match code {
            0 if leased => (DeliveryState::InFlight, None),
            0 if endpoint == EndpointState::Paused => {
                (DeliveryState::Held, Some(DeliveryReason::EndpointPaused))
            }
            0 => (DeliveryState::Scheduled, None),
            1 => (DeliveryState::Delivered, None),
            2 => (DeliveryState::Exhausted, None),
            3 => (DeliveryState::Skipped, Some(DeliveryReason::EndpointDisabled)),
            4 => (DeliveryState::Cancelled, Some(DeliveryReason::EndpointDeleted)),
            5 => (DeliveryState::Cancelled, Some(DeliveryReason::Operator)),
            other => return Err(damaged(format!("delivery state {other}"))),
        })
    }

    /// What a row must say for its delivery to be in `state`, as far as the row alone decides: the first and the last
    /// of the codes.
    pub(crate) fn of(state: DeliveryState) -> (Self, Self) {
        match state {
            DeliveryState::Scheduled | DeliveryState::InFlight | DeliveryState::Held => {
                (Self::Scheduled, Self::Scheduled)
            }
            DeliveryState::Delivered => (Self::Delivered, Self::Delivered),
            DeliveryState::Exhausted => (Self::Exhausted, Self::Exhausted),
            DeliveryState::Skipped => (Self::Skipped, Self::Skipped),
            DeliveryState::Cancelled => (Self::Cancelled, Self::GivenUp),
        }
    }
}

pub(crate) fn endpoint_state(code: i64) -> Outcome<EndpointState> {
    match code {
        0 => Ok(EndpointState::Enabled),
        1 => Ok(EndpointState::Paused),
        2 => Ok(EndpointState::Disabled),
        other => Err(damaged(format!("endpoint state {other}"))),
    }
}

pub(crate) fn endpoint_state_code(state: EndpointState) -> i64 {
    match state {
        EndpointState::Enabled => 0,
        EndpointState::Paused => 1,
        EndpointState::Disabled => 2,
    }
}

/// The code of an error class is its place in [`ErrorClass::ALL`], to which new ones are only appended.
pub(crate) fn error_code(class: ErrorClass) -> i64 {
    class as i64
}

fn error_class(code: i64) -> Outcome<ErrorClass> {
    usize::try_from(code)
        .ok()
        .and_then(|code| ErrorClass::ALL.get(code))
        .copied()
        .ok_or_else(|| damaged(format!("error class {code}")))
}

pub(crate) fn time(millis: i64) -> Outcome<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(damaged)
}

pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Outcome<T> {
    text.parse().map_err(damaged)
}

pub(crate) fn json<T: DeserializeOwned>(text: &str) -> Outcome<T> {
    serde_json::from_str(text).map_err(damaged)
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(damaged)
}

pub(crate) fn place(due_at: i64, seq: i64, n: u16) -> Place {
    Place { due_at, key: DeliveryKey { seq, n } }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Outcome<&'a str> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}

/// The columns that [`endpoint`] reads.
pub(crate) const ENDPOINT: &str = "p.no, p.id, t.id, p.url, p.topics, p.description, p.metadata, p.timeout_ms, \
     p.retry, p.state, p.state_reason, p.parked_until, p.version, p.created_at, p.updated_at, \
     p.max_in_flight, p.rate_limit, p.ordered, p.failing_since, p.failures, p.exhausted, p.warned, \
     p.filter, p.wire, p.credentials, p.handshake \
     FROM endpoints p JOIN tenants t ON t.no = p.tenant_no";

/// Reads an endpoint, but for its secrets.
pub(crate) fn endpoint(conn: &Connection, row: &Row<'_>) -> Outcome<Endpoint> {
    let no: i64 = row.get(0)?;
    let retry: Option<String> = row.get(8)?;
    let rate_limit: Option<String> = row.get(16)?;
    let handshake: Option<String> = row.get(25)?;
    Ok(Endpoint {
        id: EndpointId::from_uuid(
            uuid_from_blob(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?).map_err(damaged)?,
        ),
        tenant: parse(text(row, 2)?)?,
        url: row.get(3)?,
        topics: json(text(row, 4)?)?,
        description: row.get(5)?,
        metadata: json::<BTreeMap<String, String>>(text(row, 6)?)?,
        timeout: row.get::<_, Option<u64>>(7)?.map(Period::from_millis),
        retry: retry.as_deref().map(json).transpose()?,
        max_in_flight: row.get(15)?,
        rate_limit: rate_limit.as_deref().map(json).transpose()?,
        ordered: row.get(17)?,
        filter: row.get(22)?,
        wire: json(text(row, 23)?)?,
        credentials: row.get::<_, Option<Vec<u8>>>(24)?.map(|sealed| Sealed(sealed.into())),
        handshake: handshake.as_deref().map(json).transpose()?,
        state: endpoint_state(row.get(9)?)?,
        state_reason: row.get(10)?,
        parked_until: row.get::<_, Option<i64>>(11)?.map(time).transpose()?,
        health: Health {
            failing_since: row.get::<_, Option<i64>>(18)?.map(time).transpose()?,
            failures: row.get(19)?,
            exhausted: row.get(20)?,
            warned: row.get(21)?,
        },
        secrets: secrets(conn, no)?,
        version: row.get(12)?,
        created_at: time(row.get(13)?)?,
        updated_at: time(row.get(14)?)?,
    })
}

fn secrets(conn: &Connection, endpoint_no: i64) -> Outcome<Vec<EndpointSecret>> {
    let mut statement = conn.prepare_cached(
        "SELECT sealed, expires_at FROM endpoint_secrets WHERE endpoint_no = ? ORDER BY rank",
    )?;
    let mut found = statement.query([endpoint_no])?;
    let mut secrets = Vec::new();
    while let Some(row) = found.next()? {
        secrets.push(EndpointSecret {
            sealed: Sealed(Bytes::from(row.get::<_, Vec<u8>>(0)?)),
            expires_at: row.get::<_, Option<i64>>(1)?.map(time).transpose()?,
        });
    }
    Ok(secrets)
}

pub(crate) fn endpoint_by_no(conn: &Connection, no: i64) -> Outcome<Option<Endpoint>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {ENDPOINT} WHERE p.no = ?"))?;
    let mut found = statement.query([no])?;
    found.next()?.map(|row| endpoint(conn, row)).transpose()
}

/// The columns that [`event`] reads; the tenant's id is the caller's to know.
pub(crate) const EVENT: &str = "e.id, e.topic, e.content_type, e.payload, e.accepted_at, e.deliveries, e.seq, \
     e.metadata, e.deliver_at, e.retention_ms, e.test";

pub(crate) fn event(row: &Row<'_>, tenant: &posthaste_model::TenantId) -> Outcome<EventRecord> {
    Ok(EventRecord {
        event: Event {
            tenant: tenant.clone(),
            id: parse(text(row, 0)?)?,
            topic: parse(text(row, 1)?)?,
            payload: Payload::from_parts(row.get(2)?, Bytes::from(row.get::<_, Vec<u8>>(3)?)),
            accepted_at: time(row.get(4)?)?,
            options: options(row)?,
        },
        deliveries: row.get(5)?,
    })
}

fn options(row: &Row<'_>) -> Outcome<EventOptions> {
    let metadata: Option<String> = row.get(7)?;
    Ok(EventOptions {
        metadata: metadata.as_deref().map(json).transpose()?.unwrap_or_default(),
        deliver_at: row.get::<_, Option<i64>>(8)?.map(time).transpose()?,
        retention: row.get::<_, Option<u64>>(9)?.map(Period::from_millis),
        test: row.get(10)?,
    })
}

/// The columns that [`delivery`] reads.
pub(crate) const DELIVERY: &str = "d.event_seq, d.n, e.id, e.topic, e.accepted_at, p.id, p.state, d.state, \
     d.attempts, d.failures, ifnull(d.attempt_at, d.due_at), d.last_status, d.last_error, d.completed_at, t.id \
     FROM events e JOIN deliveries d ON d.event_seq = e.seq JOIN endpoints p ON p.no = d.endpoint_no \
     JOIN tenants t ON t.no = e.tenant_no";

pub(crate) fn delivery_key(row: &Row<'_>) -> rusqlite::Result<DeliveryKey> {
    Ok(DeliveryKey { seq: row.get(0)?, n: row.get(1)? })
}

pub(crate) fn delivery(row: &Row<'_>, leased: bool) -> Outcome<Delivery> {
    let accepted_at: i64 = row.get(4)?;
    let endpoint = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
    let (state, reason) = RowState::read(row.get(7)?, leased, endpoint_state(row.get(6)?)?)?;
    let due_at = row.get::<_, Option<i64>>(10)?.filter(|_| !leased);
    Ok(Delivery {
        id: delivery_key(row)?.id(accepted_at),
        tenant: parse(text(row, 14)?)?,
        event: parse(text(row, 2)?)?,
        topic: parse(text(row, 3)?)?,
        endpoint: EndpointId::from_uuid(uuid_from_blob(endpoint).map_err(damaged)?),
        state,
        reason,
        attempts: row.get(8)?,
        failures: row.get(9)?,
        due_at: due_at.map(time).transpose()?,
        last_status: row.get(11)?,
        last_error: row.get::<_, Option<i64>>(12)?.map(error_class).transpose()?,
        created_at: time(accepted_at)?,
        completed_at: row.get::<_, Option<i64>>(13)?.map(time).transpose()?,
    })
}

/// The columns that [`attempt`] reads.
pub(crate) const ATTEMPT: &str = "number, id, started_at, queued_us, first_byte_us, total_us, status, headers, \
     body, truncated, error, detail, manual, dns_us, connect_us, tls_us, request FROM attempts";

pub(crate) fn attempt(row: &Row<'_>) -> Outcome<Attempt> {
    let micros = |column| row.get::<_, Option<u64>>(column).map(|micros| micros.map(Duration::from_micros));
    let request: Option<String> = row.get(16)?;
    let outcome = match row.get::<_, Option<u16>>(6)? {
        Some(status) => AttemptOutcome::Replied(Reply {
            status,
            headers: json(text(row, 7)?)?,
            body: Bytes::from(row.get::<_, Vec<u8>>(8)?),
            truncated: row.get(9)?,
        }),
        None => AttemptOutcome::Failed { class: error_class(row.get(10)?)?, detail: row.get(11)? },
    };
    let id = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Attempt {
        id: AttemptId::from_uuid(uuid_from_blob(id).map_err(damaged)?),
        number: row.get(0)?,
        manual: row.get(12)?,
        started_at: time(row.get(2)?)?,
        timings: Timings {
            queued: micros(3)?.unwrap_or_default(),
            dns: micros(13)?,
            connect: micros(14)?,
            tls: micros(15)?,
            first_byte: micros(4)?,
            total: micros(5)?.unwrap_or_default(),
        },
        request: request.as_deref().map(sent_request).transpose()?.map(Box::new),
        outcome,
    })
}

/// What was sent, as an attempt's row has it: method, URL, headers.
pub(crate) fn sent_request_json(request: &SentRequest) -> Outcome<String> {
    let SentRequest { method, url, headers } = request;
    to_json(&(method, url, headers))
}

fn sent_request(text: &str) -> Outcome<SentRequest> {
    let (method, url, headers) = json(text)?;
    Ok(SentRequest { method, url, headers })
}

/// Whether a row exists.
pub(crate) fn exists(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<bool> {
    Ok(conn.prepare_cached(sql)?.query_row(params, |_| Ok(())).optional()?.is_some())
}
