//! Keys of the API. They lie in one partition, whatever tenant they are for.

use async_trait::async_trait;
use posthaste_model::{ApiKey, ApiKeyId};
use posthaste_store::{KeyDigest, Keys, Missing, Page, Paged, Result, StoreError};
use redis::Value;

use crate::{
    page::{numbered, place},
    reply::{Reply, bytes},
    script::{API_KEYS, CREATE_API_KEY, DELETE_API_KEY},
    store::RedisStore,
};

#[async_trait]
impl Keys for RedisStore {
    async fn create_key(&self, key: ApiKey, KeyDigest(digest): KeyDigest) -> Result<()> {
        let packed = serde_json::to_string(&key).map_err(StoreError::damaged)?;
        self.shared
            .desk
            .run(&CREATE_API_KEY, self.shared.layout.home(), |call| {
                call.arg(&key.id.uuid().as_bytes()[..]).arg(&digest[..]).arg(&packed);
            })
            .await?;
        Ok(())
    }

    async fn key(&self, KeyDigest(digest): &KeyDigest) -> Result<Option<ApiKey>> {
        let mut get = redis::cmd("HGET");
        get.arg(format!("{}:api_keys:d", self.shared.layout.home())).arg(&digest[..]);
        // Whoever publishes waits for it, and shall not wait behind a listing.
        match self.shared.intake.call(&get).await? {
            Value::Nil => Ok(None),
            packed => read(&bytes(packed)?).map(Some),
        }
    }

    async fn keys(&self, page: Page) -> Result<Paged<ApiKey>> {
        let bound = place(&page, i64::MAX)?;
        let answer = self
            .shared
            .desk
            .run(&API_KEYS, self.shared.layout.home(), |call| {
                call.arg(bound).arg(page.limit + 1);
            })
            .await?;
        let mut reply = Reply::items(answer)?;
        let mut rows = Vec::new();
        while !reply.is_over() {
            let number = reply.number()?;
            rows.push((number, (number, read(&reply.bytes()?))));
        }
        let Paged { rows, next } = numbered(rows, page.limit);
        Ok(Paged { rows: rows.into_iter().filter_map(readable).collect(), next })
    }

    async fn delete_key(&self, id: ApiKeyId) -> Result<ApiKey> {
        let answer = self
            .shared
            .desk
            .run(&DELETE_API_KEY, self.shared.layout.home(), |call| {
                call.arg(&id.uuid().as_bytes()[..]);
            })
            .await?;
        match answer {
            Value::Nil => Err(StoreError::NotFound(Missing::Key)),
            packed => read(&bytes(packed)?),
        }
    }
}

/// A key, if it can be read. One that cannot does not hide the others.
fn readable((number, key): (i64, Result<ApiKey>)) -> Option<ApiKey> {
    let told = |error: &StoreError| {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, number, "an API key cannot be read; the list leaves it out");
    };
    key.inspect_err(told).ok()
}

fn read(packed: &[u8]) -> Result<ApiKey> {
    serde_json::from_slice(packed).map_err(StoreError::damaged)
}
