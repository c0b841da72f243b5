use async_trait::async_trait;
use futures_util::future::try_join_all;
use posthaste_model::{Endpoint, EndpointId, Tenant, TenantId, Timestamp, Topic, TopicName};
use posthaste_store::{Catalogue, Cursor, Missing, Page, Paged, Put, Result, StoreError};
use redis::{Cmd, Value};

use crate::{
    endpoints::{self, burst, health, maybe_millis, pack_health, state_code, time},
    layout::millis,
    page::{numbered, place},
    reply::{Reply, number},
    script::{
        CREATE_ENDPOINT, DELETE_ENDPOINT, DELETE_TENANT, DELETE_TOPIC, ENDPOINT, ENDPOINTS, Operation,
        PUT_TENANT, PUT_TOPIC, TENANT, TENANTS, TOPICS, TOPICS_CHANGED, UPDATE_ENDPOINT,
    },
    store::RedisStore,
    topics,
};

const NO_TENANT: StoreError = StoreError::NotFound(Missing::Tenant);
const NO_ENDPOINT: StoreError = StoreError::NotFound(Missing::Endpoint);
const NO_TOPIC: StoreError = StoreError::NotFound(Missing::Topic);

#[async_trait]
impl Catalogue for RedisStore {
    async fn put_tenant(&self, tenant: Tenant) -> Result<Put<Tenant>> {
        let signature = tenant.signature.as_ref().map_or_else(String::new, ToString::to_string);
        // Numbers are the whole store's, so that tenants have one order; one that is not needed is no loss.
        let mut count = redis::cmd("INCR");
        count.arg(format!("{}:numbers", self.shared.layout.home()));
        let answer = loop {
            let fresh = number(self.shared.desk.call(&count).await?)?;
            let answer = self
                .of_tenant(&PUT_TENANT, &tenant.id, |call| {
                    call.arg(fresh)
                        .arg(&tenant.name)
                        .arg(millis(tenant.updated_at))
                        .arg(millis(tenant.created_at))
                        .arg(&signature);
                })
                .await?;
            // The count was cut back by a crash, and comes by every number that it had given.
            if answer != Value::Nil {
                break answer;
            }
        };
        let mut reply = Reply::items(answer)?;
        let created = reply.number()? == 1;
        Ok(Put { now: Tenant { created_at: time(reply.number()?)?, ..tenant }, created })
    }

    async fn tenant(&self, id: &TenantId) -> Result<Tenant> {
        let base = self.shared.layout.base(self.shared.layout.partition(id));
        let fill = |call: &mut Cmd| {
            call.arg(id.as_str());
        };
        // Whoever shows a key that is for one tenant waits for it, as for the key.
        let answer = self.shared.intake.run(&TENANT, base, fill).await?;
        let mut reply = Reply::of(answer)?.ok_or(NO_TENANT)?;
        reply.next()?;
        read_tenant(id.clone(), &mut reply)
    }

    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>> {
        let bound = place(&page, i64::MAX)?.to_string();
        // Each partition's newest, of which the newest of all are some.
        let calls = self.shared.layout.all().map(|base| {
            let bound = &bound;
            self.shared.desk.run(&TENANTS, base, move |call| {
                call.arg(bound).arg(page.limit + 1);
            })
        });
        let mut rows = Vec::new();
        for answer in try_join_all(calls).await? {
            let mut reply = Reply::items(answer)?;
            while !reply.is_over() {
                let tenant_number = reply.number()?;
                let id = reply.text()?.parse().map_err(StoreError::damaged)?;
                rows.push((tenant_number, read_tenant(id, &mut reply)?));
            }
        }
        rows.sort_by_key(|(tenant_number, _)| std::cmp::Reverse(*tenant_number));
        Ok(numbered(rows, page.limit))
    }

    async fn delete_tenant(&self, id: &TenantId, now: Timestamp) -> Result<()> {
        let answer = self
            .of_tenant(&DELETE_TENANT, id, |call| {
                call.arg(millis(now));
            })
            .await?;
        self.shared.views.forget(id);
        found(answer, NO_TENANT)
    }

