//! How many do at once what takes long.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use posthaste_model::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many endpoints are tried out by hand at once. Attempts by hand are leased in the order in which they were asked for, 32 at
/// once in a process: those that operators ask for shall find room beside these. Few of one tenant, so that its slow endpoints do
/// not keep the others waiting.
const TRIALS: Bounds = Bounds { of_all: 24, of_a_tenant: 4 };
/// How many count what a replay would open, page by page through the store, which has to work for others, too.
const COUNTING: Bounds = Bounds { of_all: 4, of_a_tenant: 1 };

/// The places, one of which has to be had.
pub struct Places {
    /// For an endpoint to be tried out by hand.
    pub(crate) trials: Arc<Line>,
    /// For counting what a replay would open.
    pub(crate) counting: Arc<Line>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    of_all: usize,
    of_a_tenant: usize,
}

/// Some places. Whoever finds none waits for one, in the order of coming.
pub(crate) struct Line {
    bounds: Bounds,
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
    line: Arc<Line>,
    tenant: TenantId,
}

impl Default for Places {
    fn default() -> Self {
        Self { trials: Line::new(TRIALS), counting: Line::new(COUNTING) }
    }
}

impl Line {
    fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, all: Arc::new(Semaphore::new(bounds.of_all)), tenants: Mutex::default() })
    }

    /// Waits for a place.
    pub(crate) async fn take(self: Arc<Self>, tenant: TenantId) -> Place {
        let (visit, of_tenant) = self.visit(tenant);
        // The tenant's own comes first: while it waits for that, it takes none of the others' room.
        let of_tenant = permit(of_tenant).await;
        let of_all = permit(Arc::clone(&visit.line.all)).await;
        Place { _of_all: of_all, _of_tenant: of_tenant, _visit: visit }
    }

    fn visit(self: Arc<Self>, tenant: TenantId) -> (Visit, Arc<Semaphore>) {
        let of_tenant = {
            let mut tenants = self.tenants();
            let known = tenants.entry(tenant.clone()).or_insert_with(|| Tenant {
                places: Arc::new(Semaphore::new(self.bounds.of_a_tenant)),
                visitors: 0,
            });
            known.visitors += 1;
            Arc::clone(&known.places)
        };
        (Visit { line: self, tenant }, of_tenant)
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
        let mut tenants = self.line.tenants();
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

    fn take(places: &Arc<Line>, tenant: &str) -> impl Future<Output = Place> + use<> {
        Arc::clone(places).take(tenant.parse().unwrap())
    }

    #[tokio::test]
    async fn a_tenant_has_few_and_takes_nobody_elses() {
        let places = Line::new(TRIALS);
        let mut held = Vec::new();
        for _ in 0..TRIALS.of_a_tenant {
            held.push(take(&places, "a").await);
        }
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(take(&places, "a"))).collect();
        assert!(waiting.iter_mut().all(|place| place.now_or_never().is_none()));
        let other = take(&places, "b").await;
        // In the order of coming.
        drop(held.pop());
        assert!(waiting[1].as_mut().now_or_never().is_none());
        let next = waiting.remove(0).await;
        assert_eq!(places.tenants()["a"].visitors, TRIALS.of_a_tenant + 99);
        drop((next, waiting, held, other));
        assert!(places.tenants().is_empty(), "nothing is kept");
        assert_eq!(places.all.available_permits(), TRIALS.of_all);
    }

    #[tokio::test]
    async fn all_together_have_no_more_than_there_are() {
        let places = Line::new(TRIALS);
        let mut held = Vec::new();
        for number in 0..TRIALS.of_all {
            held.push(take(&places, &format!("t{number}")).await);
        }
        let mut late = Box::pin(take(&places, "late"));
        assert!(late.as_mut().now_or_never().is_none());
        held.pop();
        late.await;
    }
}
