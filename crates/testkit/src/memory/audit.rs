use std::collections::BTreeMap;

use async_trait::async_trait;
use posthaste_model::{AuditEntry, TenantId};
use posthaste_store::{Audit, Page, Paged, Result};

use super::{MemoryStore, tables::page};

#[async_trait]
impl Audit for MemoryStore {
    async fn record(&self, entry: AuditEntry, most: u32) -> Result<()> {
        let audit = &mut self.tables().audit;
        if audit.iter().any(|known| known.id == entry.id) {
            return Ok(());
        }
        let by_tenant = entry.is_by_tenant();
        audit.push(entry);
        let alike = audit.iter().filter(|known| known.is_by_tenant() == by_tenant).count();
        let mut beyond = alike.saturating_sub(most as usize);
        audit.retain(|known| {
            let goes = beyond > 0 && known.is_by_tenant() == by_tenant;
            beyond -= usize::from(goes);
            !goes
        });
        Ok(())
    }

    async fn audit(&self, of: Option<&TenantId>, wanted: Page) -> Result<Paged<AuditEntry>> {
        let tables = self.tables();
        let meant = tables.audit.iter().filter(|entry| of.is_none() || entry.tenant.as_ref() == of);
        let meant: BTreeMap<_, _> =
            meant.map(|entry| (entry.id.uuid().as_u64_pair(), entry.clone())).collect();
        page(meant.into_iter(), &wanted)
    }
}
