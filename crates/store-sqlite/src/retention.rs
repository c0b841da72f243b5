use std::time::Duration;

use async_trait::async_trait;
use posthaste_model::Timestamp;
use posthaste_store::{Cursor, Partition, Pruned, Result, Retain, Retention, StoreError};
use rusqlite::{Connection, Row};

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
        let from = from.map_or(Ok(Bookmark::Oldest { after: 0 }), |cursor| Bookmark::read(&cursor))?;
        self.writer.run(move |work| prune(work, retain, millis(now), from, limit as usize)).await
    }
}

/// Where a pruning goes on. First come all events, by their numbers, up to the first that nobody's period can have ended
/// for; then those that have a period of their own, by when it can have ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bookmark {
    Oldest { after: i64 },
    OfTheirOwn { over_at: i64, after: i64 },
}

impl Bookmark {
    fn read(Cursor(text): &Cursor) -> Result<Self> {
        let number = |text: &str| text.parse().map_err(|_| StoreError::InvalidCursor);
        Ok(match text.split_once('.') {
            None => Self::Oldest { after: number(text)? },
            Some((over_at, after)) => Self::OfTheirOwn { over_at: number(over_at)?, after: number(after)? },
        })
    }

    fn cursor(self) -> Cursor {
        Cursor(match self {
            Self::Oldest { after } => after.to_string(),
            Self::OfTheirOwn { over_at, after } => format!("{over_at}.{after}"),
        })
    }
}

/// What decides when an event is over, beside its deliveries.
struct Candidate {
    seq: i64,
    accepted_at: i64,
    /// Milliseconds; none: as long as the service says.
    retention: Option<i64>,
}

fn prune(work: &mut Work<'_>, retain: Retain, now: i64, from: Bookmark, limit: usize) -> Outcome<Pruned> {
    let mut pruning = Pruning { retain, now, removed: 0 };
    let mut left = limit;
    let mut over_at = (i64::MIN, 0);
    match from {
        Bookmark::OfTheirOwn { over_at: time, after } => over_at = (time, after),
        Bookmark::Oldest { after } => {
            let candidates = oldest(work.conn, after, limit)?;
            let more = candidates.len() == limit;
            for candidate in &candidates {
                left -= 1;
                if !pruning.may_be_over(candidate) {
                    // Numbers grow with time: whatever follows is younger still.
                    break;
                }
                pruning.look_at(work, candidate)?;
                if more && left == 0 {
                    return Ok(pruning.done(Some(Bookmark::Oldest { after: candidate.seq })));
                }
            }
        }
    }
    let candidates = of_their_own(work.conn, over_at, now, left)?;
    for candidate in &candidates {
        pruning.look_at(work, candidate)?;
    }
    let more = candidates.len() == left;
    let last = candidates.last().map(|candidate| Bookmark::OfTheirOwn {
        over_at: candidate.accepted_at + candidate.retention.unwrap_or(0),
        after: candidate.seq,
    });
    // With no room left for any, they are yet to be looked at.
    let here = Bookmark::OfTheirOwn { over_at: over_at.0, after: over_at.1 };
    Ok(pruning.done(more.then(|| last.unwrap_or(here))))
}

/// Some events, oldest first.
fn oldest(conn: &Connection, after: i64, limit: usize) -> Outcome<Vec<Candidate>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, accepted_at, retention_ms FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
    )?;
    Ok(statement.query_map((after, limit), candidate)?.collect::<rusqlite::Result<_>>()?)
}

/// Some events with a period of their own, those first that can be over first, and only those that can be over by now.
fn of_their_own(conn: &Connection, after: (i64, i64), now: i64, limit: usize) -> Outcome<Vec<Candidate>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, accepted_at, retention_ms FROM events INDEXED BY events_by_retention
         WHERE retention_ms IS NOT NULL AND accepted_at + retention_ms >= ?1 AND accepted_at + retention_ms < ?3
           AND (accepted_at + retention_ms, seq) > (?1, ?2)
         ORDER BY accepted_at + retention_ms, seq LIMIT ?4",
    )?;
    let (over_at, seq) = after;
    Ok(statement.query_map((over_at, seq, now, limit), candidate)?.collect::<rusqlite::Result<_>>()?)
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate { seq: row.get(0)?, accepted_at: row.get(1)?, retention: row.get(2)? })
}

struct Pruning {
    retain: Retain,
    /// Unix milliseconds.
    now: i64,
    removed: u32,
}

impl Pruning {
    fn done(self, next: Option<Bookmark>) -> Pruned {
        Pruned { removed: self.removed, next: next.map(Bookmark::cursor) }
    }

    /// Whether the period of an event can have ended, if it has none of its own.
    fn may_be_over(&self, candidate: &Candidate) -> bool {
        candidate.accepted_at < self.ago(self.retain.delivered).max(self.ago(self.retain.failed))
    }

    fn ago(&self, period: Duration) -> i64 {
        self.now - i64::try_from(period.as_millis()).unwrap_or(i64::MAX >> 1)
    }

    /// Removes an event if it is over.
    fn look_at(&mut self, work: &mut Work<'_>, candidate: &Candidate) -> Outcome<()> {
        let Candidate { seq, accepted_at, retention } = *candidate;
        let (open, failed, completed_at): (u32, u32, Option<i64>) = work
            .conn
            .prepare_cached(
                "SELECT ifnull(sum(state = ?1), 0), ifnull(sum(state NOT IN (?1, ?2)), 0), max(completed_at)
                 FROM deliveries WHERE event_seq = ?3",
            )?
            .query_row((RowState::Scheduled as i64, RowState::Delivered as i64, seq), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let over_before = match retention {
            Some(own) => self.now - own,
            None if failed == 0 => self.ago(self.retain.delivered),
            None => self.ago(self.retain.failed),
        };
        if open > 0 || completed_at.unwrap_or(accepted_at) >= over_before {
            return Ok(());
        }
        for table in ["manual_attempts", "attempts", "deliveries"] {
            work.conn.prepare_cached(&format!("DELETE FROM {table} WHERE event_seq = ?"))?.execute([seq])?;
        }
        work.conn.prepare_cached("DELETE FROM events WHERE seq = ?")?.execute([seq])?;
        if seq == work.state.last_event {
            // Its number must not be given to another, not even by a process that finds no trace of it.
            meta::set(work.conn, meta::LAST_EVENT, seq)?;
        }
        self.removed += 1;
        Ok(())
    }
}
