//! A subscriber for tests: an HTTP/1.1 server that records what it is sent and answers as badly as it is told to.
//!
//! It speaks to raw sockets, so that it can say what no HTTP library would let it say.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A running receiver. It stops, and its connections break, when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// A request as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// The method.
    pub method: String,
    /// The request target: path and query.
    pub path: String,
    /// Names and values in the order and case of their arrival.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Bytes,
    /// When its last byte had arrived.
    pub arrived: Instant,
    /// Over which of the receiver's connections it came, from 1.
    pub connection: usize,
    /// The certificates (DER) that the client showed on that connection, its own first.
    pub certificates: Vec<Bytes>,
}

/// What a receiver does about a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers properly, and keeps the connection open.
    Answer {
        /// The status code.
        status: u16,
        /// Headers besides `Content-Length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Writes these bytes, then closes the connection.
    Raw(Bytes),
    /// Writes a head at once, and then byte after byte, so long apart, until it closes the connection.
    Drip {
        /// Written first.
        head: Bytes,
        /// The pause before each byte.
        every: Duration,
        /// Written slowly.
        bytes: Bytes,
    },
    /// Writes a head once, and then the same bytes over and over until the client is gone.
    Endless {
        /// Written first.
        head: Bytes,
        /// Written for ever.
        again: Bytes,
    },
    /// Never answers, but waits until the client is gone.
    Hang,
    /// Closes the connection without an answer.
    Close,
    /// Waits, and then does something else.
    After(Duration, Box<Reply>),
}

impl Receiver {
    /// Starts a receiver on a free port of 127.0.0.1, which treats every request as `reply` says.
    ///
    /// # Errors
    /// No socket could be opened.
    pub async fn start(
        reply: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::bind((Ipv4Addr::LOCALHOST, 0).into(), reply).await
    }

    /// Starts a receiver on `address`.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        reply: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::listen(address, None, reply).await
    }

    /// Starts a receiver on a free port of 127.0.0.1 that speaks TLS.
    ///
    /// # Errors
    /// No socket could be opened.
    pub async fn start_tls(
        config: ServerConfig,
        reply: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), Some(acceptor), reply).await
    }

    async fn listen(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        reply: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            tls,
            reply: Box::new(reply),
            requests: Mutex::default(),
            counts: watch::Sender::default(),
        });
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, scheme, shared, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What has arrived so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Arc<ReceivedRequest>> {
        self.shared.requests().clone()
    }

    /// How many connections have been made to it.
    pub fn connections(&self) -> usize {
        self.shared.counts.borrow().connections
    }

    /// What has arrived as soon as `n` requests have, or else when `within` is over: perhaps fewer, perhaps more.
    pub async fn wait_for(&self, n: usize, within: Duration) -> Vec<Arc<ReceivedRequest>> {
        self.wait_until(within, |counts| counts.requests >= n).await;
        self.requests()
    }

    /// Waits until no connection is open, for so long at most; whether it came to that.
    pub async fn wait_for_disconnects(&self, within: Duration) -> bool {
        self.wait_until(within, |counts| counts.open == 0).await
    }

    async fn wait_until(&self, within: Duration, reached: impl FnMut(&Counts) -> bool) -> bool {
        let mut counts = self.shared.counts.subscribe();
        tokio::time::timeout(within, counts.wait_for(reached)).await.is_ok_and(|seen| seen.is_ok())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ReceivedRequest {
    /// The value of the first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Reply {
    /// An answer without headers or body.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A 200 whose body never ends.
    pub fn endless_body() -> Self {
        Self::Endless {
            head: Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n"),
            again: Bytes::from_static(&[b'x'; 1024]),
        }
    }

    /// The same, if it is an answer, with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same, if it is an answer, with this body.
    #[must_use]
    pub fn with_body(mut self, content: impl Into<Bytes>) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            *body = content.into();
        }
        self
    }

    /// Does it; whether the connection can be used again.
    async fn perform(self, stream: &mut Buffered) -> io::Result<bool> {
        match self {
            Self::Answer { status, headers, body } => {
                stream.write_all(&answer(status, &headers, &body)).await?;
                return Ok(!headers.iter().any(|(name, value)| {
                    name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
                }));
            }
            Self::Raw(bytes) => stream.write_all(&bytes).await?,
            Self::Drip { head, every, bytes } => {
                stream.write_all(&head).await?;
                for byte in bytes {
                    tokio::time::sleep(every).await;
                    stream.write_all(&[byte]).await?;
                }
            }
            Self::Endless { head, again } => {
                stream.write_all(&head).await?;
                loop {
                    stream.write_all(&again).await?;
                }
            }
            Self::Hang => {
                while !stream.fill_buf().await?.is_empty() {
                    let buffered = stream.buffer().len();
                    stream.consume(buffered);
                }
            }
            Self::Close => {}
            Self::After(pause, next) => {
                tokio::time::sleep(pause).await;
                return Box::pin(next.perform(stream)).await;
            }
        }
        Ok(false)
    }
}

