//! The metrics by name. `docs/metrics.md` explains them, and a test compares the two.

use std::{fmt::Debug, sync::atomic::AtomicU64};

use posthaste_model::ErrorClass;
use prometheus_client::{
    encoding::{EncodeMetric, text::encode},
    metrics::{
        TypedMetric, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info,
    },
    registry::{Metric, Registry},
};

use crate::Operation;

/// Names and values of labels. All values are of small sets that are known here.
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Seconds = Gauge<f64, AtomicU64>;

/// What a label says where there is nothing to say.
const NONE: &str = "none";
/// The classes of status, by the first digit.
const STATUS_CLASSES: [(u16, &str); 5] = [(1, "1xx"), (2, "2xx"), (3, "3xx"), (4, "4xx"), (5, "5xx")];

/// Bounds of what the service does by itself, in seconds.
const OURS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds of what receivers take, in seconds: an exchange ends after 30 at the latest.
const RECEIVERS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds of what deliveries wait, in seconds.
const QUEUES: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3_600.0, 43_200.0];

/// What became of events that were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    Accepted,
    Unmatched,
    Duplicate,
    Refused,
    Failed,
}

impl Published {
    const ALL: [Self; 5] = [Self::Accepted, Self::Unmatched, Self::Duplicate, Self::Refused, Self::Failed];

    fn labels(self) -> Labels<1> {
        let result = match self {
            Self::Accepted => "accepted",
            Self::Unmatched => "unmatched",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Failed => "failed",
        };
        [("result", result)]
    }
}

/// How a delivery ended that an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Delivered,
    Exhausted,
    Skipped,
}

impl Ended {
    const ALL: [Self; 3] = [Self::Delivered, Self::Exhausted, Self::Skipped];

    fn labels(self) -> Labels<1> {
        let state = match self {
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Skipped => "skipped",
        };
        [("state", state)]
    }
}

/// What came of an attempt: the first digit of the status, or why there was no answer. Neither: a status of no class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    status: Option<u16>,
    error: Option<ErrorClass>,
}

impl Answer {
    fn all() -> impl Iterator<Item = Self> {
        let statuses = STATUS_CLASSES.map(|(digit, _)| Self { status: Some(digit), error: None });
        let errors = ErrorClass::ALL.map(|error| Self { status: None, error: Some(error) });
        statuses.into_iter().chain(errors).chain([Self { status: None, error: None }])
    }

    fn of(status: Option<u16>, error: Option<ErrorClass>) -> Self {
        Self { status: status.map(|status| status / 100).filter(|digit| (1..=5).contains(digit)), error }
    }

    fn labels(self) -> Labels<3> {
        let Self { status, error } = self;
        let class = STATUS_CLASSES.into_iter().find(|(digit, _)| Some(*digit) == status);
        [
            ("outcome", if status == Some(2) { "success" } else { "failure" }),
            ("status_class", class.map_or(NONE, |(_, name)| name)),
            ("error_class", error.map_or(NONE, ErrorClass::as_str)),
        ]
    }
}

/// The metrics of one name, one for each value of its labels. They are few: to go through them takes less time than to find
/// them by their labels, and each delivery passes here several times.
struct Each<K, M>(Vec<(K, M)>);

impl<K: Copy + PartialEq, M> Each<K, M> {
    /// None: the value is not among those that it was made for.
    fn of(&self, value: K) -> Option<&M> {
        self.0.iter().find_map(|(known, metric)| (*known == value).then_some(metric))
    }
}

pub(crate) struct Instruments {
    registry: Registry,
    events: Each<Published, Counter>,
    pub(crate) deliveries: Counter,
    attempts: Each<Answer, Counter>,
    ended: Each<Ended, Counter>,
    pub(crate) interrupted: Counter,
    pub(crate) reopened: Counter,
    pub(crate) accept: Histogram,
    pub(crate) queue: Histogram,
    pub(crate) receiver: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) in_flight_limit: Gauge,
    pub(crate) partitions: Gauge,
    pub(crate) throttled: Gauge,
    pub(crate) open_breakers: Gauge,
    pub(crate) open: Gauge,
    pub(crate) oldest_due: Seconds,
    store: Each<Operation, Histogram>,
    store_errors: Each<Operation, Counter>,
    pub(crate) resident: Gauge,
    pub(crate) memory_limit: Gauge,
    pub(crate) dropped: Counter,
}

