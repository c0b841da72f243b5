use async_trait::async_trait;
use posthaste_model::Timestamp;
use posthaste_store::{Cursor, Partition, Pruned, Result, Retain, Retention, StoreError};

use crate::{fault::Outcome, key::millis, meta, rows::RowState, store::SqliteStore, writer::Work};

#[async_trait]
impl Retention for SqliteStore {
    async fn prune(
        &self,
        _partition: Partition,
        retain: Retain,
        now: Timestamp,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Pruned> {
        let after = match from {
            None => 0,
            Some(Cursor(text)) => text.parse().map_err(|_| StoreError::InvalidCursor)?,
        };
        self.writer.run(move |work| prune(work, retain, millis(now), after, limit)).await
    }
}

fn prune(work: &mut Work<'_>, retain: Retain, now: i64, after: i64, limit: u32) -> Outcome<Pruned> {
    let ago = |period: std::time::Duration| now - i64::try_from(period.as_millis()).unwrap_or(i64::MAX >> 1);
    let (delivered_before, failed_before) = (ago(retain.delivered), ago(retain.failed));
    let mut statement =
        work.conn.prepare_cached("SELECT seq, accepted_at FROM events WHERE seq > ? ORDER BY seq LIMIT ?")?;
    let candidates = statement
        .query_map((after, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let mut next = (candidates.len() == limit as usize)
        .then(|| candidates.last().map(|(seq, _)| Cursor(seq.to_string())))
        .flatten();
    let mut removed = 0;
    for (seq, accepted_at) in candidates {
        if accepted_at >= delivered_before.max(failed_before) {
            // Numbers grow with time: whatever follows is younger still.
            next = None;
            break;
        }
        let (open, failed, completed_at): (u32, u32, Option<i64>) = work
            .conn
            .prepare_cached(
                "SELECT ifnull(sum(state = ?1), 0), ifnull(sum(state NOT IN (?1, ?2)), 0), max(completed_at)
                 FROM deliveries WHERE event_seq = ?3",
            )?
            .query_row((RowState::Scheduled as i64, RowState::Delivered as i64, seq), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let over_before = if failed == 0 { delivered_before } else { failed_before };
        if open > 0 || completed_at.unwrap_or(accepted_at) >= over_before {
            continue;
        }
        for table in ["attempts", "deliveries"] {
            work.conn.prepare_cached(&format!("DELETE FROM {table} WHERE event_seq = ?"))?.execute([seq])?;
        }
        work.conn.prepare_cached("DELETE FROM events WHERE seq = ?")?.execute([seq])?;
        if seq == work.state.last_event {
            // Its number must not be given to another, not even by a process that finds no trace of it.
            meta::set(work.conn, meta::LAST_EVENT, seq)?;
        }
        removed += 1;
    }
    Ok(Pruned { removed, next })
}
