use posthaste_model::TenantId;
use posthaste_store::{EventFilter, EventRecord, Order, Page, Paged};
use rusqlite::Connection;

use crate::{
    catalogue::tenant_no,
    fault::Outcome,
    rows,
    search::{Span, Walk},
};

/// Searches events, newest first.
pub(crate) fn events(
    conn: &Connection,
    tenant: Option<&TenantId>,
    filter: &EventFilter,
    page: &Page,
) -> Outcome<Paged<EventRecord>> {
    let tenant_no = tenant.map(|tenant| tenant_no(conn, tenant)).transpose()?;
    let order = Order::NewestFirst;
    let span = Span::of_time(conn, filter.since, filter.until)?.behind(page, order)?;
    walk(tenant_no, filter).page(conn, &span, order, page.limit, |key| {
        Ok(read(conn, key.seq)?.filter(|record| filter.admits(record)))
    })
}

fn walk(tenant_no: Option<i64>, filter: &EventFilter) -> Walk {
    let index = match (filter.unmatched, tenant_no) {
        (true, Some(_)) => "INDEXED BY events_unmatched_by_tenant",
        (true, None) => "INDEXED BY events_unmatched",
        (false, Some(_)) => "INDEXED BY events_by_tenant",
        (false, None) => "NOT INDEXED",
    };
    // The place of an event is that of its first delivery.
    let key = ("e.seq", "0");
    let mut walk = Walk {
        key,
        from: format!("events e {index}"),
        along: vec!["e.seq BETWEEN :low AND :high".into(), Walk::within(key)],
        meets: Vec::new(),
        params: Vec::new(),
    };
    if filter.unmatched {
        walk.along.push("e.deliveries = 0".into());
    }
    match tenant_no {
        Some(no) => walk.keep_to("e.tenant_no = :tenant", ":tenant", no),
        None => walk.meets.push("(SELECT deleted_at IS NULL FROM tenants WHERE no = e.tenant_no)".into()),
    }
    if let Some(topic) = &filter.topic {
        walk.ask("e.topic = :topic", ":topic", topic.to_string());
    }
    walk
}

/// Reads an event. None: it, or its tenant, is gone.
fn read(conn: &Connection, seq: i64) -> Outcome<Option<EventRecord>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {}, t.id FROM events e JOIN tenants t ON t.no = e.tenant_no WHERE e.seq = ? AND t.deleted_at IS NULL",
        rows::EVENT
    ))?;
    let mut found = statement.query([seq])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let tenant = rows::parse(&row.get::<_, String>(11)?)?;
    rows::event(row, &tenant).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::check_plan;

    #[test]
    fn every_search_goes_along_an_index() {
        for topic in [None, Some("order.paid".parse().unwrap())] {
            let all = EventFilter { topic, ..EventFilter::default() };
            let unmatched = EventFilter { unmatched: true, ..all.clone() };
            check_plan(&walk(None, &all), "SEARCH e USING INTEGER PRIMARY KEY (rowid");
            check_plan(&walk(Some(1), &all), "events_by_tenant (tenant_no=? AND rowid");
            check_plan(&walk(None, &unmatched), "events_unmatched (seq");
            check_plan(&walk(Some(1), &unmatched), "events_unmatched_by_tenant (tenant_no=? AND rowid");
        }
    }
}
