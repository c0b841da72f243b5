use std::time::Duration;

use async_trait::async_trait;
use posthaste_model::Timestamp;

use crate::{Cursor, Partition, Result};

/// What is forgotten, and when.
#[async_trait]
pub trait Retention {
    /// Looks at up to `limit` events of a partition, oldest first, beginning after `from`, and removes those that are
    /// over, with their deliveries and attempts. An event is over when its period ended before `now`. One with a delivery that is
    /// not final is never removed, and the events of deleted tenants are removed like all others.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn prune(
        &self,
        partition: Partition,
        retain: Retain,
        now: Timestamp,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Pruned>;
}

/// How long events are kept once their last delivery is final, or from when they were accepted if they have none; but for
/// those that say it themselves ([`EventOptions::retention`](posthaste_model::EventOptions)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retain {
    /// Those that were delivered to every endpoint, and those that matched nobody.
    pub delivered: Duration,
    /// Those with a delivery that failed, was skipped or was cancelled.
    pub failed: Duration,
}

/// What one call removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many events.
    pub removed: u32,
    /// Where to go on; none: the young end was reached.
    pub next: Option<Cursor>,
}
