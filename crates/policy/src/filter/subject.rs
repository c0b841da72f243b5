use std::{cell::OnceCell, collections::BTreeMap};

use posthaste_model::{Payload, TopicName};

use super::{json::Json, path::Root};

/// The event that filters are asked about. Make one for an event, and ask all filters about it: what one of them has read
/// of the payload is read for all.
#[derive(Debug)]
pub struct Subject<'a> {
    topic: Json<'a>,
    metadata: Json<'a>,
    payload: &'a Payload,
    /// None: there are no data.
    data: OnceCell<Option<Json<'a>>>,
}

impl<'a> Subject<'a> {
    /// Of an event with that topic, metadata and payload. A raw payload has no data, nor has one that is not JSON.
    pub fn new(topic: &'a TopicName, metadata: &'a BTreeMap<String, String>, payload: &'a Payload) -> Self {
        Self {
            topic: Json::of_text(topic.as_str()),
            metadata: Json::of_texts(metadata.iter().map(|(key, text)| (key.as_str(), text.as_str()))),
            payload,
            data: OnceCell::new(),
        }
    }

    pub(super) fn root(&self, root: Root) -> Option<&Json<'a>> {
        match root {
            Root::Topic => Some(&self.topic),
            Root::Metadata => Some(&self.metadata),
            Root::Data => self.data(),
        }
    }

    fn data(&self) -> Option<&Json<'a>> {
        let read = || match self.payload {
            Payload::Data(json) => Json::parse(json),
            Payload::Raw { .. } => None,
        };
        self.data.get_or_init(read).as_ref()
    }
}
