use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use thiserror::Error;
use url::{Host, Url};

use crate::{Forbidden, Guard};

/// The longest URL of a target, in bytes, as it is written and as it is normalised.
pub const MAX_URL_BYTES: usize = 2048;

/// A URL that the guard has accepted as a place to send to. Cheap to clone.
///
/// It shows itself in the normalised form, the host as punycode.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUrl(Arc<Url>);

/// Why a URL cannot be a target. The messages are for customers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidTarget {
    /// It is longer than [`MAX_URL_BYTES`].
    #[error("the URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// It holds white space, a control character or a backslash, which a parser would drop or rewrite silently.
    #[error("the URL contains white space, a control character or a backslash")]
    Character,
    /// It is no URL at all.
    #[error("the URL is malformed: {0}")]
    Malformed(#[source] url::ParseError),
    /// It is neither https nor, where that is allowed, http.
    #[error("the URL must begin with https://")]
    Scheme,
    /// It has a user name or a password.
    #[error("the URL must not contain a user name or password")]
    Credentials,
    /// It has a fragment.
    #[error("the URL must not contain a fragment (#)")]
    Fragment,
    /// Its host is not a name that DNS could know.
    #[error("the URL's host is not a valid host name")]
    Host,
    /// Its port belongs to another protocol, or is not among those allowed.
    #[error("port {0} is not allowed")]
    Port(u16),
    /// Its address is forbidden.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

impl TargetUrl {
    /// Reads `text` as a URL that `guard` lets pass.
    ///
    /// A host that is an address, in whatever spelling, is judged here; a host name when it is resolved, at every dial.
    ///
    /// # Errors
    /// The text is not an acceptable URL, or the guard's policy forbids it.
    pub fn parse(text: &str, guard: &Guard) -> Result<Self, InvalidTarget> {
        if text.len() > MAX_URL_BYTES {
            return Err(InvalidTarget::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(InvalidTarget::Character);
        }
        let url = Url::parse(text).map_err(InvalidTarget::Malformed)?;
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(InvalidTarget::TooLong);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidTarget::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::Credentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidTarget::Fragment);
        }
        if matches!(url.host(), Some(Host::Domain(name)) if !is_host_name(name)) {
            return Err(InvalidTarget::Host);
        }
        let target = Self(Arc::new(url));
        target.judge(guard)?;
        Ok(target)
    }

    /// Whether `guard` still lets the URL pass; its policy may have changed since the URL was parsed.
    ///
    /// # Errors
    /// It is http, names a port, or is an address that the policy does not allow.
    pub fn judge(&self, guard: &Guard) -> Result<(), InvalidTarget> {
        let literal = match self.0.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) | None => None,
        };
        if self.is_plain() && !literal.map_or(guard.allows_any(), |ip| guard.allows(ip)) {
            return Err(InvalidTarget::Scheme);
        }
        if !guard.permits_port(self.port()) {
            return Err(InvalidTarget::Port(self.port()));
        }
        match literal {
            Some(ip) => guard.judge_dial(SocketAddr::new(ip, self.port()))?,
            // A loopback name needs no resolver to be known as one (RFC 6761 section 6.3).
            None if self.is_localhost() => {
                guard
                    .judge(Ipv4Addr::LOCALHOST.into())
                    .or_else(|_| guard.judge(Ipv6Addr::LOCALHOST.into()))?;
            }
            None => {}
        }
        Ok(())
    }

    /// The URL in its normalised form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host: a name as punycode, or an address.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, whether written or implied by the scheme.
    pub fn port(&self) -> u16 {
        // Never zero: both schemes have a default port.
        self.0.port_or_known_default().unwrap_or_default()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.0.host(), Some(Host::Domain(_)))
    }

    fn is_localhost(&self) -> bool {
        let name = self.host().trim_end_matches('.');
        name == "localhost" || name.ends_with(".localhost")
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUrl({self})")
    }
}

/// RFC 1123 section 2.1 and RFC 1035 section 2.3.4, and the underscore, which host names in the wild do have.
///
/// `Url` admits more, braces for instance, which the HTTP client could not send to.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}
