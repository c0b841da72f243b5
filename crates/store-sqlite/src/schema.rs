use posthaste_store::StoreError;
use rusqlite::Connection;

use crate::fault::Outcome;

/// Each step takes the schema from its index to the next version. A step that was released never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_first.sql"),
    include_str!("schema/0002_limits_and_repairs.sql"),
    include_str!("schema/0003_retention.sql"),
    include_str!("schema/0004_leases_given_up.sql"),
    include_str!("schema/0005_wire.sql"),
    include_str!("schema/0006_handshakes.sql"),
    include_str!("schema/0007_operators.sql"),
];

/// Bytes. Larger than SQLite's default, because rows carry payloads.
const PAGE_SIZE: u32 = 8_192;
/// Pages of the write-ahead log after which it is copied back: rarely enough that a page which is written often is
/// copied once, and often enough that the log stays below some 64 MiB.
const CHECKPOINT_PAGES: u32 = 8_000;
/// KiB of pages that the writer keeps in memory.
const WRITER_CACHE: u32 = 64 * 1_024;

/// Prepares a connection that writes: a write-ahead log that is synchronised with the disk at every commit.
pub(crate) fn prepare_writer(conn: &Connection) -> Outcome<()> {
    conn.set_prepared_statement_cache_capacity(128);
    conn.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_SIZE};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA cache_size = -{WRITER_CACHE};"
    ))?;
    Ok(())
}

/// Brings the schema up to date, each step in a transaction of its own.
///
/// # Errors
/// [`StoreError::NewerSchema`], and nothing is touched, when a newer build has written the file.
pub(crate) fn migrate(conn: &Connection) -> Outcome<()> {
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let supported = MIGRATIONS.len() as i64;
    let done = usize::try_from(found)
        .ok()
        .filter(|done| *done <= MIGRATIONS.len())
        .ok_or(StoreError::NewerSchema { found, supported })?;
    if done > 0 && done < MIGRATIONS.len() {
        tracing::info!("the store is brought from version {found} to {supported}; a large one takes a while");
    }
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        conn.execute_batch(&format!("BEGIN IMMEDIATE; {sql} PRAGMA user_version = {}; COMMIT;", step + 1))?;
    }
    Ok(())
}
