use async_trait::async_trait;
use posthaste_model::{ApiKey, ApiKeyId};
use posthaste_store::{KeyDigest, Keys, Missing, Page, Paged, Result, StoreError};

use super::{MemoryStore, tables::page};

#[async_trait]
impl Keys for MemoryStore {
    async fn create_key(&self, key: ApiKey, digest: KeyDigest) -> Result<()> {
        let mut tables = self.tables();
        if !tables.keys.values().any(|(known, _)| known.id == key.id) {
            let number = tables.number();
            tables.keys.insert(number, (key, digest));
        }
        Ok(())
    }

    async fn key(&self, digest: &KeyDigest) -> Result<Option<ApiKey>> {
        let tables = self.tables();
        let found = tables.keys.values().find(|(_, of)| of == digest);
        Ok(found.map(|(key, _)| key.clone()))
    }

    async fn keys(&self, wanted: Page) -> Result<Paged<ApiKey>> {
        page(self.tables().keys.iter().map(|(number, (key, _))| ((*number, 0), key.clone())), &wanted)
    }

    async fn delete_key(&self, id: ApiKeyId) -> Result<ApiKey> {
        let mut tables = self.tables();
        let found = tables.keys.iter().find(|(_, (key, _))| key.id == id).map(|(number, _)| *number);
        let deleted = found.and_then(|number| tables.keys.remove(&number));
        deleted.map(|(key, _)| key).ok_or(StoreError::NotFound(Missing::Key))
    }
}
