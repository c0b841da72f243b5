use posthaste_model::{Attempt, Delivery, Endpoint, TenantId};

use crate::{DeliveryFilter, EventFilter, EventRecord, Order, Page, Paged, Result, Store};

/// Everything that the queries show of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its endpoints, newest first.
    pub endpoints: Vec<Endpoint>,
    /// Its events, newest first.
    pub events: Vec<EventRecord>,
    /// Its deliveries with their attempts, those of the newest event first.
    pub deliveries: Vec<(Delivery, Vec<Attempt>)>,
}

/// Small, so that pages have to be turned.
const ROWS: u32 = 3;

impl Shown {
    /// Reads all of it. Nothing may be written meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) when the tenant does not exist.
    pub async fn of(store: &dyn Store, tenant: &TenantId) -> Result<Self> {
        let everything = DeliveryFilter::default();
        let mut deliveries = Vec::new();
        for delivery in
            all(ROWS, |page| store.deliveries(Some(tenant), everything.clone(), Order::NewestFirst, page))
                .await?
        {
            let attempts = store.attempts(tenant, delivery.id).await?;
            deliveries.push((delivery, attempts));
        }
        Ok(Self {
            endpoints: all(ROWS, |page| store.endpoints(tenant, page)).await?,
            events: all(ROWS, |page| store.events(Some(tenant), EventFilter::default(), page)).await?,
            deliveries,
        })
    }
}

/// Turns the pages of a list of `limit` rows each until there is no next one.
///
/// # Errors
/// The list's.
pub async fn all<T, F>(limit: u32, mut list: impl FnMut(Page) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<Paged<T>>>,
{
    let mut rows = Vec::new();
    let mut page = Page::first(limit);
    loop {
        let Paged { rows: more, next } = list(page).await?;
        assert!(more.len() <= limit as usize, "a page of {limit} rows has {}", more.len());
        rows.extend(more);
        let Some(after) = next else { return Ok(rows) };
        page = Page { limit, after: Some(after) };
    }
}
