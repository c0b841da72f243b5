use async_trait::async_trait;
use posthaste_model::{DeliveryId, EndpointId, EndpointState, EventId, TenantId, Timestamp};
use posthaste_store::{Missing, Partition, Repairs, Result, Sent, StoreError};
use redis::{Cmd, Value};

use crate::{
    envelope::pack_id,
    layout::{DeliveryKey, event_name, millis},
    record,
    reply::{Reply, text},
    script::{CANCEL, Operation, RETRY, SEND},
    store::RedisStore,
};

#[async_trait]
impl Repairs for RedisStore {
    async fn retry(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        force: bool,
        now: Timestamp,
    ) -> Result<()> {
        let nonce = self.shared.nonces.next();
        let answer = self
            .of_delivery(&RETRY, tenant, delivery, |call| {
                call.arg(u8::from(force)).arg(millis(now)).arg(&nonce[..]);
            })
            .await?;
        match &*text(answer)? {
            "a" => Ok(()),
            refused => Err(refusal(refused)),
        }
    }

    async fn cancel(&self, tenant: &TenantId, delivery: DeliveryId, now: Timestamp) -> Result<()> {
        let answer = self
            .of_delivery(&CANCEL, tenant, delivery, |call| {
                call.arg(millis(now));
            })
            .await?;
        match answer {
            Value::Int(0) => Ok(()),
            Value::Int(code) => {
                let (state, _) = record::end(u8::try_from(code).unwrap_or(u8::MAX))?;
                Err(StoreError::DeliveryOver(state))
            }
            refused => Err(refusal(&text(refused)?)),
        }
    }

    async fn send(
        &self,
        tenant: &TenantId,
        event: &EventId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Sent> {
        let partition = self.shared.layout.partition(tenant);
        let answer = self
            .repair(&SEND, partition, tenant, |call| {
                call.arg(pack_id(event)).arg(&endpoint.uuid().as_bytes()[..]).arg(millis(now));
            })
            .await?;
        if let Value::BulkString(_) = answer {
            return Err(refusal(&text(answer)?));
        }
        let mut reply = Reply::items(answer)?;
        let event = u64::from_str_radix(&reply.text()?, 16).map_err(StoreError::damaged)?;
        let n = u16::try_from(reply.number()?).map_err(StoreError::damaged)?;
        let accepted_at = reply.number()?;
        let delivery = DeliveryKey { partition, event, n }.id(accepted_at);
        Ok(Sent { delivery, created: reply.number()? == 1 })
    }
}

impl RedisStore {
    /// Does something to a delivery. An id that is not one of the tenant's own is looked for all the same, and not found.
    async fn of_delivery(
        &self,
        operation: &Operation,
        tenant: &TenantId,
        delivery: DeliveryId,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value> {
        let partition = self.shared.layout.partition(tenant);
        let (key, accepted_at) = DeliveryKey::of(delivery);
        let real = DeliveryKey { partition, ..key }.id(accepted_at) == delivery;
        let event = if real { event_name(key.event) } else { String::new() };
        self.repair(operation, partition, tenant, |call| {
            call.arg(&event).arg(key.n).arg(accepted_at);
            fill(call);
        })
        .await
    }

    async fn repair(
        &self,
        operation: &Operation,
        partition: Partition,
        tenant: &TenantId,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value> {
        let channel = self.shared.layout.channel();
        let fill = |call: &mut Cmd| {
            call.arg(channel).arg(tenant.as_str());
            fill(call);
        };
        let answer = self.shared.desk.run(operation, self.shared.layout.base(partition), fill).await?;
        self.shared.wake(partition);
        Ok(answer)
    }
}

/// Why a script did nothing.
fn refusal(code: &str) -> StoreError {
    match code {
        "t" => StoreError::NotFound(Missing::Tenant),
        "v" => StoreError::NotFound(Missing::Event),
        "d" => StoreError::NotFound(Missing::Delivery),
        "e" => StoreError::NotFound(Missing::Endpoint),
        "1" => StoreError::EndpointClosed(EndpointState::Paused),
        "2" => StoreError::EndpointClosed(EndpointState::Disabled),
        "m" => StoreError::TooManyDeliveries,
        other => StoreError::damaged(format!("a script answered '{other}'")),
    }
}
