//! What endpoints are called: by their URLs, which people know, and not by their ids.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use posthaste_client::{Delivery, EndpointId, TenantId, Timestamp};

use crate::visitor::Visitor;

/// How many names are asked for at once.
const AT_ONCE: usize = 8;
/// How long a name is remembered: a page that refreshes itself every few seconds need not ask for the same ones each time.
const REMEMBERED: Duration = Duration::from_secs(15);
/// How many names are remembered.
const MOST: usize = 5_000;

/// The URLs of some endpoints.
#[derive(Default)]
pub(crate) struct Names(HashMap<EndpointId, String>);

impl Names {
    /// Asks for those that some deliveries go to and that are there. One that was deleted has its id for a name.
    pub(crate) async fn of(visitor: &Visitor, deliveries: &[Delivery]) -> Self {
        Self::among(
            visitor,
            deliveries.iter().map(|delivery| (&delivery.tenant, delivery.endpoint)).collect(),
        )
        .await
    }

    /// The same for some endpoints and whose they are.
    pub(crate) async fn among(visitor: &Visitor, wanted: BTreeSet<(&TenantId, EndpointId)>) -> Self {
        let (remembered, now) = (&visitor.console.names, visitor.now);
        let (known, unknown): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .map(|(tenant, id)| (tenant, id, remembered.get(&visitor.session.csrf, id, now)))
            .partition(|(.., name)| name.is_some());
        let asked = stream::iter(unknown).map(|(tenant, id, _)| async move {
            let endpoint = visitor.client.endpoint(tenant, id).await.ok()?;
            let name = short(&endpoint.url);
            remembered.put(&visitor.session.csrf, id, name.clone(), now);
            Some((id, name))
        });
        let asked: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let known = known.into_iter().filter_map(|(_, id, name)| Some((id, name?)));
        Self(known.chain(asked.into_iter().flatten()).collect())
    }

    /// What an endpoint is called.
    pub(crate) fn get(&self, id: EndpointId) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}

/// Names that were asked for a moment ago, for each session its own: nobody is told what the API told somebody else.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<(String, EndpointId), (String, Timestamp)>>);

impl Remembered {
    fn get(&self, session: &str, id: EndpointId, now: Timestamp) -> Option<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, until) = names.get(&(session.to_owned(), id))?;
        (now < *until).then(|| name.clone())
    }

    fn put(&self, session: &str, id: EndpointId, name: String, now: Timestamp) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MOST {
            names.retain(|_, (_, until)| now < *until);
        }
        if names.len() < MOST {
            names.insert((session.to_owned(), id), (name, now + REMEMBERED));
        }
    }
}

/// A URL without what all of them begin with.
pub(crate) fn short(url: &str) -> String {
    url.strip_prefix("https://").unwrap_or(url).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(number: u128) -> EndpointId {
        format!("ep_{number:032x}").parse().unwrap()
    }

    #[test]
    fn a_name_is_remembered_for_a_moment_and_for_its_session() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let names = Remembered::default();
        names.put("one", endpoint(1), "a.example".into(), now);
        let get = |session, number, now| names.get(session, endpoint(number), now);
        assert_eq!(get("one", 1, now).as_deref(), Some("a.example"));
        assert_eq!(get("one", 1, now + REMEMBERED), None, "it may be called something else by now");
        assert_eq!(get("other", 1, now), None);
        assert_eq!(get("one", 2, now), None);
    }

    #[test]
    fn only_so_many_names_are_remembered() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let names = Remembered::default();
        let put = |number: usize, now| names.put("one", endpoint(number as u128), "a".into(), now);
        (0..=MOST).for_each(|number| put(number, now));
        let count = || names.0.lock().unwrap().len();
        assert_eq!(count(), MOST);
        put(MOST + 1, now + REMEMBERED);
        assert_eq!(count(), 1, "what is too old makes room");
    }
}
