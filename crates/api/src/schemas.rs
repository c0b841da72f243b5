//! The schemas of topics, ready to judge events.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use posthaste_model::{Payload, Topic, TopicName};
use posthaste_policy::{Schema, Violation};

/// How many topics' schemas are kept ready. Beyond that the memory is emptied, and fills again as needed.
const AT_HAND: usize = 1_000;

/// Why an event is not what its topic says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Its data are not what the schema says.
    #[error("does not fit the schema of its topic: {}", .0.message)]
    Data(Violation),
    /// It has no data that could be judged.
    #[error("the topic has a schema: its events are JSON, not '{content_type}'")]
    NotJson {
        /// What it is instead.
        content_type: String,
    },
}

/// Schemas that are ready, by the names of their topics.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<HashMap<TopicName, Ready>>);

struct Ready {
    /// As the schema was read from.
    topic: Arc<Topic>,
    /// None: it cannot be read.
    schema: Option<Arc<Schema>>,
}

impl Ready {
    /// Whether it is the topic's schema as it is now.
    fn is_of(&self, topic: &Arc<Topic>) -> bool {
        Arc::ptr_eq(&self.topic, topic) || self.topic.schema == topic.schema
    }
}

impl Schemas {
    /// Judges the payload of an event of the topic.
    pub(crate) fn check(&self, topic: &Arc<Topic>, payload: &Payload) -> Result<(), Unfit> {
        if topic.schema.is_none() {
            return Ok(());
        }
        if let Some(content_type) = payload.content_type()
            && !is_json(content_type)
        {
            return Err(Unfit::NotJson { content_type: content_type.to_owned() });
        }
        match self.get(topic) {
            Some(schema) => schema.check(payload.bytes()).map_err(Unfit::Data),
            None => Ok(()),
        }
    }

    /// The topic's schema; none: it has none, or one that cannot be read.
    ///
    /// A schema was read before it was stored. One that cannot be read any more is a fault of ours: no publisher is
    /// refused for it.
    fn get(&self, topic: &Arc<Topic>) -> Option<Arc<Schema>> {
        let ready = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ready().get(&topic.name)
            && known.is_of(topic)
        {
            return known.schema.clone();
        }
        let schema = match Schema::new(topic.schema.as_ref()?) {
            Ok(schema) => Some(Arc::new(schema)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, topic = %topic.name, "a schema cannot be read; events of its topic are not judged");
                None
            }
        };
        let mut ready = ready();
        if ready.len() >= AT_HAND {
            ready.clear();
        }
        ready.insert(topic.name.clone(), Ready { topic: Arc::clone(topic), schema: schema.clone() });
        schema
    }
}

/// Whether a content type is one of JSON (RFC 8259, section 11; RFC 6839, section 3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.split_once('/').is_some_and(|(_, kind)| kind.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn topic(schema: Option<Value>) -> Arc<Topic> {
        Arc::new(Topic { schema, ..crate::fixture::topic("order.paid", false) })
    }

    fn of_type(kind: &str) -> Arc<Topic> {
        topic(Some(json!({ "type": kind })))
    }

    fn data(json: &str) -> Payload {
        Payload::Data(json.to_owned().into())
    }

    fn raw(content_type: &str, body: &'static [u8]) -> Payload {
        Payload::Raw { content_type: content_type.to_owned(), body: body.into() }
    }

    #[track_caller]
    fn check(topic: &Arc<Topic>, payload: Payload, expect: Result<(), &str>) {
        let judged = Schemas::default().check(topic, &payload).map_err(|unfit| unfit.to_string());
        assert_eq!(judged.is_ok(), expect.is_ok(), "{payload:?}: {judged:?}");
        if let (Err(told), Err(expect)) = (&judged, expect) {
            assert!(told.starts_with(expect), "{payload:?}: {told}");
        }
    }

    #[test]
    fn payloads_are_judged() {
        let no_number = Err("does not fit the schema of its topic: the value is not of type \"number\"");
        check(&topic(None), data("\"x\""), Ok(()));
        check(&topic(None), raw("text/plain", b"x"), Ok(()));
        check(&of_type("number"), data("1"), Ok(()));
        check(&of_type("number"), data("\"x\""), no_number);
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.acme.order+json"]
        {
            check(&of_type("number"), raw(json, b"1"), Ok(()));
            check(&of_type("number"), raw(json, b"\"x\""), no_number);
            check(
                &of_type("string"),
                raw(json, b"\"\xff\""),
                Err("does not fit the schema of its topic: cannot be judged"),
            );
        }
        for other in
            ["text/plain", "application/jsonl", "application/json-seq", "application/x+jsonx", "+json", ""]
        {
            let refused = format!("the topic has a schema: its events are JSON, not '{other}'");
            check(&of_type("number"), raw(other, b"1"), Err(&refused));
        }
        // It cannot be read: a fault of ours.
        check(&of_type("amount"), data("\"x\""), Ok(()));
    }

    #[test]
    fn a_schema_is_made_once_and_again_when_it_changes() {
        let schemas = Schemas::default();
        let first = schemas.get(&of_type("number")).unwrap();
        assert!(Arc::ptr_eq(&first, &schemas.get(&of_type("number")).unwrap()));
        assert!(!Arc::ptr_eq(&first, &schemas.get(&of_type("string")).unwrap()));
        assert!(schemas.check(&of_type("string"), &data("1")).is_err());
        assert!(schemas.check(&topic(None), &data("1")).is_ok());
    }

    #[test]
    fn not_all_schemas_are_kept() {
        let schemas = Schemas::default();
        let (mut most, mut last) = (0, 0);
        for n in 0..1_500 {
            let name = format!("topic.n{n}").parse().unwrap();
            schemas.get(&Arc::new(Topic { name, ..(*of_type("number")).clone() })).unwrap();
            last = schemas.0.lock().unwrap().len();
            most = most.max(last);
        }
        assert_eq!((most, last), (AT_HAND, 500));
    }
}
