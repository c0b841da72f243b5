use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    process::{Process, program},
    server::{Persistence, RedisServer},
};

/// Long, because it is not what is tested: it only ends a test that would wait for ever.
const AMPLE: Duration = Duration::from_secs(60);

/// Servers that share the keys among them. Dropping it ends them all.
///
/// Each keeps what it acknowledged ([`Persistence::AofAlways`]). A primary that does not answer for two seconds is taken
/// for dead, and replaced by one of its replicas.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts a cluster of so many primaries (three or more) with so many replicas each, and returns once every node
    /// calls it complete and every replica has what its primary has.
    ///
    /// # Errors
    /// It does not come about; the error holds the log of the node that failed.
    pub fn start(primaries: usize, replicas_per_primary: usize) -> Result<Self> {
        let node = RedisServer::with(Persistence::AofAlways)
            .option("cluster-enabled", "yes")
            .option("cluster-node-timeout", "2000")
            // Five seconds by default, for more replicas to come.
            .option("repl-diskless-sync-delay", "0");
        let count = primaries * (1 + replicas_per_primary);
        let nodes = (0..count).map(|_| node.start()).collect::<Result<Vec<_>>>()?;
        let cluster = Self { nodes };

        let mut create = program("redis-cli");
        create.args(["--cluster", "create"]).args(cluster.addresses());
        create.args(["--cluster-replicas", &replicas_per_primary.to_string(), "--cluster-yes"]);
        Process::start(create)?.finish(AMPLE).context("redis-cli makes no cluster")?;

        for node in &cluster.nodes {
            node.wait_for_log("Cluster state changed: ok", AMPLE)?;
            if node.command(&["ROLE"])?.starts_with("slave") {
                node.wait_for_log("sync: Finished with success", AMPLE)?;
            }
        }
        Ok(cluster)
    }

    /// The store's URL, which names every node.
    pub fn url(&self) -> String {
        format!("redis+cluster://{}/", self.addresses().collect::<Vec<_>>().join(","))
    }

    /// Its servers, in no order.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The primary that has a key, as far as a server that is up says so.
    pub fn primary_of(&self, key: &str) -> Option<&RedisServer> {
        // All others answer MOVED.
        self.nodes.iter().find(|node| node.command(&["EXISTS", key]).is_ok())
    }

    fn addresses(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()))
    }
}
