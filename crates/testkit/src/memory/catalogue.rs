use async_trait::async_trait;
use posthaste_model::{Endpoint, EndpointId, Health, Tenant, TenantId, Timestamp, Topic, TopicName};
use posthaste_store::{Catalogue, Cursor, Missing, Page, Paged, Put, Result, StoreError};

use super::{
    MemoryStore,
    tables::{EndpointRow, Tables, TenantRow, page},
};

#[async_trait]
impl Catalogue for MemoryStore {
    async fn put_tenant(&self, tenant: Tenant) -> Result<Put<Tenant>> {
        let mut tables = self.tables();
        let (number, version) = (tables.number(), tables.number());
        if let Some(row) = tables.tenants.values_mut().find(|row| row.tenant.id == tenant.id) {
            row.tenant = Tenant { created_at: row.tenant.created_at, ..tenant };
            return Ok(Put { now: row.tenant.clone(), created: false });
        }
        tables.tenants.insert(number, TenantRow { tenant: tenant.clone(), version });
        Ok(Put { now: tenant, created: true })
    }

    async fn tenant(&self, id: &TenantId) -> Result<Tenant> {
        let tables = self.tables();
        Ok(tables.tenants[&tables.tenant(id)?].tenant.clone())
    }

    async fn tenants(&self, wanted: Page) -> Result<Paged<Tenant>> {
        page(self.tables().tenants.iter().map(|(number, row)| ((*number, 0), row.tenant.clone())), &wanted)
    }

    async fn delete_tenant(&self, id: &TenantId, now: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        let number = tables.tenant(id)?;
        let endpoints: Vec<_> = tables.endpoints.values().map(|row| row.endpoint.clone()).collect();
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.tenant == *id) {
            delete_endpoint(&mut tables, endpoint.id, now);
        }
        tables.tenants.remove(&number);
        tables.replays.retain(|_, replay| replay.tenant != *id);
        tables.counts.retain(|(of, ..), _| of.tenant() != Some(id));
        Ok(())
    }

    async fn put_topic(&self, topic: Topic) -> Result<Put<Topic>> {
        let mut tables = self.tables();
        tables.topics_version = tables.number();
        let before = tables.topics.get(&topic.name);
        let created = before.is_none();
        let now = Topic { created_at: before.map_or(topic.created_at, |before| before.created_at), ..topic };
        tables.topics.insert(now.name.clone(), now.clone());
        Ok(Put { now, created })
    }

    async fn topic(&self, name: &TopicName) -> Result<Topic> {
        self.tables().topics.get(name).cloned().ok_or(StoreError::NotFound(Missing::Topic))
    }

    async fn topics(&self, page: Page) -> Result<Paged<Topic>> {
        let parse = |Cursor(name): &Cursor| name.parse::<TopicName>().map_err(|_| StoreError::InvalidCursor);
        let after = page.after.as_ref().map(parse).transpose()?;
        let tables = self.tables();
        let left = || tables.topics.values().filter(|topic| Some(&topic.name) > after.as_ref());
        let rows: Vec<Topic> = left().take(page.limit as usize).cloned().collect();
        let last = rows.last().map(|topic| Cursor(topic.name.to_string()));
        Ok(Paged { next: last.filter(|_| rows.len() < left().count()), rows })
    }

    async fn delete_topic(&self, name: &TopicName) -> Result<()> {
        let mut tables = self.tables();
        tables.topics.remove(name).ok_or(StoreError::NotFound(Missing::Topic))?;
        tables.topics_version = tables.number();
        Ok(())
    }

    async fn create_endpoint(&self, endpoint: Endpoint) -> Result<()> {
        let mut tables = self.tables();
        tables.tenant(&endpoint.tenant)?;
        tables.touch(&endpoint.tenant);
        let number = tables.number();
        tables.endpoints.insert(number, EndpointRow { endpoint, last_turn: None, throttle: None });
        Ok(())
    }

    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint> {
        self.tables().endpoint_of(tenant, id).cloned()
    }

    async fn endpoints(&self, tenant: &TenantId, wanted: Page) -> Result<Paged<Endpoint>> {
        let tables = self.tables();
        tables.tenant(tenant)?;
        let own = tables.endpoints.iter().filter(|(_, row)| row.endpoint.tenant == *tenant);
        page(own.map(|(number, row)| ((*number, 0), row.endpoint.clone())), &wanted)
    }

    async fn update_endpoint(&self, new: Endpoint) -> Result<Endpoint> {
        let mut tables = self.tables();
        let before = tables.endpoint_of(&new.tenant, new.id)?;
        if before.version != new.version {
            return Err(StoreError::StaleEndpoint);
        }
        let fresh_start = before.state != new.state || before.url != new.url;
        let now = Endpoint {
            version: new.version + 1,
            created_at: before.created_at,
            parked_until: before.parked_until.filter(|_| !fresh_start),
            health: if fresh_start { Health::default() } else { before.health },
            ..new
        };
        if let Some(stands) = tables.endpoint_mut(now.id) {
            stands.clone_from(&now);
        }
        if let Some(row) = tables.endpoints.values_mut().find(|row| row.endpoint.id == now.id) {
            row.throttle = None;
        }
        tables.follow(now.id, now.updated_at);
        tables.touch(&now.tenant);
        self.wake();
        Ok(now)
    }

    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId, now: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        tables.endpoint_of(tenant, id)?;
        delete_endpoint(&mut tables, id, now);
        tables.touch(tenant);
        Ok(())
    }
}

fn delete_endpoint(tables: &mut Tables, id: EndpointId, now: Timestamp) {
    tables.endpoints.retain(|_, row| row.endpoint.id != id);
    tables.follow(id, now);
}
