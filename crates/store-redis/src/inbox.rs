//! The stream in which producers leave letters.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_store::{Inbox, Letter, LetterId, Result};
use redis::{Cmd, Value};

use crate::{
    fault::Fault,
    link::Link,
    reply::Reply,
    script::{READERS, REJECT},
    shared::Shared,
    url::Clients,
};

/// The group in which all processes read.
const GROUP: &str = "posthaste";
/// How long one read waits for letters, in milliseconds: shorter than an answer may take.
const WAIT: u64 = 1_000;
/// How long a letter stays with a reader that says nothing, in milliseconds. Then another one gets it.
const LEFT_BEHIND: i64 = 60_000;
/// How long a reader that was given nothing more says nothing, in milliseconds, until it is forgotten.
const GONE: i64 = 3_600_000;
/// About how many dead letters are kept; the oldest make room.
const DEAD: u64 = 10_000;
/// How many bytes of a dead letter's field are kept.
const FIELD: usize = 64 * 1024;
/// How many fields of a dead letter are kept: what a script can pass on in one go.
const FIELDS: usize = 1_000;

pub(crate) struct RedisInbox {
    /// A connection of its own: reads wait on it.
    link: Link,
    stream: String,
    /// How many reads until somebody looks for what was left behind.
    look: AtomicI64,
    /// Whether an answer was lost: what it gave is this reader's, and is not given as new again.
    lost: AtomicBool,
}

impl RedisInbox {
    pub(crate) fn new(clients: Arc<Clients>, shared: Arc<Shared>) -> Self {
        let stream = shared.layout.inbox();
        Self {
            link: Link::new(clients, Arc::clone(&shared.outage)),
            stream,
            look: AtomicI64::new(0),
            lost: AtomicBool::new(false),
        }
    }

    /// Makes a call in the group, which is made if there is none: a flushed Redis has lost it.
    async fn in_group(&self, call: &Cmd) -> Result<Value, Fault> {
        match self.link.call(call).await {
            Err(Fault::Other(error)) if error.code() == Some("NOGROUP") => {}
            answer => return answer,
        }
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg(GROUP).arg("0").arg("MKSTREAM");
        match self.link.call(&create).await {
            Err(Fault::Other(error)) if error.code() == Some("BUSYGROUP") => {}
            answer => drop(answer?),
        }
        self.link.call(call).await
    }

    async fn left_behind(&self, reader: &str, limit: usize) -> Result<Vec<Letter>, Fault> {
        let mut claim = redis::cmd("XAUTOCLAIM");
        claim.arg(&self.stream).arg(GROUP).arg(reader).arg(LEFT_BEHIND).arg("0").arg("COUNT").arg(limit);
        let mut reply = Reply::items(self.in_group(&claim).await?)?;
        reply.next()?;
        let letters = letters(reply.next()?)?;
        self.link
            .run(&READERS, &self.stream, |call| {
                call.arg(GROUP).arg(GONE);
            })
            .await?;
        Ok(letters)
    }

    /// Reads letters `from` an id on: `>` for new ones, `0` for those that this reader was given already.
    async fn read(&self, reader: &str, limit: usize, from: &str) -> Result<Vec<Letter>, Fault> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(reader).arg("COUNT").arg(limit).arg("BLOCK").arg(WAIT);
        read.arg("STREAMS").arg(&self.stream).arg(from);
        let answer = self.in_group(&read).await?;
        let Some(mut streams) = Reply::of(answer)? else { return Ok(Vec::new()) };
        let mut stream = Reply::items(streams.next()?)?;
        stream.next()?;
        letters(stream.next()?)
    }
}

#[async_trait]
impl Inbox for RedisInbox {
    async fn receive(&self, reader: &str, limit: usize) -> Result<Vec<Letter>> {
        if self.lost.load(Ordering::Relaxed) {
            let letters = self.read(reader, limit, "0").await?;
            self.lost.store(false, Ordering::Relaxed);
            if !letters.is_empty() {
                return Ok(letters);
            }
        }
        if self.look.fetch_sub(1, Ordering::Relaxed) <= 0 {
            let letters = self.left_behind(reader, limit).await?;
            if !letters.is_empty() {
                return Ok(letters);
            }
            self.look.store(LEFT_BEHIND / WAIT as i64 / 4, Ordering::Relaxed);
        }
        let read = self.read(reader, limit, ">").await;
        self.lost.store(read.is_err(), Ordering::Relaxed);
        Ok(read?)
    }

    async fn file(&self, filed: Vec<LetterId>) -> Result<()> {
        if filed.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = filed.iter().map(|LetterId(name)| name.as_str()).collect();
        // Not in a transaction, which a full Redis does not begin: what is removed is not given again, acknowledged or not.
        let mut calls = redis::pipe();
        calls.cmd("XDEL").arg(&self.stream).arg(&names);
        calls.cmd("XACK").arg(&self.stream).arg(GROUP).arg(&names);
        self.link.call_all(&calls).await?;
        Ok(())
    }

    async fn reject(&self, letter: Letter, reason: &str, now: Timestamp) -> Result<()> {
        let LetterId(name) = &letter.id;
        let fill = |call: &mut Cmd| {
            call.arg(GROUP).arg(name).arg(DEAD);
            for (field, value) in letter.fields.iter().take(FIELDS) {
                call.arg(&field[..field.len().min(FIELD)]).arg(&value[..value.len().min(FIELD)]);
            }
            call.arg("reason").arg(reason).arg("letter").arg(name).arg("rejected_at").arg(now.to_string());
        };
        self.link.run(&REJECT, &self.stream, fill).await?;
        Ok(())
    }
}

/// Reads the entries of a stream. One that was removed meanwhile has no fields.
fn letters(entries: Value) -> Result<Vec<Letter>, Fault> {
    let mut entries = Reply::items(entries)?;
    let mut found = Vec::new();
    while !entries.is_over() {
        let Some(mut entry) = Reply::of(entries.next()?)? else { continue };
        let id = LetterId(entry.text()?);
        let Some(mut values) = Reply::of(entry.next()?)? else { continue };
        let mut fields: Vec<(Bytes, Bytes)> = Vec::new();
        while !values.is_over() {
            fields.push((values.bytes()?, values.bytes()?));
        }
        found.push(Letter { id, fields });
    }
    Ok(found)
}
