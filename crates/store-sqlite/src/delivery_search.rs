//! Searching deliveries.
//!
//! What operators look for has an index of its own (`troubled`), and what is open stands in the queues. All other searches
//! walk along the events, of a tenant or of all: an index of everything that an endpoint ever got would be one more to write
//! for each delivery, whoever asks for it.

use posthaste_model::{Delivery, DeliveryState, EndpointId, EventId, TenantId};
use posthaste_store::{DeliveryFilter, Order, Page, Paged};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{
    catalogue::tenant_no,
    fault::Outcome,
    key::DeliveryKey,
    rows::{self, RowState},
    search::{self, LOOKS, Span, Walk},
    shared::Shared,
};

/// Searches deliveries, in the order of their events.
pub(crate) fn deliveries(
    conn: &Connection,
    shared: &Shared,
    tenant: Option<&TenantId>,
    filter: &DeliveryFilter,
    order: Order,
    page: &Page,
) -> Outcome<Paged<Delivery>> {
    let tenant_no = tenant.map(|tenant| tenant_no(conn, tenant)).transpose()?;
    let span = Span::of_time(conn, filter.since, filter.until)?.behind(page, order)?;
    let nothing = || Ok(Paged { rows: Vec::new(), next: None });
    let Some(field) = Field::of(conn, tenant_no, filter)? else { return nothing() };
    let read = |key| {
        let leased = shared.leases().contains(key);
        Ok(read(conn, key, leased)?.filter(|delivery| filter.admits(delivery)))
    };
    if let (Some(no), Some(event)) = (field.tenant_no(), &filter.event) {
        let Some(seq) = event_seq(conn, no, event)? else { return nothing() };
        return along_events(field, filter).page(conn, &span.only(seq), order, page.limit, read);
    }
    if row_states(filter) == 1 << RowState::Scheduled as i64
        && let Some(mut open) = open(conn, field)?
    {
        let leases = shared.leases();
        open.retain(|key| span.contains(*key) && may_be(filter, leases.contains(*key)));
        drop(leases);
        open.sort_unstable();
        if order == Order::NewestFirst {
            open.reverse();
        }
        return search::page(open.into_iter().map(|key| Ok((key, true))), page.limit, read);
    }
    let walk =
        if filter.wants_trouble() { along_trouble(field, filter) } else { along_events(field, filter) };
    walk.page(conn, &span, order, page.limit, read)
}

/// Among which deliveries is searched.
#[derive(Debug, Clone, Copy)]
enum Field {
    All,
    /// Those of a tenant.
    Tenant(i64),
    /// Those of an endpoint of a tenant.
    Endpoint {
        tenant_no: i64,
        endpoint_no: i64,
    },
}

impl Field {
    /// None: where there can be nothing.
    fn of(conn: &Connection, tenant_no: Option<i64>, filter: &DeliveryFilter) -> Outcome<Option<Self>> {
        let Some(endpoint) = filter.endpoint else {
            return Ok(Some(tenant_no.map_or(Self::All, Self::Tenant)));
        };
        let found =
            endpoint_nos(conn, endpoint)?.filter(|(of, _)| tenant_no.is_none_or(|tenant| tenant == *of));
        Ok(found.map(|(tenant_no, endpoint_no)| Self::Endpoint { tenant_no, endpoint_no }))
    }

    fn tenant_no(self) -> Option<i64> {
        match self {
            Self::All => None,
            Self::Tenant(tenant_no) | Self::Endpoint { tenant_no, .. } => Some(tenant_no),
        }
    }
}

