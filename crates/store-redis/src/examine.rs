//! Looks at what the store stands on.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use posthaste_model::Timestamp;
use posthaste_store::{Durability, Finding, Level, Result};
use redis::{Cmd, Value};

use crate::{
    fault::Fault,
    link::Link,
    reply::{number, text},
    shared::Shared,
};

/// The oldest version whose scripts say that they may run when memory is full.
const OLDEST: (u32, u32) = (7, 0);
/// From which share of its memory a server is said to run full, in percent.
const NEARLY_FULL: u64 = 80;
/// By how much clocks may differ before it is said, in milliseconds.
const SKEW: i64 = 500;

/// What a primary says of itself.
struct Server {
    /// Its address, where there are several.
    address: Option<String>,
    facts: HashMap<String, String>,
    /// When its log is written to disk; none: it does not say.
    fsync: Option<String>,
    /// Its clock, in Unix milliseconds.
    clock: i64,
}

impl Server {
    fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    fn amount(&self, name: &str) -> u64 {
        self.fact(name).parse().unwrap_or(0)
    }

    fn durability(&self, replicas: u8) -> Durability {
        let local = match (self.fact("aof_enabled"), self.fsync.as_deref()) {
            ("1", Some("always")) => Durability::Disk,
            ("1", _) => Durability::Buffered,
            _ => Durability::Volatile,
        };
        let replicated = replicas > 0 && self.amount("connected_slaves") >= u64::from(replicas);
        if replicated && local != Durability::Volatile { Durability::Replicated } else { local }
    }

    /// Says which server a finding is of, where there are several.
    fn named(&self, found: String) -> String {
        match &self.address {
            Some(address) => format!("{address}: {found}"),
            None => found,
        }
    }
}

/// Whether the store can be written to. One that is full can be: it takes no events, and delivers those that it has.
pub(crate) async fn check(shared: &Shared) -> Result<()> {
    // One server has all partitions; which node of a cluster has which is the cluster's to know.
    let asked = if shared.desk.is_of_cluster() { usize::MAX } else { 1 };
    let calls = shared.layout.all().take(asked).map(|base| {
        let mut touch = redis::cmd("HSET");
        touch.arg(format!("{base}:s")).arg("checked").arg(1);
        async move {
            match shared.desk.call(&touch).await {
                Err(Fault::Full(_)) => Ok(()),
                answer => answer.map(drop),
            }
        }
    });
    try_join_all(calls).await?;
    Ok(())
}

/// Finds out what an acknowledgement is worth: what the weakest server makes it.
pub(crate) async fn durability(link: &Link, replicas: u8) -> Result<Durability> {
    Ok(weakest(&servers(link).await?, replicas))
}

fn weakest(servers: &[Server], replicas: u8) -> Durability {
    let rank = |durability: &Durability| *durability as u8;
    let weakest = servers.iter().map(|server| server.durability(replicas)).min_by_key(rank);
    weakest.unwrap_or(Durability::Volatile)
}

/// Looks at every primary. Each check has a finding: the worst there is. And what an acknowledgement is worth.
pub(crate) async fn examine(link: &Link, replicas: u8, now: Timestamp) -> Result<(Vec<Finding>, Durability)> {
    let servers = servers(link).await?;
    let checks: [&dyn Fn(&Server) -> Finding; 5] =
        [&version, &|server| durability_of(server, replicas), &eviction, &memory, &|server| {
            clock(server, now)
        }];
    let worst =
        |check: &&dyn Fn(&Server) -> Finding| servers.iter().map(check).max_by_key(|found| found.level);
    Ok((checks.iter().filter_map(worst).collect(), weakest(&servers, replicas)))
}

fn finding(check: &'static str, level: Level, server: &Server, found: String, remedy: &str) -> Finding {
    let remedy = Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty());
    Finding { check, level, found: server.named(found), remedy }
}

