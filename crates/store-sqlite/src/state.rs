//! The writer's memory beside the tables. All of it can be loaded from them, but for who drives the deliveries.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, RwLockReadGuard, RwLockWriteGuard},
};

use posthaste_model::{Endpoint, EndpointId, EndpointState, Health, TenantId, Topic, TopicName};
use posthaste_store::{Epoch, Missing, TenantView, ViewVersion};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{
    catalogue,
    fault::{Fault, Outcome},
    given_up,
    leases::{self, LiveLeases},
    manual, meta,
    order::LastPlaces,
    queue,
    retention::Walked,
    rows,
    schedule::{FOR_EVER, Schedule},
    shared::Shared,
    throttles::Throttles,
};

/// How many tenants or endpoints are kept at hand. Beyond that the memory is emptied, and fills again as needed.
const AT_HAND: usize = 150_000;

pub(crate) struct State {
    shared: Shared,
    topics: Arc<BTreeMap<TopicName, Arc<Topic>>>,
    topics_version: u64,
    tenants: HashMap<TenantId, TenantCard>,
    endpoints: HashMap<i64, Arc<Endpoint>>,
    endpoint_nos: HashMap<EndpointId, i64>,
    pub(crate) schedule: Schedule,
    pub(crate) last_places: LastPlaces,
    /// Whether manual attempts wait for their lease.
    pub(crate) manual_asked: bool,
    pub(crate) walked: Walked,
    pub(crate) owner: Option<Owner>,
    /// What the owner, or one before, said of endpoints.
    pub(crate) throttles: Throttles,
    /// Until when what was leased under a released epoch is spared, in Unix milliseconds.
    pub(crate) released: HashMap<Epoch, i64>,
    /// Who drives partitions, and until when, in Unix milliseconds.
    pub(crate) attending: BTreeMap<String, i64>,
    pub(crate) last_lease: u64,
    /// The number of the last event, whether or not it still exists: an id is made of it.
    pub(crate) last_event: i64,
    /// Views of what is not committed yet.
    made_views: HashMap<TenantId, Arc<TenantView>>,
    wake: bool,
}

/// What is known of a tenant without asking the tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TenantCard {
    pub(crate) no: i64,
    pub(crate) version: u64,
}

/// Who drives the deliveries.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) epoch: Epoch,
    /// Unix milliseconds.
    pub(crate) until: i64,
}

