//! What waits at each endpoint, and in which order an ordered one is given it.

use std::collections::HashMap;

use posthaste_model::{EndpointId, Event, EventId, Timestamp};

use crate::CLOCK_SLACK;

/// What waits, in whatever order it came.
#[derive(Default)]
pub(super) struct Waiting<'a>(HashMap<EndpointId, HashMap<&'a EventId, Place>>);

/// Where an event stands among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Counts the events in the order in which they were accepted.
    pub(super) number: usize,
    /// When its deliveries are due first.
    due_at: Timestamp,
    /// Whether it was to be delivered later: then its time is its place.
    timed: bool,
}

impl Place {
    pub(super) fn new(number: usize, event: &Event) -> Self {
        Self { number, due_at: event.due_at(), timed: event.options.deliver_at.is_some() }
    }

    /// Whether it certainly stands before another. Between one that has a time and one that has none, the clocks of
    /// those who accepted them may have decided.
    fn is_before(&self, other: &Self) -> bool {
        match (self.timed, other.timed) {
            (false, false) => self.number < other.number,
            (true, true) => self.due_at < other.due_at,
            _ => self.due_at.checked_add(CLOCK_SLACK).is_ok_and(|late| late < other.due_at),
        }
    }
}

impl<'a> Waiting<'a> {
    pub(super) fn add(&mut self, endpoint: EndpointId, event: &'a EventId, place: Place) {
        self.0.entry(endpoint).or_default().insert(event, place);
    }

    pub(super) fn remove(&mut self, endpoint: EndpointId, event: &EventId) {
        if let Some(events) = self.0.get_mut(&endpoint) {
            events.remove(event);
        }
    }

    pub(super) fn has(&self, endpoint: EndpointId, event: &EventId) -> bool {
        self.0.get(&endpoint).is_some_and(|events| events.contains_key(event))
    }

    /// Its endpoint was disabled or deleted.
    pub(super) fn end(&mut self, endpoint: EndpointId) {
        self.0.remove(&endpoint);
    }

    /// An event that waits at an endpoint before a place.
    pub(super) fn before(&self, endpoint: EndpointId, place: &Place) -> Option<&'a EventId> {
        let mut events = self.0.get(&endpoint)?.iter();
        events.find(|(_, waits)| waits.is_before(place)).map(|(event, _)| *event)
    }
}
