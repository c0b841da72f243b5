use async_trait::async_trait;
use posthaste_model::{Counts, Histogram, Timestamp};
use posthaste_store::{Bucket, NotAdded, Result, Statistics, Stretch, Subject, Tally};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::{
    fault::{Fault, Outcome, damaged},
    key::millis,
    rows,
    store::SqliteStore,
};

/// How many tallies are added in one go: few enough that others who write hardly wait.
const AT_ONCE: usize = 250;

#[async_trait]
impl Statistics for SqliteStore {
    async fn add_stats(&self, mut tallies: Vec<Tally>) -> Vec<NotAdded> {
        tallies.retain(|tally| tally.counts != Counts::default());
        let mut not_added = Vec::new();
        while !tallies.is_empty() {
            let rest = tallies.split_off(tallies.len().min(AT_ONCE));
            let some = std::mem::replace(&mut tallies, rest);
            let added = some.clone();
            match self.writer.run(move |work| add_all(work.conn, added)).await {
                Ok(refused) => not_added.extend(refused),
                // Neither is the rest: it is the one file.
                Err(error) => {
                    let tallies = some.into_iter().chain(tallies).collect();
                    not_added.push(NotAdded { tallies, error });
                    break;
                }
            }
        }
        not_added
    }

    async fn stats(
        &self,
        of: Subject,
        stretch: Stretch,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Bucket>> {
        self.readers.run(move |conn| read(conn, &of, stretch, millis(since), millis(until))).await
    }

    async fn forget_stats(
        &self,
        minutes_before: Timestamp,
        hours_before: Timestamp,
        limit: u32,
    ) -> Result<bool> {
        let before = [(Stretch::Minute, millis(minutes_before)), (Stretch::Hour, millis(hours_before))];
        self.writer
            .run(move |work| {
                let mut left = u64::from(limit);
                for (stretch, before) in before {
                    left -= forget(work.conn, stretch, before, left)?;
                }
                Ok(left == 0)
            })
            .await
    }
}

/// How a row names its subject.
struct Name<'a> {
    subject: i64,
    no: i64,
    topic: &'a str,
}

impl<'a> Name<'a> {
    /// None: who it is counted for does not exist any more.
    fn of(conn: &Connection, of: &'a Subject) -> Outcome<Option<Self>> {
        let number = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Outcome<Option<i64>> {
            Ok(conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
        };
        let tenant = |id: &str| number("SELECT no FROM tenants WHERE id = ? AND deleted_at IS NULL", &[&id]);
        let (subject, no, topic) = match of {
            Subject::All => (0, Some(0), ""),
            Subject::Topic(topic) => (1, Some(0), topic.as_str()),
            Subject::Tenant(id) => (2, tenant(id.as_str())?, ""),
            Subject::TenantTopic(id, topic) => (3, tenant(id.as_str())?, topic.as_str()),
            Subject::Endpoint(id, endpoint) => {
                let sql = "SELECT p.no FROM endpoints p JOIN tenants t ON t.no = p.tenant_no
                     WHERE p.id = ? AND t.id = ? AND p.deleted_at IS NULL AND t.deleted_at IS NULL";
                (4, number(sql, &[endpoint.uuid().as_bytes(), &id.as_str()])?, "")
            }
        };
        Ok(no.map(|no| Self { subject, no, topic }))
    }
}

fn stretch_code(stretch: Stretch) -> i64 {
    match stretch {
        Stretch::Minute => 0,
        Stretch::Hour => 1,
    }
}

/// Adds what was counted; answers with what cannot be added to what is there.
fn add_all(conn: &Connection, tallies: Vec<Tally>) -> Outcome<Vec<NotAdded>> {
    let mut refused = Vec::new();
    for tally in tallies {
        match add(conn, &tally) {
            Err(Fault::Refused(error)) => refused.push(NotAdded { tallies: vec![tally], error }),
            added => added?,
        }
    }
    Ok(refused)
}

/// Adds what was counted, to its minute and to its hour, or to neither.
fn add(conn: &Connection, Tally { of, at, counts: new }: &Tally) -> Outcome<()> {
    let Some(name) = Name::of(conn, of)? else { return Ok(()) };
    let sum = |stretch: Stretch| -> Outcome<Counts> {
        let mut counts = counted(conn, &name, stretch, stretch.begin(*at))?.unwrap_or_default();
        counts.add(new);
        Ok(counts)
    };
    let sums = [(Stretch::Minute, sum(Stretch::Minute)?), (Stretch::Hour, sum(Stretch::Hour)?)];
    for (stretch, counts) in &sums {
        write(conn, &name, *stretch, stretch.begin(*at), counts)?;
    }
    Ok(())
}

fn write(
    conn: &Connection,
    name: &Name<'_>,
    stretch: Stretch,
    begins_at: i64,
    counts: &Counts,
) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO stats (stretch, begins_at, subject, no, topic, events, unmatched, deliveries,
             attempts, failed, retried, delivered, exhausted, queue, receiver)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        stretch_code(stretch),
        begins_at,
        name.subject,
        name.no,
        name.topic,
        counts.events,
        counts.unmatched,
        counts.deliveries,
        counts.attempts,
        counts.failed,
        counts.retried,
        counts.delivered,
        counts.exhausted,
        pack(&counts.queue),
        pack(&counts.receiver),
    ])?;
    Ok(())
}

