//! What searches have in common: they walk along the numbers of events and deliveries, by an index where there is one, and
//! look at a bounded number of rows in a call.

use posthaste_model::Timestamp;
use posthaste_store::{CLOCK_SLACK, Cursor, Order, Page, Paged, StoreError};
use rusqlite::{Connection, OptionalExtension as _, ToSql, types::Value};

use crate::{
    fault::{Fault, Outcome},
    key::{DeliveryKey, millis},
};

/// How many rows a search looks at in a call: some milliseconds' worth, and not more than some ten where each lies in pages
/// of its own.
pub(crate) const LOOKS: usize = 2_000;

/// The deliveries that lie between two places, which are not meant themselves. An event is meant where its first delivery
/// is, whether or not it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    low: (i64, i64),
    high: (i64, i64),
}

impl Span {
    /// What was accepted in this time, and perhaps something around it.
    pub(crate) fn of_time(
        conn: &Connection,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Outcome<Self> {
        // Events that are accepted at once may get their numbers in another order.
        let slack = CLOCK_SLACK.as_millis() as i64;
        let first = |at: i64| first_accepted(conn, at);
        let low = since.map(|since| first(millis(since).saturating_sub(slack))).transpose()?;
        let high = until.map(|until| first(millis(until).saturating_add(slack))).transpose()?;
        Ok(Self { low: (low.unwrap_or(0), -1), high: (high.unwrap_or(i64::MAX), -1) })
    }

    /// Only what belongs to an event.
    pub(crate) fn only(self, seq: i64) -> Self {
        Self { low: self.low.max((seq, -1)), high: self.high.min((seq, i64::MAX)) }
    }

    /// Only what follows the page before.
    pub(crate) fn behind(self, page: &Page, order: Order) -> Outcome<Self> {
        let Some(Cursor(text)) = &page.after else { return Ok(self) };
        let DeliveryKey { seq, n } = DeliveryKey::from_cursor(text).ok_or(StoreError::InvalidCursor)?;
        let place = (seq, i64::from(n));
        Ok(match order {
            Order::NewestFirst => Self { high: self.high.min(place), ..self },
            Order::OldestFirst => Self { low: self.low.max(place), ..self },
        })
    }

    pub(crate) fn contains(&self, key: DeliveryKey) -> bool {
        let place = (key.seq, i64::from(key.n));
        self.low < place && place < self.high
    }

    /// The parameters of [`Walk::within`].
    fn params(&self) -> [(&'static str, Value); 4] {
        let (Self { low, high }, int) = (self, Value::Integer);
        [(":low", int(low.0)), (":low_n", int(low.1)), (":high", int(high.0)), (":high_n", int(high.1))]
    }
}

/// The numbers between which those of all events lie. Asked for together, both would be looked for along all events.
const NUMBERS: &str =
    "SELECT ifnull((SELECT min(seq) FROM events), 0), ifnull((SELECT max(seq) FROM events) + 1, 0)";

/// The number from which on events were accepted at a time or later, as far as numbers grow with time.
fn first_accepted(conn: &Connection, at: i64) -> Outcome<i64> {
    let (mut low, mut high): (i64, i64) =
        conn.prepare_cached(NUMBERS)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut probe = conn.prepare_cached(
        "SELECT seq, accepted_at FROM events WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1",
    )?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> =
            probe.query_row((middle, high), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((seq, accepted_at)) if accepted_at < at => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// A walk along deliveries or events.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The columns with the number of the event, and of the delivery within it.
    pub(crate) key: (&'static str, &'static str),
    /// Tables, and how they are joined.
    pub(crate) from: String,
    /// What an index answers. Nothing else is looked at.
    pub(crate) along: Vec<String>,
    /// What is asked of each row that is looked at.
    pub(crate) meets: Vec<String>,
    pub(crate) params: Vec<(&'static str, Value)>,
}

impl Walk {
    /// Looks at such rows alone, because the index does.
    pub(crate) fn keep_to(&mut self, condition: &str, name: &'static str, value: impl Into<Value>) {
        self.along.push(condition.into());
        self.params.push((name, value.into()));
    }

    /// Asks something of each row, by a parameter.
    pub(crate) fn ask(&mut self, condition: impl Into<String>, name: &'static str, value: impl Into<Value>) {
        self.meets.push(condition.into());
        self.params.push((name, value.into()));
    }

    /// That a key lies in the span.
    pub(crate) fn within((seq, n): (&str, &str)) -> String {
        format!("({seq}, {n}) > (:low, :low_n) AND ({seq}, {n}) < (:high, :high_n)")
    }

    fn sql(&self, order: Order) -> String {
        let Self { key: (seq, n), from, along, meets, .. } = self;
        let direction = match order {
            Order::NewestFirst => "DESC",
            Order::OldestFirst => "ASC",
        };
        let meets = if meets.is_empty() { "1".to_owned() } else { meets.join(" AND ") };
        let along = along.join(" AND ");
        format!("SELECT {seq}, {n}, {meets} FROM {from} WHERE {along} ORDER BY 1 {direction}, 2 {direction}")
    }

    /// Collects a page of what it comes by.
    pub(crate) fn page<T>(
        &self,
        conn: &Connection,
        span: &Span,
        order: Order,
        limit: u32,
        read: impl FnMut(DeliveryKey) -> Outcome<Option<T>>,
    ) -> Outcome<Paged<T>> {
        let mut statement = conn.prepare_cached(&self.sql(order))?;
        let span = span.params();
        let params: Vec<_> =
            self.params.iter().chain(&span).map(|(name, value)| (*name, value as &dyn ToSql)).collect();
        // Where an event has no delivery, the walk stands behind all that it could have.
        let behind = match order {
            Order::NewestFirst => 0,
            Order::OldestFirst => u16::MAX,
        };
        let found = statement.query_map(&params[..], |row| {
            let n: Option<u16> = row.get(1)?;
            let meets: Option<bool> = row.get(2)?;
            let key = DeliveryKey { seq: row.get(0)?, n: n.unwrap_or(behind) };
            Ok((key, n.is_some() && meets == Some(true)))
        })?;
        page(found, limit, read)
    }
}

/// Collects a page: of each row that meets the conditions, `read` says what there is to be shown.
pub(crate) fn page<T>(
    found: impl Iterator<Item = rusqlite::Result<(DeliveryKey, bool)>>,
    limit: u32,
    mut read: impl FnMut(DeliveryKey) -> Outcome<Option<T>>,
) -> Outcome<Paged<T>> {
    let mut rows = Vec::new();
    let mut last = None;
    for (looked, found) in found.enumerate() {
        let (key, meets) = found.map_err(Fault::from)?;
        let tired = looked == LOOKS;
        let row = if meets && !tired { read(key)? } else { None };
        if tired || (row.is_some() && rows.len() == limit as usize) {
            return Ok(Paged { rows, next: last.map(|last: DeliveryKey| Cursor(last.cursor())) });
        }
        rows.extend(row);
        last = Some(key);
    }
    Ok(Paged { rows, next: None })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::schema;

    /// A store without anything in it.
    pub(crate) fn store() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        schema::migrate(&conn).unwrap();
        conn
    }

    /// Fails unless a walk goes along this index, and needs no sorting.
    #[track_caller]
    pub(crate) fn check_plan(walk: &Walk, index: &str) {
        let conn = store();
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let sql = walk.sql(order);
            let plan = plan(&conn, &sql);
            assert!(plan[0].contains(index), "{sql}: {plan:?}");
        }
    }

    /// The steps in which a statement is answered. Fails where one reads all of a table, or sorts.
    #[track_caller]
    pub(crate) fn plan(conn: &Connection, sql: &str) -> Vec<String> {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan.raw_query().mapped(|row| row.get(3));
        let plan: Vec<String> = steps.collect::<rusqlite::Result<_>>().unwrap();
        // What has no table is a row of constants.
        let reads_all = |step: &String| {
            (step.contains("SCAN") && step != "SCAN CONSTANT ROW") || step.contains("TEMP B-TREE")
        };
        assert!(!plan.iter().any(reads_all), "{sql}: {plan:?}");
        plan
    }

    #[test]
    fn the_first_and_the_last_event_are_found_without_reading_the_others() {
        let plan = plan(&store(), NUMBERS);
        let ends = plan.iter().filter(|step| step.contains("SEARCH events")).count();
        assert_eq!(ends, 2, "{plan:?}");
    }

    #[test]
    fn the_first_that_was_accepted_at_a_time_is_found_between_gaps() {
        let conn = store();
        assert_eq!(first_accepted(&conn, 5).unwrap(), 0);
        conn.execute_batch(
            "INSERT INTO tenants (no, id, name, version, created_at, updated_at) VALUES (1, 'acme', '', 1, 0, 0)",
        )
        .unwrap();
        for (seq, accepted_at) in [(3, 10), (4, 10), (9, 20), (1_000, 20), (1_001, 30)] {
            conn.execute(
                "INSERT INTO events (seq, tenant_no, id, topic, payload, deliveries, accepted_at)
                 VALUES (?1, 1, ?1, 'order.paid', x'31', 0, ?2)",
                (seq, accepted_at),
            )
            .unwrap();
        }
        for (at, seqs) in [
            (i64::MIN, 0..=3),
            (10, 0..=3),
            (11, 5..=9),
            (20, 5..=9),
            (21, 1_001..=1_001),
            (31, 1_002..=1_002),
        ] {
            let first = first_accepted(&conn, at).unwrap();
            assert!(seqs.contains(&first), "at {at}: {first}");
        }
    }

    /// A page of so many rows of which every third meets the conditions, and every sixth is to be shown.
    fn check_page(found: i64, limit: u32, shown: usize, next: Option<i64>) {
        let rows = (0..found).map(|seq| Ok((DeliveryKey { seq, n: 0 }, seq % 3 == 0)));
        let read = |key: DeliveryKey| Ok((key.seq % 6 == 0).then_some(key.seq));
        let Paged { rows, next: after } = page(rows, limit, read).unwrap();
        assert_eq!(rows, (0..shown as i64).map(|row| row * 6).collect::<Vec<_>>(), "{limit} of {found}");
        assert_eq!(after, next.map(|seq| Cursor(DeliveryKey { seq, n: 0 }.cursor())), "{limit} of {found}");
    }

    #[test]
    fn a_page_ends_when_it_is_full_or_its_search_is_tired() {
        check_page(0, 2, 0, None);
        check_page(12, 2, 2, None);
        check_page(13, 2, 2, Some(11));
        let looks = LOOKS as i64;
        check_page(looks, 10_000, LOOKS.div_ceil(6), None);
        check_page(looks + 1, 10_000, LOOKS.div_ceil(6), Some(looks - 1));
    }
}
