use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use posthaste_model::{EndpointId, TenantId, Timestamp};
use posthaste_store::{Notice, Notices, Partition, Result, StoreError, Told};

use crate::{
    endpoints::time,
    layout::{DeliveryKey, MEMBER, uuid},
    reply::Reply,
    script::NOTICES,
    store::RedisStore,
};

/// How many notices one call looks at, so that nobody waits long behind it.
const AT_ONCE: usize = 500;

#[async_trait]
impl Notices for RedisStore {
    async fn notices(&self, partition: Partition, limit: u32) -> Result<Vec<Notice>> {
        let base = self.shared.layout.base(partition);
        let (mut notices, mut after) = (Vec::new(), String::new());
        loop {
            let wanted = limit as usize - notices.len();
            let answer = self
                .shared
                .work
                .run(&NOTICES, base, |call| {
                    call.arg(wanted).arg(AT_ONCE).arg(&after);
                })
                .await?;
            let mut reply = Reply::items(answer)?;
            after = reply.text()?;
            while !reply.is_over() {
                let number = reply.number()? as u64;
                let tenant = reply.text()?.parse().map_err(StoreError::damaged)?;
                notices.push(read(partition, number, tenant, reply.bytes()?)?);
            }
            if after.is_empty() || notices.len() >= limit as usize {
                return Ok(notices);
            }
        }
    }

    async fn forget_notices(&self, partition: Partition, up_to: u64) -> Result<()> {
        let mut forget = redis::cmd("ZREMRANGEBYSCORE");
        forget.arg(format!("{}:o", self.shared.layout.base(partition))).arg("-inf").arg(up_to);
        self.shared.work.call(&forget).await?;
        Ok(())
    }
}

/// Reads a notice as `lua/common/endpoints.lua` leaves it, without its number: `kind:1 tenant:4 at:6 endpoint:16`, then what
/// is told.
fn read(partition: Partition, number: u64, tenant: TenantId, packed: Bytes) -> Result<Notice> {
    let mut rest = packed;
    let kind = take(&mut rest, 1)?[0];
    take(&mut rest, 4)?;
    let at = six(&mut rest)?;
    let endpoint = EndpointId::from_uuid(uuid(&take(&mut rest, 16)?).map_err(StoreError::damaged)?);
    let told = match kind {
        b'f' => Told::Failing { since: six(&mut rest)?, percent: take(&mut rest, 1)?[0] },
        b'd' => Told::Disabled { reason: text(&rest)? },
        b'r' => Told::Recovered { failing_since: six(&mut rest)? },
        b'x' => {
            let member = text(&take(&mut rest, MEMBER)?)?;
            let key = DeliveryKey::of_member(partition, &member);
            let key = key.ok_or_else(|| StoreError::damaged("a notice names no delivery"))?;
            Told::Exhausted { delivery: key.id(six(&mut rest)?.as_millisecond()) }
        }
        other => return Err(StoreError::damaged(format!("a notice of kind {other}"))),
    };
    Ok(Notice { number, tenant, endpoint, at, told })
}

fn take(rest: &mut Bytes, count: usize) -> Result<Bytes> {
    let cut = || StoreError::damaged("a notice ends too early");
    (rest.len() >= count).then(|| rest.split_to(count)).ok_or_else(cut)
}

fn six(rest: &mut Bytes) -> Result<Timestamp> {
    time(take(rest, 6)?.get_uint(6) as i64)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(StoreError::damaged)
}