fn version(server: &Server) -> Finding {
    let (name, version) = match server.fact("valkey_version") {
        "" => ("Redis", server.fact("redis_version")),
        version => ("Valkey", version),
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let known = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let found = format!("{name} {version}");
    if known >= OLDEST {
        finding("version", Level::Fine, server, found, "")
    } else {
        finding("version", Level::Danger, server, found, "use Redis 7.0 or newer, or any Valkey")
    }
}

fn durability_of(server: &Server, replicas: u8) -> Finding {
    let durability = server.durability(replicas);
    let (level, found, mut remedy) = match durability {
        Durability::Volatile => (
            Level::Danger,
            "volatile: what was accepted since the last snapshot is lost when Redis stops",
            "set appendonly yes and appendfsync always",
        ),
        Durability::Buffered => (
            Level::Warning,
            "buffered: a crash of the host or of Redis may lose about the last 2 seconds",
            "set appendfsync always",
        ),
        Durability::Disk => (Level::Fine, "disk: an event is on disk before it is acknowledged", ""),
        Durability::Replicated => {
            (Level::Fine, "replicated: replicas have an event before it is acknowledged", "")
        }
    };
    let mut found = found.to_owned();
    if durability == Durability::Buffered && server.fsync.is_none() {
        found =
            "buffered, as far as is known: how the append-only file is written may not be read here".into();
        remedy = "let the Redis user do CONFIG GET, or look at appendfsync yourself: it should be always";
    }
    if replicas > 0 && durability != Durability::Replicated {
        let connected = server.amount("connected_slaves");
        found += &format!(" (redis.replicas is {replicas}, and {connected} are connected)");
    }
    if server.fact("aof_last_write_status") == "err" {
        return finding(
            "durability",
            Level::Warning,
            server,
            "the last write of the append-only file failed".into(),
            "look at the disk of the server, and at its log",
        );
    }
    finding("durability", level, server, found, remedy)
}

fn eviction(server: &Server) -> Finding {
    let policy = server.fact("maxmemory_policy");
    if policy == "noeviction" {
        return finding(
            "eviction",
            Level::Fine,
            server,
            "noeviction: a full Redis throws nothing away".into(),
            "",
        );
    }
    let found = format!("{policy}: a full Redis throws away accepted events");
    finding("eviction", Level::Danger, server, found, "set maxmemory-policy noeviction")
}

fn memory(server: &Server) -> Finding {
    let used = server.amount("used_memory");
    let (most, whose) = match server.amount("maxmemory") {
        0 => (server.amount("total_system_memory"), "of the machine's memory; no maxmemory is set"),
        most => (most, "of maxmemory"),
    };
    let percent = (used * 100).checked_div(most).unwrap_or(0);
    let found = format!("{} MB used, {percent} % {whose}", used >> 20);
    if percent >= NEARLY_FULL {
        let remedy =
            "give it more memory, or shorten retention; when it is full, publishers are answered 507";
        return finding("memory", Level::Warning, server, found, remedy);
    }
    if server.amount("maxmemory") == 0 {
        let remedy = "set maxmemory, so that a full Redis refuses events and is not ended by the kernel";
        return finding("memory", Level::Warning, server, found, remedy);
    }
    finding("memory", Level::Fine, server, found, "")
}

fn clock(server: &Server, now: Timestamp) -> Finding {
    let ahead = server.clock - now.as_millisecond();
    if ahead.abs() <= SKEW {
        return finding("clock", Level::Fine, server, format!("{} ms apart", ahead.abs()), "");
    }
    let (by, way) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
    let found = format!("the server's clock is {by} ms {way} this machine's");
    let remedy = "synchronise the clocks of all machines (NTP): they decide when deliveries are due, and who owns them";
    finding("clock", Level::Warning, server, found, remedy)
}

async fn servers(link: &Link) -> Result<Vec<Server>, Fault> {
    let ask = async |words: &[&str]| {
        let mut call = Cmd::new();
        for word in words {
            call.arg(word);
        }
        link.call_primaries(&call).await
    };
    let infos = ask(&["INFO"]).await?;
    let clocks = ask(&["TIME"]).await?;
    // A user who may not read the configuration is served, too.
    let fsyncs = ask(&["CONFIG", "GET", "appendfsync"]).await.unwrap_or_default();
    let of = |answers: &[(Option<String>, Value)], address: &Option<String>| {
        answers.iter().find(|(other, _)| other == address).map(|(_, answer)| answer.clone())
    };
    infos
        .into_iter()
        .map(|(address, info)| {
            let clock = match of(&clocks, &address) {
                Some(Value::Array(parts)) if parts.len() == 2 => {
                    let mut parts = parts.into_iter().map(number);
                    let seconds = parts.next().transpose()?.unwrap_or(0);
                    seconds * 1_000 + parts.next().transpose()?.unwrap_or(0) / 1_000
                }
                _ => return Err(Fault::Damaged("a server does not tell the time".into())),
            };
            let fsync = match of(&fsyncs, &address) {
                Some(Value::Array(mut pair)) => pair.pop().and_then(|value| text(value).ok()),
                Some(Value::Map(mut pairs)) => pairs.pop().and_then(|(_, value)| text(value).ok()),
                _ => None,
            };
            Ok(Server { facts: facts(info)?, address, fsync, clock })
        })
        .collect()
}

/// What a server says of itself (`INFO`), by name.
pub(crate) fn facts(info: Value) -> Result<HashMap<String, String>, Fault> {
    let info = text(plain(info))?;
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    Ok(lines.map(|(name, fact)| (name.into(), fact.trim().into())).collect())
}

/// A text, whichever way the protocol puts it.
fn plain(value: Value) -> Value {
    match value {
        Value::VerbatimString { text, .. } => Value::BulkString(text.into_bytes()),
        Value::SimpleString(text) => Value::BulkString(text.into_bytes()),
        other => other,
    }
}
