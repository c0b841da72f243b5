use async_trait::async_trait;
use posthaste_model::{AuditEntry, AuditId, AuditOutcome, TenantId};
use posthaste_store::{Audit, Cursor, Page, Paged, Result, StoreError};
use rusqlite::{Connection, Row, params};

use crate::{
    catalogue::paged,
    fault::{Fault, Outcome, damaged},
    key::{millis, uuid_from_blob},
    rows::{self, to_json},
    store::SqliteStore,
};

/// After how many new entries old ones are looked for: all are counted for it.
const EVERY: i64 = 100;
/// How many are forgotten at once at the most, so that nobody waits long behind it.
const AT_ONCE: i64 = 1_000;
/// An id behind all others.
const LAST: [u8; 16] = [0xff; 16];

#[async_trait]
impl Audit for SqliteStore {
    async fn record(&self, entry: AuditEntry, most: u32) -> Result<()> {
        self.writer.run(move |work| record(work.conn, &entry, most)).await
    }

    async fn audit(&self, of: Option<&TenantId>, page: Page) -> Result<Paged<AuditEntry>> {
        let of = of.cloned();
        self.readers.run(move |conn| list(conn, of.as_ref(), &page)).await
    }
}

fn record(conn: &Connection, entry: &AuditEntry, most: u32) -> Outcome<()> {
    let id = entry.id.uuid().into_bytes();
    // What is known takes no number: at every hundredth, old entries are looked for.
    if conn.prepare_cached("SELECT 1 FROM audit WHERE id = ?")?.exists([id])? {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO audit (id, at, actor, by_tenant, address, action, subject, tenant, fields, detail, outcome)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        millis(entry.at),
        to_json(&entry.by)?,
        entry.is_by_tenant(),
        entry.address,
        entry.action,
        entry.subject,
        entry.tenant.as_ref().map(TenantId::as_str),
        to_json(&entry.fields)?,
        entry.detail,
        outcome_code(entry.outcome),
    ])?;
    if conn.last_insert_rowid() % EVERY == 0 {
        // Of both kinds: all such numbers may be those of one.
        for by_tenant in [false, true] {
            forget(conn, by_tenant, most)?;
        }
    }
    Ok(())
}

/// Forgets the entries of a kind that came first, beyond so many.
fn forget(conn: &Connection, by_tenant: bool, most: u32) -> Outcome<()> {
    let count: i64 = conn.prepare_cached(COUNT)?.query_row([by_tenant], |row| row.get(0))?;
    let beyond = (count - i64::from(most)).clamp(0, AT_ONCE);
    conn.prepare_cached(FORGET_FIRST)?.execute((by_tenant, beyond))?;
    Ok(())
}

const COUNT: &str = "SELECT count(*) FROM audit WHERE by_tenant = ?";
const FORGET_FIRST: &str =
    "DELETE FROM audit WHERE no IN (SELECT no FROM audit WHERE by_tenant = ? ORDER BY no LIMIT ?)";

/// The columns that [`entry`] reads.
const ENTRY: &str = "id, at, actor, address, action, subject, tenant, fields, detail, outcome FROM audit";

fn id(row: &Row<'_>) -> Outcome<AuditId> {
    let id = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(AuditId::from_uuid(uuid_from_blob(id).map_err(damaged)?))
}

fn entry(row: &Row<'_>) -> Outcome<AuditEntry> {
    Ok(AuditEntry {
        id: id(row)?,
        at: rows::time(row.get(1)?)?,
        by: rows::json(&row.get::<_, String>(2)?)?,
        address: row.get(3)?,
        action: row.get(4)?,
        subject: row.get(5)?,
        tenant: row.get::<_, Option<String>>(6)?.as_deref().map(rows::parse).transpose()?,
        fields: rows::json(&row.get::<_, String>(7)?)?,
        detail: row.get(8)?,
        outcome: outcome(row.get(9)?)?,
    })
}

fn outcome(code: i64) -> Outcome<AuditOutcome> {
    match code {
        0 => Ok(AuditOutcome::Done),
        1 => Ok(AuditOutcome::Unknown),
        other => Err(damaged(format!("outcome {other}"))),
    }
}

fn outcome_code(outcome: AuditOutcome) -> i64 {
    match outcome {
        AuditOutcome::Done => 0,
        AuditOutcome::Unknown => 1,
    }
}

