//! What is forgotten, and when.
//!
//! Events are walked through once, oldest first, up to the first that nobody's period can have ended for. Most are over when
//! the walk comes by. The others are put off: their deliveries say when they are to be looked at again, and those that
//! are open begin to do so when they are over. Where there are no deliveries, the age says it. Events with a period of
//! their own are put off from the start. So a pruning looks at what is over, and at what came to an end since and is kept
//! for longer, however much is kept beside.

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
        let from = from.map(|cursor| Bookmark::read(&cursor)).transpose()?;
        self.writer.run(move |work| prune(work, retain, millis(now), from, limit as usize)).await
    }
}

/// Where a pruning goes on: first with the walk, from where that has come to, then with those that were put off and whose
/// time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bookmark {
    Walk,
    PutOff,
}

impl Bookmark {
    fn read(Cursor(text): &Cursor) -> Result<Self> {
        let known = [Self::Walk, Self::PutOff].into_iter().find(|bookmark| bookmark.text() == text);
        known.ok_or(StoreError::InvalidCursor)
    }

    fn cursor(self) -> Cursor {
        Cursor(self.text().into())
    }

    fn text(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::PutOff => "put-off",
        }
    }
}

/// How far the walk has come: whatever lies up to there is removed, or put off. Other periods ask for another walk.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    under: Option<Retain>,
    to: i64,
}

impl Walked {
    fn under(&mut self, retain: Retain) {
        if self.under != Some(retain) {
            *self = Self { under: Some(retain), to: 0 };
        }
    }
}

/// What decides when an event is over, beside its deliveries.
struct Candidate {
    seq: i64,
    accepted_at: i64,
    /// Milliseconds; none: as long as the service says.
    retention: Option<i64>,
}

fn prune(
    work: &mut Work<'_>,
    retain: Retain,
    now: i64,
    from: Option<Bookmark>,
    limit: usize,
) -> Outcome<Pruned> {
    work.state.walked.under(retain);
    let mut pruning = Pruning { retain, now, left: limit, removed: 0 };
    let next = match from.unwrap_or(Bookmark::Walk) {
        Bookmark::Walk => pruning.walk(work)?,
        Bookmark::PutOff => None,
    };
    let next = if next.is_some() { next } else { pruning.look_again(work)? };
    Ok(Pruned { removed: pruning.removed, next: next.map(Bookmark::cursor) })
}

struct Pruning {
    retain: Retain,
    /// Unix milliseconds.
    now: i64,
    /// How many events may be looked at still.
    left: usize,
    removed: u32,
}

impl Pruning {
    /// Goes on with the walk. None: it has come to the young.
    fn walk(&mut self, work: &mut Work<'_>) -> Outcome<Option<Bookmark>> {
        for candidate in by_number(work.conn, work.state.walked.to, self.left)? {
            if !self.may_be_over(&candidate) {
                // Numbers grow with time: whatever follows is younger still.
                break;
            }
            // One with a period of its own was put off from the start.
            if candidate.retention.is_none() {
                self.look_at(work, &candidate)?;
            }
            work.state.walked.to = candidate.seq;
            self.left -= 1;
        }
        Ok((self.left == 0).then_some(Bookmark::Walk))
    }

    /// Looks at those that were put off until now. None: there are no more.
    fn look_again(&mut self, work: &mut Work<'_>) -> Outcome<Option<Bookmark>> {
        let mut candidates = put_off(work.conn, self.retain, self.now, self.left)?;
        let more = candidates.len() == self.left;
        // An event may be put off with several of its deliveries.
        candidates.sort_by_key(|candidate| candidate.seq);
        candidates.dedup_by_key(|candidate| candidate.seq);
        for candidate in &candidates {
            self.look_at(work, candidate)?;
        }
        // Whoever was looked at does not come up again now.
        Ok(more.then_some(Bookmark::PutOff))
    }

    /// Whether the period of an event can have ended, if it has none of its own.
    fn may_be_over(&self, candidate: &Candidate) -> bool {
        let least = self.retain.delivered.min(self.retain.failed);
        candidate.accepted_at + period(least) < self.now
    }

