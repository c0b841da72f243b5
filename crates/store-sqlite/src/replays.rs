use async_trait::async_trait;
use posthaste_model::{DeliveryId, ReplayId, TenantId, Timestamp};
use posthaste_store::{
    Missing, Page, Paged, Partition, Reopened, Replay, ReplayState, Replays, Result, StoreError,
};
use rusqlite::{Connection, Row, params};

use crate::{
    catalogue::{number_cursor, paged, tenant_no},
    fault::{Fault, Outcome, damaged},
    key::{millis, uuid_from_blob},
    reopening::reopen,
    rows::{self, to_json},
    store::SqliteStore,
    writer::Work,
};

#[async_trait]
impl Replays for SqliteStore {
    async fn reopen(
        &self,
        tenant: &TenantId,
        deliveries: Vec<DeliveryId>,
        over_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Reopened>> {
        let tenant = tenant.clone();
        let over_before = over_before.map(millis);
        self.writer.run(move |work| reopen(work, &tenant, &deliveries, over_before, millis(now))).await
    }

    async fn create_replay(&self, replay: Replay) -> Result<()> {
        self.writer.run(move |work| create(work, &replay)).await
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Replay> {
        let tenant = tenant.clone();
        self.readers.run(move |conn| find(conn, &tenant, id)).await
    }

    async fn replays(&self, tenant: Option<&TenantId>, page: Page) -> Result<Paged<Replay>> {
        let tenant = tenant.cloned();
        self.readers.run(move |conn| list(conn, tenant.as_ref(), &page)).await
    }

    async fn running_replays(&self, _partition: Partition) -> Result<Vec<Replay>> {
        self.readers.run(running).await
    }

    async fn update_replay(&self, replay: Replay) -> Result<Replay> {
        self.writer.run(move |work| update(work, &replay)).await
    }
}

/// The columns that [`replay`] reads.
const REPLAY: &str = "r.no, r.id, t.id, r.filter, r.rate, r.state, r.found, r.found_more, r.reopened, \
     r.passed_over, r.cursor, r.version, r.created_at, r.updated_at";
/// The replays of a deleted tenant are gone with it.
const OF_TENANT: &str = "JOIN tenants t ON t.no = r.tenant_no";

fn replay(row: &Row<'_>) -> Outcome<Replay> {
    let id = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Replay {
        id: ReplayId::from_uuid(uuid_from_blob(id).map_err(damaged)?),
        tenant: rows::parse(&row.get::<_, String>(2)?)?,
        filter: rows::json(&row.get::<_, String>(3)?)?,
        rate: row.get(4)?,
        state: state(row.get(5)?)?,
        found: row.get(6)?,
        found_more: row.get(7)?,
        reopened: row.get(8)?,
        passed_over: row.get(9)?,
        cursor: row.get(10)?,
        version: row.get(11)?,
        created_at: rows::time(row.get(12)?)?,
        updated_at: rows::time(row.get(13)?)?,
    })
}

fn state(code: i64) -> Outcome<ReplayState> {
    match code {
        0 => Ok(ReplayState::Running),
        1 => Ok(ReplayState::Done),
        2 => Ok(ReplayState::Cancelled),
        other => Err(damaged(format!("replay state {other}"))),
    }
}

fn state_code(state: ReplayState) -> i64 {
    match state {
        ReplayState::Running => 0,
        ReplayState::Done => 1,
        ReplayState::Cancelled => 2,
    }
}

fn create(work: &mut Work<'_>, replay: &Replay) -> Outcome<()> {
    let tenant_no = work.state.tenant(work.conn, &replay.tenant)?.no;
    let known = work
        .conn
        .prepare_cached("SELECT 1 FROM replays WHERE id = ?")?
        .exists([replay.id.uuid().as_bytes()])?;
    if known {
        return Ok(());
    }
    let running: u32 = work
        .conn
        .prepare_cached(
            "SELECT count(*) FROM replays INDEXED BY replays_running WHERE state = 0 AND tenant_no = ?",
        )?
        .query_row([tenant_no], |row| row.get(0))?;
    if replay.state == ReplayState::Running && running >= Replay::MOST_RUNNING {
        return Err(StoreError::TooManyReplays.into());
    }
    work.conn
        .prepare_cached(
            "INSERT INTO replays (id, tenant_no, filter, rate, state, found, found_more, reopened, passed_over,
                 cursor, version, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            replay.id.uuid().as_bytes(),
            tenant_no,
            to_json(&replay.filter)?,
            replay.rate,
            state_code(replay.state),
            replay.found,
            replay.found_more,
            replay.reopened,
            replay.passed_over,
            replay.cursor,
            replay.version,
            millis(replay.created_at),
            millis(replay.updated_at),
        ])?;
    Ok(())
}

fn find(conn: &Connection, tenant: &TenantId, id: ReplayId) -> Outcome<Replay> {
    let tenant_no = tenant_no(conn, tenant)?;
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {REPLAY} FROM replays r {OF_TENANT} WHERE r.id = ? AND r.tenant_no = ?"
    ))?;
    let mut found = statement.query((id.uuid().as_bytes(), tenant_no))?;
    replay(found.next()?.ok_or(Fault::missing(Missing::Replay))?)
}

