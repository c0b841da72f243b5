use async_trait::async_trait;
use posthaste_model::{AuditEntry, TenantId};

use crate::{Page, Paged, Result};

/// Who changed what.
#[async_trait]
pub trait Audit {
    /// Keeps an entry, and forgets those that came first beyond `most`, or beyond a hundred more. What
    /// [tenants' own people](AuditEntry::is_by_tenant) did is counted apart: it pushes out nothing of others. One that is known
    /// already is not kept twice.
    async fn record(&self, entry: AuditEntry, most: u32) -> Result<()>;

    /// Lists entries in the order of their ids, newest first: all, or those of a tenant, also of one that was deleted. A page
    /// looks at a bounded number of entries: it may be short, or empty, and have a next one. One that cannot be read is left
    /// out.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn audit(&self, of: Option<&TenantId>, page: Page) -> Result<Paged<AuditEntry>>;
}
