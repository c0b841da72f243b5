//! Facts about the store itself.

use rusqlite::{Connection, OptionalExtension as _, ToSql, types::FromSql};

pub(crate) const CATALOGUE_VERSION: &str = "catalogue_version";
pub(crate) const TOPICS_VERSION: &str = "topics_version";
/// The highest number of an event that was removed when it was the last.
pub(crate) const LAST_EVENT: &str = "last_event";
/// Written only to see that it can be.
pub(crate) const CHECKS: &str = "checks";
pub(crate) const EPOCH: &str = "epoch";
pub(crate) const ENCRYPTION_KEY: &str = "encryption_key_id";

pub(crate) fn get<T: FromSql>(conn: &Connection, name: &str) -> rusqlite::Result<Option<T>> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(crate) fn set(conn: &Connection, name: &str, value: impl ToSql) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute((name, value))?;
    Ok(())
}
