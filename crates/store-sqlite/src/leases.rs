//! The live leases, and the journal that remembers them across a crash.
//!
//! Only one process has the file open, so a lease need not be written into its delivery's row: memory knows it. The
//! journal takes one small row for each lease *call*, and loses it when the last lease of the call is over. A
//! delivery's row counts the leases that are over, and so tells which of the others are.

use std::collections::HashMap;

use posthaste_store::Epoch;
use rusqlite::{Connection, OptionalExtension as _};

use crate::{
    fault::{Outcome, damaged},
    key::DeliveryKey,
};

/// A lease that is not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveLease {
    pub(crate) number: u64,
    pub(crate) epoch: Epoch,
    /// Unix milliseconds.
    pub(crate) expires_at: i64,
    pub(crate) batch: i64,
    pub(crate) endpoint_no: i64,
    /// Its place in the endpoint's queue, in Unix milliseconds.
    pub(crate) due_at: i64,
}

#[derive(Debug, Default)]
pub(crate) struct LiveLeases {
    by_key: HashMap<DeliveryKey, LiveLease>,
    /// How many there are of each lease call.
    of_batch: HashMap<i64, usize>,
    /// How many there are of each endpoint.
    of_endpoint: HashMap<i64, usize>,
}

/// What ended with a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The journal row that it was the last of.
    pub(crate) batch: Option<i64>,
    /// The endpoint that it was the last of.
    pub(crate) endpoint_no: Option<i64>,
}

impl LiveLeases {
    pub(crate) fn contains(&self, key: DeliveryKey) -> bool {
        self.by_key.contains_key(&key)
    }

    pub(crate) fn get(&self, key: DeliveryKey) -> Option<&LiveLease> {
        self.by_key.get(&key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (DeliveryKey, &LiveLease)> {
        self.by_key.iter().map(|(key, lease)| (*key, lease))
    }

    /// Whether one of an endpoint's is live.
    pub(crate) fn any_of(&self, endpoint_no: i64) -> bool {
        self.of_endpoint.contains_key(&endpoint_no)
    }

    /// How many of an endpoint's are live.
    pub(crate) fn count_of(&self, endpoint_no: i64) -> usize {
        self.of_endpoint.get(&endpoint_no).copied().unwrap_or(0)
    }

    /// The endpoints that have one.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = i64> {
        self.of_endpoint.keys().copied()
    }

    pub(crate) fn insert(&mut self, key: DeliveryKey, lease: LiveLease) {
        *self.of_batch.entry(lease.batch).or_default() += 1;
        *self.of_endpoint.entry(lease.endpoint_no).or_default() += 1;
        self.by_key.insert(key, lease);
    }

    /// Follows a delivery that has another place now.
    pub(crate) fn set_place(&mut self, key: DeliveryKey, due_at: i64) {
        if let Some(lease) = self.by_key.get_mut(&key) {
            lease.due_at = due_at;
        }
    }

    /// Ends a lease. None: it is not live.
    pub(crate) fn remove(&mut self, key: DeliveryKey) -> Option<Ended> {
        let lease = self.by_key.remove(&key)?;
        Some(Ended {
            batch: one_less(&mut self.of_batch, lease.batch),
            endpoint_no: one_less(&mut self.of_endpoint, lease.endpoint_no),
        })
    }
}

/// Counts one down; answers with what was counted when that was the last.
fn one_less(counts: &mut HashMap<i64, usize>, of: i64) -> Option<i64> {
    let left = counts.get_mut(&of)?;
    *left -= 1;
    if *left > 0 {
        return None;
    }
    counts.remove(&of);
    Some(of)
}

/// A lease as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: DeliveryKey,
    /// How many leases of the delivery were over when this one was given. Once there are more, it is over.
    pub(crate) over: u32,
}

