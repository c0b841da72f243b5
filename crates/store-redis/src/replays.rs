//! Sending again what is over (`lua/reopen.lua`), and the jobs that do it.

use async_trait::async_trait;
use posthaste_model::{DeliveryId, ReplayId, TenantId, Timestamp};
use posthaste_store::{
    Missing, Order, Page, Paged, Partition, Reopened, Replay, ReplayState, Replays, Result, StoreError,
};
use redis::{Cmd, Value};

use crate::{
    layout::{DeliveryKey, event_name, millis},
    merge::{self, Found, Source, Window},
    place::Place,
    reply::{Reply, bytes, number},
    script::{CREATE_REPLAY, Operation, REOPEN, REPLAY, REPLAYS, UPDATE_REPLAY},
    store::RedisStore,
};

/// How many deliveries one call opens, so that nobody waits long behind it.
const AT_ONCE: usize = 200;
/// How many replays of a partition run at once at the most; the others wait for one to end.
const MOST_RUNNING: usize = 1_000;

#[async_trait]
impl Replays for RedisStore {
    async fn reopen(
        &self,
        tenant: &TenantId,
        deliveries: Vec<DeliveryId>,
        over_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Reopened>> {
        let layout = &self.shared.layout;
        let partition = layout.partition(tenant);
        let mut reopened = Vec::with_capacity(deliveries.len());
        // Nobody asks for nothing, but for whether there is such a tenant.
        loop {
            let left = &deliveries[reopened.len()..];
            let some = &left[..left.len().min(AT_ONCE)];
            let answer = self
                .shared
                .desk
                .run(&REOPEN, layout.base(partition), |call| {
                    let before = over_before.map_or_else(String::new, |before| millis(before).to_string());
                    call.arg(layout.channel()).arg(tenant.as_str()).arg(millis(now)).arg(before);
                    for id in some {
                        let (key, accepted_at) = DeliveryKey::of(*id);
                        let real = DeliveryKey { partition, ..key }.id(accepted_at) == *id;
                        let event = if real { event_name(key.event) } else { String::new() };
                        call.arg(event).arg(key.n).arg(accepted_at);
                    }
                })
                .await?;
            let letters = bytes(answer)?;
            if &letters[..] == b"t" {
                return Err(StoreError::NotFound(Missing::Tenant));
            }
            self.shared.wake(partition);
            if letters.len() > some.len() || (letters.is_empty() && !some.is_empty()) {
                return Err(StoreError::damaged("what became of a delivery is not said"));
            }
            for letter in letters {
                reopened.push(match letter {
                    b'r' => Reopened::Reopened,
                    b'o' => Reopened::Open,
                    b'c' => Reopened::Closed,
                    b'm' => Reopened::Missing,
                    other => return Err(StoreError::damaged(format!("a delivery was opened as {other}"))),
                });
            }
            // What is too much for one call is asked for again.
            if reopened.len() == deliveries.len() {
                return Ok(reopened);
            }
        }
    }

    async fn create_replay(&self, replay: Replay) -> Result<()> {
        match self.of_replay(&CREATE_REPLAY, &replay.tenant, replay.id, Some(&replay)).await? {
            Value::BulkString(refused) => Err(refusal(&refused)),
            _ => Ok(()),
        }
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Replay> {
        match self.of_replay(&REPLAY, tenant, id, None).await? {
            Value::BulkString(refused) => Err(refusal(&refused)),
            found => read(&mut Reply::items(found)?),
        }
    }

    async fn replays(&self, tenant: Option<&TenantId>, page: Page) -> Result<Paged<Replay>> {
        let partitions = match tenant {
            Some(tenant) => vec![self.shared.layout.partition(tenant)],
            None => (0..self.shared.layout.partitions()).map(Partition).collect(),
        };
        merge::page(&Jobs { store: self, partitions, tenant }, Order::NewestFirst, &page).await
    }

    async fn running_replays(&self, partition: Partition) -> Result<Vec<Replay>> {
        let rows = self.list(partition, "", "r", Place::FIRST, MOST_RUNNING).await?;
        // Whoever reads a damaged one alone is told.
        Ok(rows.into_iter().filter_map(|(_, replay)| replay.ok()).collect())
    }

    async fn update_replay(&self, replay: Replay) -> Result<Replay> {
        match self.of_replay(&UPDATE_REPLAY, &replay.tenant, replay.id, Some(&replay)).await? {
            Value::BulkString(refused) => Err(refusal(&refused)),
            version => Ok(Replay { version: number(version)? as u64, ..replay }),
        }
    }
}

impl RedisStore {
    async fn of_replay(
        &self,
        operation: &Operation,
        tenant: &TenantId,
        id: ReplayId,
        said: Option<&Replay>,
    ) -> Result<Value> {
        let packed = said.map(serde_json::to_string).transpose().map_err(StoreError::damaged)?;
        let base = self.shared.layout.base(self.shared.layout.partition(tenant));
        let fill = |call: &mut Cmd| {
            call.arg(tenant.as_str()).arg(&id.uuid().as_bytes()[..]);
            if let (Some(replay), Some(packed)) = (said, &packed) {
                call.arg(replay.version).arg(packed).arg(u8::from(replay.state == ReplayState::Running));
                call.arg(Replay::MOST_RUNNING);
            }
        };
        Ok(self.shared.desk.run(operation, base, fill).await?)
    }

    /// Lists replays of a partition with their numbers, each as far as it can be read.
    async fn list(
        &self,
        partition: Partition,
        tenant: &str,
        which: &str,
        below: Place,
        limit: usize,
    ) -> Result<Vec<(u64, Result<Replay>)>> {
        let answer = self
            .shared
            .desk
            .run(&REPLAYS, self.shared.layout.base(partition), |call| {
                call.arg(tenant).arg(which).arg(below.number).arg(limit);
            })
            .await?;
        let reply = Reply::of(answer)?.ok_or(StoreError::NotFound(Missing::Tenant))?;
        let rows = reply.rest().map(|row| {
            let mut row = Reply::items(row)?;
            Ok((row.number()? as u64, read(&mut row)))
        });
        rows.collect()
    }
}

fn refusal(code: &[u8]) -> StoreError {
    match code {
        b"t" => StoreError::NotFound(Missing::Tenant),
        b"s" => StoreError::StaleReplay,
        b"m" => StoreError::TooManyReplays,
        _ => StoreError::NotFound(Missing::Replay),
    }
}

/// Reads a replay: its version, and what else it is as JSON, in which an older version stands.
fn read(row: &mut Reply) -> Result<Replay> {
    let version = row.number()? as u64;
    let replay = serde_json::from_slice(&row.bytes()?).map_err(StoreError::damaged)?;
    Ok(Replay { version, ..replay })
}

/// A replay in its list, if it can be read. One that cannot does not hide the others.
fn readable((number, replay): (u64, Result<Replay>)) -> Option<Found<Replay>> {
    let told = |error: &StoreError| {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, number, "a replay cannot be read; the list leaves it out");
    };
    let row = replay.inspect_err(told).ok()?;
    Some(Found { behind: Place { number, n: 0 }, at: millis(row.created_at), row })
}

/// The replays of a tenant, or of all, newest first.
struct Jobs<'a> {
    store: &'a RedisStore,
    partitions: Vec<Partition>,
    tenant: Option<&'a TenantId>,
}

#[async_trait]
impl Source for Jobs<'_> {
    type Row = Replay;

    fn lists(&self) -> usize {
        self.partitions.len()
    }

    async fn window(
        &self,
        list: usize,
        from: Place,
        wanted: usize,
        _looked_at: usize,
    ) -> Result<Window<Replay>> {
        let tenant = self.tenant.map_or("", TenantId::as_str);
        let found = self.store.list(self.partitions[list], tenant, "n", from, wanted).await?;
        let over = found.len() < wanted;
        let top = found.first().map(|(number, _)| Place { number: number + 1, n: 0 });
        let next = found.last().map_or(from, |(number, _)| Place { number: *number, n: 0 });
        let rows: Vec<_> = found.into_iter().filter_map(readable).collect();
        let reached = rows.last().map(|last| last.at);
        Ok(Window { rows, next, over, reached, top })
    }
}
