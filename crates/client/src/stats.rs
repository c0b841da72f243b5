use posthaste_model::{EndpointId, Period, TenantId, Timestamp, TopicName};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, Moment, call::Call};

/// Which stretches of time are wanted. The default: the last hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatsSpan {
    /// From when on, up to 30 days ago; none: an hour before its end.
    pub since: Option<Moment>,
    /// Until when; none: until now.
    pub until: Option<Moment>,
    /// How long a row is: `1m`, `5m`, `15m`, `1h`, `6h` or `1d`; none: so that there are up to some 60 rows.
    pub bucket: Option<Period>,
}

/// What happened, by stretches of time, and what is open now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// When the first row begins.
    pub since: Timestamp,
    /// When the last row ends. It may not be over yet.
    pub until: Timestamp,
    /// How long a row is.
    pub bucket: Period,
    /// One row after the other, oldest first, also where nothing happened.
    pub data: Vec<StatsRow>,
    /// All rows together.
    pub total: Counts,
    /// What is open now; none where a topic was asked for.
    pub backlog: Option<Backlog>,
}

/// What happened in a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatsRow {
    /// When it began.
    pub begin: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What happened, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Events that were accepted. Not counted for an endpoint.
    pub events: u64,
    /// Events among them that no endpoint wanted.
    pub unmatched: u64,
    /// Deliveries that were made of them.
    pub deliveries: u64,
    /// Attempts that were made.
    pub attempts: u64,
    /// Attempts among them that failed.
    pub failed: u64,
    /// Attempts among those that failed after which the delivery is tried again by itself.
    pub retried: u64,
    /// Deliveries that have arrived.
    pub delivered: u64,
    /// Deliveries that have used up their attempts.
    pub exhausted: u64,
    /// From when a delivery's first attempt was due until it began; none: there was none.
    pub queue_ms: Option<Quantiles>,
    /// From the beginning of a request until its end, where it was answered; none: none was.
    pub receiver_ms: Option<Quantiles>,
}

/// Lengths of time in milliseconds, within 10 %: so many in a hundred were shorter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half of them.
    pub p50: f64,
    /// 95 in a hundred.
    pub p95: f64,
    /// 99 in a hundred.
    pub p99: f64,
}

/// What is open now: scheduled, held or in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// How many deliveries are open, those in flight included, as far as they were counted.
    pub open: u64,
    /// Whether there may be more than were counted.
    pub more: bool,
    /// How many of them are in flight.
    pub in_flight: u64,
    /// Since when the one has been due that has been so for longest, held ones left out; none: none is due.
    pub oldest_due: Option<Timestamp>,
}

impl StatsSpan {
    fn ask<'a>(&self, call: Call<'a>) -> Call<'a> {
        let Self { since, until, bucket } = self;
        call.query("since", *since).query("until", *until).query("bucket", *bucket)
    }
}

impl Client {
    /// What happened in the whole service, or to a topic of all tenants: `GET /v1/stats`.
    pub async fn stats(&self, span: &StatsSpan, topic: Option<&TopicName>) -> Result<Stats, ClientError> {
        span.ask(self.at(&["v1", "stats"])).query("topic", topic).get().await
    }

    /// What happened to a tenant, or to one of its topics: `GET /v1/tenants/{tenant}/stats`.
    pub async fn tenant_stats(
        &self,
        tenant: &TenantId,
        span: &StatsSpan,
        topic: Option<&TopicName>,
    ) -> Result<Stats, ClientError> {
        let call = self.at(&["v1", "tenants", tenant.as_str(), "stats"]);
        span.ask(call).query("topic", topic).get().await
    }

    /// What happened to an endpoint: `GET /v1/tenants/{tenant}/endpoints/{endpoint}/stats`.
    pub async fn endpoint_stats(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        span: &StatsSpan,
    ) -> Result<Stats, ClientError> {
        let path = ["v1", "tenants", tenant.as_str(), "endpoints", &id.to_string(), "stats"];
        span.ask(self.at(&path)).get().await
    }
}
