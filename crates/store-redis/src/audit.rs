use async_trait::async_trait;
use posthaste_model::{AuditEntry, AuditId, TenantId};
use posthaste_store::{Audit, Cursor, Page, Paged, Result, StoreError};

use crate::{
    layout::uuid,
    reply::{Reply, bytes},
    script::{AUDIT, RECORD_AUDIT},
    store::RedisStore,
};

/// At how many entries a call looks for those of a tenant, and how many calls a page takes at the most.
const IN_A_CALL: usize = 500;
const CALLS: usize = 4;
/// How many bytes of an entry are its id.
const ID: usize = 16;

#[async_trait]
impl Audit for RedisStore {
    async fn record(&self, entry: AuditEntry, most: u32) -> Result<()> {
        let tenant = entry.tenant.as_ref().map_or("", TenantId::as_str);
        let rest = format!("{tenant} {}", serde_json::to_string(&entry).map_err(StoreError::damaged)?);
        self.shared
            .desk
            .run(&RECORD_AUDIT, self.shared.layout.home(), |call| {
                let kind = if entry.is_by_tenant() { "t" } else { "o" };
                call.arg(&entry.id.uuid().as_bytes()[..]).arg(&rest).arg(kind).arg(most);
            })
            .await?;
        Ok(())
    }

    async fn audit(&self, of: Option<&TenantId>, page: Page) -> Result<Paged<AuditEntry>> {
        let parse = |Cursor(id): &Cursor| id.parse::<AuditId>().map_err(|_| StoreError::InvalidCursor);
        let mut after = page.after.as_ref().map(parse).transpose()?;
        let limit = page.limit as usize;
        let looked_at = if of.is_some() { IN_A_CALL } else { limit + 1 };
        let mut rows = Vec::new();
        for _ in 0..CALLS {
            let answer = self
                .shared
                .desk
                .run(&AUDIT, self.shared.layout.home(), |call| {
                    let after = after.map(|id| id.uuid().into_bytes());
                    call.arg(of.map_or("", TenantId::as_str)).arg(after.as_ref().map_or(&[][..], |id| id));
                    call.arg(limit - rows.len()).arg(looked_at);
                })
                .await?;
            let mut reply = Reply::items(answer)?;
            let last = reply.bytes()?;
            after = (!last.is_empty()).then(|| read_id(&last)).transpose()?;
            for row in reply.rest() {
                rows.extend(readable(&bytes(row)?));
            }
            if after.is_none() || rows.len() >= limit {
                break;
            }
        }
        Ok(Paged { rows, next: after.map(|id| Cursor(id.to_string())) })
    }
}

fn read_id(packed: &[u8]) -> Result<AuditId> {
    uuid(packed).map(AuditId::from_uuid).map_err(StoreError::damaged)
}

/// An entry, if it can be read. One that cannot does not hide the others.
fn readable(packed: &[u8]) -> Option<AuditEntry> {
    let told = |error: &StoreError| {
        let id = packed.get(..ID).and_then(|id| read_id(id).ok()).map(|id| id.to_string());
        let error = error as &dyn std::error::Error;
        tracing::error!(error, id, "an entry of the audit cannot be read; the list leaves it out");
    };
    read(packed).inspect_err(told).ok()
}

/// Reads an entry as `lua/record_audit.lua` keeps it.
fn read(packed: &[u8]) -> Result<AuditEntry> {
    let json = packed.iter().skip(ID).position(|byte| *byte == b' ').map(|tenant| &packed[ID + tenant + 1..]);
    let json = json.ok_or_else(|| StoreError::damaged("an entry of the audit ends too early"))?;
    serde_json::from_slice(json).map_err(StoreError::damaged)
}
