use async_trait::async_trait;
use posthaste_model::{Endpoint, EndpointId, Tenant, TenantId, Timestamp, Topic, TopicName};
use posthaste_store::{Catalogue, Cursor, Missing, Page, Paged, Put, Result, StoreError};
use rusqlite::{Connection, Row};

use crate::{
    endpoints,
    fault::{Fault, Outcome},
    key::millis,
    replays, rows,
    state::next_version,
    store::SqliteStore,
    writer::Work,
};

#[async_trait]
impl Catalogue for SqliteStore {
    async fn put_tenant(&self, tenant: Tenant) -> Result<Put<Tenant>> {
        self.writer.run(move |work| put_tenant(work, tenant)).await
    }

    async fn tenant(&self, id: &TenantId) -> Result<Tenant> {
        let id = id.clone();
        self.readers
            .run(move |conn| Ok(find_tenant(conn, &id)?.ok_or(Fault::missing(Missing::Tenant))?.0))
            .await
    }

    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>> {
        self.readers
            .run(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT id, name, created_at, updated_at, no, signature FROM tenants
                     WHERE no < ? AND deleted_at IS NULL ORDER BY no DESC LIMIT ?",
                )?;
                let before = number_cursor(&page)?.unwrap_or(i64::MAX);
                let found = statement.query((before, i64::from(page.limit) + 1))?;
                paged(found, &page, |row| Ok((tenant(row)?, row.get::<_, i64>(4)?.to_string())))
            })
            .await
    }

    async fn delete_tenant(&self, id: &TenantId, now: Timestamp) -> Result<()> {
        let id = id.clone();
        self.writer
            .run(move |work| {
                let card = work.state.tenant(work.conn, &id)?;
                for no in endpoints::nos(work.conn, card.no)? {
                    endpoints::delete(work, no, millis(now))?;
                }
                replays::forget(work.conn, card.no)?;
                work.conn
                    .prepare_cached("UPDATE tenants SET deleted_at = ? WHERE no = ?")?
                    .execute((millis(now), card.no))?;
                work.state.forget_tenant(&id);
                Ok(())
            })
            .await
    }

    async fn put_topic(&self, topic: Topic) -> Result<Put<Topic>> {
        self.writer.run(move |work| put_topic(work, topic)).await
    }

    async fn topic(&self, name: &TopicName) -> Result<Topic> {
        let name = name.clone();
        self.readers.run(move |conn| find_topic(conn, &name)?.ok_or(Fault::missing(Missing::Topic))).await
    }

    async fn topics(&self, page: Page) -> Result<Paged<Topic>> {
        self.readers
            .run(move |conn| {
                let mut statement =
                    conn.prepare_cached(&format!("SELECT {TOPIC} WHERE name > ? ORDER BY name LIMIT ?"))?;
                let parse =
                    |Cursor(name): &Cursor| name.parse::<TopicName>().map_err(|_| StoreError::InvalidCursor);
                let after = page.after.as_ref().map(parse).transpose()?;
                let after = after.as_ref().map_or("", TopicName::as_str);
                let found = statement.query((after, i64::from(page.limit) + 1))?;
                paged(found, &page, |row| {
                    let topic = topic(row)?;
                    let cursor = topic.name.to_string();
                    Ok((topic, cursor))
                })
            })
            .await
    }

    async fn delete_topic(&self, name: &TopicName) -> Result<()> {
        let name = name.clone();
        self.writer
            .run(move |work| {
                let deleted = work
                    .conn
                    .prepare_cached("DELETE FROM topics WHERE name = ?")?
                    .execute([name.as_str()])?;
                if deleted == 0 {
                    return Err(Fault::missing(Missing::Topic));
                }
                work.state.set_topic(work.conn, &name, None)
            })
            .await
    }

    async fn create_endpoint(&self, endpoint: Endpoint) -> Result<()> {
        self.writer.run(move |work| endpoints::create(work, &endpoint)).await
    }

    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint> {
        let tenant = tenant.clone();
        self.readers.run(move |conn| endpoints::find(conn, &tenant, id)).await
    }

    async fn endpoints(&self, tenant: &TenantId, page: Page) -> Result<Paged<Endpoint>> {
        let tenant = tenant.clone();
        self.readers
            .run(move |conn| {
                let (_, tenant_no) = find_tenant(conn, &tenant)?.ok_or(Fault::missing(Missing::Tenant))?;
                let mut statement = conn.prepare_cached(&format!(
                    "SELECT {} WHERE p.tenant_no = ? AND p.deleted_at IS NULL AND p.no < ? ORDER BY p.no DESC LIMIT ?",
                    rows::ENDPOINT
                ))?;
                let before = number_cursor(&page)?.unwrap_or(i64::MAX);
                let found = statement.query((tenant_no, before, i64::from(page.limit) + 1))?;
                paged(found, &page, |row| Ok((rows::endpoint(conn, row)?, row.get::<_, i64>(0)?.to_string())))
            })
            .await
    }

    async fn update_endpoint(&self, endpoint: Endpoint) -> Result<Endpoint> {
        self.writer.run(move |work| endpoints::update(work, endpoint)).await
    }

    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId, now: Timestamp) -> Result<()> {
        let tenant = tenant.clone();
        self.writer
            .run(move |work| {
                endpoints::find(work.conn, &tenant, id)?;
                let no = work.state.endpoint_no(work.conn, id)?;
                endpoints::delete(work, no, millis(now))?;
                work.state.touch_tenant(work.conn, &tenant)
            })
            .await
    }
}