/// Writes down the leases of one call, which are numbered from `batch` on.
pub(crate) fn journal(
    conn: &Connection,
    batch: i64,
    epoch: Epoch,
    expires_at: i64,
    entries: &[Entry],
) -> Outcome<()> {
    conn.prepare_cached("INSERT INTO lease_journal (batch, epoch, expires_at, entries) VALUES (?, ?, ?, ?)")?
        .execute((batch, epoch.0, expires_at, pack(entries)))?;
    Ok(())
}

/// Reads which leases are live, and the highest number that the journal knows.
pub(crate) fn load(conn: &Connection) -> Outcome<(LiveLeases, u64)> {
    let mut live = LiveLeases::default();
    let mut last = 0;
    let mut journal = conn.prepare("SELECT batch, epoch, expires_at, entries FROM lease_journal")?;
    let mut delivery = conn.prepare(
        "SELECT endpoint_no, due_at FROM deliveries
         WHERE event_seq = ? AND n = ? AND leases = ? AND due_at IS NOT NULL",
    )?;
    let mut found = journal.query([])?;
    while let Some(row) = found.next()? {
        let (batch, epoch, expires_at) = (row.get(0)?, Epoch(row.get(1)?), row.get(2)?);
        let packed = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        let entries = unpack(packed).ok_or_else(|| damaged("the lease journal"))?;
        for (number, Entry { key, over }) in (batch as u64..).zip(entries) {
            last = last.max(number);
            let open = delivery
                .query_row((key.seq, key.n, over), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((endpoint_no, due_at)) = open {
                live.insert(key, LiveLease { number, epoch, expires_at, batch, endpoint_no, due_at });
            }
        }
    }
    Ok((live, last))
}

const ENTRY: usize = 8 + 2 + 4;

fn pack(entries: &[Entry]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(entries.len() * ENTRY);
    for Entry { key, over } in entries {
        packed.extend_from_slice(&key.seq.to_le_bytes());
        packed.extend_from_slice(&key.n.to_le_bytes());
        packed.extend_from_slice(&over.to_le_bytes());
    }
    packed
}

/// None if these are no entries.
fn unpack(packed: &[u8]) -> Option<Vec<Entry>> {
    if !packed.len().is_multiple_of(ENTRY) {
        return None;
    }
    packed
        .chunks_exact(ENTRY)
        .map(|entry| {
            let (seq, entry) = entry.split_first_chunk()?;
            let (n, entry) = entry.split_first_chunk()?;
            let (over, _) = entry.split_first_chunk()?;
            let key = DeliveryKey { seq: i64::from_le_bytes(*seq), n: u16::from_le_bytes(*n) };
            Some(Entry { key, over: u32::from_le_bytes(*over) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(batch: i64) -> LiveLease {
        LiveLease { number: 1, epoch: Epoch(1), expires_at: 0, batch, endpoint_no: 1, due_at: 0 }
    }

    #[test]
    fn the_last_of_a_batch_or_an_endpoint_names_it() {
        let mut leases = LiveLeases::default();
        let key = |seq| DeliveryKey { seq, n: 0 };
        leases.insert(key(1), lease(7));
        leases.insert(key(2), LiveLease { endpoint_no: 2, ..lease(7) });
        assert!(leases.any_of(1) && leases.any_of(2));
        assert_eq!(leases.remove(key(1)), Some(Ended { batch: None, endpoint_no: Some(1) }));
        assert_eq!(leases.remove(key(1)), None);
        assert!(!leases.any_of(1) && leases.any_of(2));
        assert_eq!(leases.remove(key(2)), Some(Ended { batch: Some(7), endpoint_no: Some(2) }));
    }

    #[test]
    fn a_packed_row_unpacks() {
        let entries = [
            Entry { key: DeliveryKey { seq: 1, n: 2 }, over: 3 },
            Entry { key: DeliveryKey { seq: i64::MAX, n: u16::MAX }, over: 0 },
        ];
        assert_eq!(unpack(&pack(&entries)).unwrap(), entries);
        assert_eq!(unpack(&[0; ENTRY - 1]), None);
    }
}
