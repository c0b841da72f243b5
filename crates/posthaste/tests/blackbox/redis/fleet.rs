use std::path::Path;

use posthaste_client::{Client, TenantFields};
use posthaste_model::{TenantId, TopicName};
use posthaste_testkit::{
    Receiver, Reply,
    redis::{Persistence, RedisServer},
};
use tempfile::TempDir;

use crate::{
    service::{Service, folder, posthaste, topic},
    subscriber::endpoint,
};

/// How many tenants there are: enough for most partitions to have work.
const TENANTS: usize = 24;

/// Two processes that serve the API and three that dispatch, on a Redis that has everything on disk before it answers;
/// and a subscriber of every tenant.
pub(crate) struct Fleet {
    pub(crate) redis: RedisServer,
    pub(crate) apis: Vec<Service>,
    pub(crate) dispatchers: Vec<Service>,
    pub(crate) receiver: Receiver,
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) topic: TopicName,
    /// All processes have their keys in one folder, as containers have one secret.
    folder: TempDir,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        let redis = RedisServer::start(Persistence::AofAlways).expect("a Redis");
        let folder = folder();
        let start = |role| start(folder.path(), &redis, role);
        // The first makes the keys.
        let apis = vec![start("api"), start("api")];
        let dispatchers = vec![start("dispatch"), start("dispatch"), start("dispatch")];
        let client = apis[0].client();
        let topic = topic(&client, "order.paid").await;
        let receiver = Receiver::start(|_| Reply::status(200)).await.expect("a receiver");
        let mut tenants = Vec::new();
        for n in 0..TENANTS {
            let tenant: TenantId = format!("tenant-{n}").parse().expect("a tenant id");
            client.put_tenant(&tenant, &TenantFields::default()).await.expect("a tenant");
            endpoint(&client, &tenant, receiver.url("/"), &[500, 500, 500]).await;
            tenants.push(tenant);
        }
        Self { redis, apis, dispatchers, receiver, tenants, topic, folder }
    }

    pub(crate) fn clients(&self) -> Vec<Client> {
        self.apis.iter().map(Service::client).collect()
    }

    /// Kills a dispatcher as a crash does, and starts another one in its place.
    pub(crate) fn replace_dispatcher(&mut self, n: usize) {
        self.dispatchers.remove(n).kill();
        self.dispatchers.push(start(self.folder.path(), &self.redis, "dispatch"));
    }

    /// Asks a dispatcher to stop, waits until it has, and starts another one in its place.
    pub(crate) async fn restart_dispatcher(&mut self, n: usize) {
        let leaving = self.dispatchers.remove(n);
        leaving.terminate();
        let status = tokio::task::spawn_blocking(move || leaving.wait()).await.expect("it ends");
        assert!(status.success(), "{status}");
        self.dispatchers.push(start(self.folder.path(), &self.redis, "dispatch"));
    }
}

fn start(folder: &Path, redis: &RedisServer, role: &str) -> Service {
    let mut command = posthaste(folder);
    // What the tests make Redis do is warned of, rightly.
    command.env("POSTHASTE_LOG_LEVEL", "error").env("POSTHASTE_STORE", redis.url());
    Service::start_with(command.args(["serve", "--listen", "127.0.0.1:0", "--roles", role]))
}