    /// Removes an event if it is over, and puts it off if not.
    fn look_at(&mut self, work: &mut Work<'_>, candidate: &Candidate) -> Outcome<()> {
        let Candidate { seq, accepted_at, retention } = *candidate;
        let Retain { delivered, failed } = self.retain;
        let (open, failures, last): (u32, u32, Option<i64>) = work
            .conn
            .prepare_cached(
                "SELECT ifnull(sum(state = ?1), 0), ifnull(sum(state NOT IN (?1, ?2)), 0), max(completed_at)
                 FROM deliveries WHERE event_seq = ?3",
            )?
            .query_row((RowState::Scheduled as i64, RowState::Delivered as i64, seq), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        if open > 0 {
            // Those that are open have yet to say how long it is kept.
            let least = retention.unwrap_or_else(|| period(delivered.min(failed)));
            return put_off_with(work.conn, seq, None, least);
        }
        let kept = retention.unwrap_or_else(|| period(if failures == 0 { delivered } else { failed }));
        if last.unwrap_or(accepted_at) + kept < self.now {
            self.removed += 1;
            return remove(work, seq);
        }
        match last {
            Some(last) => put_off_with(work.conn, seq, Some(last), kept),
            // Its age puts it off.
            None => Ok(()),
        }
    }
}

/// Milliseconds, few enough to be added to a time.
fn period(period: Duration) -> i64 {
    i64::try_from(period.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

/// Some events, oldest first.
fn by_number(conn: &Connection, after: i64, limit: usize) -> Outcome<Vec<Candidate>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, accepted_at, retention_ms FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
    )?;
    Ok(statement.query_map((after, limit), candidate)?.collect::<rusqlite::Result<_>>()?)
}

/// Some events that were put off until before `now`, each as often as it has deliveries that say so; and some without
/// deliveries whose period, their own or that of the service, ended before that.
fn put_off(conn: &Connection, retain: Retain, now: i64, limit: usize) -> Outcome<Vec<Candidate>> {
    let mut statement = conn.prepare_cached(
        "SELECT e.seq, e.accepted_at, e.retention_ms
         FROM deliveries d INDEXED BY deliveries_to_look_at CROSS JOIN events e ON e.seq = d.event_seq
         WHERE d.completed_at IS NOT NULL AND d.look_after_ms IS NOT NULL AND d.completed_at + d.look_after_ms < ?1
         UNION ALL
         SELECT seq, accepted_at, retention_ms FROM events INDEXED BY events_to_look_at
         WHERE retention_ms IS NOT NULL AND deliveries = 0 AND accepted_at + retention_ms < ?1
         UNION ALL
         SELECT seq, accepted_at, retention_ms FROM events INDEXED BY events_to_look_at_by_age
         WHERE retention_ms IS NULL AND deliveries = 0 AND accepted_at < ?1 - ?2
         LIMIT ?3",
    )?;
    let candidates = statement.query_map((now, period(retain.delivered), limit), candidate)?;
    Ok(candidates.collect::<rusqlite::Result<_>>()?)
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate { seq: row.get(0)?, accepted_at: row.get(1)?, retention: row.get(2)? })
}

/// Lets those deliveries alone put an event off that were over at `last`, or those that are open if that is none.
fn put_off_with(conn: &Connection, seq: i64, last: Option<i64>, look_after: i64) -> Outcome<()> {
    conn.prepare_cached(
        "UPDATE deliveries SET look_after_ms = iif(completed_at IS ?1, ?2, NULL)
         WHERE event_seq = ?3 AND look_after_ms IS NOT iif(completed_at IS ?1, ?2, NULL)",
    )?
    .execute((last, look_after, seq))?;
    Ok(())
}

fn remove(work: &mut Work<'_>, seq: i64) -> Outcome<()> {
    for table in ["manual_attempts", "leases_given_up", "attempts", "deliveries"] {
        work.conn.prepare_cached(&format!("DELETE FROM {table} WHERE event_seq = ?"))?.execute([seq])?;
    }
    work.conn.prepare_cached("DELETE FROM events WHERE seq = ?")?.execute([seq])?;
    if seq == work.state.last_event {
        // Its number must not be given to another, not even by a process that finds no trace of it.
        meta::set(work.conn, meta::LAST_EVENT, seq)?;
    }
    Ok(())
}