fn put_tenant(work: &mut Work<'_>, new: Tenant) -> Outcome<Put<Tenant>> {
    let before = find_tenant(work.conn, &new.id)?;
    let created = before.is_none();
    let now = match before {
        Some((tenant, no)) => {
            work.conn
                .prepare_cached("UPDATE tenants SET name = ?, signature = ?, updated_at = ? WHERE no = ?")?
                .execute((&new.name, json_text(new.signature.as_ref()), millis(new.updated_at), no))?;
            Tenant { created_at: tenant.created_at, ..new }
        }
        None => {
            let version = next_version(work.conn)?;
            work.conn
                .prepare_cached(
                    "INSERT INTO tenants (id, name, signature, version, created_at, updated_at)
                     VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute((
                    new.id.as_str(),
                    &new.name,
                    json_text(new.signature.as_ref()),
                    version,
                    millis(new.created_at),
                    millis(new.updated_at),
                ))?;
            new
        }
    };
    Ok(Put { now, created })
}

fn put_topic(work: &mut Work<'_>, new: Topic) -> Outcome<Put<Topic>> {
    let before = find_topic(work.conn, &new.name)?;
    let created = before.is_none();
    let now = Topic { created_at: before.map_or(new.created_at, |topic| topic.created_at), ..new };
    work.conn
        .prepare_cached(
            "INSERT INTO topics (name, description, example, schema, archived, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET description = excluded.description, example = excluded.example,
                 schema = excluded.schema, archived = excluded.archived, updated_at = excluded.updated_at",
        )?
        .execute((
            now.name.as_str(),
            &now.description,
            json_text(now.example.as_ref()),
            json_text(now.schema.as_ref()),
            now.archived,
            millis(now.created_at),
            millis(now.updated_at),
        ))?;
    work.state.set_topic(work.conn, &now.name, Some(now.clone()))?;
    Ok(Put { now, created })
}

fn json_text(value: Option<&serde_json::Value>) -> Option<String> {
    value.map(serde_json::Value::to_string)
}

/// A tenant and its number.
pub(crate) fn find_tenant(conn: &Connection, id: &TenantId) -> Outcome<Option<(Tenant, i64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, name, created_at, updated_at, no, signature FROM tenants WHERE id = ? AND deleted_at IS NULL",
    )?;
    let mut found = statement.query([id.as_str()])?;
    found.next()?.map(|row| Ok((tenant(row)?, row.get(4)?))).transpose()
}

/// The number of a tenant that is not deleted.
pub(crate) fn tenant_no(conn: &Connection, id: &TenantId) -> Outcome<i64> {
    Ok(find_tenant(conn, id)?.ok_or(Fault::missing(Missing::Tenant))?.1)
}

fn tenant(row: &Row<'_>) -> Outcome<Tenant> {
    Ok(Tenant {
        id: rows::parse(&row.get::<_, String>(0)?)?,
        name: row.get(1)?,
        signature: row.get::<_, Option<String>>(5)?.as_deref().map(rows::json).transpose()?,
        created_at: rows::time(row.get(2)?)?,
        updated_at: rows::time(row.get(3)?)?,
    })
}

/// The columns that [`topic`] reads.
pub(crate) const TOPIC: &str =
    "name, description, example, archived, created_at, updated_at, schema FROM topics";

fn find_topic(conn: &Connection, name: &TopicName) -> Outcome<Option<Topic>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {TOPIC} WHERE name = ?"))?;
    let mut found = statement.query([name.as_str()])?;
    found.next()?.map(topic).transpose()
}

pub(crate) fn topic(row: &Row<'_>) -> Outcome<Topic> {
    Ok(Topic {
        name: rows::parse(&row.get::<_, String>(0)?)?,
        description: row.get(1)?,
        example: row.get::<_, Option<String>>(2)?.as_deref().map(rows::json).transpose()?,
        schema: row.get::<_, Option<String>>(6)?.as_deref().map(rows::json).transpose()?,
        archived: row.get(3)?,
        created_at: rows::time(row.get(4)?)?,
        updated_at: rows::time(row.get(5)?)?,
    })
}

/// The place that a cursor names, where lists are ordered by number.
pub(crate) fn number_cursor(page: &Page) -> Outcome<Option<i64>> {
    let parse = |Cursor(text): &Cursor| text.parse().map_err(|_| StoreError::InvalidCursor.into());
    page.after.as_ref().map(parse).transpose()
}

/// Collects a page from rows of which one more than its limit was asked for. `read` gives each its cursor.
pub(crate) fn paged<T>(
    mut found: rusqlite::Rows<'_>,
    page: &Page,
    read: impl Fn(&Row<'_>) -> Outcome<(T, String)>,
) -> Outcome<Paged<T>> {
    let mut rows = Vec::new();
    let mut last = None;
    while let Some(row) = found.next()? {
        if rows.len() == page.limit as usize {
            return Ok(Paged { rows, next: last.map(Cursor) });
        }
        let (value, cursor) = read(row)?;
        rows.push(value);
        last = Some(cursor);
    }
    Ok(Paged { rows, next: None })
}
