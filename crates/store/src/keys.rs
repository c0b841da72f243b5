use std::fmt;

use async_trait::async_trait;
use posthaste_model::{ApiKey, ApiKeyId};

use crate::{Page, Paged, Result};

/// Keys of the API.
#[async_trait]
pub trait Keys {
    /// Keeps a key, which is found by the digest of its secret from then on. One whose id is known already stays as it is.
    async fn create_key(&self, key: ApiKey, digest: KeyDigest) -> Result<()>;

    /// The key whose secret has this digest, also when its time is over; none: there is no such key.
    async fn key(&self, digest: &KeyDigest) -> Result<Option<ApiKey>>;

    /// Lists keys, newest first. One that cannot be read is left out, so that the others can be seen and deleted.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn keys(&self, page: Page) -> Result<Paged<ApiKey>>;

    /// Deletes a key, and says what it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn delete_key(&self, id: ApiKeyId) -> Result<ApiKey>;
}

/// What is kept of a key's secret: its SHA-256 (FIPS 180-4). A secret has 256 random bits, so that it cannot be had back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}
