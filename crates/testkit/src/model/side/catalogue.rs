//! Tenants and endpoints.

use posthaste_model::{Endpoint, TenantId};
use posthaste_store::conformance::{Shown, invariants::Step};

use super::{Side, text};
use crate::model::op::{Change, Wants};

impl Side {
    pub(super) async fn delete_tenant(&mut self, id: &TenantId) -> String {
        let shown = Shown::of(self.store(), id).await;
        let deleted = self.store().delete_tenant(id, self.now).await;
        let endpoints = shown.into_iter().flat_map(|shown| shown.endpoints);
        self.steps.extend(endpoints.map(|endpoint| Step::Endpoint { id: endpoint.id, state: None }));
        if deleted.is_ok() {
            let own = self.endpoints.iter().filter(|endpoint| endpoint.tenant == *id);
            self.orphans.extend(own.map(|endpoint| endpoint.id));
        }
        text(&deleted)
    }

    pub(super) async fn create_endpoint(&mut self, endpoint: Endpoint) -> String {
        let created = self.store().create_endpoint(endpoint.clone()).await;
        if created.is_ok() {
            self.steps.push(Step::Endpoint { id: endpoint.id, state: Some(endpoint.state) });
            self.endpoints.push(endpoint);
        }
        text(&created)
    }

    pub(super) async fn change_endpoint(&mut self, made: Endpoint, change: &Change, stale: bool) -> String {
        let stands = match self.store().endpoint(&made.tenant, made.id).await {
            Ok(stands) => stands,
            Err(_) => made.clone(),
        };
        let mut new = Endpoint { updated_at: self.now, ..stands };
        match change {
            Change::Description => new.description = self.mint().to_string(),
            Change::Url => new.url = format!("https://elsewhere.example/{}", self.mint()),
            Change::State(state) => new.state = *state,
            Change::Wants(wants) => want(&mut new, wants),
        }
        if stale {
            new.version = made.version;
        }
        let changed = self.store().update_endpoint(new).await;
        if let Ok(Endpoint { id, state, .. }) = changed {
            self.steps.push(Step::Endpoint { id, state: Some(state) });
        }
        text(&changed)
    }
}

pub(super) fn want(endpoint: &mut Endpoint, wants: &Wants) {
    let Wants { ordered, max_in_flight, rate_limit } = wants.clone();
    (endpoint.ordered, endpoint.max_in_flight, endpoint.rate_limit) = (ordered, max_in_flight, rate_limit);
}
