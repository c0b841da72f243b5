//! A connection that is made when it is needed, and made anew when it broke.

use std::{
    io,
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisError, RedisResult, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};
use tokio::{
    sync::{Mutex, RwLock},
    time::timeout,
};

use crate::{fault::Fault, outage::Outage, script::Operation, url::Clients};

/// How long making a connection may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take. Beyond, the connection is taken for dead, and whether the call was run is unknown.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);

/// One way to the servers. Calls share it, and are answered in their order.
pub(crate) struct Link {
    clients: Arc<Clients>,
    outage: Arc<Outage>,
    /// The connection, and how many there were before it.
    current: RwLock<(u64, Option<Connection>)>,
    /// Whether the connection has answered a call: one that only ever fails is not made anew at once.
    proven: AtomicBool,
    making: Mutex<()>,
    pause: std::sync::Mutex<Pause>,
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// When the next connection is made, after one could not be, or was of no use.
struct Pause {
    backoff: ExponentialBackoff,
    until: Option<(Instant, RedisError)>,
}

impl Pause {
    fn begin(&mut self, error: RedisError) {
        let time = self.backoff.next_backoff().unwrap_or(CONNECT);
        self.until = Some((Instant::now() + time, error));
    }

    /// Why no connection is made now.
    fn reason(&self) -> Option<RedisError> {
        self.until.as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, error)| error.clone())
    }

    fn end(&mut self) {
        self.backoff.reset();
        self.until = None;
    }
}

