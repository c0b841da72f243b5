use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use posthaste_model::TopicName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

use super::{arrivals::Arrivals, process::ServiceProcess};
use crate::cli::BenchArgs;

/// How fast to publish.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// Each connection publishes its next event when the last is accepted.
    Full,
    /// So many events a second in all.
    PerSecond(u32),
}

/// Publishers. They write requests to bare sockets: what they cost is taken from the service on the same machine.
pub(super) struct Load {
    address: SocketAddr,
    connections: u16,
    payload: usize,
    topics: Arc<[TopicName]>,
    admin_key: Arc<str>,
}

impl Load {
    pub(super) fn new(service: &ServiceProcess, topics: &[TopicName], args: &BenchArgs) -> Self {
        Self {
            address: service.address(),
            connections: args.connections,
            payload: args.payload as usize,
            topics: topics.into(),
            admin_key: service.admin_key().into(),
        }
    }

    /// Publishes for a while; answers with how many events were accepted.
    pub(super) async fn run(
        &self,
        arrivals: &Arc<Arrivals>,
        pace: Pace,
        lasting: Duration,
    ) -> anyhow::Result<u64> {
        let started = arrivals.now();
        let next = Arc::new(AtomicU64::new(0));
        let mut publishers = JoinSet::new();
        for _ in 0..self.connections {
            let mut publisher = Publisher::connect(self).await?;
            let (arrivals, next) = (Arc::clone(arrivals), Arc::clone(&next));
            publishers.spawn(async move {
                let mut accepted = 0_u64;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if let Pace::PerSecond(rate) = pace {
                        let due = started + Duration::from_secs_f64(number as f64 / f64::from(rate));
                        if due > started + lasting {
                            return anyhow::Ok(accepted);
                        }
                        sleep(due.saturating_sub(arrivals.now())).await;
                    }
                    if arrivals.now() > started + lasting {
                        return Ok(accepted);
                    }
                    publisher.publish(number, &arrivals).await?;
                    accepted += 1;
                }
            });
        }
        publishers.join_all().await.into_iter().sum()
    }
}

struct Publisher {
    stream: TcpStream,
    head: String,
    payload: usize,
    topics: Arc<[TopicName]>,
    received: Vec<u8>,
}

impl Publisher {
    async fn connect(load: &Load) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(load.address).await.context("the service is not there")?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /v1/tenants/default/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: ",
            load.address, load.admin_key
        );
        Ok(Self {
            stream,
            head,
            payload: load.payload,
            topics: Arc::clone(&load.topics),
            received: Vec::new(),
        })
    }

    async fn publish(&mut self, number: u64, arrivals: &Arrivals) -> anyhow::Result<()> {
        let topic = &self.topics[usize::try_from(number)? % self.topics.len()];
        let body = format!(r#"{{"topic":"{topic}","data":{}}}"#, arrivals.data(self.payload));
        let request = format!("{}{}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes()).await?;
        let answer = self.answer().await?;
        ensure!(answer.starts_with("HTTP/1.1 202"), "the service did not accept an event: {answer}");
        Ok(())
    }

    /// Reads one response, which has a `Content-Length`.
    async fn answer(&mut self) -> anyhow::Result<String> {
        self.received.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.received).await? > 0, "the service closed the connection");
            let text = std::str::from_utf8(&self.received)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length: usize = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .context("an answer without length")?
                .1
                .parse()?;
            if body.len() >= length {
                return Ok(text.to_owned());
            }
        }
    }
}