/// The numbers of an endpoint, which may be deleted, and before it of its tenant, which may not.
fn endpoint_nos(conn: &Connection, id: EndpointId) -> Outcome<Option<(i64, i64)>> {
    Ok(conn
        .prepare_cached(
            "SELECT p.tenant_no, p.no FROM endpoints p JOIN tenants t ON t.no = p.tenant_no
             WHERE p.id = ? AND t.deleted_at IS NULL",
        )?
        .query_row([id.uuid().as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

fn event_seq(conn: &Connection, tenant_no: i64, id: &EventId) -> Outcome<Option<i64>> {
    Ok(conn
        .prepare_cached("SELECT seq FROM events WHERE tenant_no = ? AND id = ?")?
        .query_row((tenant_no, id.as_str()), |row| row.get(0))
        .optional()?)
}

/// A walk along the deliveries that operators look for.
fn along_trouble(field: Field, filter: &DeliveryFilter) -> Walk {
    let (index, of) = match field {
        Field::All => ("deliveries_troubled", None),
        Field::Tenant(no) => ("deliveries_troubled_by_tenant", Some(("d.tenant_no = :of", no))),
        Field::Endpoint { endpoint_no: no, .. } => {
            ("deliveries_troubled_by_endpoint", Some(("d.endpoint_no = :of", no)))
        }
    };
    let key = ("d.event_seq", "d.n");
    let mut walk = Walk {
        key,
        from: format!("deliveries d INDEXED BY {index}"),
        along: vec!["d.troubled".into(), Walk::within(key)],
        meets: Vec::new(),
        params: Vec::new(),
    };
    match of {
        Some((condition, no)) => walk.keep_to(condition, ":of", no),
        None => walk.meets.push("(SELECT deleted_at IS NULL FROM tenants WHERE no = d.tenant_no)".into()),
    }
    ask(&mut walk, filter);
    for (column, name, value) in of_event(filter) {
        walk.ask(format!("(SELECT {column} FROM events WHERE seq = d.event_seq) = {name}"), name, value);
    }
    walk
}

/// A walk along events, and along the deliveries of each. One without any counts as a row that is looked at.
fn along_events(field: Field, filter: &DeliveryFilter) -> Walk {
    let index = match field {
        Field::All => "NOT INDEXED",
        Field::Tenant(_) | Field::Endpoint { .. } => "INDEXED BY events_by_tenant",
    };
    let key = ("e.seq", "d.n");
    let mut walk = Walk {
        key,
        from: format!("events e {index} LEFT JOIN deliveries d NOT INDEXED ON d.event_seq = e.seq AND ")
            + &Walk::within(key),
        along: vec!["e.seq BETWEEN :low AND :high".into()],
        meets: Vec::new(),
        params: Vec::new(),
    };
    // Where an event is not meant, its deliveries are not even looked for.
    for (column, name, value) in of_event(filter) {
        walk.from += &format!(" AND e.{column} = {name}");
        walk.params.push((name, value.into()));
    }
    match field.tenant_no() {
        Some(no) => walk.keep_to("e.tenant_no = :tenant", ":tenant", no),
        None => walk.meets.push("(SELECT deleted_at IS NULL FROM tenants WHERE no = e.tenant_no)".into()),
    }
    if let Field::Endpoint { endpoint_no, .. } = field {
        walk.ask("d.endpoint_no = :endpoint", ":endpoint", endpoint_no);
    }
    ask(&mut walk, filter);
    walk
}

/// Asks of each row what it alone can answer. The times, and what is held or in flight, are left to
/// [`DeliveryFilter::admits`].
fn ask(walk: &mut Walk, filter: &DeliveryFilter) {
    if !filter.states.is_empty() {
        walk.ask("(:states >> d.state) & 1", ":states", row_states(filter));
    }
    if let Some((first, last)) = filter.status {
        walk.ask("d.last_error IS NULL AND d.last_status >= :first", ":first", i64::from(first));
        walk.ask("d.last_status <= :last", ":last", i64::from(last));
    }
    if let Some(class) = filter.error {
        walk.ask("d.last_error = :error", ":error", rows::error_code(class));
    }
    if filter.failed {
        walk.meets.push("d.failures > 0".into());
    }
}

/// What is asked of an event: columns, the parameters that they equal, and their values.
fn of_event(filter: &DeliveryFilter) -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let topic = filter.topic.as_ref().map(|topic| ("topic", ":topic", topic.to_string()));
    let event = filter.event.as_ref().map(|event| ("id", ":event", event.to_string()));
    topic.into_iter().chain(event)
}

/// What is open, in no order. None: that is more than is looked at, or waits at more endpoints.
fn open(conn: &Connection, field: Field) -> Outcome<Option<Vec<DeliveryKey>>> {
    if let Field::Tenant(no) = field
        && endpoints_ever(conn, no)? > LOOKS
    {
        return Ok(None);
    }
    let (from, of) = match field {
        Field::All => ("deliveries d INDEXED BY deliveries_due WHERE ?1 = 0", 0),
        Field::Tenant(no) => (
            "endpoints p INDEXED BY endpoints_ever_by_tenant
             CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.endpoint_no = p.no WHERE p.tenant_no = ?1",
            no,
        ),
        Field::Endpoint { endpoint_no, .. } => {
            ("deliveries d INDEXED BY deliveries_due WHERE d.endpoint_no = ?1", endpoint_no)
        }
    };
    let mut statement = conn
        .prepare_cached(&format!("SELECT d.event_seq, d.n FROM {from} AND d.due_at IS NOT NULL LIMIT ?2"))?;
    let found = statement.query_map((of, LOOKS as i64 + 1), rows::delivery_key)?;
    let open = found.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((open.len() <= LOOKS).then_some(open))
}

/// How many endpoints a tenant has or had, counted up to one more than is looked at.
fn endpoints_ever(conn: &Connection, tenant_no: i64) -> Outcome<usize> {
    let mut statement = conn.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM endpoints INDEXED BY endpoints_ever_by_tenant
         WHERE tenant_no = ? LIMIT ?)",
    )?;
    Ok(statement.query_row((tenant_no, LOOKS as i64 + 1), |row| row.get(0))?)
}

/// The states that a row may have, a bit for each code.
fn row_states(filter: &DeliveryFilter) -> i64 {
    let bits = |state| {
        let (first, last) = RowState::of(state);
        (first as i64..=last as i64).map(|code| 1 << code).sum::<i64>()
    };
    filter.states.iter().fold(0, |all, state| all | bits(*state))
}

/// Whether a delivery that is open may be in one of the states that are wanted, in flight or not.
fn may_be(filter: &DeliveryFilter, in_flight: bool) -> bool {
    filter.states.iter().any(|state| (*state == DeliveryState::InFlight) == in_flight)
}

/// Reads a delivery. None: it, or its tenant, is gone.
fn read(conn: &Connection, key: DeliveryKey, leased: bool) -> Outcome<Option<Delivery>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} WHERE d.event_seq = ? AND d.n = ? AND t.deleted_at IS NULL",
        rows::DELIVERY
    ))?;
    let mut found = statement.query((key.seq, key.n))?;
    found.next()?.map(|row| rows::delivery(row, leased)).transpose()
}

