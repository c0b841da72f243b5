use std::{collections::VecDeque, sync::Mutex};

use async_trait::async_trait;
use posthaste_model::{EventId, Payload, TenantId, Timestamp};
use posthaste_store::{Catalogue as _, EventFilter, Queries as _, Result};
use tokio::sync::Notify;

use super::*;
use crate::fixture::{NOW, PAYLOAD_LIMIT, ShapedStore, letter, service, topic};

/// An inbox in memory, with one reader that may die: what it did not finish is given again.
#[derive(Default)]
struct Pile {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    left: VecDeque<Letter>,
    /// Given, and neither filed nor rejected yet.
    given: Vec<Letter>,
    filed: Vec<Vec<LetterId>>,
    rejected: Vec<(Letter, String)>,
    /// How many calls are answered with an error yet.
    faults: u32,
}

impl Pile {
    fn leave(&self, letters: impl IntoIterator<Item = Letter>) {
        self.state.lock().unwrap().left.extend(letters);
        self.changed.notify_waiters();
    }

    fn fault(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.faults > 0 {
            state.faults -= 1;
            return Err(StoreError::Unavailable { reason: "the inbox was taken away".into(), source: None });
        }
        Ok(())
    }

    /// Waits until `look` finds something.
    async fn until<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&self.state.lock().unwrap()) {
                return found;
            }
            changed.await;
        }
    }

    /// Waits until every letter is filed or rejected, and tells why the rejected ones were.
    async fn emptied(&self) -> Vec<String> {
        self.until(|state| {
            let empty = state.left.is_empty() && state.given.is_empty();
            empty.then(|| state.rejected.iter().map(|(_, reason)| reason.clone()).collect())
        })
        .await
    }
}

#[async_trait]
impl Inbox for Pile {
    async fn receive(&self, reader: &str, limit: usize) -> Result<Vec<Letter>> {
        assert_eq!(reader, "reader-1");
        self.fault()?;
        let some = self.until(|state| (!state.left.is_empty()).then_some(()));
        let _ = timeout(Duration::from_secs(5), some).await;
        let mut state = self.state.lock().unwrap();
        let count = limit.min(state.left.len());
        let letters: Vec<_> = state.left.drain(..count).collect();
        state.given.extend(letters.iter().cloned());
        self.changed.notify_waiters();
        Ok(letters)
    }

    async fn file(&self, letters: Vec<LetterId>) -> Result<()> {
        self.fault()?;
        let mut state = self.state.lock().unwrap();
        state.given.retain(|letter| !letters.contains(&letter.id));
        state.filed.push(letters);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn reject(&self, letter: Letter, reason: &str, now: Timestamp) -> Result<()> {
        self.fault()?;
        assert_eq!(now, NOW);
        let mut state = self.state.lock().unwrap();
        state.given.retain(|other| other.id != letter.id);
        state.rejected.push((letter, reason.to_owned()));
        self.changed.notify_waiters();
        Ok(())
    }
}

struct Stand {
    store: Arc<ShapedStore>,
    pile: Arc<Pile>,
    service: Arc<Service>,
}

impl Stand {
    async fn new() -> Self {
        let store = Arc::new(ShapedStore::default());
        let service = Arc::new(service(&store).await);
        Self { store, pile: Arc::default(), service }
    }

    fn reader(&self) -> Reader {
        Reader::start(Arc::clone(&self.service), Arc::clone(&self.pile) as Arc<dyn Inbox>)
    }

    async fn payload(&self, id: &str) -> Payload {
        let id: EventId = id.parse().unwrap();
        self.store.event(&TenantId::default_tenant(), &id).await.unwrap().event.payload
    }

