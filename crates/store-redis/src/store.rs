use std::sync::Arc;

use async_trait::async_trait;
use posthaste_model::Timestamp;
use posthaste_store::{Durability, Finding, Inbox, KeyId, Partition, Result, Store, StoreError};
use redis::Value;
use tokio::task::JoinHandle;

use crate::{
    accepting::{self, Group},
    examine,
    gather::Gatherer,
    inbox::RedisInbox,
    layout::{Layout, SCHEMA},
    leasing::Lessor,
    link::Link,
    outage::Outage,
    reply::{bytes, number},
    settling::{self, Part},
    shared::Shared,
    url::{Clients, RedisUrl},
    waking,
};

/// How a store in Redis is opened.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it is.
    pub url: RedisUrl,
    /// What its keys begin with, so that several stores, or another program, share the servers.
    pub prefix: String,
    /// Into how many partitions a new store is divided: the most processes that can share its deliveries.
    pub partitions: u16,
    /// How many replicas confirm an event before it is acknowledged; 0: none.
    pub replicas: u8,
    /// Up to which share of a server's `maxmemory`, in percent, delivered events are kept for their period. Beyond it
    /// they are forgotten before their time, oldest first. 100: never.
    pub history_memory: u8,
}

impl RedisSettings {
    /// The most partitions that a store can have. A delivery's id has room for 4,096; each is asked for work every second.
    pub const MAX_PARTITIONS: u16 = 1_024;

    /// A store at a URL, and the defaults: prefix `posthaste`, 16 partitions, no replicas, 75 % for history.
    pub fn at(url: RedisUrl) -> Self {
        Self { url, prefix: "posthaste".into(), partitions: 16, replicas: 0, history_memory: 75 }
    }
}

/// A store in Redis or Valkey, which many processes share.
pub struct RedisStore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) accepting: Vec<Gatherer<Group>>,
    pub(crate) settling: Vec<Gatherer<Part>>,
    pub(crate) lessors: Vec<Lessor>,
    settings: RedisSettings,
    inbox: Arc<RedisInbox>,
    listening: JoinHandle<()>,
}

impl RedisStore {
    /// Opens the store, and makes it if there is none. Needs a tokio runtime, which it speaks to the servers on.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer build has made it; [`StoreError::Unavailable`] when the servers cannot
    /// be reached, or refuse.
    pub async fn open(settings: RedisSettings) -> Result<Self> {
        let clients = Arc::new(clients(&settings)?);
        let outage = Arc::new(Outage::of(&clients));
        let link = || Link::new(Arc::clone(&clients), Arc::clone(&outage));
        let wanted = settings.partitions.clamp(1, RedisSettings::MAX_PARTITIONS);
        let made = make(&link(), &settings.prefix, wanted).await;
        let partitions = made.map_err(|error| named(&settings, error))?;
        if partitions != wanted {
            tracing::info!(
                partitions,
                wanted,
                "the number of partitions is the one that the store was made with"
            );
        }
        let layout = Layout::new(&settings.prefix, partitions);
        let shared = Arc::new(Shared::new(layout, link, Arc::clone(&outage), &settings));
        let all = || (0..partitions).map(Partition);
        let listening =
            tokio::spawn(waking::listen(Arc::downgrade(&shared), Arc::clone(&clients), settings.url.clone()));
        let store = Self {
            accepting: all().map(|partition| accepting::start(Arc::clone(&shared), partition)).collect(),
            settling: all().map(|partition| settling::start(Arc::clone(&shared), partition)).collect(),
            lessors: all().map(|_| Lessor::default()).collect(),
            inbox: Arc::new(RedisInbox::new(clients, Arc::clone(&shared))),
            shared,
            settings,
            listening,
        };
        let durability = examine::durability(&store.shared.desk, store.settings.replicas).await;
        store.shared.set_durability(durability.map_err(|error| named(&store.settings, error))?);
        Ok(store)
    }

    /// Looks at the servers that the settings name, whether or not there is a store. Writes nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn examine_servers(settings: &RedisSettings, now: Timestamp) -> Result<Vec<Finding>> {
        let looked = examine::examine(&link_to(settings)?, settings.replicas, now).await;
        Ok(looked.map_err(|error| named(settings, error))?.0)
    }

    /// Whether a store was made at the place that the settings name. Writes nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn exists(settings: &RedisSettings) -> Result<bool> {
        let link = link_to(settings)?;
        let mut exists = redis::cmd("EXISTS");
        exists.arg(Layout::store(&settings.prefix));
        let answer = link.call(&exists).await.map_err(|fault| named(settings, fault.into()))?;
        Ok(number(answer)? == 1)
    }
}

