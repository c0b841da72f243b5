use posthaste_store::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What went wrong with a call that many may be waiting for.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Full(String),
    Unavailable(RedisError),
    /// It was done, and not as safely as promised.
    Short(String),
    /// The server refused it for a reason of its own.
    Other(RedisError),
    Damaged(String),
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let error = first(error);
        match (error.kind(), error.code()) {
            (_, Some("OOM")) => Self::Full("Redis has reached its maxmemory".into()),
            (ErrorKind::Server(ServerErrorKind::ResponseError), _) if is_of_no_call(&error) => {
                Self::Unavailable(error)
            }
            (ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot), _)
            | (ErrorKind::UnexpectedReturnType, _)
            | (_, Some("WRONGTYPE" | "NOGROUP" | "BUSYGROUP")) => Self::Other(error),
            // A server that runs a script of somebody else's, cannot save, wants another password, and whatever else it
            // may say: it may pass, and nothing of it says that what is stored is wrong.
            _ => Self::Unavailable(error),
        }
    }
}

/// Whether a server that takes no more connections says so, whatever it was asked.
fn is_of_no_call(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.starts_with("max number of clients"))
}

/// Of several calls' errors the first one, which has a code.
fn first(error: RedisError) -> RedisError {
    let errors = error.clone().into_server_errors();
    match errors.as_deref() {
        Some([(_, first), ..]) => first.clone().into(),
        _ => error,
    }
}

impl Fault {
    /// Whether a new connection may find what this one does not: another primary, a network that works, a user who is
    /// known.
    pub(crate) fn is_of_connection(error: &RedisError) -> bool {
        let error = first(error.clone());
        error.is_io_error()
            || error.is_connection_dropped()
            || error.is_timeout()
            || error.code() == Some("NOAUTH")
            || matches!(
                error.kind(),
                ErrorKind::Parse
                    | ErrorKind::ClusterConnectionNotFound
                    | ErrorKind::Server(ServerErrorKind::ReadOnly)
            )
    }

    /// Whether a connection that had worked broke, and another one may be made at once.
    pub(crate) fn is_of_broken_connection(error: &RedisError) -> bool {
        error.is_connection_dropped() && !error.is_connection_refusal()
    }

    /// Says which operation it befell, where that tells anything.
    pub(crate) fn of(self, operation: &str) -> Self {
        match self {
            Self::Other(error) => Self::Damaged(format!("{operation}: {error}")),
            other => other,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full(reason) => Self::Full { reason },
            Fault::Unavailable(error) => Self::unavailable(reason(&error), error),
            Fault::Short(reason) => Self::Unavailable { reason, source: None },
            Fault::Other(error) => Self::damaged(error),
            Fault::Damaged(reason) => Self::damaged(reason),
        }
    }
}

/// Says it in words that tell an operator what to look at.
fn reason(error: &RedisError) -> String {
    use ServerErrorKind as Server;
    match (error.kind(), error.code()) {
        _ if error.is_timeout() => "Redis did not answer in time".into(),
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
            "Redis refuses the user or the password".into()
        }
        (ErrorKind::Server(Server::BusyLoading), _) => "Redis is loading its data".into(),
        (ErrorKind::Server(Server::ReadOnly), _) => "this Redis is a replica and takes no writes".into(),
        (ErrorKind::Server(Server::ClusterDown), _) => "the cluster is down".into(),
        (ErrorKind::Server(Server::TryAgain | Server::Ask), _) => "the cluster is moving a slot".into(),
        (ErrorKind::Server(Server::Moved), _) => {
            "this Redis is a node of a cluster, which is named by redis+cluster://".into()
        }
        (ErrorKind::Server(Server::NoPerm), _) => {
            format!("the Redis user may not do it: {}", error.detail().unwrap_or_default())
        }
        _ if error.is_connection_refusal() => "nothing listens where Redis should be".into(),
        (ErrorKind::ClusterConnectionNotFound, _) => "no node of the cluster answers".into(),
        (ErrorKind::Parse, _) => "what listens where Redis should be does not speak its protocol".into(),
        _ if error.is_io_error() => {
            let what = error.detail().map_or_else(|| error.to_string(), str::to_owned);
            format!("the connection to Redis failed: {what}")
        }
        (_, Some(code)) => format!("Redis answers {code} {}", error.detail().unwrap_or_default()),
        _ => format!("Redis: {error}"),
    }
}
