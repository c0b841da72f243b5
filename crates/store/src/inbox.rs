use async_trait::async_trait;
use bytes::Bytes;
use posthaste_model::Timestamp;

use crate::Result;

/// A way in beside the API, for producers that speak to the store's backend themselves: they leave letters, each an
/// event that is yet to be checked, matched and accepted.
///
/// A letter is given again until it is [filed](Inbox::file) or [rejected](Inbox::reject), to another reader if the
/// first one is gone.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Waits for letters and takes up to `limit` of them, those that a reader who is gone left behind first. None after
    /// a while without any.
    async fn receive(&self, reader: &str, limit: usize) -> Result<Vec<Letter>>;

    /// Removes letters whose events were accepted.
    async fn file(&self, letters: Vec<LetterId>) -> Result<()>;

    /// Moves a letter to where bad ones are kept for people, with the reason.
    async fn reject(&self, letter: Letter, reason: &str, now: Timestamp) -> Result<()>;
}

/// Names a letter, and is never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LetterId(pub String);

/// What a producer left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// Its fields in their order, as they were written.
    pub fields: Vec<(Bytes, Bytes)>,
}