fn clients(settings: &RedisSettings) -> Result<Clients> {
    settings.url.clients().map_err(|error| {
        let what = error.detail().map_or_else(|| error.to_string(), str::to_owned);
        StoreError::unavailable(format!("cannot use {}: {what}", settings.url), error)
    })
}

/// Says of a store that cannot be opened which one it is.
fn named(settings: &RedisSettings, error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable { reason, source } => {
            StoreError::Unavailable { reason: format!("{}: {reason}", settings.url), source }
        }
        other => other,
    }
}

fn link_to(settings: &RedisSettings) -> Result<Link> {
    Ok(Link::new(Arc::new(clients(settings)?), Arc::new(Outage::default())))
}

/// Raises the version of the schema, unless a newer build has raised it further meanwhile. Also where there is no memory left.
const RAISE: &str = "#!lua flags=allow-oom
    if tonumber(redis.call('HGET', KEYS[1], 'schema')) < tonumber(ARGV[1]) then
        redis.call('HSET', KEYS[1], 'schema', ARGV[1])
    end";

/// Makes the store if there is none, lets it have this build's schema, and answers with how many partitions it has.
async fn make(link: &Link, prefix: &str, wanted: u16) -> Result<u16> {
    let key = Layout::store(prefix);
    let remember = async |field: &str, value: i64| -> Result<i64> {
        let mut get = redis::cmd("HGET");
        get.arg(&key).arg(field);
        let mut found = link.call(&get).await?;
        if found == Value::Nil {
            let mut set = redis::cmd("HSETNX");
            link.call(set.arg(&key).arg(field).arg(value)).await?;
            found = link.call(&get).await?;
        }
        Ok(number(found)?)
    };
    let schema = remember("schema", SCHEMA).await?;
    if schema > SCHEMA {
        return Err(StoreError::NewerSchema { found: schema, supported: SCHEMA });
    }
    if schema < SCHEMA {
        let mut raise = redis::cmd("EVAL");
        link.call(raise.arg(RAISE).arg(1).arg(&key).arg(SCHEMA)).await?;
    }
    let partitions = remember("partitions", wanted.into()).await?;
    u16::try_from(partitions)
        .ok()
        .filter(|partitions| (1..=RedisSettings::MAX_PARTITIONS).contains(partitions))
        .ok_or_else(|| StoreError::damaged(format!("it has {partitions} partitions")))
}

#[async_trait]
impl Store for RedisStore {
    fn durability(&self) -> Durability {
        self.shared.durability()
    }

    async fn check(&self) -> Result<()> {
        examine::check(&self.shared).await?;
        // A Redis that was flushed has forgotten what the store is: whoever opens it next must not divide it anew.
        let partitions = self.shared.layout.partitions();
        match make(&self.shared.desk, &self.settings.prefix, partitions).await {
            Err(StoreError::Full { .. }) => Ok(()),
            Ok(found) if found != partitions => Err(StoreError::damaged(format!(
                "it has {found} partitions, and had {partitions} when it was opened"
            ))),
            other => other.map(drop),
        }
    }

    async fn examine(&self, now: Timestamp) -> Result<Vec<Finding>> {
        let (findings, durability) = examine::examine(&self.shared.desk, self.settings.replicas, now).await?;
        self.shared.set_durability(durability);
        Ok(findings)
    }

    fn inbox(&self) -> Option<Arc<dyn Inbox>> {
        Some(Arc::clone(&self.inbox) as Arc<dyn Inbox>)
    }

    async fn bind_key(&self, KeyId(id): KeyId) -> Result<()> {
        let key = Layout::store(&self.settings.prefix);
        let mut get = redis::cmd("HGET");
        get.arg(&key).arg("key");
        let mut bound = self.shared.desk.call(&get).await?;
        // Not tried where it is in vain: a store that is full can be opened, too.
        if bound == Value::Nil {
            let mut set = redis::cmd("HSETNX");
            self.shared.desk.call(set.arg(&key).arg("key").arg(&id[..])).await?;
            bound = self.shared.desk.call(&get).await?;
        }
        if bytes(bound)? == id[..] { Ok(()) } else { Err(StoreError::ForeignKey) }
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
