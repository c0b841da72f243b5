//! Deliveries as rows of a table.

use posthaste_client::{Delivery, DeliveryState};

use crate::{
    elements::{Badge, When},
    explain,
    names::Names,
    visitor::Visitor,
};

/// A delivery as a row.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) tenant: String,
    pub(super) event: String,
    pub(super) event_path: String,
    pub(super) topic: String,
    pub(super) endpoint: String,
    pub(super) endpoint_path: String,
    pub(super) badge: Badge,
    /// What came of the last attempt, in short; empty: there was none.
    pub(super) last: String,
    /// The same in a sentence.
    pub(super) last_means: &'static str,
    pub(super) attempts: u32,
    pub(super) accepted: When,
    /// When the next attempt is due.
    pub(super) due: Option<When>,
    /// Whether that is now.
    pub(super) is_due: bool,
}

/// The rows of some deliveries.
pub(super) async fn rows(visitor: &Visitor, deliveries: Vec<Delivery>) -> Vec<Row> {
    let names = Names::of(visitor, &deliveries).await;
    deliveries.into_iter().map(|delivery| row(visitor, &names, delivery)).collect()
}

fn row(visitor: &Visitor, names: &Names, delivery: Delivery) -> Row {
    let of = format!("{}/tenants/{}", visitor.door.prefix(), delivery.tenant);
    let last = explain::last(&delivery);
    // What is held waits for its endpoint, however long it has been due.
    let due_at = delivery.due_at.filter(|_| delivery.state != DeliveryState::Held);
    Row {
        path: format!("{of}/deliveries/{}", delivery.id),
        tenant: delivery.tenant.to_string(),
        event_path: format!("{of}/events/{}", delivery.event),
        event: delivery.event.to_string(),
        topic: delivery.topic.to_string(),
        endpoint: names.get(delivery.endpoint),
        endpoint_path: format!("{of}/endpoints/{}", delivery.endpoint),
        badge: Badge::delivery(delivery.state),
        last_means: last.as_ref().map(|meaning| meaning.means).unwrap_or_default(),
        last: last.map(|meaning| meaning.short).unwrap_or_default(),
        attempts: delivery.attempts,
        accepted: visitor.when(delivery.created_at),
        is_due: due_at.is_some_and(|due| due <= visitor.now),
        due: due_at.map(|due| visitor.when(due)),
    }
}