    async fn events(&self) -> usize {
        let page = posthaste_store::Page::first(1_000);
        self.store
            .events(Some(&TenantId::default_tenant()), EventFilter::default(), page)
            .await
            .unwrap()
            .rows
            .len()
    }
}

/// A letter that can be published.
fn good(id: &str, data: &str) -> Letter {
    letter(id, &[("topic", "order.paid"), ("data", data)])
}

#[tokio::test(start_paused = true)]
async fn letters_are_published_and_filed() {
    let stand = Stand::new().await;
    let raw = [("topic", "order.paid"), ("body", "a,b"), ("content_type", "text/csv"), ("id", "mine")];
    stand.pile.leave([good("1-0", r#"{"order": 42}"#), letter("1-1", &raw)]);
    let reader = stand.reader();
    assert_eq!(stand.pile.emptied().await, Vec::<String>::new());
    assert_eq!(stand.payload("inbox-1-0").await, Payload::Data(r#"{"order": 42}"#.into()));
    let raw = Payload::Raw { content_type: "text/csv".into(), body: "a,b".into() };
    assert_eq!(stand.payload("mine").await, raw);
    let filed = stand.pile.state.lock().unwrap().filed.clone();
    assert_eq!(filed.len(), 1, "in one call");
    reader.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_letters_are_published_in_turn() {
    let stand = Stand::new().await;
    stand.pile.leave((0..1_000).map(|n| good(&format!("{n}-0"), &n.to_string())));
    let reader = stand.reader();
    assert_eq!(stand.pile.emptied().await, Vec::<String>::new());
    assert_eq!(stand.events().await, 1_000);
    reader.stop().await;
}

/// A letter may have lain there while nobody read any: what was to be delivered meanwhile is late, and not lost.
#[tokio::test(start_paused = true)]
async fn a_letter_whose_time_has_passed_is_published() {
    let stand = Stand::new().await;
    let topic = ("topic", "order.paid");
    let times = [("1-0", "1969-12-31T23:00:00Z"), ("1-1", "1970-01-01T01:00:00Z")];
    stand.pile.leave(times.map(|(id, at)| letter(id, &[topic, ("data", "1"), ("deliver_at", at)])));
    let reader = stand.reader();
    assert_eq!(stand.pile.emptied().await, Vec::<String>::new());
    for (id, at) in [("inbox-1-0", None), ("inbox-1-1", Some(3_600))] {
        let event = stand.store.event(&TenantId::default_tenant(), &id.parse().unwrap()).await.unwrap().event;
        assert_eq!(event.options.deliver_at.map(Timestamp::as_second), at);
    }
    reader.stop().await;
}

/// A reader that died before it filed a letter leaves it to the next one.
#[tokio::test(start_paused = true)]
async fn a_letter_that_is_read_twice_is_one_event() {
    let stand = Stand::new().await;
    stand.pile.leave([good("1-0", "1"), good("1-0", "1")]);
    let reader = stand.reader();
    assert_eq!(stand.pile.emptied().await, Vec::<String>::new());
    assert_eq!(stand.events().await, 1);
    reader.stop().await;
}

#[tokio::test(start_paused = true)]
async fn bad_letters_are_rejected_with_the_field_that_is_wrong() {
    let stand = Stand::new().await;
    stand.store.put_topic(topic("order.old", true)).await.unwrap();
    let mut sent = topic("order.sent", false);
    sent.schema =
        Some(serde_json::json!({ "required": ["order"], "additionalProperties": { "type": "integer" } }));
    stand.store.put_topic(sent).await.unwrap();
    let long = format!("\"{}\"", "x".repeat(PAYLOAD_LIMIT));
    let entries: Vec<_> = (0..51).map(|n| format!("\"{n}\": \"\"")).collect();
    let metadata = format!("{{{}}}", entries.join(", "));
    let (topic, sent) = (("topic", "order.paid"), ("topic", "order.sent"));
    let bad: &[(&[(&str, &str)], &str)] = &[
        (&[("topic", "unheard.of"), ("data", "1")], "topic: topic 'unheard.of' is not registered"),
        (
            &[("topic", "order.old"), ("data", "1")],
            "topic: topic 'order.old' is archived and takes no more events",
        ),
        (&[topic, ("data", "1"), ("tenant", "nobody")], "tenant: no such tenant"),
        (&[topic, ("data", &long)], "data: the payload has 102 bytes, more than the 100 that one may have"),
        (
            &[topic, ("body", &long), ("content_type", "text/plain")],
            "body: the payload has 102 bytes, more than the 100 that one may have",
        ),
        (&[topic, ("data", "{")], "data: is not JSON: EOF while parsing an object at line 1 column 1"),
        (
            &[topic, ("data", "2"), ("id", "taken")],
            "id: event 'taken' was accepted before with other content",
        ),
        (
            &[topic, ("data", "1"), ("tenant", "posthaste")],
            "tenant: the tenant 'posthaste' is Posthaste's own: nobody else publishes for it",
        ),
        (
            &[topic, ("data", "1"), ("endpoint", "ep_00000000000000000000000000000000")],
            "endpoint: no such endpoint",
        ),
        (&[topic, ("data", "1"), ("delay", "31d")], "delay: must not be more than 30d ahead"),
        (
            &[topic, ("data", "1"), ("delay", "21d")],
            "delay: must not be more than 480h ahead: the event is not kept for longer",
        ),
        (
            &[topic, ("data", "1"), ("deliver_at", "1971-01-01T00:00:00Z")],
            "deliver_at: must not be more than 30d ahead",
        ),
        (
            &[topic, ("data", "1"), ("delay", "1s"), ("deliver_at", "1970-01-02T00:00:00Z")],
            "delay: cannot stand beside 'deliver_at'",
        ),
        (&[topic, ("data", "1"), ("retention", "1s")], "retention: must lie between 1m and 365d"),
        (
            &[sent, ("data", "{}")],
            "data: does not fit the schema of its topic: \"order\" is a required property",
        ),
        (
            &[sent, ("body", r#"{"order": "1"}"#), ("content_type", "application/json")],
            "body: at /order: does not fit the schema of its topic: the value is not of type \"integer\"",
        ),
        (
            &[sent, ("body", r#"{"order": 1}"#), ("content_type", "text/plain")],
            "content_type: the topic has a schema: its events are JSON, not 'text/plain'",
        ),
        (&[topic, ("data", "1"), ("metadata", &metadata)], "metadata: must not have more than 50 entries"),
    ];
    let reader = stand.reader();
    stand.pile.leave([letter("1-0", &[topic, ("data", "1"), ("id", "taken")])]);
    stand.pile.emptied().await;
    for (n, (fields, reason)) in bad.iter().enumerate() {
        let bad = letter(&format!("2-{n}"), fields);
        stand.pile.leave([bad.clone()]);
        stand.pile.emptied().await;
        let rejected = stand.pile.state.lock().unwrap().rejected.last().cloned();
        assert_eq!(rejected, Some((bad, (*reason).to_owned())));
    }
    assert_eq!(stand.events().await, 1);
    reader.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_waited_for() {
    let stand = Stand::new().await;
    stand.store.away(true);
    stand.pile.leave([good("1-0", "1"), letter("1-1", &[("topic", "order.paid")])]);
    let reader = stand.reader();
    // One that needs no store is rejected, the other one stays.
    stand.pile.until(|state| (state.rejected.len() == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(stand.store.refused() > 10, "it is tried again");
    assert!(stand.store.refused() < 30, "and not in a hot loop: {}", stand.store.refused());
    assert_eq!(stand.pile.state.lock().unwrap().given.len(), 1);
    stand.store.away(false);
    assert_eq!(stand.pile.emptied().await.len(), 1);
    assert_eq!(stand.events().await, 1);
    reader.stop().await;
}

/// Whatever the inbox does not do is asked for again, and done once.
#[tokio::test(start_paused = true)]
async fn an_inbox_that_is_away_is_waited_for() {
    let stand = Stand::new().await;
    let reader = stand.reader();
    for round in 0..10 {
        stand.pile.leave([
            good(&format!("{round}-0"), "1"),
            letter(&format!("{round}-1"), &[("topic", "order.paid")]),
        ]);
        stand.pile.state.lock().unwrap().faults = round;
        assert_eq!(stand.pile.emptied().await.len(), round as usize + 1);
    }
    assert_eq!(stand.events().await, 10);
    assert_eq!(stand.pile.state.lock().unwrap().faults, 0, "every fault was met");
    reader.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_was_taken() {
    let stand = Stand::new().await;
    stand.store.away(true);
    stand.pile.leave([good("1-0", "1")]);
    let reader = stand.reader();
    stand.pile.until(|state| (!state.given.is_empty()).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    stand.store.away(false);
    stand.pile.leave([good("2-0", "2")]);
    reader.stop().await;
    assert_eq!(stand.payload("inbox-1-0").await, Payload::Data("1".into()));
    let state = stand.pile.state.lock().unwrap();
    assert_eq!(state.filed.concat(), [LetterId("1-0".into())]);
    assert_eq!(state.left.len(), 1, "nothing more is taken");
}

#[tokio::test(start_paused = true)]
async fn stopping_leaves_what_the_store_does_not_take() {
    let stand = Stand::new().await;
    stand.store.away(true);
    stand.pile.leave([good("1-0", "1")]);
    let reader = stand.reader();
    stand.pile.until(|state| (!state.given.is_empty()).then_some(())).await;
    reader.stop().await;
    let state = stand.pile.state.lock().unwrap();
    assert_eq!(state.given.len(), 1, "another reader receives it");
    assert!(state.filed.is_empty() && state.rejected.is_empty());
}

/// What the inbox is about to give when the service stops is not left lying.
#[tokio::test(start_paused = true)]
async fn a_letter_that_comes_at_the_end_is_finished() {
    let stand = Stand::new().await;
    let reader = stand.reader();
    // The reader waits for letters.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (pile, leaving) = (Arc::clone(&stand.pile), Duration::from_secs(1));
    let late = tokio::spawn(async move {
        tokio::time::sleep(leaving).await;
        pile.leave([good("1-0", "1")]);
    });
    reader.stop().await;
    late.await.unwrap();
    assert_eq!(stand.events().await, 1);
    assert!(stand.pile.state.lock().unwrap().given.is_empty());
}

/// An inbox whose reader dies of it.
struct Broken;

#[async_trait]
impl Inbox for Broken {
    async fn receive(&self, _: &str, _: usize) -> Result<Vec<Letter>> {
        panic!("on purpose");
    }

    async fn file(&self, _: Vec<LetterId>) -> Result<()> {
        Ok(())
    }

    async fn reject(&self, _: Letter, _: &str, _: Timestamp) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_dies_is_heard_of() {
    let stand = Stand::new().await;
    let mut reader = Reader::start(Arc::clone(&stand.service), Arc::new(Broken));
    reader.failed().await;
    reader.stop().await;

    let mut alive = stand.reader();
    assert!(timeout(Duration::from_secs(60), alive.failed()).await.is_err());
    alive.stop().await;
}
