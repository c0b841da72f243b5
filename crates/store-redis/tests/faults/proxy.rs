//! Stands between a store and its server, and does to the connections what networks do.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use posthaste_testkit::redis::{Persistence, RedisServer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

use crate::scene::lone_cluster;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything passes.
    Fair,
    /// New connections are taken and closed at once.
    Closed,
    /// Connections stand, and nothing passes any more, in either direction.
    Silent,
}

/// A way to a server. Ends when it is dropped, with its connections.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    server: SocketAddr,
    weather: watch::Sender<Weather>,
    /// How many answers pass before one is cut off; none: all pass.
    cut: Mutex<Option<usize>>,
    connections: AtomicUsize,
    /// Changes when all connections are to break.
    broken: watch::Sender<()>,
}

impl Proxy {
    /// A way to a port of this machine. Needs a runtime.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port_here = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            server: (Ipv4Addr::LOCALHOST, port).into(),
            weather: watch::Sender::new(Weather::Fair),
            cut: Mutex::new(None),
            connections: AtomicUsize::new(0),
            broken: watch::Sender::new(()),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { port: port_here, shared, listening }
    }

    pub(crate) fn cluster_url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn turn(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Breaks every connection that stands.
    pub(crate) fn break_all(&self) {
        self.shared.broken.send_replace(());
    }

    /// Cuts a connection when the server answers, once `before` answers have passed: the server has done what it was
    /// asked, and nobody hears of it. Happens once.
    pub(crate) fn cut_answer(&self, before: usize) {
        *self.shared.cut.lock().unwrap() = Some(before);
    }

    /// Cuts nothing any more. Says whether an answer was cut since [`Self::cut_answer`].
    pub(crate) fn has_cut(&self) -> bool {
        self.shared.cut.lock().unwrap().take().is_none()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.break_all();
    }
}

impl Shared {
    /// Whether the answer that begins now is to be cut off.
    fn cuts(&self) -> bool {
        let mut cut = self.cut.lock().unwrap();
        match *cut {
            None => false,
            Some(0) => {
                *cut = None;
                true
            }
            Some(before) => {
                *cut = Some(before - 1);
                false
            }
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        if *shared.weather.borrow() == Weather::Closed {
            continue;
        }
        let mut broken = shared.broken.subscribe();
        broken.mark_unchanged();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::select! {
                () = pass(client, &shared) => {}
                _ = broken.changed() => {}
            }
        });
    }
}

async fn pass(client: TcpStream, shared: &Shared) {
    let Ok(server) = TcpStream::connect(shared.server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Whether the client has said something since the server did: then what the server says next is an answer.
    let asked = Mutex::new(false);
    let there = carry(from_client, to_server, shared, || {
        *asked.lock().unwrap() = true;
        true
    });
    let back = carry(from_server, to_client, shared, || {
        !(std::mem::take(&mut *asked.lock().unwrap()) && shared.cuts())
    });
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

/// Passes bytes on until one side is gone, or `may_pass` says that the connection is to be cut.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    may_pass: impl Fn() -> bool,
) {
    let mut weather = shared.weather.subscribe();
    let mut bytes = vec![0; 1 << 16];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
        // What is on the way when it falls silent arrives when it is fair again, as packets do that are sent again.
        if weather.wait_for(|weather| *weather != Weather::Silent).await.is_err() {
            return;
        }
        if !may_pass() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// A cluster of one server, of which all know the way through a proxy alone.
pub(crate) async fn lone_cluster_behind_a_proxy() -> (RedisServer, Proxy) {
    let server = lone_cluster(RedisServer::with(Persistence::None)).await;
    let proxy = Proxy::to(server.port()).await;
    server.command(&["CONFIG", "SET", "cluster-announce-port", &proxy.port.to_string()]).expect("a port");
    (server, proxy)
}

/// A server that gives one answer to every command.
pub(crate) struct Parrot {
    port: u16,
    listening: JoinHandle<()>,
}

impl Parrot {
    /// Answers with a line of the protocol, without its end: `-LOADING wait`.
    pub(crate) async fn saying(answer: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer_all(client, answer));
            }
        });
        Self { port, listening }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Parrot {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn answer_all(mut client: TcpStream, answer: &str) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = client.read(&mut bytes).await {
        // Each command is an array: as many answers as there are heads of arrays. A part of a command that looks like
        // one would be answered, too, which no test does.
        let heads =
            bytes[..count].split_inclusive(|byte| *byte == b'\n').filter(|line| line.starts_with(b"*"));
        let answers = format!("{answer}\r\n").repeat(heads.count());
        if client.write_all(answers.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// How long a test listens for what is not to happen.
pub(crate) const WHILE: Duration = Duration::from_millis(1_500);
