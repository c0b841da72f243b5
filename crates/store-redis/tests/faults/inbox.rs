//! Letters that producers leave in the stream.

use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_store::{Letter, Store as _};
use posthaste_store_redis::RedisStore;
use posthaste_testkit::redis::{Persistence, RedisServer};
use redis::Value;

use crate::scene::{at, open};

const STREAM: &str = "posthaste:{inbox}";

/// A producer's own connection.
struct Producer(redis::Connection);

impl Producer {
    fn at(server: &RedisServer) -> Self {
        Self(redis::Client::open(server.url()).unwrap().get_connection().unwrap())
    }

    fn leave(&mut self, fields: &[(&[u8], &[u8])]) -> String {
        let mut add = redis::cmd("XADD");
        add.arg(STREAM).arg("*");
        for (field, value) in fields {
            add.arg(*field).arg(*value);
        }
        add.query(&mut self.0).unwrap()
    }

    fn count(&mut self, stream: &str) -> u64 {
        redis::cmd("XLEN").arg(stream).query(&mut self.0).unwrap()
    }

    /// How many letters are with a reader.
    fn pending(&mut self) -> u64 {
        let summary: Vec<Value> =
            redis::cmd("XPENDING").arg(STREAM).arg("posthaste").query(&mut self.0).unwrap();
        redis::from_redis_value(summary[0].clone()).unwrap()
    }

    /// Makes a letter look as if its reader had been silent for over a minute.
    fn age(&mut self, letter: &str, reader: &str) {
        let mut claim = redis::cmd("XCLAIM");
        claim
            .arg(STREAM)
            .arg("posthaste")
            .arg(reader)
            .arg(0)
            .arg(letter)
            .arg("IDLE")
            .arg(61_000)
            .arg("JUSTID");
        let claimed: Vec<String> = claim.query(&mut self.0).unwrap();
        assert_eq!(claimed, [letter]);
    }

    fn run(&mut self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.exec(&mut self.0).unwrap();
    }
}

fn names(letters: &[Letter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.id.0.as_str()).collect()
}

async fn receive(store: &RedisStore, reader: &str) -> Vec<Letter> {
    store.inbox().unwrap().receive(reader, 10).await.unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

#[tokio::test]
async fn letters_are_given_once_and_filed() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut producer = Producer::at(&server);
    let (one, other) = (open(at(server.url())).await, open(at(server.url())).await);
    // Some were there before anybody read.
    let first = producer.leave(&[(b"tenant", b"acme"), (b"payload", b"{}")]);
    let second = producer.leave(&[(b"tenant", b"acme")]);
    let inbox = one.inbox().unwrap();
    let letters = inbox.receive("one", 1).await.unwrap();
    assert_eq!(names(&letters), [first.as_str()]);
    let expected = [("tenant", "acme"), ("payload", "{}")];
    let expected = expected.map(|(field, value)| (Bytes::from(field), Bytes::from(value)));
    assert_eq!(letters[0].fields, expected);
    assert_eq!(names(&receive(&other, "other").await), [second.as_str()]);
    assert_eq!(producer.pending(), 2);

    inbox.file(vec![letters[0].id.clone()]).await.unwrap();
    inbox.file(vec![letters[0].id.clone()]).await.unwrap();
    inbox.file(Vec::new()).await.unwrap();
    assert_eq!((producer.pending(), producer.count(STREAM)), (1, 1));
    assert!(receive(&one, "one").await.is_empty(), "a while without any");
}

#[tokio::test]
async fn a_letter_is_there_as_it_was_written() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut producer = Producer::at(&server);
    let store = open(at(server.url())).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let fields: &[(&[u8], &[u8])] =
        &[(b"\xff\x00\r\n", &every_byte), (b"", b""), (b"twice", b"1"), (b"twice", b"2")];
    producer.leave(fields);
    let letter = receive(&store, "reader").await.remove(0);
    let found: Vec<(&[u8], &[u8])> =
        letter.fields.iter().map(|(field, value)| (&field[..], &value[..])).collect();
    assert_eq!(found, fields);

    let inbox = store.inbox().unwrap();
    inbox.reject(letter.clone(), "it is not UTF-8", now()).await.unwrap();
    // Again, because the answer was lost.
    inbox.reject(letter.clone(), "it is not UTF-8", now()).await.unwrap();
    assert_eq!((producer.pending(), producer.count(STREAM)), (0, 0));
    let dead: Vec<(String, Vec<Vec<u8>>)> =
        redis::cmd("XRANGE").arg("posthaste:{inbox}:dead").arg("-").arg("+").query(&mut producer.0).unwrap();
    assert_eq!(dead.len(), 1, "it is dead once");
    let mut expected: Vec<Vec<u8>> =
        fields.iter().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]).collect();
    for text in ["reason", "it is not UTF-8", "letter", &letter.id.0, "rejected_at", "2023-11-14T22:13:20Z"] {
        expected.push(text.into());
    }
    assert_eq!(dead[0].1, expected);
}

