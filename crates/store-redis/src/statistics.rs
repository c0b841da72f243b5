//! What happened, counted by stretches of time (`lua/count.lua`).
//!
//! For each subject and length of a stretch there is a hash of pages. Old ones are dropped when a new one begins, and all of them
//! by the server, by its clock, when nobody has begun one for long: nothing has to be looked for that is to be forgotten.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::future::join_all;
use posthaste_model::{Counts, Histogram, TenantId, Timestamp};
use posthaste_store::{Bucket, NotAdded, Partition, Result, Statistics, StoreError, Stretch, Subject, Tally};
use redis::Cmd;

use crate::{
    layout::Layout,
    reply::Reply,
    script::{COUNT, STATS},
    store::RedisStore,
};

/// How many tallies one call adds, each to two stretches.
const AT_ONCE: usize = 50;
/// How many stretches a page has.
const PAGE: i64 = 64;

/// How a stretch is called in the names of keys, how many pages of it are kept, and for how many seconds after the last one
/// was begun: for three hours and for thirty days at least.
fn kept(stretch: Stretch) -> (&'static str, i64, i64) {
    let (name, pages) = match stretch {
        Stretch::Minute => ("m", 4),
        Stretch::Hour => ("h", 13),
    };
    (name, pages, pages * PAGE * stretch.length().as_secs() as i64)
}

/// In which partition a subject is counted; what belongs to all lies in the first one.
fn partition(layout: &Layout, of: &Subject) -> Partition {
    of.tenant().map_or(Partition(0), |tenant| layout.partition(tenant))
}

/// The tenant of a subject, for whose number the script looks, or nothing; and how the subject is called behind that.
fn name(of: &Subject) -> (&str, Vec<u8>) {
    let name = match of {
        Subject::All => b"*".to_vec(),
        Subject::Topic(topic) => format!("o{topic}").into_bytes(),
        Subject::Tenant(_) => b"t".to_vec(),
        Subject::TenantTopic(_, topic) => format!("c{topic}").into_bytes(),
        Subject::Endpoint(_, endpoint) => [b"p", &endpoint.uuid().as_bytes()[..]].concat(),
    };
    (of.tenant().map_or("", TenantId::as_str), name)
}

/// The counters in the order in which they are packed.
fn counters(counts: &Counts) -> [u64; 8] {
    let Counts { events, unmatched, deliveries, attempts, failed, retried, delivered, exhausted, .. } =
        *counts;
    [events, unmatched, deliveries, attempts, failed, retried, delivered, exhausted]
}

/// What was counted, as JSON.
fn pack(counts: &Counts) -> Result<String> {
    let classes = |histogram: &Histogram| {
        histogram.classes().flat_map(|(class, count)| [u64::from(class), count]).collect::<Vec<_>>()
    };
    let lists = (counters(counts), classes(&counts.queue), classes(&counts.receiver));
    serde_json::to_string(&lists).map_err(StoreError::damaged)
}

/// Reads what was counted: `counters queue's numbers receiver's numbers`, each with their number before it but the last.
fn read(row: &mut Reply) -> Result<Counts> {
    let mut counters = [0; 8];
    let count = row.number()?;
    for place in 0..count {
        let counted = row.number()? as u64;
        // A counter that only a newer build knows is passed over.
        if let Some(counter) = usize::try_from(place).ok().and_then(|place| counters.get_mut(place)) {
            *counter = counted;
        }
    }
    let [events, unmatched, deliveries, attempts, failed, retried, delivered, exhausted] = counters;
    let (mut queue, mut receiver) = (Histogram::default(), Histogram::default());
    for _ in 0..row.number()? / 2 {
        queue.count(row.number()? as u8, row.number()? as u64);
    }
    while !row.is_over() {
        receiver.count(row.number()? as u8, row.number()? as u64);
    }
    Ok(Counts {
        events,
        unmatched,
        deliveries,
        attempts,
        failed,
        retried,
        delivered,
        exhausted,
        queue,
        receiver,
    })
}

#[async_trait]
impl Statistics for RedisStore {
    async fn add_stats(&self, tallies: Vec<Tally>) -> Vec<NotAdded> {
        let mut parts: BTreeMap<Partition, Vec<Tally>> = BTreeMap::new();
        for tally in tallies.into_iter().filter(|tally| tally.counts != Counts::default()) {
            parts.entry(partition(&self.shared.layout, &tally.of)).or_default().push(tally);
        }
        // At once, so that one whose server does not answer holds up no other.
        let adding = parts.into_iter().map(|(partition, tallies)| self.add_to(partition, tallies));
        join_all(adding).await.into_iter().flatten().collect()
    }

    async fn stats(
        &self,
        of: Subject,
        stretch: Stretch,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Bucket>> {
        let (partition, (tenant, name)) = (partition(&self.shared.layout, &of), name(&of));
        let (length, ..) = kept(stretch);
        let answer = self
            .shared
            .desk
            .run(&STATS, self.shared.layout.base(partition), |call| {
                call.arg(tenant).arg(&name[..]).arg(length);
            })
            .await?;
        let mut buckets = Vec::new();
        for row in Reply::items(answer)?.rest() {
            let mut row = Reply::items(row)?;
            let number = row.number()? * PAGE + row.number()?;
            let begin = number * stretch.length().as_millis() as i64;
            let wanted = (since.as_millisecond()..until.as_millisecond()).contains(&begin);
            if wanted {
                let begin = Timestamp::from_millisecond(begin).map_err(StoreError::damaged)?;
                buckets.push(Bucket { begin, counts: read(&mut row)? });
            }
        }
        buckets.sort_by_key(|bucket| bucket.begin);
        Ok(buckets)
    }

    /// They are forgotten by themselves.
    async fn forget_stats(
        &self,
        _minutes_before: Timestamp,
        _hours_before: Timestamp,
        _limit: u32,
    ) -> Result<bool> {
        Ok(false)
    }
}

impl RedisStore {
    /// Adds what was counted in a partition. With a call that fails the rest is left, too.
    async fn add_to(&self, partition: Partition, mut tallies: Vec<Tally>) -> Option<NotAdded> {
        while !tallies.is_empty() {
            let count = tallies.len().min(AT_ONCE);
            if let Err(error) = self.add_some(partition, &tallies[..count]).await {
                return Some(NotAdded { tallies, error });
            }
            tallies.drain(..count);
        }
        None
    }

    async fn add_some(&self, partition: Partition, tallies: &[Tally]) -> Result<()> {
        let mut sums: BTreeMap<(&Subject, Stretch, i64), Counts> = BTreeMap::new();
        for Tally { of, at, counts } in tallies {
            for stretch in [Stretch::Minute, Stretch::Hour] {
                let number = stretch.begin(*at) / stretch.length().as_millis() as i64;
                sums.entry((of, stretch, number)).or_default().add(counts);
            }
        }
        let packed = sums.values().map(pack).collect::<Result<Vec<_>>>()?;
        let fill = |call: &mut Cmd| {
            for ((of, stretch, number), counted) in sums.keys().zip(&packed) {
                let ((tenant, name), (length, pages, seconds)) = (name(of), kept(*stretch));
                call.arg(tenant).arg(name).arg(length).arg(number.div_euclid(PAGE));
                call.arg(number.rem_euclid(PAGE)).arg(seconds).arg(pages).arg(counted);
            }
        };
        self.shared.desk.run(&COUNT, self.shared.layout.base(partition), fill).await?;
        Ok(())
    }
}