impl State {
    pub(crate) fn load(conn: &Connection, shared: Shared) -> Outcome<Self> {
        let mut topics = BTreeMap::new();
        let mut statement = conn.prepare(&format!("SELECT {}", catalogue::TOPIC))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let topic = catalogue::topic(row)?;
            topics.insert(topic.name.clone(), Arc::new(topic));
        }
        shared.views_mut().clear();
        let (leases, last_lease) = leases::load(conn)?;
        *shared.leases_mut() = leases;
        let last_event = conn.query_row(
            "SELECT max(ifnull((SELECT max(seq) FROM events), 0),
                        ifnull((SELECT value FROM meta WHERE name = ?), 0))",
            [meta::LAST_EVENT],
            |row| row.get(0),
        )?;
        let mut state = Self {
            shared,
            topics: Arc::new(topics),
            topics_version: meta::get(conn, meta::TOPICS_VERSION)?.unwrap_or(0),
            tenants: HashMap::new(),
            endpoints: HashMap::new(),
            endpoint_nos: HashMap::new(),
            schedule: Schedule::default(),
            last_places: LastPlaces::default(),
            manual_asked: manual::asked(conn)?,
            walked: Walked::default(),
            owner: None,
            throttles: Throttles::default(),
            released: HashMap::new(),
            attending: BTreeMap::new(),
            last_lease: last_lease.max(manual::last_lease(conn)?).max(given_up::last_lease(conn)?),
            last_event,
            made_views: HashMap::new(),
            wake: false,
        };
        state.load_holds(conn)?;
        state.load_queues(conn)?;
        state.load_firsts(conn)?;
        Ok(state)
    }

    /// Loads everything anew, but for what the tables do not know: who drives the deliveries and what it throttles, and
    /// which numbers were given to leases.
    pub(crate) fn reload(&mut self, conn: &Connection) -> Outcome<()> {
        let mut fresh = Self::load(conn, self.shared.clone())?;
        self.throttles.apply(&mut fresh.schedule);
        let last_lease = self.last_lease.max(fresh.last_lease);
        *self = Self {
            owner: self.owner.take(),
            throttles: std::mem::take(&mut self.throttles),
            released: std::mem::take(&mut self.released),
            attending: std::mem::take(&mut self.attending),
            last_lease,
            ..fresh
        };
        Ok(())
    }

    /// Finds who gets no turn, whether or not something is scheduled there now.
    fn load_holds(&mut self, conn: &Connection) -> Outcome<()> {
        let mut statement = conn.prepare(
            "SELECT no, state, parked_until FROM endpoints
             WHERE deleted_at IS NULL AND (state <> ? OR parked_until IS NOT NULL)",
        )?;
        let mut found = statement.query([rows::endpoint_state_code(EndpointState::Enabled)])?;
        while let Some(row) = found.next()? {
            self.schedule.hold(row.get(0)?, hold(rows::endpoint_state(row.get(1)?)?, row.get(2)?));
        }
        Ok(())
    }

    /// Finds the first of those queues whose head is not simply what is first in the table: of ordered endpoints, and of
    /// those that have something in flight.
    fn load_firsts(&mut self, conn: &Connection) -> Outcome<()> {
        let mut statement = conn.prepare("SELECT no FROM endpoints WHERE ordered AND deleted_at IS NULL")?;
        let ordered = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let leases = self.shared.leases();
        for no in ordered.iter().copied().chain(leases.endpoints()) {
            let first = queue::first(conn, &leases, no)?;
            self.schedule.restart(no, first.map(|(_, due_at)| due_at), i64::MIN);
        }
        for no in ordered.into_iter().filter(|no| leases.any_of(*no)) {
            self.schedule.occupy(no);
        }
        Ok(())
    }

    /// Finds the head of each queue: a seek for each endpoint that has one, however long the queues are.
    fn load_queues(&mut self, conn: &Connection) -> Outcome<()> {
        let mut statement = conn.prepare(
            "WITH RECURSIVE queues (endpoint_no) AS (
                 SELECT min(endpoint_no) FROM deliveries WHERE due_at IS NOT NULL
                 UNION ALL
                 SELECT (SELECT min(endpoint_no) FROM deliveries
                         WHERE due_at IS NOT NULL AND endpoint_no > queues.endpoint_no)
                 FROM queues WHERE queues.endpoint_no IS NOT NULL
             )
             SELECT q.endpoint_no, d.event_seq, d.n, min(d.due_at)
             FROM queues q
             JOIN deliveries d ON d.endpoint_no = q.endpoint_no AND d.due_at = (
                 SELECT min(due_at) FROM deliveries WHERE endpoint_no = q.endpoint_no AND due_at IS NOT NULL)
             GROUP BY q.endpoint_no",
        )?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            self.schedule.add(row.get(0)?, rows::place(row.get(3)?, row.get(1)?, row.get(2)?));
        }
        Ok(())
    }

    pub(crate) fn leases(&self) -> RwLockReadGuard<'_, LiveLeases> {
        self.shared.leases()
    }

    pub(crate) fn leases_mut(&self) -> RwLockWriteGuard<'_, LiveLeases> {
        self.shared.leases_mut()
    }

    /// Remembers to wake the owner once the transaction is committed.
    pub(crate) fn wake(&mut self) {
        self.wake = true;
    }

    /// Shows everyone what was committed.
    pub(crate) fn committed(&mut self) {
        if !self.made_views.is_empty() {
            let mut views = self.shared.views_mut();
            if views.len() >= AT_HAND {
                views.clear();
            }
            views.extend(self.made_views.drain());
        }
        if std::mem::take(&mut self.wake) {
            self.shared.woken.notify_one();
        }
    }

    pub(crate) fn tenant(&mut self, conn: &Connection, id: &TenantId) -> Outcome<TenantCard> {
        if let Some(card) = self.tenants.get(id) {
            return Ok(*card);
        }
        let card = conn
            .prepare_cached("SELECT no, version FROM tenants WHERE id = ? AND deleted_at IS NULL")?
            .query_row([id.as_str()], |row| Ok(TenantCard { no: row.get(0)?, version: row.get(1)? }))
            .optional()?
            .ok_or(Fault::missing(Missing::Tenant))?;
        if self.tenants.len() >= AT_HAND {
            self.tenants.clear();
        }
        self.tenants.insert(id.clone(), card);
        Ok(card)
    }

    /// The number of an endpoint that is not deleted.
    pub(crate) fn endpoint_no(&mut self, conn: &Connection, id: EndpointId) -> Outcome<i64> {
        if let Some(no) = self.endpoint_nos.get(&id) {
            return Ok(*no);
        }
        let no = conn
            .prepare_cached("SELECT no FROM endpoints WHERE id = ? AND deleted_at IS NULL")?
            .query_row([id.uuid().as_bytes()], |row| row.get(0))
            .optional()?
            .ok_or(Fault::missing(Missing::Endpoint))?;
        if self.endpoint_nos.len() >= AT_HAND {
            self.endpoint_nos.clear();
        }
        self.endpoint_nos.insert(id, no);
        Ok(no)
    }

    /// An endpoint by its number, deleted or not. None: there was never one.
    pub(crate) fn endpoint(&mut self, conn: &Connection, no: i64) -> Outcome<Option<Arc<Endpoint>>> {
        if let Some(endpoint) = self.endpoints.get(&no) {
            return Ok(Some(Arc::clone(endpoint)));
        }
        let Some(endpoint) = rows::endpoint_by_no(conn, no)?.map(Arc::new) else { return Ok(None) };
        if self.endpoints.len() >= AT_HAND {
            self.endpoints.clear();
        }
        self.endpoints.insert(no, Arc::clone(&endpoint));
        Ok(Some(endpoint))
    }

    /// Shows the health of an endpoint in what is at hand of it.
    pub(crate) fn show_health(&mut self, no: i64, health: Health) {
        if let Some(endpoint) = self.endpoints.get_mut(&no) {
            Arc::make_mut(endpoint).health = health;
        }
    }

    pub(crate) fn view_version(&self, tenant: TenantCard) -> ViewVersion {
        ViewVersion { tenant: tenant.version, topics: self.topics_version }
    }

    /// Makes a view, which others see once the transaction is committed.
    pub(crate) fn make_view(
        &mut self,
        tenant: &TenantId,
        card: TenantCard,
        endpoints: Vec<Arc<Endpoint>>,
    ) -> Arc<TenantView> {
        let view = Arc::new(TenantView {
            version: self.view_version(card),
            endpoints,
            topics: Arc::clone(&self.topics),
        });
        self.made_views.insert(tenant.clone(), Arc::clone(&view));
        view
    }

    /// Forgets what it knew of an endpoint that changed.
    pub(crate) fn forget_endpoint(&mut self, no: i64) {
        self.endpoints.remove(&no);
    }

    /// Forgets what hangs on an endpoint that is deleted.
    pub(crate) fn forget_deleted(&mut self, no: i64, id: EndpointId) {
        self.forget_endpoint(no);
        self.endpoint_nos.remove(&id);
        self.throttles.forget(no);
        self.last_places.forget(no);
    }

    /// Gives the tenant a new version after its endpoints changed: views taken before are stale.
    pub(crate) fn touch_tenant(&mut self, conn: &Connection, id: &TenantId) -> Outcome<()> {
        let version = next_version(conn)?;
        conn.prepare_cached("UPDATE tenants SET version = ? WHERE id = ? AND deleted_at IS NULL")?
            .execute((version, id.as_str()))?;
        self.forget_tenant(id);
        Ok(())
    }

    pub(crate) fn forget_tenant(&mut self, id: &TenantId) {
        self.tenants.remove(id);
        self.made_views.remove(id);
        self.shared.views_mut().remove(id);
    }

    /// Puts a topic into every view, or takes it out: all views taken before are stale.
    pub(crate) fn set_topic(
        &mut self,
        conn: &Connection,
        name: &TopicName,
        topic: Option<Topic>,
    ) -> Outcome<()> {
        let topics = Arc::make_mut(&mut self.topics);
        match topic {
            Some(topic) => topics.insert(name.clone(), Arc::new(topic)),
            None => topics.remove(name),
        };
        self.topics_version = next_version(conn)?;
        meta::set(conn, meta::TOPICS_VERSION, self.topics_version)?;
        self.made_views.clear();
        self.shared.views_mut().clear();
        Ok(())
    }
}

/// A number that no catalogue change of this store had before.
pub(crate) fn next_version(conn: &Connection) -> Outcome<u64> {
    let version = meta::get::<u64>(conn, meta::CATALOGUE_VERSION)?.unwrap_or(0) + 1;
    meta::set(conn, meta::CATALOGUE_VERSION, version)?;
    Ok(version)
}

/// Until when an endpoint gets no turn.
pub(crate) fn hold(state: EndpointState, parked_until: Option<i64>) -> i64 {
    match state {
        EndpointState::Enabled => parked_until.unwrap_or(i64::MIN),
        EndpointState::Paused | EndpointState::Disabled => FOR_EVER,
    }
}