impl Instruments {
    pub(crate) fn new(version: &str) -> Self {
        let mut metrics = Metrics(Registry::with_prefix("posthaste"));
        let build = Info::new([("version", version.to_owned())]);
        metrics.0.register("build", "The version that runs", build);
        Self {
            events: metrics.each(
                "events",
                "Events that were published, by what became of them",
                Published::ALL.map(|published| (published, published.labels())),
                Counter::default,
            ),
            deliveries: metrics.add("deliveries", "Deliveries that were made of events", Counter::default()),
            attempts: metrics.each(
                "attempts",
                "Attempts, by what came of them",
                Answer::all().map(|answer| (answer, answer.labels())),
                Counter::default,
            ),
            ended: metrics.each(
                "deliveries_ended",
                "Deliveries that an attempt ended, by the state that they ended in",
                Ended::ALL.map(|ended| (ended, ended.labels())),
                Counter::default,
            ),
            interrupted: metrics.add(
                "interrupted",
                "Deliveries that were given back because nobody knows what came of their attempt",
                Counter::default(),
            ),
            reopened: metrics.add(
                "reopened",
                "Deliveries that replays have opened again",
                Counter::default(),
            ),
            accept: metrics.add(
                "accept_seconds",
                "From when a request with events was read until they were accepted",
                Histogram::new(OURS),
            ),
            queue: metrics.add(
                "queue_seconds",
                "From when a delivery's first attempt was due until it began",
                Histogram::new(QUEUES),
            ),
            receiver: metrics.add(
                "receiver_seconds",
                "From the beginning of a request to a receiver until its end, where it was answered",
                Histogram::new(RECEIVERS),
            ),
            in_flight: metrics.add(
                "in_flight",
                "Deliveries of this process between lease and settlement",
                Gauge::default(),
            ),
            in_flight_limit: metrics.add(
                "in_flight_limit",
                "How many deliveries of this process may be in flight",
                Gauge::default(),
            ),
            partitions: metrics.add("partitions", "Partitions that this process drives", Gauge::default()),
            throttled: metrics.add(
                "throttled_endpoints",
                "Endpoints that this process sends nothing to for now, because of their limits",
                Gauge::default(),
            ),
            open_breakers: metrics.add(
                "open_breakers",
                "Endpoints that this process spares because they do not answer",
                Gauge::default(),
            ),
            open: metrics.add(
                "open_deliveries",
                "Deliveries in the store that are not over, counted up to a bound",
                Gauge::default(),
            ),
            oldest_due: metrics.add(
                "oldest_due_seconds",
                "For how long the delivery has been due that has been so for longest; 0: none is due",
                Seconds::default(),
            ),
            store: metrics.each(
                "store_seconds",
                "How long calls to the store took, by operation",
                Operation::ALL.map(|operation| (operation, of(operation))),
                || Histogram::new(OURS),
            ),
            store_errors: metrics.each(
                "store_errors",
                "Calls to the store that failed because of the store, by operation",
                Operation::ALL.map(|operation| (operation, of(operation))),
                Counter::default,
            ),
            resident: metrics.add(
                "memory_resident_bytes",
                "Memory that this process takes up",
                Gauge::default(),
            ),
            memory_limit: metrics.add(
                "memory_limit_bytes",
                "Memory that this process may take up: what its control group allows, or the machine has",
                Gauge::default(),
            ),
            dropped: metrics.add(
                "stats_dropped",
                "Figures of the console and the API that were given up for want of room",
                Counter::default(),
            ),
            registry: metrics.0,
        }
    }

    pub(crate) fn published(&self, published: Published, events: u64) {
        if let Some(counter) = self.events.of(published) {
            counter.inc_by(events);
        }
    }

    pub(crate) fn attempted(&self, status: Option<u16>, error: Option<ErrorClass>) {
        if let Some(counter) = self.attempts.of(Answer::of(status, error)) {
            counter.inc();
        }
    }

    pub(crate) fn ended(&self, ended: Ended) {
        if let Some(counter) = self.ended.of(ended) {
            counter.inc();
        }
    }

    pub(crate) fn called(&self, operation: Operation, seconds: f64, failed: bool) {
        if let Some(histogram) = self.store.of(operation) {
            histogram.observe(seconds);
        }
        if let Some(counter) = self.store_errors.of(operation).filter(|_| failed) {
            counter.inc();
        }
    }

    /// All metrics as OpenMetrics text 1.0.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(error = &error as &dyn std::error::Error, "the metrics cannot be written");
        }
        text
    }
}

/// A registry that hands what it registers back.
struct Metrics(Registry);

impl Metrics {
    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    /// Registers a metric with a series for each value. All are there from the start: one that comes up with its first count
    /// has no increase that an alert could see.
    fn each<const N: usize, K, M>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (K, Labels<N>)>,
        make: fn() -> M,
    ) -> Each<K, M>
    where
        M: EncodeMetric + TypedMetric + Clone + Debug + Send + Sync + 'static,
    {
        let family = self.add(name, help, Family::new_with_constructor(make));
        let of_value = |(value, labels)| (value, family.get_or_create_owned(&labels));
        Each(values.into_iter().map(of_value).collect())
    }
}

fn of(operation: Operation) -> Labels<1> {
    [("operation", operation.as_str())]
}
