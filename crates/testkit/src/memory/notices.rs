use async_trait::async_trait;
use posthaste_store::{Notice, Notices, Partition, Result};

use super::MemoryStore;

#[async_trait]
impl Notices for MemoryStore {
    async fn notices(&self, partition: Partition, limit: u32) -> Result<Vec<Notice>> {
        let tables = self.tables();
        let own = tables.notices.iter().filter(|notice| self.partition_of(&notice.tenant) == partition);
        Ok(own.take(limit as usize).cloned().collect())
    }

    async fn forget_notices(&self, partition: Partition, up_to: u64) -> Result<()> {
        let forgotten =
            |notice: &Notice| self.partition_of(&notice.tenant) == partition && notice.number <= up_to;
        self.tables().notices.retain(|notice| !forgotten(notice));
        Ok(())
    }
}
