//! Which deliveries somebody looks for: the fields of a form, an address to share, and a filter of the API.

use std::str::FromStr;

use posthaste_client::{
    DeliveryFilter, DeliveryState, ErrorClass, Moment, Order, Period, TenantId, Timestamp,
};

use crate::{elements::named, fault::Fault, fields::Fields};

/// The fields as they were filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) tenant: String,
    pub(crate) states: Vec<String>,
    pub(crate) endpoint: String,
    pub(crate) event: String,
    pub(crate) topic: String,
    pub(crate) status: String,
    pub(crate) error: String,
    pub(crate) failed: bool,
    pub(crate) since: String,
    pub(crate) until: String,
    pub(crate) oldest: bool,
    /// Where the page begins.
    pub(crate) cursor: String,
}

/// A box to tick, or an entry to choose.
pub(crate) struct Choice {
    pub(crate) value: &'static str,
    pub(crate) name: &'static str,
    pub(crate) chosen: bool,
}

impl Search {
    /// Reads an address's query, or one that a form carries.
    pub(crate) fn read(query: &str) -> Self {
        let fields = Fields::read(query.as_bytes());
        let text = |name| fields.get(name).to_owned();
        Self {
            tenant: text("tenant"),
            // Ticked one by one, or written in one word as the API has it.
            states: fields
                .all("state")
                .flat_map(|states| states.split(','))
                .filter(|state| !state.is_empty())
                .map(str::to_owned)
                .collect(),
            endpoint: text("endpoint"),
            event: text("event"),
            topic: text("topic"),
            status: text("status"),
            error: text("error"),
            failed: fields.get("failed") == "true",
            since: text("since"),
            until: text("until"),
            oldest: fields.get("order") == "oldest",
            cursor: text("cursor"),
        }
    }

    /// The same search as a query, from its first page on.
    pub(crate) fn query(&self) -> String {
        self.pairs("")
    }

    /// The same search, going on from there.
    pub(crate) fn query_from(&self, cursor: &str) -> String {
        self.pairs(cursor)
    }

    fn pairs(&self, cursor: &str) -> String {
        let Self {
            tenant, states, endpoint, event, topic, status, error, failed, since, until, oldest, ..
        } = self;
        let states = states.join(",");
        let failed = if *failed { "true" } else { "" };
        let order = if *oldest { "oldest" } else { "" };
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("tenant", tenant.as_str()),
            ("state", &states),
            ("endpoint", endpoint),
            ("event", event),
            ("topic", topic),
            ("status", status),
            ("error", error),
            ("failed", failed),
            ("since", since),
            ("until", until),
            ("order", order),
            ("cursor", cursor),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// Whether anything is looked for in particular, beside a tenant.
    pub(crate) fn narrows(&self) -> bool {
        let Self { tenant, cursor, .. } = self;
        *self != Self { tenant: tenant.clone(), cursor: cursor.clone(), ..Self::default() }
    }

    /// The tenant; none: all of them.
    pub(crate) fn tenant(&self) -> Result<Option<TenantId>, Fault> {
        read("tenant", &self.tenant, "the id of a tenant")
    }

    /// The filter, as far as it can be read.
    pub(crate) fn filter(&self) -> Result<DeliveryFilter, Fault> {
        let state = |name: &String| {
            let found = DeliveryState::ALL.into_iter().find(|state| state.as_str() == name);
            found.ok_or_else(|| Fault::field("state", name, "a state of deliveries"))
        };
        let error = match self.error.as_str() {
            "" => None,
            name => Some(
                ErrorClass::ALL
                    .into_iter()
                    .find(|class| class.as_str() == name)
                    .ok_or_else(|| Fault::field("error", name, "a kind of error"))?,
            ),
        };
        Ok(DeliveryFilter {
            states: self.states.iter().map(state).collect::<Result<_, _>>()?,
            endpoint: read(
                "endpoint",
                &self.endpoint,
                "the id of an endpoint: ep_ and 32 hexadecimal digits",
            )?,
            event: read("event", &self.event, "the id of an event")?,
            topic: read("topic", &self.topic, "the name of a topic")?,
            status: (!self.status.is_empty()).then(|| self.status.clone()),
            error,
            failed: self.failed,
            since: moment("since", &self.since)?,
            until: moment("until", &self.until)?,
            order: if self.oldest { Order::OldestFirst } else { Order::NewestFirst },
        })
    }

    /// The states, as boxes to tick.
    pub(crate) fn state_choices(&self) -> impl Iterator<Item = Choice> {
        DeliveryState::ALL.into_iter().map(|state| {
            let value = state.as_str();
            Choice { value, name: named(state), chosen: self.states.iter().any(|chosen| chosen == value) }
        })
    }

    /// The kinds of error, as entries to choose.
    pub(crate) fn error_choices(&self) -> impl Iterator<Item = Choice> {
        ErrorClass::ALL.into_iter().map(|class| {
            let value = class.as_str();
            Choice { value, name: value, chosen: self.error == value }
        })
    }
}

fn read<T: FromStr>(field: &'static str, text: &str, expected: &'static str) -> Result<Option<T>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Fault::field(field, text, expected))
}

