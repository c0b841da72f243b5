//! Counts what is open (`lua/backlog.lua`).

use futures_util::future::try_join_all;
use posthaste_model::Timestamp;
use posthaste_store::{Backlog, Missing, Partition, Result, Scope, StoreError};
use redis::Value;

use crate::{
    endpoints::time,
    layout::millis,
    reply::{Reply, text},
    script::BACKLOG,
    shared::Shared,
};

/// How many endpoints and tenants one call looks at.
const AT_ONCE: usize = 500;
/// How many calls are made to a partition. What waits at endpoints beyond is not counted.
const CALLS: usize = 20;

/// Counts what is open of somebody.
pub(crate) async fn count(shared: &Shared, of: &Scope, now: Timestamp) -> Result<Backlog> {
    let (tenant, endpoint) = match of {
        Scope::All => ("", Vec::new()),
        Scope::Tenant(tenant) => (tenant.as_str(), Vec::new()),
        Scope::Endpoint(tenant, endpoint) => (tenant.as_str(), endpoint.uuid().as_bytes().to_vec()),
    };
    let partitions = match of {
        Scope::All => (0..shared.layout.partitions()).map(Partition).collect(),
        Scope::Tenant(tenant) | Scope::Endpoint(tenant, _) => vec![shared.layout.partition(tenant)],
    };
    let counted = partitions.into_iter().map(|one| count_in(shared, one, tenant, &endpoint, now));
    let mut sum = Backlog::default();
    for one in try_join_all(counted).await? {
        sum.more |= one.more || sum.open + one.open > Backlog::MOST;
        sum.open = (sum.open + one.open).min(Backlog::MOST);
        sum.in_flight = (sum.in_flight + one.in_flight).min(Backlog::MOST);
        sum.oldest_due = [sum.oldest_due, one.oldest_due].into_iter().flatten().min();
    }
    Ok(sum)
}

async fn count_in(
    shared: &Shared,
    partition: Partition,
    tenant: &str,
    endpoint: &[u8],
    now: Timestamp,
) -> Result<Backlog> {
    let mut sum = Backlog::default();
    let (mut from, mut place) = (String::new(), String::new());
    for _ in 0..CALLS {
        let answer = shared
            .desk
            .run(&BACKLOG, shared.layout.base(partition), |call| {
                call.arg(tenant).arg(endpoint).arg(&from).arg(&place).arg(AT_ONCE).arg(millis(now));
            })
            .await?;
        if let Value::BulkString(_) = answer {
            return Err(match &*text(answer)? {
                "t" if endpoint.is_empty() => StoreError::NotFound(Missing::Tenant),
                _ => StoreError::NotFound(Missing::Endpoint),
            });
        }
        let mut reply = Reply::items(answer)?;
        let (waiting, in_flight) = (reply.number()? as u64, reply.number()? as u64);
        sum.open += waiting + in_flight;
        sum.in_flight += in_flight;
        let oldest = reply.maybe_number()?.map(time).transpose()?;
        sum.oldest_due = [sum.oldest_due, oldest].into_iter().flatten().min();
        (from, place) = (reply.text()?, reply.text()?);
        if from.is_empty() {
            break;
        }
    }
    sum.more = !from.is_empty();
    Ok(sum)
}
