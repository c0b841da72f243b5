//! What operators put right by hand.

use std::fmt::Debug;

use posthaste_model::{EndpointId, EventId, TenantId};
use posthaste_store::{Reopened, Result, Sent, StoreError, conformance::invariants::Step};

use super::{Side, event_id, text};

impl Side {
    pub(super) async fn retry(&mut self, delivery: usize, force: bool) -> String {
        let Some((tenant, delivery)) = self.delivery(delivery) else { return String::new() };
        let asked = self.store().retry(&tenant, delivery, force, self.now).await;
        if asked.is_ok() {
            self.asked = true;
            self.steps.push(Step::Asked { delivery, force, now: self.now });
        }
        repaired(&asked)
    }

    pub(super) async fn cancel(&mut self, delivery: usize) -> String {
        let Some((tenant, delivery)) = self.delivery(delivery) else { return String::new() };
        let cancelled = self.store().cancel(&tenant, delivery, self.now).await;
        if cancelled.is_ok() {
            let shown = self.store().delivery(&tenant, delivery).await.expect("what was given up");
            self.steps.push(Step::Cancelled(shown));
        }
        repaired(&cancelled)
    }

    pub(super) async fn reopen(&mut self, tenant: &TenantId, deliveries: &[usize], over: bool) -> String {
        let mut known = Vec::new();
        for (of, delivery) in &self.deliveries {
            let is_over = async || {
                let shown = self.store().delivery(of, *delivery).await;
                of == tenant && shown.is_ok_and(|shown| shown.state.is_final())
            };
            if !over || is_over().await {
                known.push(*delivery);
            }
        }
        let wanted = deliveries.iter().filter_map(|n| known.get(n % known.len().max(1)).copied());
        let wanted: Vec<_> = wanted.collect();
        let reopened = self.store().reopen(tenant, wanted.clone(), None, self.now).await;
        for (delivery, reopened) in wanted.into_iter().zip(reopened.iter().flatten()) {
            if *reopened == Reopened::Reopened {
                let shown = self.store().delivery(tenant, delivery).await.expect("what was opened again");
                self.steps.push(Step::Reopened(shown));
            }
        }
        text(&reopened)
    }

    pub(super) async fn send(&mut self, tenant: &TenantId, event: u8, endpoint: EndpointId) -> String {
        let event: EventId = event_id(event).parse().expect("an event id");
        let sent = self.store().send(tenant, &event, endpoint, self.now).await;
        if let Ok(Sent { delivery, created: true }) = sent {
            self.deliveries.push((tenant.clone(), delivery));
            self.steps.push(Step::Sent { tenant: tenant.clone(), event, endpoint });
        }
        let sent = sent.map(|sent| (self.number_of(sent.delivery), sent.created));
        repaired(&sent)
    }
}

/// Of several things that are missing, each store may name another.
fn repaired<T: Debug>(result: &Result<T>) -> String {
    match result {
        Err(StoreError::NotFound(_)) => "not found".into(),
        result => text(result),
    }
}
