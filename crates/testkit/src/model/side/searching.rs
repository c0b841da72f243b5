//! What is searched for.

use std::time::Duration;

use posthaste_model::{Delivery, DeliveryState, TenantId, Timestamp};
use posthaste_store::{DeliveryFilter, EventFilter, EventRecord, Order, conformance::all, is_troubled};

use super::{Side, event_id, text, topic_name};
use crate::model::{
    op::{Age, Wanted},
    sight::Sight,
};

impl Side {
    pub(super) async fn search(
        &self,
        tenant: Option<TenantId>,
        wanted: &Wanted,
        order: Order,
        limit: u32,
    ) -> String {
        let filter = self.filter(wanted);
        let list = |page| self.store().deliveries(tenant.as_ref(), filter.clone(), order, page);
        let found = all(limit, list).await.map(|found| {
            for delivery in &found {
                assert!(filter.admits(delivery), "{filter:?} found {delivery:?}");
            }
            self.neutral(&found)
        });
        text(&found)
    }

    pub(super) async fn search_events(
        &self,
        tenant: Option<TenantId>,
        filter: EventFilter,
        limit: u32,
    ) -> String {
        let list = |page| self.store().events(tenant.as_ref(), filter.clone(), page);
        let name = |EventRecord { event, deliveries }: EventRecord| (event.tenant, event.id, deliveries);
        text(&all(limit, list).await.map(|found| found.into_iter().map(name).collect::<Vec<_>>()))
    }

    pub(super) fn event_filter(&self, topic: Option<u8>, unmatched: bool, age: &Age) -> EventFilter {
        let (since, until) = self.bounds(age);
        EventFilter { topic: topic.map(topic_name), unmatched, since, until }
    }

    fn filter(&self, wanted: &Wanted) -> DeliveryFilter {
        let (since, until) = self.bounds(&wanted.age);
        DeliveryFilter {
            states: wanted.states.clone(),
            endpoint: wanted.endpoint.map(|endpoint| self.endpoint(endpoint).id),
            event: wanted.event.map(|event| event_id(event).parse().expect("an event id")),
            topic: wanted.topic.map(topic_name),
            status: wanted.status,
            error: wanted.error,
            failed: wanted.failed,
            since,
            until,
        }
    }

    fn bounds(&self, age: &Age) -> (Option<Timestamp>, Option<Timestamp>) {
        let ago = |secs: u8| self.now - Duration::from_secs(secs.into());
        (age.since.map(ago), age.until.map(ago))
    }

    /// Deliveries by the names that they have with every store. Events keep their order; the deliveries of one event have none.
    fn neutral(&self, found: &[Delivery]) -> Vec<Option<usize>> {
        let of_one_event =
            |one: &Delivery, other: &Delivery| one.tenant == other.tenant && one.event == other.event;
        let runs = found.chunk_by(of_one_event).map(|run| {
            let mut run: Vec<_> = run.iter().map(|delivery| self.number_of(delivery.id)).collect();
            run.sort();
            run
        });
        runs.flatten().collect()
    }

    /// Fails unless what is found of each tenant in each state, and of what is troubled, is exactly what the whole list shows.
    pub(in crate::model) async fn check_filters(&self) {
        let mut filters = vec![DeliveryFilter { failed: true, ..DeliveryFilter::default() }];
        filters.extend(
            DeliveryState::ALL
                .map(|state| DeliveryFilter { states: vec![state], ..DeliveryFilter::default() }),
        );
        for (tenant, shown) in Sight::of(self).await.tenants {
            for filter in &filters {
                let shown = shown.deliveries.iter().map(|(delivery, _)| delivery);
                let mut expected: Vec<_> =
                    shown.filter(|delivery| filter.admits(delivery)).cloned().collect();
                let troubled = !filter.wants_trouble() || expected.iter().all(is_troubled);
                assert!(troubled, "{filter:?} wants trouble: {expected:?}");
                for order in [Order::NewestFirst, Order::OldestFirst] {
                    let list = |page| self.store().deliveries(Some(&tenant), filter.clone(), order, page);
                    let found = all(3, list).await.expect("deliveries");
                    assert_eq!(found, expected, "{tenant}, {filter:?}, {order:?}");
                    expected.reverse();
                }
            }
        }
    }
}
