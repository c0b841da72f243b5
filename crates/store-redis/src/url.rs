use std::{fmt, fs, path::PathBuf, str::FromStr, time::Duration};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode,
    cluster::{ClusterClient, ClusterClientBuilder},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use url::Url;

/// Where a Redis or Valkey is, and how it is spoken to.
///
/// | form | |
/// |---|---|
/// | `redis://[user:password@]host[:port][/db]` | one server |
/// | `redis+sentinel://[user:password@]host[:port],…/service[/db]` | whichever server the sentinels call the primary |
/// | `redis+cluster://[user:password@]host[:port],…` | a cluster, known by some of its nodes |
///
/// `rediss` in the place of `redis` is TLS; `?ca_file=…` names a PEM file to trust instead of the system's roots.
/// User and password are percent-encoded. Shown, it has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    kind: Kind,
    tls: bool,
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<(String, u16)>,
    db: i64,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Standalone,
    Sentinel { service: String },
    Cluster,
}

/// A text that is not the URL of a Redis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a Redis: {0}")]
pub struct InvalidRedisUrl(String);

/// What makes connections, by kind.
pub(crate) enum Clients {
    Standalone(Box<Client>),
    Sentinel(Box<tokio::sync::Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        let wrong = |what: &str| InvalidRedisUrl(what.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let (tls, kind) = match scheme {
            "redis" => (false, ""),
            "rediss" => (true, ""),
            "redis+sentinel" => (false, "sentinel"),
            "rediss+sentinel" => (true, "sentinel"),
            "redis+cluster" => (false, "cluster"),
            "rediss+cluster" => (true, "cluster"),
            _ => {
                return Err(wrong(
                    "the scheme is redis, redis+sentinel or redis+cluster, each with rediss for TLS",
                ));
            }
        };
        // The hosts but for the first are no part of a URL's grammar: they are taken out, and read one by one.
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (login, hosts) =
            authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
        let at = if login.is_empty() { "" } else { "@" };
        let parse = |host: &str| Url::parse(&format!("redis://{login}{at}{host}{tail}"));
        let port = if kind == "sentinel" { SENTINEL_PORT } else { PORT };
        let mut found = Vec::new();
        for host in hosts.split(',') {
            let url = parse(host).map_err(|error| InvalidRedisUrl(error.to_string()))?;
            let name =
                url.host_str().filter(|name| !name.is_empty()).ok_or_else(|| wrong("a host is empty"))?;
            // An IPv6 address is written in brackets, and used without.
            found.push((name.trim_matches(['[', ']']).to_owned(), url.port().unwrap_or(port)));
        }
        let first = hosts.split(',').next().unwrap_or_default();
        let url = parse(first).map_err(|error| InvalidRedisUrl(error.to_string()))?;
        let decode = |text: &str| {
            let form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
            url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned())
        };
        let mut path = url.path().split('/').filter(|part| !part.is_empty());
        let kind = match kind {
            "sentinel" => {
                let service =
                    path.next().ok_or_else(|| wrong("the name of the sentinels' service is missing"))?;
                Kind::Sentinel { service: service.to_owned() }
            }
            "cluster" => Kind::Cluster,
            _ => Kind::Standalone,
        };
        let db = match path.next() {
            None => 0,
            Some(db) => {
                db.parse().ok().filter(|db| *db >= 0).ok_or_else(|| wrong("the database is no number"))?
            }
        };
        if path.next().is_some() {
            return Err(wrong("the path goes on behind the database"));
        }
        if kind == Kind::Cluster && db != 0 {
            return Err(wrong("a cluster has no database but 0"));
        }
        if kind == Kind::Standalone && found.len() > 1 {
            return Err(wrong("several hosts need redis+cluster or redis+sentinel"));
        }
        let mut ca_file = None;
        for (name, value) in url.query_pairs() {
            match &*name {
                "ca_file" if tls => ca_file = Some(PathBuf::from(&*value)),
                "ca_file" => return Err(wrong("ca_file needs TLS: rediss")),
                _ => return Err(InvalidRedisUrl(format!("there is no parameter '{name}'"))),
            }
        }
        Ok(Self {
            kind,
            tls,
            user: Some(url.username()).filter(|user| !user.is_empty()).and_then(decode),
            password: url.password().and_then(decode),
            hosts: found,
            db,
            ca_file,
        })
    }
}

impl RedisUrl {
    /// Whether a text claims to be such a URL, right or wrong.
    pub fn claims(text: &str) -> bool {
        ["redis:", "rediss:", "redis+", "rediss+"].iter().any(|scheme| text.starts_with(scheme))
    }

