use async_trait::async_trait;
use posthaste_model::{DeliveryId, EndpointId};
use posthaste_store::{Notice, Notices, Partition, Result, Told};
use rusqlite::{Connection, Row};

use crate::{
    fault::{Outcome, damaged},
    key::{millis, uuid_from_blob},
    rows,
    store::SqliteStore,
};

#[async_trait]
impl Notices for SqliteStore {
    async fn notices(&self, _partition: Partition, limit: u32) -> Result<Vec<Notice>> {
        self.readers.run(move |conn| read(conn, limit)).await
    }

    async fn forget_notices(&self, _partition: Partition, up_to: u64) -> Result<()> {
        self.writer
            .run(move |work| {
                let up_to = i64::try_from(up_to).unwrap_or(i64::MAX);
                work.conn.prepare_cached("DELETE FROM notices WHERE number <= ?")?.execute([up_to])?;
                Ok(())
            })
            .await
    }
}

const FAILING: i64 = 0;
const DISABLED: i64 = 1;
const RECOVERED: i64 = 2;
const EXHAUSTED: i64 = 3;

/// Leaves a notice about an endpoint.
pub(crate) fn leave(conn: &Connection, endpoint_no: i64, at: i64, told: &Told) -> Outcome<()> {
    let (kind, since, percent, reason, delivery) = match told {
        Told::Failing { since, percent } => (FAILING, Some(*since), Some(*percent), None, None),
        Told::Disabled { reason } => (DISABLED, None, None, Some(reason), None),
        Told::Recovered { failing_since } => (RECOVERED, Some(*failing_since), None, None, None),
        Told::Exhausted { delivery } => (EXHAUSTED, None, None, None, Some(delivery.uuid())),
    };
    conn.prepare_cached(
        "INSERT INTO notices (endpoint_no, at, kind, since, percent, reason, delivery)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        endpoint_no,
        at,
        kind,
        since.map(millis),
        percent,
        reason,
        delivery.map(|delivery| *delivery.as_bytes()),
    ))?;
    Ok(())
}

fn read(conn: &Connection, limit: u32) -> Outcome<Vec<Notice>> {
    let mut statement = conn.prepare_cached(
        "SELECT o.number, t.id, p.id, o.at, o.kind, o.since, o.percent, o.reason, o.delivery
         FROM notices o JOIN endpoints p ON p.no = o.endpoint_no JOIN tenants t ON t.no = p.tenant_no
         WHERE t.deleted_at IS NULL ORDER BY o.number LIMIT ?",
    )?;
    let mut found = statement.query([limit])?;
    let mut notices = Vec::new();
    while let Some(row) = found.next()? {
        notices.push(notice(row)?);
    }
    Ok(notices)
}

fn notice(row: &Row<'_>) -> Outcome<Notice> {
    let uuid = |column| -> Outcome<_> {
        let blob = row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?;
        uuid_from_blob(blob).map_err(damaged)
    };
    let told = match row.get(4)? {
        FAILING => Told::Failing { since: rows::time(row.get(5)?)?, percent: row.get(6)? },
        DISABLED => Told::Disabled { reason: row.get(7)? },
        RECOVERED => Told::Recovered { failing_since: rows::time(row.get(5)?)? },
        EXHAUSTED => Told::Exhausted { delivery: DeliveryId::from_uuid(uuid(8)?) },
        other => return Err(damaged(format!("notice {other}"))),
    };
    Ok(Notice {
        number: row.get(0)?,
        tenant: rows::parse(&row.get::<_, String>(1)?)?,
        endpoint: EndpointId::from_uuid(uuid(2)?),
        at: rows::time(row.get(3)?)?,
        told,
    })
}
