use async_trait::async_trait;
use posthaste_model::{Counts, Timestamp};
use posthaste_store::{Bucket, NotAdded, Result, Statistics, StoreError, Stretch, Subject, Tally};

use super::MemoryStore;

#[async_trait]
impl Statistics for MemoryStore {
    async fn add_stats(&self, tallies: Vec<Tally>) -> Vec<NotAdded> {
        let mut tables = self.tables();
        for Tally { of, at, counts } in tallies {
            let is_gone = of.tenant().is_some_and(|tenant| tables.tenant(tenant).is_err());
            if is_gone || counts == Counts::default() {
                continue;
            }
            for stretch in [Stretch::Minute, Stretch::Hour] {
                tables.counts.entry((of.clone(), stretch, stretch.begin(at))).or_default().add(&counts);
            }
        }
        Vec::new()
    }

    async fn stats(
        &self,
        of: Subject,
        stretch: Stretch,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Bucket>> {
        let tables = self.tables();
        let meant = tables.counts.iter().filter(|((subject, length, begin), _)| {
            let within = (since.as_millisecond()..until.as_millisecond()).contains(begin);
            *subject == of && *length == stretch && within
        });
        meant
            .map(|((_, _, begin), counts)| {
                let begin = Timestamp::from_millisecond(*begin).map_err(StoreError::damaged)?;
                Ok(Bucket { begin, counts: counts.clone() })
            })
            .collect()
    }

    async fn forget_stats(
        &self,
        minutes_before: Timestamp,
        hours_before: Timestamp,
        limit: u32,
    ) -> Result<bool> {
        let mut tables = self.tables();
        let is_old = |stretch: Stretch, begin: i64| {
            begin
                < match stretch {
                    Stretch::Minute => minutes_before.as_millisecond(),
                    Stretch::Hour => hours_before.as_millisecond(),
                }
        };
        let old = tables.counts.keys().filter(|(_, stretch, begin)| is_old(*stretch, *begin));
        let old: Vec<_> = old.take(limit as usize).cloned().collect();
        for key in &old {
            tables.counts.remove(key);
        }
        Ok(old.len() == limit as usize)
    }
}