    async fn put_topic(&self, topic: Topic) -> Result<Put<Topic>> {
        let packed = topics::pack(&topic)?;
        let changing = self.shared.views.change_topics();
        let answer = self
            .shared
            .desk
            .run(&PUT_TOPIC, self.shared.layout.home(), |call| {
                call.arg(topic.name.as_str()).arg(&packed).arg(topic.created_at.as_millisecond());
            })
            .await?;
        let mut reply = Reply::items(answer)?;
        let (created, created_at) = (reply.number()? == 1, time(reply.number()?)?);
        self.topics_changed(reply.number()?).await?;
        changing.told();
        Ok(Put { now: Topic { created_at, ..topic }, created })
    }

    async fn topic(&self, name: &TopicName) -> Result<Topic> {
        let mut get = redis::cmd("HGET");
        get.arg(format!("{}:topics", self.shared.layout.home())).arg(name.as_str());
        match self.shared.desk.call(&get).await? {
            Value::Nil => Err(NO_TOPIC),
            packed => topics::read(name.as_str(), &crate::reply::text(packed)?),
        }
    }

    async fn topics(&self, page: Page) -> Result<Paged<Topic>> {
        let parse = |Cursor(name): &Cursor| name.parse::<TopicName>().map_err(|_| StoreError::InvalidCursor);
        let after = page.after.as_ref().map(parse).transpose()?;
        let answer = self.shared.desk.run(&TOPICS, self.shared.layout.home(), |_| ()).await?;
        let mut reply = Reply::items(answer)?;
        reply.next()?;
        let mut rows = topics::read_all(reply.next()?)?;
        rows.retain(|topic| Some(&topic.name) > after.as_ref());
        let limit = page.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().map(|topic| Cursor(topic.name.to_string()));
        Ok(Paged { next: last.filter(|_| more), rows })
    }

    async fn delete_topic(&self, name: &TopicName) -> Result<()> {
        let changing = self.shared.views.change_topics();
        let answer = self
            .shared
            .desk
            .run(&DELETE_TOPIC, self.shared.layout.home(), |call| {
                call.arg(name.as_str());
            })
            .await?;
        if answer == Value::Nil {
            return Err(NO_TOPIC);
        }
        self.topics_changed(number(answer)?).await?;
        changing.told();
        Ok(())
    }

    async fn create_endpoint(&self, endpoint: Endpoint) -> Result<()> {
        let rest = endpoints::pack(&endpoint)?;
        let answer = self
            .of_tenant(&CREATE_ENDPOINT, &endpoint.tenant, |call| {
                call.arg(&endpoint.id.uuid().as_bytes()[..])
                    .arg(state_code(endpoint.state))
                    .arg(endpoint.state_reason.as_deref().unwrap_or_default())
                    .arg(maybe_millis(endpoint.parked_until))
                    .arg(endpoint.version)
                    .arg(endpoint.updated_at.as_millisecond())
                    .arg(&endpoint.url)
                    .arg(&rest)
                    .arg(burst(&endpoint))
                    .arg(u8::from(endpoint.ordered))
                    .arg(pack_health(&endpoint.health));
            })
            .await?;
        self.shared.views.forget(&endpoint.tenant);
        found(answer, NO_TENANT)
    }

    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint> {
        let answer = self.of_endpoint(&ENDPOINT, tenant, id, |_| ()).await?;
        endpoints::read(&mut Reply::of(answer)?.ok_or(NO_ENDPOINT)?)
    }

    async fn endpoints(&self, tenant: &TenantId, page: Page) -> Result<Paged<Endpoint>> {
        let bound = place(&page, i64::MAX)?;
        let answer = self
            .of_tenant(&ENDPOINTS, tenant, |call| {
                call.arg(bound).arg(page.limit + 1);
            })
            .await?;
        let mut reply = Reply::of(answer)?.ok_or(NO_TENANT)?;
        let mut rows = Vec::new();
        while !reply.is_over() {
            let mut row = Reply::items(reply.next()?)?;
            rows.push((row.number()?, endpoints::read(&mut row)?));
        }
        Ok(numbered(rows, page.limit))
    }