    pub(crate) fn clients(&self) -> RedisResult<Clients> {
        if self.tls {
            // The client takes its TLS provider from the process. An error means that there is one already: as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(match &self.kind {
            Kind::Standalone => {
                let (host, port) = &self.hosts[0];
                Clients::Standalone(Box::new(self.client(host, *port)?))
            }
            Kind::Sentinel { service } => {
                let hosts = self.hosts.iter().map(|(host, port)| ConnectionAddr::Tcp(host.clone(), *port));
                let mut builder = SentinelClientBuilder::new(hosts, service, SentinelServerType::Master)?
                    .set_client_to_redis_db(self.db)
                    .set_client_to_redis_tcp_settings(tcp());
                if let Some(user) = &self.user {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = &self.password {
                    builder = builder.set_client_to_redis_password(password);
                }
                if self.tls {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                    builder = builder.set_client_to_sentinel_tls_mode(TlsMode::Secure);
                    builder = builder.set_client_to_redis_certificates(self.certificates()?);
                    builder = builder.set_client_to_sentinel_certificates(self.certificates()?);
                }
                Clients::Sentinel(Box::new(tokio::sync::Mutex::new(builder.build()?)))
            }
            Kind::Cluster => {
                let nodes: Vec<ConnectionInfo> = self
                    .hosts
                    .iter()
                    .map(|(host, port)| self.node(host, *port))
                    .collect::<RedisResult<_>>()?;
                let mut builder = ClusterClientBuilder::new(nodes)
                    .connection_timeout(crate::link::CONNECT)
                    .response_timeout(crate::link::ANSWER)
                    // With all that it tries: a node that hangs is found out by asking for the nodes anew.
                    .overall_response_timeout(Some(crate::link::ANSWER))
                    .retries(4)
                    .min_retry_wait(20)
                    .max_retry_wait(500)
                    .tcp_settings(tcp());
                if self.tls {
                    builder = builder.tls(TlsMode::Secure).certs(self.certificates()?);
                }
                Clients::Cluster(Box::new(builder.build()?))
            }
        })
    }

    /// Clients of the servers that the URL names, each for itself.
    pub(crate) fn named_servers(&self) -> RedisResult<Vec<Client>> {
        self.hosts.iter().map(|(host, port)| self.client(host, *port)).collect()
    }

    fn client(&self, host: &str, port: u16) -> RedisResult<Client> {
        let node = self.node(host, port)?;
        if self.tls { Client::build_with_tls(node, self.certificates()?) } else { Client::open(node) }
    }

    fn node(&self, host: &str, port: u16) -> RedisResult<ConnectionInfo> {
        let addr = if self.tls {
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.to_owned(), port)
        };
        let mut settings = RedisConnectionInfo::default().set_db(self.db);
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        Ok(addr.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp()))
    }

    fn certificates(&self) -> RedisResult<TlsCertificates> {
        let read = |file: &PathBuf| {
            fs::read(file).map_err(|error| {
                let what = format!("ca_file '{}': {error}", file.display());
                RedisError::from((ErrorKind::InvalidClientConfig, "the certificates cannot be read", what))
            })
        };
        let root_cert = self.ca_file.as_ref().map(read).transpose()?;
        Ok(TlsCertificates { client_tls: None::<ClientTlsConfig>, root_cert })
    }
}

/// Whoever only listens would never learn that the other side is gone without a word: it is asked.
fn tcp() -> TcpSettings {
    let ask = TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    TcpSettings::default().set_nodelay(true).set_keepalive(ask)
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(match self.kind {
            Kind::Standalone => "://",
            Kind::Sentinel { .. } => "+sentinel://",
            Kind::Cluster => "+cluster://",
        })?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        for (n, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?
            } else {
                write!(f, "{comma}{host}:{port}")?
            }
        }
        if let Kind::Sentinel { service } = &self.kind {
            write!(f, "/{service}")?;
        }
        if self.db != 0 { write!(f, "/{}", self.db) } else { Ok(()) }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(text.parse::<RedisUrl>().unwrap().to_string(), shown);
    }

    #[track_caller]
    fn refused(text: &str, named: &str) {
        let error = text.parse::<RedisUrl>().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }

    #[test]
    fn every_form_is_read_and_shown_without_its_password() {
        check("redis://localhost", "redis://localhost:6379");
        check("redis://user:p%40ss@h:1/3", "redis://user@h:1/3");
        check("redis://:secret@h", "redis://h:6379");
        check("rediss://[::1]:7000?ca_file=/ca.pem", "rediss://[::1]:7000");
        check("redis+cluster://u:p@a:1,b:2,c", "redis+cluster://u@a:1,b:2,c:6379");
        check("rediss+sentinel://a,b:2/mymaster/4", "rediss+sentinel://a:26379,b:2/mymaster/4");
    }

    #[test]
    fn a_password_may_have_any_character() {
        let url: RedisUrl = "redis://u%2Fx:a%2Bb+c%25&d=e@h".parse().unwrap();
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("u/x"), Some("a+b+c%&d=e")));
        assert!(!format!("{url:?}").contains("a+b"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused("localhost:6379", "scheme");
        refused("http://h", "scheme");
        refused("redis://", "host");
        refused("redis://h/x", "database");
        refused("redis://h/1/2", "path");
        refused("redis://a,b", "several hosts");
        refused("redis+cluster://a/1", "cluster");
        refused("redis+sentinel://a", "service");
        refused("redis://h?ca_file=x", "rediss");
        refused("rediss://h?colour=blue", "colour");
    }
}