fn list(conn: &Connection, of: Option<&TenantId>, page: &Page) -> Outcome<Paged<AuditEntry>> {
    let parse = |Cursor(id): &Cursor| id.parse::<AuditId>().map_err(|_| StoreError::InvalidCursor);
    let before = page.after.as_ref().map(parse).transpose()?.map_or(LAST, |id| id.uuid().into_bytes());
    let limit = i64::from(page.limit) + 1;
    let read = |row: &Row<'_>| {
        let id = id(row)?;
        Ok(((id, entry(row)), id.to_string()))
    };
    let Paged { rows, next } = match of {
        Some(tenant) => {
            let mut statement = conn.prepare_cached(&of_tenant_sql())?;
            paged(statement.query((tenant.as_str(), before, limit))?, page, read)
        }
        None => paged(conn.prepare_cached(&all_sql())?.query((before, limit))?, page, read),
    }?;
    Ok(Paged { rows: rows.into_iter().filter_map(readable).collect(), next })
}

fn all_sql() -> String {
    format!("SELECT {ENTRY} WHERE id < ? ORDER BY id DESC LIMIT ?")
}

fn of_tenant_sql() -> String {
    format!("SELECT {ENTRY} WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?")
}

/// An entry, if it can be read. One that cannot does not hide the others.
fn readable((id, entry): (AuditId, Outcome<AuditEntry>)) -> Option<AuditEntry> {
    let told = |error: &Fault| {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, %id, "an entry of the audit cannot be read; the list leaves it out");
    };
    entry.inspect_err(told).ok()
}

#[cfg(test)]
mod tests {
    use posthaste_model::{Actor, Timestamp};

    use super::*;
    use crate::search::tests::{plan, store};

    #[test]
    fn no_list_reads_what_it_does_not_show() {
        let conn = store();
        let all = ["SEARCH audit USING INDEX sqlite_autoindex_audit_1 (id<?)"];
        assert_eq!(plan(&conn, &all_sql()), all);
        let of_tenant = ["SEARCH audit USING INDEX audit_by_tenant (tenant=? AND id<?)"];
        assert_eq!(plan(&conn, &of_tenant_sql()), of_tenant);
    }

    #[test]
    fn what_came_first_of_a_kind_is_found_without_reading_the_other_kind() {
        let conn = store();
        let count = "SEARCH audit USING COVERING INDEX audit_by_whom (by_tenant=?)";
        assert_eq!(plan(&conn, COUNT), [count]);
        let forget = ["SEARCH audit USING INTEGER PRIMARY KEY (rowid=?)", "LIST SUBQUERY 1", count];
        assert_eq!(plan(&conn, FORGET_FIRST), forget);
    }

    /// The `n`-th entry.
    fn sample(n: u16, by: Actor) -> AuditEntry {
        let mut random = [0; 10];
        random[8..].copy_from_slice(&n.to_be_bytes());
        AuditEntry {
            id: AuditId::mint(Timestamp::UNIX_EPOCH, random),
            at: Timestamp::UNIX_EPOCH,
            by,
            address: None,
            action: "delete_tenant".into(),
            subject: "/v1/tenants/acme".into(),
            tenant: "acme".parse().ok(),
            fields: Vec::new(),
            detail: None,
            outcome: AuditOutcome::Done,
        }
    }

    #[test]
    fn old_ones_are_looked_for_at_every_hundredth_whoever_did_it_and_however_often_it_comes() {
        let (conn, most, slack) = (store(), 20, 100);
        for n in 0..500 {
            let link = Actor::PortalLink { tenant: "acme".parse().unwrap(), made_by: None };
            let entry = sample(n, if n % 2 == 0 { link } else { Actor::AdminKey });
            for _ in 0..=n % 3 {
                record(&conn, &entry, most).unwrap();
            }
            for by_tenant in [false, true] {
                let kept: u32 = conn.query_row(COUNT, [by_tenant], |row| row.get(0)).unwrap();
                assert!(kept <= most + slack, "{kept} are kept");
            }
        }
    }

    #[test]
    fn entries_that_cannot_be_read_do_not_hide_the_others() {
        let conn = store();
        let made: Vec<AuditEntry> = (0..5).rev().map(|n| sample(n, Actor::AdminKey)).collect();
        for entry in made.iter().rev() {
            record(&conn, entry, 1_000).unwrap();
        }
        // A newer build has written them.
        conn.execute("UPDATE audit SET actor = '{\"kind\":\"robot\"}' WHERE no = 2", []).unwrap();
        conn.execute("UPDATE audit SET outcome = 99 WHERE no = 4", []).unwrap();
        let left = [&made[0], &made[2], &made[4]];
        let tenant = "acme".parse().unwrap();
        for of in [None, Some(&tenant)] {
            for limit in [1, 2, 10] {
                let (mut page, mut seen) = (Page::first(limit), Vec::new());
                loop {
                    let Paged { rows, next } = list(&conn, of, &page).unwrap();
                    seen.extend(rows);
                    page = Page { limit, after: next };
                    if page.after.is_none() {
                        break;
                    }
                }
                assert_eq!(seen.iter().collect::<Vec<_>>(), left, "in pages of {limit}");
            }
        }
    }
}
