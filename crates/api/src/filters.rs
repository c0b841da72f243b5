//! The filters of endpoints, ready to be asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use posthaste_model::Endpoint;
use posthaste_policy::{Filter, Subject};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// How much the filters that are kept ready may weigh. Beyond that the memory is emptied, and fills again as needed.
const AT_HAND: usize = 128 * 1024 * 1024;
/// What a filter weighs for each byte of its text, at least.
const WEIGHT_OF_A_BYTE: usize = 16;
/// What it weighs beside, for being kept.
const WEIGHT_OF_ONE: usize = 512;
/// What it weighs for a regular expression: far more than most of them, far less than the largest.
const WEIGHT_OF_A_PATTERN: usize = 64 * 1024;

/// Reads the filter that an endpoint is given.
pub(crate) fn read(filter: &RawValue) -> Result<Filter, Problem> {
    Filter::new(filter.to_owned())
        .map_err(|wrong| Problem::field(format!("/filter{}", wrong.pointer()), wrong.problem()))
}

/// Filters that are ready, by their text: what is written the same is the same filter, whosever it is.
#[derive(Default)]
pub(crate) struct Filters(Mutex<Ready>);

#[derive(Default)]
struct Ready {
    /// None: it cannot be read.
    by_text: HashMap<String, Option<Arc<Filter>>>,
    weight: usize,
}

impl Filters {
    /// Whether an endpoint's filter lets an event through.
    ///
    /// A filter was read before it was stored. One that cannot be read any more is a fault of ours, and lets everything
    /// through: an event too many can be told by its receiver, one that is missing cannot.
    pub(crate) fn pass(&self, endpoint: &Endpoint, subject: &Subject<'_>) -> bool {
        let Some(text) = &endpoint.filter else { return true };
        self.get(text, endpoint).is_none_or(|filter| filter.matches(subject))
    }

    /// An endpoint's filter; none: it cannot be read.
    pub(crate) fn get(&self, text: &str, endpoint: &Endpoint) -> Option<Arc<Filter>> {
        let ready = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = ready().by_text.get(text) {
            return filter.clone();
        }
        let filter = match text.parse::<Filter>() {
            Ok(filter) => Some(Arc::new(filter)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                let (tenant, endpoint) = (&endpoint.tenant, endpoint.id);
                tracing::error!(error, %tenant, %endpoint, "a filter cannot be read; its endpoint gets all of its topics");
                None
            }
        };
        ready().keep(text, filter.clone());
        filter
    }
}

impl Ready {
    fn keep(&mut self, text: &str, filter: Option<Arc<Filter>>) {
        let weight = weight(text, filter.as_deref());
        if self.weight + weight > AT_HAND {
            *self = Self::default();
        }
        if self.by_text.insert(text.to_owned(), filter).is_none() {
            self.weight += weight;
        }
    }
}

fn weight(text: &str, filter: Option<&Filter>) -> usize {
    let patterns = filter.map_or(0, Filter::patterns);
    WEIGHT_OF_ONE + text.len() * WEIGHT_OF_A_BYTE + patterns * WEIGHT_OF_A_PATTERN
}

#[cfg(test)]
mod tests {
    use posthaste_model::{EndpointId, Payload, TenantId, TopicName};

    use super::*;
    use crate::fixture::NOW;

    fn endpoint(filter: Option<&str>) -> Endpoint {
        let endpoint =
            Endpoint::new(EndpointId::mint(NOW, [1; 10]), TenantId::default_tenant(), String::new(), NOW);
        Endpoint { filter: filter.map(str::to_owned), ..endpoint }
    }

    #[track_caller]
    fn check(filters: &Filters, filter: Option<&str>, expect: bool) {
        let topic: TopicName = "order.paid".parse().unwrap();
        let (metadata, payload) = (Default::default(), Payload::Data(r#"{"amount": 5}"#.into()));
        let subject = Subject::new(&topic, &metadata, &payload);
        // Made, and at hand.
        for _ in 0..2 {
            assert_eq!(filters.pass(&endpoint(filter), &subject), expect, "{filter:?}");
        }
    }

    #[test]
    fn an_event_passes_or_does_not() {
        let filters = Filters::default();
        check(&filters, None, true);
        check(&filters, Some(r#"{"data.amount": {"$gte": 5}}"#), true);
        check(&filters, Some(r#"{"data.amount": {"$gte": 6}}"#), false);
        // What cannot be read lets everything through.
        check(&filters, Some(r#"{"data.amount": {"$atLeast": 6}}"#), true);
        check(&filters, Some("{"), true);
        assert_eq!(filters.0.lock().unwrap().by_text.len(), 4);
    }

    #[test]
    fn one_filter_serves_all_endpoints_that_have_it() {
        let filters = Filters::default();
        let get = |text: &str| filters.get(text, &endpoint(None)).unwrap();
        let first = get(r#"{"topic": "a"}"#);
        assert!(Arc::ptr_eq(&first, &get(r#"{"topic": "a"}"#)));
        assert!(!Arc::ptr_eq(&first, &get(r#"{"topic":"a"}"#)));
    }

    #[test]
    fn not_all_filters_are_kept() {
        // However the operator is written.
        for regex in ["$regex", r"\u0024regex"] {
            let filters = Filters::default();
            let (mut most, mut last) = (0, 0);
            for n in 0..3_000 {
                let text = format!(r#"{{"$or": [{{"data.a": {{"{regex}": "{n}"}}}}]}}"#);
                filters.get(&text, &endpoint(None)).unwrap();
                let ready = filters.0.lock().unwrap();
                assert!(ready.weight <= AT_HAND);
                (most, last) = (most.max(ready.by_text.len()), ready.by_text.len());
            }
            assert!(most > 2_000 && last < 1_000, "{regex}: {most}, {last}");
        }
    }
}
