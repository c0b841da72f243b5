//! Keys of the API. What secrets are sealed with is another thing (`store`, `bind_key`).

use async_trait::async_trait;
use posthaste_model::{ApiKey, ApiKeyId, KeyTenant, Role};
use posthaste_store::{KeyDigest, Keys, Missing, Page, Paged, Result};
use rusqlite::{Connection, Row, params};

use crate::{
    catalogue::{number_cursor, paged},
    fault::{Fault, Outcome, damaged},
    key::{millis, uuid_from_blob},
    rows,
    store::SqliteStore,
};

#[async_trait]
impl Keys for SqliteStore {
    async fn create_key(&self, key: ApiKey, digest: KeyDigest) -> Result<()> {
        self.writer.run(move |work| create(work.conn, &key, digest)).await
    }

    async fn key(&self, digest: &KeyDigest) -> Result<Option<ApiKey>> {
        let digest = *digest;
        self.readers.run(move |conn| find(conn, digest)).await
    }

    async fn keys(&self, page: Page) -> Result<Paged<ApiKey>> {
        self.readers.run(move |conn| list(conn, &page)).await
    }

    async fn delete_key(&self, id: ApiKeyId) -> Result<ApiKey> {
        self.writer.run(move |work| delete(work.conn, id)).await
    }
}

/// The columns that [`key`] reads.
const KEY: &str = "no, id, name, role, tenant, tenant_created_at, created_at, expires_at FROM api_keys";

fn key(row: &Row<'_>) -> Outcome<ApiKey> {
    let id = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(ApiKey {
        id: ApiKeyId::from_uuid(uuid_from_blob(id).map_err(damaged)?),
        name: row.get(2)?,
        role: role(row.get(3)?)?,
        tenant: row.get::<_, Option<String>>(4)?.map(|id| tenant(&id, row.get(5)?)).transpose()?,
        created_at: rows::time(row.get(6)?)?,
        expires_at: row.get::<_, Option<i64>>(7)?.map(rows::time).transpose()?,
    })
}

fn tenant(id: &str, created_at: i64) -> Outcome<KeyTenant> {
    Ok(KeyTenant { id: rows::parse(id)?, created_at: rows::time(created_at)? })
}

fn role(code: i64) -> Outcome<Role> {
    let found = Role::ALL.into_iter().find(|role| role_code(*role) == code);
    found.ok_or_else(|| damaged(format!("role {code}")))
}

fn role_code(role: Role) -> i64 {
    match role {
        Role::Admin => 0,
        Role::Operator => 1,
        Role::Publisher => 2,
        Role::Viewer => 3,
        Role::Tenant => 4,
    }
}

fn create(conn: &Connection, key: &ApiKey, KeyDigest(digest): KeyDigest) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO api_keys (id, digest, name, role, tenant, tenant_created_at, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        key.id.uuid().as_bytes(),
        digest,
        key.name,
        role_code(key.role),
        key.tenant.as_ref().map(|tenant| tenant.id.as_str()),
        key.tenant.as_ref().map(|tenant| millis(tenant.created_at)),
        millis(key.created_at),
        key.expires_at.map(millis),
    ])?;
    Ok(())
}

fn find(conn: &Connection, KeyDigest(digest): KeyDigest) -> Outcome<Option<ApiKey>> {
    let mut statement = conn.prepare_cached(&find_sql())?;
    let mut found = statement.query([digest])?;
    found.next()?.map(key).transpose()
}

fn find_sql() -> String {
    format!("SELECT {KEY} WHERE digest = ?")
}

fn list(conn: &Connection, page: &Page) -> Outcome<Paged<ApiKey>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {KEY} WHERE no < ? ORDER BY no DESC LIMIT ?"))?;
    let before = number_cursor(page)?.unwrap_or(i64::MAX);
    let found = statement.query((before, i64::from(page.limit) + 1))?;
    let Paged { rows, next } = paged(found, page, |row| {
        let number: i64 = row.get(0)?;
        Ok(((number, key(row)), number.to_string()))
    })?;
    Ok(Paged { rows: rows.into_iter().filter_map(readable).collect(), next })
}

/// A key, if it can be read. One that cannot does not hide the others.
fn readable((number, key): (i64, Outcome<ApiKey>)) -> Option<ApiKey> {
    let told = |error: &Fault| {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, number, "an API key cannot be read; the list leaves it out");
    };
    key.inspect_err(told).ok()
}

fn delete(conn: &Connection, id: ApiKeyId) -> Outcome<ApiKey> {
    let mut statement = conn.prepare_cached(&format!("SELECT {KEY} WHERE id = ?"))?;
    let mut found = statement.query([id.uuid().as_bytes()])?;
    let deleted = key(found.next()?.ok_or(Fault::missing(Missing::Key))?)?;
    conn.prepare_cached("DELETE FROM api_keys WHERE id = ?")?.execute([id.uuid().as_bytes()])?;
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use posthaste_model::Timestamp;

    use super::*;
    use crate::search::tests::{plan, store};

    #[test]
    fn a_key_is_found_without_reading_the_others() {
        let steps = ["SEARCH api_keys USING INDEX sqlite_autoindex_api_keys_2 (digest=?)"];
        assert_eq!(plan(&store(), &find_sql()), steps);
    }

    #[test]
    fn keys_that_cannot_be_read_do_not_hide_the_others() {
        let conn = store();
        let keys: Vec<ApiKey> = (0..4_u8)
            .map(|n| ApiKey {
                id: ApiKeyId::mint(Timestamp::UNIX_EPOCH, [n; 10]),
                name: String::new(),
                role: Role::Viewer,
                tenant: None,
                created_at: Timestamp::UNIX_EPOCH,
                expires_at: None,
            })
            .collect();
        for (n, key) in (0..).zip(&keys) {
            create(&conn, key, KeyDigest([n; 32])).unwrap();
        }
        // The first two have roles of a newer build.
        conn.execute("UPDATE api_keys SET role = 99 WHERE no <= 2", []).unwrap();
        for limit in [1, 2, 10] {
            let (mut page, mut seen) = (Page::first(limit), Vec::new());
            loop {
                let Paged { rows, next } = list(&conn, &page).unwrap();
                seen.extend(rows);
                page = Page { limit, after: next };
                if page.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, [keys[3].clone(), keys[2].clone()], "in pages of {limit}");
        }
    }
}
