use std::net::SocketAddr;

use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use tokio::runtime::{Builder, Handle, Runtime};

/// What is around the service: publishers and receivers. They have threads of their own, so that they wait for no turn of
/// the service's.
pub(crate) struct Outside {
    publishers: Runtime,
    receivers: Runtime,
}

impl Outside {
    pub(crate) fn new() -> Self {
        let thread = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { publishers: thread(), receivers: thread() }
    }

    /// Where publishers work.
    pub(crate) fn publishers(&self) -> &Handle {
        self.publishers.handle()
    }

    /// Waits for what receivers see.
    pub(crate) fn wait<T>(&self, seen: impl Future<Output = T>) -> T {
        self.receivers.block_on(seen)
    }

    /// A receiver at every address of the loopback network.
    pub(crate) fn receiver(
        &self,
        reply: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> Receiver {
        self.wait(Receiver::bind(SocketAddr::from(([0; 4], 0)), reply)).unwrap()
    }
}

/// So many URLs at a port, each at an address of its own: the limit of a host is felt by none of the others.
pub(crate) fn urls(port: u16, count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("http://127.0.{}.{}:{port}/", n / 250, n % 250 + 1)).collect()
}
