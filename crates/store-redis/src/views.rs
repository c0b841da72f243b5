//! What tenants' events are matched against, kept at hand.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use posthaste_model::{EndpointId, EndpointState, TenantId, Topic, TopicName};
use posthaste_store::{Missing, Result, StoreError, TenantView, ViewVersion};
use redis::Cmd;
use tokio::sync::OnceCell;

use crate::{
    endpoints,
    reply::{Reply, number},
    script::{RENEW_TOPICS, TOPICS, TOPICS_CHANGED, VIEW},
    shared::Shared,
    topics,
};

/// How many views are kept at hand. Beyond that the memory is emptied, and fills again as needed.
const AT_HAND: usize = 20_000;
/// How often a view is read anew because the topics changed meanwhile.
const ROUNDS: usize = 20;

/// A view, and what accepting needs beside it.
pub(crate) struct Known {
    pub(crate) view: Arc<TenantView>,
    pub(crate) tenant_number: u32,
    pub(crate) states: HashMap<EndpointId, EndpointState>,
}

/// The topics at a version.
type Topics = (u64, Arc<BTreeMap<TopicName, Arc<Topic>>>);

/// A view that is at hand, or being read: whoever comes meanwhile waits for that reading.
type Cell = Arc<OnceCell<Arc<Known>>>;

#[derive(Default)]
pub(crate) struct Views {
    tenants: Mutex<HashMap<TenantId, Cell>>,
    topics: Mutex<Option<Topics>>,
}

/// Topics are being changed. If nobody hears how that ended, what is at hand of them may be old without any partition
/// knowing it: whoever reads them anew finds out, and tells.
#[must_use]
pub(crate) struct Changing<'a> {
    views: &'a Views,
    told: bool,
}

impl Changing<'_> {
    /// Every partition was told.
    pub(crate) fn told(mut self) {
        self.told = true;
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if !self.told {
            *self.views.topics.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.views.forget_all();
    }
}

impl Views {
    fn tenants(&self) -> MutexGuard<'_, HashMap<TenantId, Cell>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, tenant: &TenantId) -> Cell {
        let mut tenants = self.tenants();
        if tenants.len() >= AT_HAND {
            tenants.clear();
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }

    /// Takes it from the store when it is asked for again.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.tenants().remove(tenant);
    }

    /// The same for a view that turned out to be stale. One that was read since stays.
    pub(crate) fn forget_stale(&self, tenant: &TenantId, version: ViewVersion) {
        let mut tenants = self.tenants();
        let known = tenants.get(tenant).and_then(|cell| cell.get());
        if known.is_some_and(|known| known.view.version == version) {
            tenants.remove(tenant);
        }
    }

    pub(crate) fn forget_all(&self) {
        self.tenants().clear();
    }

    pub(crate) fn change_topics(&self) -> Changing<'_> {
        Changing { views: self, told: false }
    }

    fn topics(&self, version: u64) -> Option<Arc<BTreeMap<TopicName, Arc<Topic>>>> {
        let known = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(known, _)| *known == version).map(|(_, topics)| Arc::clone(topics))
    }
}

impl Shared {
    /// The view of a tenant, which another process may have made stale.
    pub(crate) async fn view_of(&self, tenant: &TenantId) -> Result<Arc<Known>> {
        let cell = self.views.cell(tenant);
        let known = cell.get_or_try_init(async || self.read_view(tenant).await.map(Arc::new)).await;
        if known.is_err() {
            // An id that names no tenant takes no place.
            self.views.forget(tenant);
        }
        known.cloned()
    }

    /// The view of a tenant if it is the one that events were matched against.
    pub(crate) async fn view_at(&self, tenant: &TenantId, version: ViewVersion) -> Result<Arc<Known>> {
        let known = self.view_of(tenant).await?;
        if known.view.version == version {
            return Ok(known);
        }
        // Whichever of the two is old: it is not at hand any more when events are matched anew.
        self.views.forget_stale(tenant, known.view.version);
        Err(StoreError::StaleView)
    }

    async fn read_view(&self, tenant: &TenantId) -> Result<Known> {
        let base = self.layout.base(self.layout.partition(tenant));
        for _ in 0..ROUNDS {
            let answer = self
                .intake
                .run(&VIEW, base, |call| {
                    call.arg(tenant.as_str());
                })
                .await?;
            let mut reply = Reply::of(answer)?.ok_or(StoreError::NotFound(Missing::Tenant))?;
            let tenant_number = u32::try_from(reply.number()?).map_err(StoreError::damaged)?;
            let (version, topics_version) = (reply.number()? as u64, reply.number()? as u64);
            let Some(topics) = self.topics_at(topics_version, base).await? else { continue };
            let mut endpoints = Vec::new();
            let mut rows = Reply::items(reply.next()?)?;
            while !rows.is_over() {
                endpoints.push(Arc::new(endpoints::read(&mut Reply::items(rows.next()?)?)?));
            }
            let states = endpoints.iter().map(|endpoint| (endpoint.id, endpoint.state)).collect();
            let version = ViewVersion { tenant: version, topics: topics_version };
            let view = Arc::new(TenantView { version, endpoints, topics });
            return Ok(Known { view, tenant_number, states });
        }
        let reason = format!("the topics changed {ROUNDS} times while a view was read");
        Err(StoreError::Unavailable { reason, source: None })
    }

    /// The topics at the version that a partition knows. None: it and the partition of the topics disagreed, and the
    /// partition knows a version now that is younger than both.
    async fn topics_at(
        &self,
        version: u64,
        base: &str,
    ) -> Result<Option<Arc<BTreeMap<TopicName, Arc<Topic>>>>> {
        if let Some(topics) = self.views.topics(version) {
            return Ok(Some(topics));
        }
        let home = self.layout.home();
        let link = &self.intake;
        let mut reply = Reply::items(link.run(&TOPICS, home, |_| ()).await?)?;
        let mut current = reply.number()? as u64;
        if current != version {
            if current < version {
                // A crash took a change back that this partition was told of already.
                current = number(link.run(&RENEW_TOPICS, home, |_| ()).await?)? as u64;
            }
            // Otherwise whoever changed the topics has not told this partition yet, or could not any more.
            let told = |call: &mut Cmd| {
                call.arg(current);
            };
            link.run(&TOPICS_CHANGED, base, told).await?;
            return Ok(None);
        }
        let topics = topics::read_all(reply.next()?)?;
        let topics = topics.into_iter().map(|topic| (topic.name.clone(), Arc::new(topic)));
        let topics = Arc::new(topics.collect());
        let mut known = self.views.topics.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((version, Arc::clone(&topics)));
        Ok(Some(topics))
    }
}
