use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{
    process::{Process, program},
    server::RedisServer,
};

/// Long, because it is not what is tested: it only ends a test that would wait for ever.
const AMPLE: Duration = Duration::from_secs(30);

/// Watches over a primary and its replicas, and makes one of them the primary when it does not answer for two seconds.
pub struct RedisSentinel {
    port: u16,
    /// Dropped before its folder.
    _process: Process,
    _folder: TempDir,
}

impl RedisSentinel {
    /// The name under which it knows the servers.
    pub const SERVICE: &str = "main";

    /// Starts one that decides alone, and returns once it knows a replica of the primary, which must be there.
    ///
    /// # Errors
    /// It does not start, or does not find one; the error holds its log.
    pub fn start(primary: &RedisServer) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("posthaste-sentinel-").tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let file = folder.path().join("sentinel.conf");
        let (service, watched) = (Self::SERVICE, primary.port());
        // It writes what it finds out into this file.
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor {service} 127.0.0.1 {watched} 1\n\
             sentinel down-after-milliseconds {service} 2000\nsentinel failover-timeout {service} 3000\n",
            folder = folder.path().display(),
        );
        fs::write(&file, settings)?;
        let mut sentinel = program("redis-server");
        sentinel.arg(&file).arg("--sentinel");
        let mut process = Process::start(sentinel)?;
        process.wait_until_said("+monitor master", AMPLE).context("the sentinel does not start")?;
        process.wait_until_said("+slave slave", AMPLE).context("the sentinel does not find the replica")?;
        Ok(Self { port, _process: process, _folder: folder })
    }

    /// The store's URL.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{}", self.port, Self::SERVICE)
    }

    /// Does a command, and returns what `redis-cli` makes of the answer.
    ///
    /// # Errors
    /// The answer is an error, which is told, or there is none within half a minute.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        let mut client = program("redis-cli");
        client.args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()]).args(words);
        let answer = Process::start(client)?.finish(AMPLE).with_context(|| words.join(" "))?;
        Ok(answer.trim_end().to_owned())
    }

    /// The port of the server that it takes for the primary.
    ///
    /// # Errors
    /// It does not answer.
    pub fn primary(&self) -> Result<u16> {
        let address = self.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::SERVICE])?;
        address.lines().nth(1).context("no port")?.parse().context("no port")
    }
}