    async fn update_endpoint(&self, endpoint: Endpoint) -> Result<Endpoint> {
        // The time of its making is the store's own, and is packed with what the caller may change.
        let before = self.endpoint(&endpoint.tenant, endpoint.id).await?;
        let endpoint = Endpoint { created_at: before.created_at, ..endpoint };
        let (rest, channel) = (endpoints::pack(&endpoint)?, self.shared.layout.channel());
        let partition = self.shared.layout.partition(&endpoint.tenant);
        let nonce = self.shared.nonces.next();
        let answer = self
            .shared
            .desk
            .run(&UPDATE_ENDPOINT, self.shared.layout.base(partition), |call| {
                call.arg(channel)
                    .arg(endpoint.tenant.as_str())
                    .arg(&endpoint.id.uuid().as_bytes()[..])
                    .arg(endpoint.version)
                    .arg(state_code(endpoint.state))
                    .arg(endpoint.state_reason.as_deref().unwrap_or_default())
                    .arg(endpoint.updated_at.as_millisecond())
                    .arg(&endpoint.url)
                    .arg(&rest)
                    .arg(&nonce[..])
                    .arg(burst(&endpoint))
                    .arg(u8::from(endpoint.ordered));
            })
            .await?;
        self.shared.views.forget(&endpoint.tenant);
        self.shared.wake(partition);
        if answer == Value::Int(0) {
            return Err(StoreError::StaleEndpoint);
        }
        let mut reply = Reply::of(answer)?.ok_or(NO_ENDPOINT)?;
        let parked_until = reply.maybe_number()?.map(time).transpose()?;
        let health = health(&reply.bytes()?)?;
        Ok(Endpoint { version: endpoint.version + 1, parked_until, health, ..endpoint })
    }

    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId, now: Timestamp) -> Result<()> {
        let answer = self
            .of_endpoint(&DELETE_ENDPOINT, tenant, id, |call| {
                call.arg(millis(now));
            })
            .await?;
        self.shared.views.forget(tenant);
        found(answer, NO_ENDPOINT)
    }
}

impl RedisStore {
    async fn of_tenant(
        &self,
        operation: &Operation,
        tenant: &TenantId,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value> {
        let base = self.shared.layout.base(self.shared.layout.partition(tenant));
        let fill = |call: &mut Cmd| {
            call.arg(tenant.as_str());
            fill(call);
        };
        Ok(self.shared.desk.run(operation, base, fill).await?)
    }

    async fn of_endpoint(
        &self,
        operation: &Operation,
        tenant: &TenantId,
        endpoint: EndpointId,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value> {
        let fill = |call: &mut Cmd| {
            call.arg(&endpoint.uuid().as_bytes()[..]);
            fill(call);
        };
        self.of_tenant(operation, tenant, fill).await
    }

    /// Tells every partition, which makes every view stale: once this returns, nothing is accepted by the topics of
    /// before.
    async fn topics_changed(&self, version: i64) -> Result<()> {
        let calls = self.shared.layout.all().map(|base| {
            self.shared.desk.run(&TOPICS_CHANGED, base, move |call| {
                call.arg(version);
            })
        });
        try_join_all(calls).await?;
        Ok(())
    }
}

fn found(answer: Value, missing: StoreError) -> Result<()> {
    if answer == Value::Nil { Err(missing) } else { Ok(()) }
}

fn read_tenant(id: TenantId, reply: &mut Reply) -> Result<Tenant> {
    let name = reply.text()?;
    let (created_at, updated_at) = (time(reply.number()?)?, time(reply.number()?)?);
    let signature = Some(reply.text()?).filter(|text| !text.is_empty());
    let signature = signature.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Tenant { id, name, signature: signature.map_err(StoreError::damaged)?, created_at, updated_at })
}
