use std::{collections::BTreeMap, sync::Arc};

use posthaste_model::{
    Attempt, AttemptId, Endpoint, EndpointId, ErrorClass, Health, Outcome, Tenant, TenantId, Timestamp, Topic,
};
use posthaste_store::{
    Backlog, Notice, Page, Scope, Told,
    conformance::{Shown, nameless},
};

use super::side::{Side, tenant_id};

/// Everything that a store shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sight {
    listed: Vec<Tenant>,
    topics: Vec<Topic>,
    /// What the tenants' events would be matched against.
    views: BTreeMap<TenantId, Vec<Endpoint>>,
    pub(super) tenants: BTreeMap<TenantId, Shown>,
    /// What is open of all, of the tenants, and of their endpoints.
    backlog: Vec<Backlog>,
    /// When, about which endpoint, what, without the names and the order that every store has of its own.
    notices: Vec<(Timestamp, EndpointId, String)>,
}

impl Sight {
    pub(super) async fn of(side: &Side) -> Self {
        let store = side.store();
        let mut sight = Self {
            listed: store.tenants(Page::first(10)).await.expect("tenants").rows,
            topics: store.topics(Page::first(10)).await.expect("topics").rows,
            views: BTreeMap::new(),
            tenants: BTreeMap::new(),
            backlog: Vec::new(),
            notices: Vec::new(),
        };
        for (_, Notice { endpoint, at, told, .. }) in side.notices().await {
            let told = match told {
                Told::Exhausted { delivery } => format!("exhausted: {:?}", side.number_of(delivery)),
                told => format!("{told:?}"),
            };
            sight.notices.push((at, endpoint, told));
        }
        sight.notices.sort();
        let mut scopes = vec![Scope::All];
        for tenant in (0..3).map(tenant_id) {
            let Ok(shown) = Shown::of(store, &tenant).await else { continue };
            scopes.push(Scope::Tenant(tenant.clone()));
            let endpoints = shown.endpoints.iter().map(|endpoint| endpoint.id);
            scopes.extend(endpoints.map(|endpoint| Scope::Endpoint(tenant.clone(), endpoint)));
            sight.tenants.insert(tenant.clone(), shown);
            let view = store.view(&tenant).await.expect("the view of a tenant that is shown");
            let topics = sight.topics.iter().map(|topic| (topic.name.clone(), Arc::new(topic.clone())));
            assert_eq!(*view.topics, topics.collect(), "the view's topics are those that are shown");
            // A pause is no part of a view, nor is health.
            let endpoints = view.endpoints.iter().map(|e| Endpoint {
                parked_until: None,
                health: Health::default(),
                ..(**e).clone()
            });
            sight.views.insert(tenant, endpoints.collect());
        }
        for scope in scopes {
            sight.backlog.push(store.backlog(scope, side.now()).await.expect("the backlog of what is shown"));
        }
        sight
    }

    /// The same without the names, the words and the order that every store has of its own.
    pub(super) fn neutral(&self) -> Self {
        let mut tenants = self.tenants.clone();
        for (delivery, attempts) in tenants.values_mut().flat_map(|shown| &mut shown.deliveries) {
            *delivery = nameless(delivery);
            for attempt in attempts.iter_mut() {
                *attempt = neutral(attempt);
            }
            // Those that were given back together have no order that all stores have.
            let is_unknown = |attempt: &Attempt| attempt.outcome.error() == Some(ErrorClass::Unknown);
            let together = |one: &Attempt, other: &Attempt| {
                is_unknown(one) && is_unknown(other) && one.started_at == other.started_at
            };
            for run in attempts.chunk_by_mut(together) {
                let first = run[0].number;
                run.sort_by_key(|attempt| attempt.manual);
                (first..).zip(run).for_each(|(number, attempt)| attempt.number = number);
            }
        }
        for shown in tenants.values_mut() {
            // Events keep their order; the deliveries of one event have none.
            let runs = shown.deliveries.chunk_by_mut(|(one, _), (other, _)| one.event == other.event);
            runs.for_each(|run| run.sort_by_key(|(delivery, _)| delivery.endpoint));
        }
        Self { tenants, ..self.clone() }
    }
}

fn neutral(attempt: &Attempt) -> Attempt {
    match attempt.outcome {
        Outcome::Failed { class: ErrorClass::Unknown, .. } => Attempt {
            id: AttemptId::mint(Timestamp::UNIX_EPOCH, [0; 10]),
            outcome: Outcome::Failed { class: ErrorClass::Unknown, detail: String::new() },
            ..attempt.clone()
        },
        _ => attempt.clone(),
    }
}
