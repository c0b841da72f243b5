use std::time::Duration;

use async_trait::async_trait;
use posthaste_model::Timestamp;
use posthaste_store::{Cursor, Partition, Pruned, Result, Retain, Retention, StoreError};
use redis::Cmd;

use crate::{
    layout::millis,
    reply::{Reply, number},
    script::{INDEX, PRUNE, SWEEP},
    store::RedisStore,
};

/// How many deliveries of closed queues one call writes down.
const SWEPT_AT_ONCE: u32 = 300;
/// How many deliveries one call looks at for the index of trouble; an event without any counts as one.
const INDEXED_AT_ONCE: u32 = 500;
/// For how long at least what was delivered is kept, however little memory there is: its id is known so long to a
/// publisher that lost the answer.
const AT_LEAST: Duration = Duration::from_secs(300);
/// Where a pruning goes on: what was looked at is gone from the lines.
const ON: &str = "on";

#[async_trait]
impl Retention for RedisStore {
    async fn prune(
        &self,
        partition: Partition,
        retain: Retain,
        now: Timestamp,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Pruned> {
        if from.is_some_and(|Cursor(text)| text != ON) {
            return Err(StoreError::InvalidCursor);
        }
        let base = self.shared.layout.base(partition);
        // What was closed and is not written down yet is over, too.
        while number(
            self.shared
                .work
                .run(&SWEEP, base, |call| {
                    call.arg(SWEPT_AT_ONCE);
                })
                .await?,
        )? == 1
        {}
        let latest =
            |period: Duration| millis(now) - i64::try_from(period.as_millis()).unwrap_or(i64::MAX >> 1) - 1;
        let delivered = if self.shared.pressure.is_high(&self.shared.work).await? {
            latest(retain.delivered.min(AT_LEAST))
        } else {
            latest(retain.delivered)
        };
        let answer = self
            .shared
            .work
            .run(&PRUNE, base, |call| {
                call.arg(limit).arg(delivered).arg(latest(retain.failed)).arg(millis(now));
            })
            .await?;
        let mut reply = Reply::items(answer)?;
        let removed = reply.number()? as u32;
        let (more, unindexed) = (reply.number()? == 1, reply.number()? == 1);
        let more = (unindexed && self.index(base).await?) || more;
        Ok(Pruned { removed, next: more.then(|| Cursor(ON.into())) })
    }
}

impl RedisStore {
    /// Indexes some of the trouble that a store had before there was an index. Gives whether there is more.
    async fn index(&self, base: &str) -> Result<bool> {
        let fill = |call: &mut Cmd| {
            call.arg(INDEXED_AT_ONCE);
        };
        Ok(number(self.shared.work.run(&INDEX, base, fill).await?)? == 1)
    }
}
