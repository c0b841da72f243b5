//! Hears when another process made something due.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use posthaste_store::Partition;
use redis::{Client, RedisResult, aio::PubSub};
use tokio::time::{sleep, timeout};

use crate::{
    link::CONNECT,
    shared::Shared,
    url::{Clients, RedisUrl},
};

/// How long to wait before the channel is listened to again after it broke. Until then, owners look by themselves.
const AGAIN: Duration = Duration::from_millis(500);

/// Listens until the store is gone.
pub(crate) async fn listen(shared: std::sync::Weak<Shared>, clients: Arc<Clients>, url: RedisUrl) {
    let mut turn = 0;
    while let Some(channel) = shared.upgrade().map(|shared| shared.layout.channel().to_owned()) {
        if let Ok(Ok(heard)) = timeout(CONNECT, subscribe(&clients, &url, &channel, turn)).await {
            // Whatever was said while nobody listened.
            if let Some(shared) = shared.upgrade() {
                shared.wake_all();
            }
            let mut messages = heard.into_on_message();
            while let Some(message) = messages.next().await {
                let Some(shared) = shared.upgrade() else { return };
                if let Ok(n) = message.get_payload::<u16>() {
                    shared.wake(Partition(n));
                }
            }
        }
        turn += 1;
        sleep(AGAIN).await;
    }
}

/// A cluster passes messages on to all its nodes, so that any of them will do: another one after each failure.
async fn subscribe(clients: &Clients, url: &RedisUrl, channel: &str, turn: usize) -> RedisResult<PubSub> {
    let connect = async |client: &Client| client.get_async_pubsub().await;
    let mut heard = match clients {
        Clients::Standalone(client) => connect(client).await?,
        Clients::Sentinel(client) => connect(&client.lock().await.async_get_client().await?).await?,
        Clients::Cluster(_) => {
            let nodes = url.named_servers()?;
            connect(&nodes[turn % nodes.len()]).await?
        }
    };
    heard.subscribe(channel).await?;
    Ok(heard)
}
