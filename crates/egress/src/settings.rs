use std::time::Duration;

use thiserror::Error;
use url::Url;

use crate::InvalidCertificates;

/// How [`HttpTransport`](crate::HttpTransport) speaks and where it stops listening.
#[derive(Clone)]
pub struct TransportSettings {
    /// The `User-Agent` of requests that bring none of their own.
    pub user_agent: String,
    /// Root certificates that are trusted besides the platform's own, as PEM; empty: none.
    pub extra_roots: Vec<u8>,
    /// A forward proxy through which everything goes; none: connections are direct, whatever the environment says.
    ///
    /// It then is the proxy that resolves names and must refuse those inside the network. Addresses are still judged
    /// here, and plain http to a name, which could not be, is refused. So are requests under a TLS identity if it is an
    /// https proxy: it would be shown that identity, and judged by it.
    pub proxy: Option<Url>,
    /// How long resolving a name may take.
    pub resolve_timeout: Duration,
    /// How long resolving, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Receivers close theirs after 5 s (Node), 75 s (nginx) or so; a request
    /// that crosses with such a close is lost.
    pub idle_timeout: Duration,
    /// How many unused connections are kept to one host and port.
    pub idle_per_host: usize,
    /// How long connections are used, however busy: after that a name is resolved, and its addresses judged, anew.
    pub connection_lifetime: Duration,
    /// How many TLS identities have connections of their own at hand. Beyond that those of the identity that was used
    /// least recently go.
    pub identities: usize,
    /// How many bytes of an answer's body are kept; its connection is closed if there are more.
    pub body_limit: usize,
    /// How many bytes of an answer's headers are kept, names and values together; those for which there is no room are
    /// left out.
    ///
    /// A head of more than 100 headers or some 400 KiB is refused altogether.
    pub header_limit: usize,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            user_agent: concat!("Posthaste/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_roots: Vec::new(),
            proxy: None,
            resolve_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            idle_per_host: 64,
            connection_lifetime: Duration::from_secs(300),
            identities: 1000,
            body_limit: 16 * 1024,
            header_limit: 16 * 1024,
        }
    }
}

/// Why the transport cannot be set up.
#[derive(Debug, Error)]
pub enum EgressError {
    /// The extra root certificates cannot be used.
    #[error("the extra root certificates cannot be used")]
    ExtraRoots(#[source] InvalidCertificates),
    /// TLS cannot be spoken, for want of any root certificate for instance.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The proxy's URL cannot be used.
    #[error("the egress proxy's URL is not valid")]
    Proxy(#[source] reqwest::Error),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}