/// Reads a time, or how long ago it was.
pub(crate) fn moment(field: &'static str, text: &str) -> Result<Option<Moment>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let at = text.parse::<Timestamp>().map(Moment::At);
    let moment = at.or_else(|_| text.parse::<Period>().map(Moment::Back));
    let expected = "a time such as 2026-11-21T10:00:00Z, or how long ago it was, such as 1h or 7d";
    moment.map(Some).map_err(|_| Fault::field(field, text, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "tenant=acme&state=exhausted%2Cskipped&endpoint=ep_00000000000000000000000000000001&event=e1\
                       &topic=order.paid&status=5xx&failed=true&since=7d&until=2026-11-21T10%3A00%3A00Z&order=oldest";

    #[test]
    fn an_address_holds_all_of_it() {
        let search = Search::read(ALL);
        assert_eq!(search.query(), ALL);
        assert_eq!(Search::read(&search.query_from("c1")).cursor, "c1");
        assert_eq!(Search::read("").query(), "");
    }

    #[test]
    fn boxes_are_ticked_one_by_one() {
        let search = Search::read("state=exhausted&state=skipped&state=");
        assert_eq!(search.query(), "state=exhausted%2Cskipped");
        let chosen: Vec<_> = search.state_choices().filter(|c| c.chosen).map(|c| c.value).collect();
        assert_eq!(chosen, ["exhausted", "skipped"]);
    }

    #[test]
    fn it_becomes_a_filter() {
        let filter = Search::read(ALL).filter().unwrap();
        assert_eq!(filter.states, [DeliveryState::Exhausted, DeliveryState::Skipped]);
        assert_eq!(filter.status.as_deref(), Some("5xx"));
        assert_eq!(filter.since, Some(Moment::Back(Period::from_secs(7 * 86_400))));
        assert!(matches!(filter.until, Some(Moment::At(_))));
        assert_eq!(filter.order, Order::OldestFirst);
        assert_eq!(Search::read("").filter().unwrap(), DeliveryFilter::default());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (query, expect) in [
            ("state=lost", "state: 'lost' is not a state of deliveries"),
            ("error=sad", "error: 'sad' is not a kind of error"),
            ("endpoint=7", "endpoint: '7' is not the id of an endpoint: ep_ and 32 hexadecimal digits"),
            (
                "since=yesterday",
                "since: 'yesterday' is not a time such as 2026-11-21T10:00:00Z, or how long ago it was, such as 1h or 7d",
            ),
        ] {
            assert_eq!(Search::read(query).filter().unwrap_err().to_string(), expect);
        }
        assert!(Search::read("tenant=a%20b").tenant().is_err());
    }

    #[test]
    fn a_tenant_alone_narrows_nothing() {
        assert!(!Search::read("tenant=acme&cursor=c1").narrows());
        assert!(Search::read("failed=true").narrows());
    }
}