impl Link {
    pub(crate) fn new(clients: Arc<Clients>, outage: Arc<Outage>) -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(20))
            .with_multiplier(2.0)
            .with_randomization_factor(0.5)
            .with_max_interval(Duration::from_secs(1))
            .with_max_elapsed_time(None)
            .build();
        Self {
            clients,
            outage,
            current: RwLock::new((0, None)),
            proven: AtomicBool::new(false),
            making: Mutex::new(()),
            pause: std::sync::Mutex::new(Pause { backoff, until: None }),
        }
    }

    /// Whether it leads to several servers.
    pub(crate) fn is_of_cluster(&self) -> bool {
        matches!(&*self.clients, Clients::Cluster(_))
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an operation on the partition whose keys begin with `base`, which holds its hash tag.
    pub(crate) async fn run(
        &self,
        operation: &Operation,
        base: &str,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value, Fault> {
        let again = operation.answers_again();
        let answer = match self.call_once(&operation.by_hash(base, &fill), again).await {
            // It was restarted, or somebody flushed its scripts; it keeps what it is given whole.
            Err(Fault::Unavailable(error)) if error.code() == Some("NOSCRIPT") => {
                self.call_once(&operation.whole(base, &fill), again).await
            }
            answer => answer,
        };
        answer.map_err(|fault| fault.of(operation.name))
    }

    /// Runs an operation, and waits until so many replicas have what it wrote, now or when it was first asked to, or for
    /// so long. Answers with how many have it, too.
    pub(crate) async fn run_replicated(
        &self,
        operation: &Operation,
        base: &str,
        fill: impl Fn(&mut Cmd),
        replicas: u8,
        time: Duration,
    ) -> Result<(Value, i64), Fault> {
        // WAIT is about all that its server had written when the call before it on the same connection was over. In one
        // go, for another connection may lead to another server.
        let calls = |script: Cmd| {
            let mut calls = redis::pipe();
            calls.add_command(script);
            calls.cmd("WAIT").arg(replicas).arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            calls
        };
        let answer = match self.call_on(base, &calls(operation.by_hash(base, &fill))).await {
            Err(Fault::Unavailable(error)) if error.code() == Some("NOSCRIPT") => {
                self.call_on(base, &calls(operation.whole(base, &fill))).await
            }
            answer => answer,
        };
        let mut answers = answer.map_err(|fault| fault.of(operation.name))?.into_iter();
        match (answers.next(), answers.next()) {
            (Some(answer), Some(reached)) => Ok((answer, crate::reply::number(reached)?)),
            _ => Err(Fault::Damaged("an answer is missing".into())),
        }
    }

    /// Makes a call that may be made twice.
    pub(crate) async fn call(&self, command: &Cmd) -> Result<Value, Fault> {
        self.call_once(command, true).await
    }

    /// Makes a call, once more over a new connection if it may be made `again`.
    async fn call_once(&self, command: &Cmd, again: bool) -> Result<Value, Fault> {
        self.with(again, async |connection| match connection {
            Connection::One(connection) => command.query_async(connection).await,
            Connection::Cluster(connection) => command.query_async(connection).await,
        })
        .await
    }

    /// Makes several calls about one slot in one go, each for itself. They may be made twice.
    pub(crate) async fn call_all(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Fault> {
        self.with(true, async |connection| match connection {
            Connection::One(connection) => pipeline.query_async(connection).await,
            Connection::Cluster(connection) => pipeline.query_async(connection).await,
        })
        .await
    }

    /// Makes a call to every primary; answers with each one's address, where there are several, and its answer.
    pub(crate) async fn call_primaries(&self, command: &Cmd) -> Result<Vec<(Option<String>, Value)>, Fault> {
        let answer = self
            .with(true, async |connection| match connection {
                Connection::One(connection) => command.query_async(connection).await,
                Connection::Cluster(connection) => {
                    let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                    connection.route_command(command.clone(), everywhere).await
                }
            })
            .await?;
        Ok(match (&*self.clients, answer) {
            (Clients::Cluster(_), Value::Map(answers)) => answers
                .into_iter()
                .map(|(node, answer)| (redis::from_redis_value(node).ok(), answer))
                .collect(),
            (_, answer) => vec![(None, answer)],
        })
    }

    /// Makes several calls in one go on the primary that has a key, whether or not each of them names it. They may be
    /// made twice.
    async fn call_on(&self, key: &str, pipeline: &Pipeline) -> Result<Vec<Value>, Fault> {
        self.with(true, async |connection| {
            let count = pipeline.len();
            let answers = match connection {
                Connection::One(connection) => connection.req_packed_commands(pipeline, 0, count).await,
                Connection::Cluster(connection) => {
                    let node = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                    connection.route_pipeline(pipeline.clone(), 0, count, node).await
                }
            }?;
            answers.into_iter().map(Value::extract_error).collect()
        })
        .await
    }

    /// Works with a connection. One that turns out to be broken is replaced, and the work done `again` if it may be: it
    /// may have broken long ago, when nobody needed it.
    async fn with<T>(
        &self,
        mut again: bool,
        work: impl AsyncFnOnce(&mut Connection) -> RedisResult<T> + Copy,
    ) -> Result<T, Fault> {
        loop {
            let (generation, mut connection) =
                self.connection().await.inspect_err(|fault| self.outage.note(fault))?;
            let error = match work(&mut connection).await {
                Ok(answer) => {
                    self.prove();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if Fault::is_of_connection(&error) {
                self.discard(generation, &error).await;
            }
            if !std::mem::take(&mut again) || !Fault::is_of_broken_connection(&error) {
                let fault = Fault::from(error);
                self.outage.note(&fault);
                return Err(fault);
            }
        }
    }

    /// The connection has answered.
    fn prove(&self) {
        if !self.proven.load(Ordering::Relaxed) {
            self.proven.store(true, Ordering::Relaxed);
            self.pause().end();
        }
        self.outage.over();
    }

    async fn connection(&self) -> Result<(u64, Connection), Fault> {
        if let (generation, Some(connection)) = &*self.current.read().await {
            return Ok((*generation, connection.clone()));
        }
        let _making = self.making.lock().await;
        // Another call may have made it while this one waited.
        if let (generation, Some(connection)) = &*self.current.read().await {
            return Ok((*generation, connection.clone()));
        }
        if let Some(error) = self.pause().reason() {
            return Err(Fault::Unavailable(error));
        }
        match make(&self.clients, ANSWER).await {
            Ok(connection) => {
                let mut current = self.current.write().await;
                let generation = current.0 + 1;
                *current = (generation, Some(connection.clone()));
                Ok((generation, connection))
            }
            Err(error) => {
                self.pause().begin(error.clone());
                // Whatever it is, nothing of what is stored is wrong.
                Err(Fault::Unavailable(error))
            }
        }
    }

    /// Lets go of a connection that does not work, unless there is a newer one already.
    async fn discard(&self, generation: u64, error: &RedisError) {
        let mut current = self.current.write().await;
        if current.0 != generation || current.1.take().is_none() {
            return;
        }
        if !self.proven.swap(false, Ordering::Relaxed) {
            self.pause().begin(error.clone());
        }
    }
}

async fn make(clients: &Clients, answer: Duration) -> RedisResult<Connection> {
    let config = || {
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(answer))
    };
    let connection = async {
        Ok(match clients {
            Clients::Standalone(client) => {
                Connection::One(client.get_multiplexed_async_connection_with_config(&config()).await?)
            }
            Clients::Sentinel(client) => {
                Connection::One(client.lock().await.get_async_connection_with_config(&config()).await?)
            }
            Clients::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    };
    // Sentinels and nodes are asked one after the other, each for as long as a connection may take.
    let late = || RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
    timeout(CONNECT * 4, connection).await.unwrap_or_else(|_| Err(late()))
}
