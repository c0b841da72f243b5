use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use posthaste_model::TenantId;
use posthaste_store::TenantView;
use tokio::sync::Notify;

use crate::leases::LiveLeases;

/// What the writer shares with the callers' threads.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    views: Arc<RwLock<HashMap<TenantId, Arc<TenantView>>>>,
    leases: Arc<RwLock<LiveLeases>>,
    pub(crate) woken: Arc<Notify>,
}

impl Shared {
    pub(crate) fn view(&self, tenant: &TenantId) -> Option<Arc<TenantView>> {
        self.views.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    pub(crate) fn leases(&self) -> RwLockReadGuard<'_, LiveLeases> {
        self.leases.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn leases_mut(&self) -> RwLockWriteGuard<'_, LiveLeases> {
        self.leases.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn views_mut(&self) -> RwLockWriteGuard<'_, HashMap<TenantId, Arc<TenantView>>> {
        self.views.write().unwrap_or_else(PoisonError::into_inner)
    }
}
