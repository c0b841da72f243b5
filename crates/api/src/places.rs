//! How many endpoints are tried out at once.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use posthaste_model::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many of all tenants. Attempts by hand are leased in the order in which they were asked for, 32 at once in a process:
/// those that operators ask for shall find room beside these.
const OF_ALL: usize = 24;
/// How many of one tenant, so that slow endpoints of one do not keep the others waiting.
const OF_A_TENANT: usize = 4;

/// The places for endpoints that are tried out by hand. Whoever finds none waits for one, in the order of coming.
pub struct Places {
    all: Arc<Semaphore>,
    /// Those of which somebody has a place or waits for one.
    tenants: Mutex<HashMap<TenantId, Tenant>>,
}

struct Tenant {
    places: Arc<Semaphore>,
    /// How many have a place or wait for one.
    visitors: usize,
}

/// A place; it is free again when this is dropped.
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_tenant: OwnedSemaphorePermit,
    _visit: Visit,
}

/// Has a tenant remembered until it is dropped.
struct Visit {
    places: Arc<Places>,
    tenant: TenantId,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(OF_ALL)), tenants: Mutex::default() }
    }
}

impl Places {
    /// Waits for a place.
    pub(crate) async fn take(self: Arc<Self>, tenant: TenantId) -> Place {
        let (visit, of_tenant) = self.visit(tenant);
        // The tenant's own comes first: while it waits for that, it takes none of the others' room.
        let of_tenant = permit(of_tenant).await;
        let of_all = permit(Arc::clone(&visit.places.all)).await;
        Place { _of_all: of_all, _of_tenant: of_tenant, _visit: visit }
    }

    fn visit(self: Arc<Self>, tenant: TenantId) -> (Visit, Arc<Semaphore>) {
        let of_tenant = {
            let mut tenants = self.tenants();
            let known = tenants
                .entry(tenant.clone())
                .or_insert_with(|| Tenant { places: Arc::new(Semaphore::new(OF_A_TENANT)), visitors: 0 });
            known.visitors += 1;
            Arc::clone(&known.places)
        };
        (Visit { places: self, tenant }, of_tenant)
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<TenantId, Tenant>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn permit(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    match places.acquire_owned().await {
        Ok(permit) => permit,
        // Nobody closes it.
        Err(_) => pending().await,
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut tenants = self.places.tenants();
        if let Some(known) = tenants.get_mut(&self.tenant) {
            known.visitors -= 1;
            if known.visitors == 0 {
                tenants.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn take(places: &Arc<Places>, tenant: &str) -> impl Future<Output = Place> + use<> {
        Arc::clone(places).take(tenant.parse().unwrap())
    }

    #[tokio::test]
    async fn a_tenant_has_few_and_takes_nobody_elses() {
        let places = Arc::new(Places::default());
        let mut held = Vec::new();
        for _ in 0..OF_A_TENANT {
            held.push(take(&places, "a").await);
        }
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(take(&places, "a"))).collect();
        assert!(waiting.iter_mut().all(|place| place.now_or_never().is_none()));
        let other = take(&places, "b").await;
        // In the order of coming.
        drop(held.pop());
        assert!(waiting[1].as_mut().now_or_never().is_none());
        let next = waiting.remove(0).await;
        assert_eq!(places.tenants()["a"].visitors, OF_A_TENANT + 99);
        drop((next, waiting, held, other));
        assert!(places.tenants().is_empty(), "nothing is kept");
        assert_eq!(places.all.available_permits(), OF_ALL);
    }

    #[tokio::test]
    async fn all_together_have_no_more_than_there_are() {
        let places = Arc::new(Places::default());
        let mut held = Vec::new();
        for number in 0..OF_ALL {
            held.push(take(&places, &format!("t{number}")).await);
        }
        let mut late = Box::pin(take(&places, "late"));
        assert!(late.as_mut().now_or_never().is_none());
        held.pop();
        late.await;
    }
}