#[cfg(test)]
mod tests {
    use posthaste_model::ErrorClass;
    use posthaste_store::is_troubled;

    use super::*;
    use crate::search::tests::{check_plan, store};

    #[test]
    fn every_search_goes_along_an_index() {
        let everything = DeliveryFilter {
            states: vec![DeliveryState::Skipped],
            event: Some("evt".parse().unwrap()),
            topic: Some("order.paid".parse().unwrap()),
            status: Some((500, 599)),
            error: Some(ErrorClass::Timeout),
            failed: true,
            ..DeliveryFilter::default()
        };
        let endpoint = Field::Endpoint { tenant_no: 1, endpoint_no: 1 };
        for filter in [DeliveryFilter::default(), everything] {
            check_plan(
                &along_trouble(Field::All, &filter),
                "deliveries_troubled ((event_seq,n)>(?,?) AND (event_seq,n)<(?,?))",
            );
            check_plan(
                &along_trouble(Field::Tenant(1), &filter),
                "deliveries_troubled_by_tenant (tenant_no=? AND (event_seq,n)>(?,?) AND (event_seq,n)<(?,?))",
            );
            check_plan(
                &along_trouble(endpoint, &filter),
                "deliveries_troubled_by_endpoint (endpoint_no=? AND (event_seq,n)>(?,?) AND (event_seq,n)<(?,?))",
            );
            check_plan(&along_events(Field::All, &filter), "SEARCH e USING INTEGER PRIMARY KEY");
            check_plan(&along_events(Field::Tenant(1), &filter), "events_by_tenant (tenant_no=? AND rowid");
            check_plan(&along_events(endpoint, &filter), "events_by_tenant (tenant_no=? AND rowid");
        }
    }

    #[test]
    fn among_too_many_endpoints_nobody_looks_for_what_is_open() {
        let conn = store();
        conn.execute_batch(
            "INSERT INTO tenants (no, id, name, version, created_at, updated_at) VALUES (1, 'acme', '', 1, 0, 0)",
        )
        .unwrap();
        for count in 1..=LOOKS + 1 {
            conn.execute(
                "INSERT INTO endpoints (id, tenant_no, url, topics, description, metadata, state, version, created_at,
                     updated_at)
                 VALUES (randomblob(16), 1, '', '[]', '', '{}', 0, 1, 0, 0)",
                [],
            )
            .unwrap();
            if count >= LOOKS {
                let open = open(&conn, Field::Tenant(1)).unwrap();
                assert_eq!(open, (count == LOOKS).then(Vec::new), "{count} endpoints");
            }
        }
    }

    #[test]
    fn the_table_knows_what_is_troubled() {
        let conn = store();
        conn.execute_batch(
            "INSERT INTO tenants (no, id, name, version, created_at, updated_at) VALUES (1, 'acme', '', 1, 0, 0);
             INSERT INTO endpoints (no, id, tenant_no, url, topics, description, metadata, state, version, created_at,
                 updated_at)
             VALUES (1, zeroblob(16), 1, '', '[]', '', '{}', 0, 1, 0, 0);
             INSERT INTO events (seq, tenant_no, id, topic, payload, deliveries, accepted_at)
             VALUES (1, 1, 'evt', 'order.paid', x'31', 1, 0);
             CREATE TEMP TABLE states AS SELECT value FROM json_each('[0, 1, 2, 3, 4, 5]');
             CREATE TEMP TABLE failures AS SELECT value FROM json_each('[0, 1, 2]');
             CREATE TEMP TABLE statuses AS SELECT value FROM json_each('[null, 100, 199, 200, 299, 300, 503]');
             CREATE TEMP TABLE errors AS SELECT value FROM json_each('[null, 0, 1]');
             INSERT INTO deliveries (event_seq, n, tenant_no, endpoint_no, state, leases, attempts, failures, last_status,
                 last_error)
             SELECT 1, row_number() OVER (), 1, 1, s.value, 0, 0, f.value, t.value, e.value
             FROM states s, failures f, statuses t, errors e",
        )
        .unwrap();
        let mut all = conn.prepare("SELECT n, troubled FROM deliveries").unwrap();
        let all: Vec<(u16, bool)> = all
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(all.len(), 6 * 3 * 7 * 3);
        for (n, troubled) in all {
            let delivery = read(&conn, DeliveryKey { seq: 1, n }, false).unwrap().unwrap();
            assert_eq!(troubled, is_troubled(&delivery), "{delivery:?}");
        }
    }
}