#[tokio::test]
async fn a_letter_of_very_many_fields_can_be_rejected() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut producer = Producer::at(&server);
    let store = open(at(server.url())).await;
    producer.leave(&vec![(&b"field"[..], &b"value"[..]); 10_000]);
    let letter = receive(&store, "reader").await.remove(0);
    assert_eq!(letter.fields.len(), 10_000);
    store.inbox().unwrap().reject(letter, "it is too long", now()).await.unwrap();
    assert_eq!((producer.count(STREAM), producer.count("posthaste:{inbox}:dead")), (0, 1));
}

#[tokio::test]
async fn what_a_reader_left_behind_goes_to_another() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut producer = Producer::at(&server);
    let gone = open(at(server.url())).await;
    let old = producer.leave(&[(b"n", b"1")]);
    assert_eq!(names(&receive(&gone, "gone").await), [old.as_str()]);
    drop(gone);

    // Not at once: it may be at work still.
    let new = producer.leave(&[(b"n", b"2")]);
    let next = open(at(server.url())).await;
    assert_eq!(names(&receive(&next, "next").await), [new.as_str()]);
    producer.age(&old, "gone");
    let later = open(at(server.url())).await;
    let letters = receive(&later, "later").await;
    assert_eq!(names(&letters), [old.as_str()]);
    assert_eq!(letters[0].fields, [(Bytes::from("n"), Bytes::from("1"))]);
    later.inbox().unwrap().file(vec![letters[0].id.clone()]).await.unwrap();
    assert_eq!(producer.pending(), 1);
}

#[tokio::test]
async fn letters_that_somebody_removed_are_passed_over() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut producer = Producer::at(&server);
    let store = open(at(server.url())).await;
    let gone = producer.leave(&[(b"n", b"1")]);
    assert_eq!(names(&receive(&store, "reader").await), [gone.as_str()]);
    producer.age(&gone, "reader");
    producer.run(&["XDEL", STREAM, &gone]);
    let there = producer.leave(&[(b"n", b"2")]);
    let another = open(at(server.url())).await;
    assert_eq!(names(&receive(&another, "another").await), [there.as_str()]);
}

#[tokio::test]
async fn the_group_is_made_again_when_it_is_gone() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut producer = Producer::at(&server);
    let store = open(at(server.url())).await;
    producer.leave(&[(b"n", b"1")]);
    let letter = receive(&store, "reader").await.remove(0);
    producer.run(&["FLUSHALL"]);
    let again = producer.leave(&[(b"n", b"2")]);
    assert_eq!(names(&receive(&store, "reader").await), [again.as_str()]);
    producer.run(&["XGROUP", "DESTROY", STREAM, "posthaste"]);
    // It was not filed, and is given again.
    assert_eq!(names(&receive(&store, "reader").await), [again.as_str()]);
    producer.run(&["DEL", STREAM]);
    let inbox = store.inbox().unwrap();
    inbox.file(vec![letter.id.clone()]).await.unwrap();
    inbox.reject(letter, "it is gone", now()).await.unwrap();
    assert_eq!(producer.count("posthaste:{inbox}:dead"), 0);
    assert!(receive(&store, "reader").await.is_empty());
}

#[tokio::test]
async fn a_reader_goes_on_when_the_server_was_restarted() {
    let server = RedisServer::start(Persistence::AofAlways).unwrap();
    let store = open(at(server.url())).await;
    Producer::at(&server).leave(&[(b"n", b"1")]);
    let first = receive(&store, "reader").await.remove(0);
    server.restart().unwrap();
    let second = Producer::at(&server).leave(&[(b"n", b"2")]);
    assert_eq!(names(&receive(&store, "reader").await), [second.as_str()]);
    store.inbox().unwrap().file(vec![first.id]).await.unwrap();
    assert_eq!(Producer::at(&server).pending(), 1);
}
