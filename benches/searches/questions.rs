use posthaste_model::{DeliveryState, ErrorClass, TenantId, Timestamp};
use posthaste_store::{Cursor, DeliveryFilter, EventFilter, Order, Page, Store};
use rand::{RngExt as _, rngs::StdRng};

use crate::history::{ENDPOINTS, History, TENANTS, TIME, topic};

/// What is asked.
pub(crate) enum Question {
    Deliveries(Option<TenantId>, DeliveryFilter, Order),
    Events(Option<TenantId>, EventFilter),
}

/// Makes a question, of another tenant, endpoint, topic or hour each time.
type Asks = fn(&History, &mut StdRng) -> Question;

/// What operators ask, and what is hard to answer.
pub(crate) const QUESTIONS: [(&str, Asks); 14] = [
    ("failed deliveries, of all tenants", |_, _| all(exhausted())),
    ("failed deliveries of a tenant", |history, rng| one(history, rng, exhausted())),
    ("failed deliveries of an endpoint", |history, rng| at_endpoint(history, rng, exhausted())),
    ("answered by 503, of all tenants", |_, _| all(by(|filter| filter.status = Some((503, 503))))),
    ("answered by 503, of a tenant", |history, rng| {
        one(history, rng, by(|filter| filter.status = Some((503, 503))))
    }),
    ("timed out, of a tenant and a topic, within an hour", |history, rng| {
        let topic = topic(rng.random_range(0..10));
        let (since, until) = hour(history, rng);
        one(
            history,
            rng,
            by(|filter| {
                filter.error = Some(ErrorClass::Timeout);
                filter.topic = Some(topic);
                (filter.since, filter.until) = (Some(since), Some(until));
            }),
        )
    }),
    ("answered by 418, of a tenant: there is none", |history, rng| {
        one(history, rng, by(|filter| filter.status = Some((418, 418))))
    }),
    ("answered by 418, of all tenants: there is none", |_, _| {
        all(by(|filter| filter.status = Some((418, 418))))
    }),
    ("deliveries of a tenant", |history, rng| one(history, rng, DeliveryFilter::default())),
    ("deliveries of an endpoint", |history, rng| at_endpoint(history, rng, DeliveryFilter::default())),
    ("delivered, of all tenants, of an hour, oldest first", |history, rng| {
        let (since, until) = hour(history, rng);
        let filter = by(|filter| {
            filter.states = vec![DeliveryState::Delivered];
            (filter.since, filter.until) = (Some(since), Some(until));
        });
        Question::Deliveries(None, filter, Order::OldestFirst)
    }),
    ("held, of all tenants: there is none", |_, _| {
        all(by(|filter| filter.states = vec![DeliveryState::Held]))
    }),
    ("events of a tenant and a topic", |history, rng| {
        let topic = Some(topic(rng.random_range(0..10)));
        Question::Events(Some(tenant(history, rng)), EventFilter { topic, ..EventFilter::default() })
    }),
    ("events that matched nobody, of all tenants: there is none", |_, _| {
        Question::Events(None, EventFilter { unmatched: true, ..EventFilter::default() })
    }),
];

impl Question {
    /// How many rows the page has, and where the next one begins.
    pub(crate) async fn ask(&self, store: &dyn Store, page: Page) -> (usize, Option<Cursor>) {
        match self {
            Self::Deliveries(tenant, filter, order) => {
                let found = store.deliveries(tenant.as_ref(), filter.clone(), *order, page).await.unwrap();
                (found.rows.len(), found.next)
            }
            Self::Events(tenant, filter) => {
                let found = store.events(tenant.as_ref(), filter.clone(), page).await.unwrap();
                (found.rows.len(), found.next)
            }
        }
    }
}

fn by(set: impl FnOnce(&mut DeliveryFilter)) -> DeliveryFilter {
    let mut filter = DeliveryFilter::default();
    set(&mut filter);
    filter
}

fn exhausted() -> DeliveryFilter {
    by(|filter| filter.states = vec![DeliveryState::Exhausted])
}

fn all(filter: DeliveryFilter) -> Question {
    Question::Deliveries(None, filter, Order::NewestFirst)
}

fn one(history: &History, rng: &mut StdRng, filter: DeliveryFilter) -> Question {
    Question::Deliveries(Some(tenant(history, rng)), filter, Order::NewestFirst)
}

fn at_endpoint(history: &History, rng: &mut StdRng, filter: DeliveryFilter) -> Question {
    let number = rng.random_range(0..TENANTS);
    let endpoint = Some(history.endpoints[number][rng.random_range(0..ENDPOINTS)]);
    let filter = DeliveryFilter { endpoint, ..filter };
    Question::Deliveries(Some(history.tenants[number].clone()), filter, Order::NewestFirst)
}

fn tenant(history: &History, rng: &mut StdRng) -> TenantId {
    history.tenants[rng.random_range(0..TENANTS)].clone()
}

fn hour(history: &History, rng: &mut StdRng) -> (Timestamp, Timestamp) {
    let begin = history.begin + TIME.mul_f64(rng.random_range(0.0..0.95));
    (begin, begin + TIME / 24)
}