fn list(conn: &Connection, tenant: Option<&TenantId>, page: &Page) -> Outcome<Paged<Replay>> {
    let before = number_cursor(page)?.unwrap_or(i64::MAX);
    let limit = i64::from(page.limit) + 1;
    let read = |row: &Row<'_>| {
        let number: i64 = row.get(0)?;
        Ok(((number, replay(row)), number.to_string()))
    };
    let Paged { rows, next } = match tenant {
        Some(tenant) => {
            let sql = format!(
                "SELECT {REPLAY} FROM replays r {OF_TENANT} WHERE r.tenant_no = ? AND r.no < ?
                 ORDER BY r.no DESC LIMIT ?"
            );
            let tenant_no = tenant_no(conn, tenant)?;
            paged(conn.prepare_cached(&sql)?.query((tenant_no, before, limit))?, page, read)
        }
        None => {
            let sql = format!(
                "SELECT {REPLAY} FROM replays r {OF_TENANT} WHERE r.no < ? ORDER BY r.no DESC LIMIT ?"
            );
            paged(conn.prepare_cached(&sql)?.query((before, limit))?, page, read)
        }
    }?;
    Ok(Paged { rows: rows.into_iter().filter_map(readable).collect(), next })
}

/// A replay, if it can be read. One that cannot does not hide the others.
fn readable((number, replay): (i64, Outcome<Replay>)) -> Option<Replay> {
    let told = |error: &Fault| {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, number, "a replay cannot be read; the list leaves it out");
    };
    replay.inspect_err(told).ok()
}

/// Those that are running, but for what cannot be read.
fn running(conn: &Connection) -> Outcome<Vec<Replay>> {
    let mut statement = conn.prepare_cached(&running_sql())?;
    let mut found = statement.query([])?;
    let mut running = Vec::new();
    while let Some(row) = found.next()? {
        running.extend(replay(row));
    }
    Ok(running)
}

fn running_sql() -> String {
    // It is asked every second: neither those that are over are read nor all tenants.
    format!(
        "SELECT {REPLAY} FROM replays r INDEXED BY replays_running CROSS {OF_TENANT}
         WHERE r.state = 0 ORDER BY r.no"
    )
}

fn update(work: &mut Work<'_>, changed: &Replay) -> Outcome<Replay> {
    let before = find(work.conn, &changed.tenant, changed.id)?;
    if before.version != changed.version {
        return Err(StoreError::StaleReplay.into());
    }
    let changed = Replay { version: changed.version + 1, ..changed.clone() };
    work.conn
        .prepare_cached(
            "UPDATE replays SET filter = ?, rate = ?, state = ?, found = ?, found_more = ?, reopened = ?,
                 passed_over = ?, cursor = ?, version = ?, created_at = ?, updated_at = ?
             WHERE id = ?",
        )?
        .execute(params![
            to_json(&changed.filter)?,
            changed.rate,
            state_code(changed.state),
            changed.found,
            changed.found_more,
            changed.reopened,
            changed.passed_over,
            changed.cursor,
            changed.version,
            millis(changed.created_at),
            millis(changed.updated_at),
            changed.id.uuid().as_bytes(),
        ])?;
    if changed.state != ReplayState::Running {
        let tenant_no = tenant_no(work.conn, &changed.tenant)?;
        work.conn.prepare_cached(FORGET_OLDEST)?.execute((
            tenant_no,
            changed.id.uuid().as_bytes(),
            Replay::MOST_OVER - 1,
        ))?;
    }
    Ok(changed)
}

/// Forgets the oldest replays of a tenant that are over, but for the one that has just ended and so many others.
const FORGET_OLDEST: &str = "DELETE FROM replays WHERE no IN (
     SELECT no FROM replays INDEXED BY replays_by_tenant WHERE tenant_no = ? AND state <> 0 AND id <> ?
     ORDER BY no DESC LIMIT -1 OFFSET ?)";

/// Forgets the replays of a tenant.
pub(crate) fn forget(conn: &Connection, tenant_no: i64) -> Outcome<()> {
    conn.prepare_cached("DELETE FROM replays WHERE tenant_no = ?")?.execute([tenant_no])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::store;

    #[track_caller]
    fn check_plan(sql: &str, expected: &[&str]) {
        let conn = store();
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan.raw_query().mapped(|row| row.get(3));
        let plan: Vec<String> = steps.collect::<rusqlite::Result<_>>().unwrap();
        assert_eq!(plan, expected, "{sql}");
    }

    #[test]
    fn what_runs_is_found_without_reading_what_is_over() {
        check_plan(
            &running_sql(),
            &[
                "SCAN r USING INDEX replays_running",
                "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
                "USE TEMP B-TREE FOR ORDER BY",
            ],
        );
    }

    #[test]
    fn what_is_forgotten_is_found_among_the_tenants_own() {
        check_plan(
            FORGET_OLDEST,
            &[
                "SEARCH replays USING INTEGER PRIMARY KEY (rowid=?)",
                "LIST SUBQUERY 1",
                "SEARCH replays USING INDEX replays_by_tenant (tenant_no=?)",
            ],
        );
    }
}