struct Shared {
    tls: Option<TlsAcceptor>,
    reply: Box<dyn Fn(&ReceivedRequest) -> Reply + Send + Sync>,
    requests: Mutex<Vec<Arc<ReceivedRequest>>>,
    counts: watch::Sender<Counts>,
}

/// A connection, under TLS or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Buffered = BufReader<Box<dyn Stream>>;

/// Who is at the other end of a connection.
struct Client {
    connection: usize,
    certificates: Vec<Bytes>,
}

/// What tests wait for.
#[derive(Default)]
struct Counts {
    requests: usize,
    connections: usize,
    open: usize,
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, Vec<Arc<ReceivedRequest>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set with this task breaks every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let mut connection = 0;
        shared.counts.send_modify(|counts| {
            counts.connections += 1;
            counts.open += 1;
            connection = counts.connections;
        });
        let shared = shared.clone();
        connections.spawn(async move {
            // How a connection ends is the client's affair.
            let _ = welcome(stream, connection, &shared).await;
            shared.counts.send_modify(|counts| counts.open -= 1);
        });
    }
}

async fn welcome(stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = &shared.tls else {
        let client = Client { connection, certificates: Vec::new() };
        return converse(Box::new(stream), client, shared).await;
    };
    match tls.accept(stream).into_fallible().await {
        Ok(stream) => {
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let certificates = shown.iter().map(|shown| Bytes::copy_from_slice(shown)).collect();
            converse(Box::new(stream), Client { connection, certificates }, shared).await
        }
        // Hung up with something unread, the network may drop the alert that says why.
        Err((_, mut stream)) => copy(&mut stream, &mut sink()).await.map(drop),
    }
}

async fn converse(stream: Box<dyn Stream>, client: Client, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream, &client).await? {
        let request = Arc::new(request);
        shared.requests().push(request.clone());
        shared.counts.send_modify(|counts| counts.requests += 1);
        if !(shared.reply)(&request).perform(&mut stream).await? {
            break;
        }
    }
    stream.shutdown().await
}

/// The next request of a connection (RFC 9112 section 2), its body told by `Content-Length`; none: there is no more.
async fn read_request(stream: &mut Buffered, client: &Client) -> io::Result<Option<ReceivedRequest>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(malformed("request line", &line));
    };

    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None if line == "\r\n" => break,
            None => return Err(malformed("header", &line)),
        }
    }

    let mut request = ReceivedRequest {
        method,
        path,
        headers,
        body: Bytes::new(),
        arrived: Instant::now(),
        connection: client.connection,
        certificates: client.certificates.clone(),
    };
    if let Some(length) = request.header("content-length") {
        let length = length.parse().map_err(|_| malformed("length", length))?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        request.body = body.into();
        request.arrived = Instant::now();
    }
    Ok(Some(request))
}

fn malformed(what: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}: {text:?}"))
}

fn answer(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Any\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_connection_carries_many_requests() {
        let receiver = Receiver::start(|request| match request.path.as_str() {
            "/a" => Reply::status(200).with_header("x", "1").with_body("yes"),
            _ => Reply::status(404).with_header("connection", "close"),
        });
        let receiver = receiver.await.unwrap();
        let mut client = TcpStream::connect(receiver.address()).await.unwrap();
        client.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        client.write_all(b"GET /b?c HTTP/1.1\r\nX-Y:  z \r\n\r\n").await.unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert_eq!(
            answers,
            "HTTP/1.1 200 Any\r\ncontent-length: 3\r\nx: 1\r\n\r\nyes\
             HTTP/1.1 404 Any\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );

        let requests = receiver.requests();
        let [first, second] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!((first.method.as_str(), first.path.as_str(), &first.body[..]), ("POST", "/a", &b"hi"[..]));
        assert_eq!(
            (second.method.as_str(), second.path.as_str(), &second.body[..]),
            ("GET", "/b?c", &b""[..])
        );
        assert_eq!(second.header("x-y"), Some("z"));
        assert!(first.arrived <= second.arrived);
        assert_eq!(receiver.connections(), 1);
        assert!(receiver.wait_for_disconnects(AMPLE).await);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_request_or_the_time() {
        let receiver = Receiver::start(|_| Reply::Hang).await.unwrap();
        assert!(receiver.wait_for(1, Duration::from_millis(10)).await.is_empty());
        let mut client = TcpStream::connect(receiver.address()).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(receiver.wait_for(1, AMPLE).await.len(), 1);
        assert!(!receiver.wait_for_disconnects(Duration::from_millis(10)).await);
        drop(client);
        assert!(receiver.wait_for_disconnects(AMPLE).await);
    }
}