/// What was counted in a stretch. None: nothing.
fn counted(conn: &Connection, name: &Name<'_>, stretch: Stretch, begins_at: i64) -> Outcome<Option<Counts>> {
    let mut statement = conn.prepare_cached(
        "SELECT events, unmatched, deliveries, attempts, failed, retried, delivered, exhausted, queue, receiver
         FROM stats WHERE stretch = ? AND begins_at = ? AND subject = ? AND no = ? AND topic = ?",
    )?;
    let params = params![stretch_code(stretch), begins_at, name.subject, name.no, name.topic];
    let mut found = statement.query(params)?;
    found.next()?.map(counts).transpose()
}

fn counts(row: &Row<'_>) -> Outcome<Counts> {
    let histogram = |column| -> Outcome<Histogram> {
        let packed = row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?;
        unpack(packed).ok_or_else(|| damaged("a histogram"))
    };
    Ok(Counts {
        events: row.get(0)?,
        unmatched: row.get(1)?,
        deliveries: row.get(2)?,
        attempts: row.get(3)?,
        failed: row.get(4)?,
        retried: row.get(5)?,
        delivered: row.get(6)?,
        exhausted: row.get(7)?,
        queue: histogram(8)?,
        receiver: histogram(9)?,
    })
}

/// Reads the stretches of a subject: a few seeks for each that is kept.
fn read(conn: &Connection, of: &Subject, stretch: Stretch, since: i64, until: i64) -> Outcome<Vec<Bucket>> {
    let Some(name) = Name::of(conn, of)? else { return Ok(Vec::new()) };
    let mut next =
        conn.prepare_cached("SELECT min(begins_at) FROM stats WHERE stretch = ? AND begins_at >= ?")?;
    let mut next =
        |from: i64| next.query_row((stretch_code(stretch), from), |row| row.get::<_, Option<i64>>(0));
    let mut buckets = Vec::new();
    let mut from = since;
    while let Some(begins_at) = next(from)?.filter(|begins_at| *begins_at < until) {
        if let Some(counts) = counted(conn, &name, stretch, begins_at)? {
            buckets.push(Bucket { begin: rows::time(begins_at)?, counts });
        }
        from = begins_at + 1;
    }
    Ok(buckets)
}

/// Forgets up to so many rows of stretches that began before a time; says how many.
fn forget(conn: &Connection, stretch: Stretch, before: i64, limit: u64) -> Outcome<u64> {
    let mut statement = conn.prepare_cached(
        "DELETE FROM stats WHERE (stretch, begins_at, subject, no, topic) IN (
             SELECT stretch, begins_at, subject, no, topic FROM stats
             WHERE stretch = ? AND begins_at < ? ORDER BY stretch, begins_at, subject, no, topic LIMIT ?)",
    )?;
    Ok(statement.execute((stretch_code(stretch), before, limit))? as u64)
}

/// A histogram as a row has it: each class that has any, a byte, and how many, in LEB128.
fn pack(histogram: &Histogram) -> Vec<u8> {
    let mut packed = Vec::new();
    for (class, mut count) in histogram.classes() {
        packed.push(class);
        while count > 0x7f {
            packed.push(count as u8 | 0x80);
            count >>= 7;
        }
        packed.push(count as u8);
    }
    packed
}

/// None if this is no histogram.
fn unpack(packed: &[u8]) -> Option<Histogram> {
    let mut histogram = Histogram::default();
    let mut bytes = packed.iter();
    while let Some(class) = bytes.next() {
        let mut count = 0_u64;
        for shift in (0..).step_by(7) {
            let byte = *bytes.next()?;
            count |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        histogram.count(*class, count);
    }
    Some(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_histogram_unpacks() {
        let mut histogram = Histogram::default();
        assert_eq!(unpack(&pack(&histogram)), Some(histogram.clone()));
        for (class, count) in [(0, 1), (7, 127), (8, 128), (180, u64::MAX)] {
            histogram.count(class, count);
        }
        assert_eq!(unpack(&pack(&histogram)), Some(histogram));
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        for broken in [
            &[1][..],
            &[1, 0x80],
            &[1, 5, 2],
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(unpack(broken), None, "{broken:?}");
        }
    }
}
