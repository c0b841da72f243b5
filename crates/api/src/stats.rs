//! What happened, by stretches of time, and what is open now.

use std::time::Duration;

use actix_web::{
    get,
    web::{Data, Json},
};
use posthaste_model::{Counts, EndpointId, Histogram, Period, TenantId, Timestamp, TopicName};
use posthaste_store::{Backlog, Bucket, Scope, Stretch, Subject};
use posthaste_telemetry::{HOURS_TOLD, MINUTES_TOLD};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{IntoParams, ToSchema};

use crate::{
    deliveries::millis,
    moment::Moment,
    params::{BothInPath, InPath, InQuery},
    problem::Problem,
    service::Service,
};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// How long a row may be, as it is written and in seconds.
const LENGTHS: [Length; 6] = [
    Length("1m", 60),
    Length("5m", 5 * 60),
    Length("15m", 15 * 60),
    Length("1h", HOUR),
    Length("6h", 6 * HOUR),
    LONGEST,
];
const LONGEST: Length = Length("1d", DAY);
/// About how many rows there are where the caller does not say how long they are.
const USUAL_ROWS: u64 = 60;
/// From when to when, where the caller does not say.
const USUAL_SPAN: Duration = Duration::from_secs(HOUR);

/// Which stretches of time are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SpanQuery {
    /// From when on: RFC 3339, or how long ago, such as `1h` or `7d`; up to 30 days ago. Where nothing is said, an hour before
    /// `until`.
    #[param(value_type = Option<String>, example = "24h")]
    since: Option<Moment>,
    /// Until when. Where nothing is said, until now.
    #[param(value_type = Option<String>)]
    until: Option<Moment>,
    /// How long a row of `data` is: `1m`, `5m`, `15m` (kept for 3 hours), `1h`, `6h` or `1d` (kept for 30 days). Where nothing is
    /// said, so that there are up to some 60 rows.
    #[param(value_type = Option<String>, example = "1h")]
    bucket: Option<Length>,
}

/// Which stretches of time are wanted, and of which topic.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TopicQuery {
    /// From when on: RFC 3339, or how long ago, such as `1h` or `7d`; up to 30 days ago. Where nothing is said, an hour before
    /// `until`.
    #[param(value_type = Option<String>, example = "24h")]
    since: Option<Moment>,
    /// Until when. Where nothing is said, until now.
    #[param(value_type = Option<String>)]
    until: Option<Moment>,
    /// How long a row of `data` is: `1m`, `5m`, `15m` (kept for 3 hours), `1h`, `6h` or `1d` (kept for 30 days). Where nothing is
    /// said, so that there are up to some 60 rows.
    #[param(value_type = Option<String>, example = "1h")]
    bucket: Option<Length>,
    /// Only what happened to this topic. Then there is no `backlog`.
    #[param(value_type = Option<String>)]
    topic: Option<TopicName>,
}

impl TopicQuery {
    fn parts(self) -> (SpanQuery, Option<TopicName>) {
        let Self { since, until, bucket, topic } = self;
        (SpanQuery { since, until, bucket }, topic)
    }
}

/// How long a row is: one of [`LENGTHS`].
#[derive(Debug, Clone, Copy)]
struct Length(&'static str, u64);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let period: Option<Period> = text.parse().ok();
        let known = LENGTHS.into_iter().find(|Self(_, secs)| period == Some(Period::from_secs(*secs)));
        known.ok_or_else(|| {
            let names = LENGTHS.map(|Self(name, _)| name).join("', '");
            de::Error::custom(format!("not '{text}': expected one of '{names}'"))
        })
    }
}

/// What happened, by stretches of time, and what is open now.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats)]
struct StatsBody {
    /// When the first row begins.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When the last row ends. It may not be over yet.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// How long a row is.
    #[schema(example = "1m")]
    bucket: &'static str,
    /// One row after the other, oldest first, also where nothing happened.
    data: Vec<RowBody>,
    /// All rows together.
    total: CountsBody,
    /// What is open now; null where a topic is asked for.
    backlog: Option<BacklogBody>,
}

/// What happened in a stretch of time.
#[derive(Serialize, ToSchema)]
#[schema(as = StatsRow)]
struct RowBody {
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    begin: Timestamp,
    #[serde(flatten)]
    counts: CountsBody,
}

/// What happened, counted.
#[derive(Serialize, ToSchema)]
#[schema(as = Counts)]
struct CountsBody {
    /// Events that were accepted. Not counted for an endpoint.
    events: u64,
    /// Events among them that no endpoint wanted.
    unmatched: u64,
    /// Deliveries that were made of them.
    deliveries: u64,
    /// Attempts that were made.
    attempts: u64,
    /// Attempts among them that failed.
    failed: u64,
    /// Attempts among those that failed after which the delivery is tried again by itself.
    retried: u64,
    /// Deliveries that have arrived.
    delivered: u64,
    /// Deliveries that have used up their attempts.
    exhausted: u64,
    /// From when a delivery's first attempt was due until it began; null: there was none.
    queue_ms: Option<QuantilesBody>,
    /// From the beginning of a request until its end, where it was answered; null: none was.
    receiver_ms: Option<QuantilesBody>,
}

/// Lengths of time in milliseconds, within 10 %: so many in a hundred were shorter.
#[derive(Serialize, ToSchema)]
#[schema(as = Quantiles)]
struct QuantilesBody {
    p50: f64,
    p95: f64,
    p99: f64,
}

/// What is open now: scheduled, held or in flight.
#[derive(Serialize, ToSchema)]
#[schema(as = Backlog)]
struct BacklogBody {
    /// How many deliveries are open, those in flight included, as far as they were counted.
    open: u64,
    /// Whether there may be more: counting ends at 10,000.
    more: bool,
    /// How many of them are in flight.
    in_flight: u64,
    /// Since when the one has been due that has been so for longest, held ones left out; null: none is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_due: Option<Timestamp>,
}

impl From<&Counts> for CountsBody {
    fn from(counts: &Counts) -> Self {
        Self {
            events: counts.events,
            unmatched: counts.unmatched,
            deliveries: counts.deliveries,
            attempts: counts.attempts,
            failed: counts.failed,
            retried: counts.retried,
            delivered: counts.delivered,
            exhausted: counts.exhausted,
            queue_ms: QuantilesBody::of(&counts.queue),
            receiver_ms: QuantilesBody::of(&counts.receiver),
        }
    }
}

impl QuantilesBody {
    fn of(times: &Histogram) -> Option<Self> {
        let quantile = |share| times.quantile(share).map(millis);
        Some(Self { p50: quantile(0.5)?, p95: quantile(0.95)?, p99: quantile(0.99)? })
    }
}

impl From<Backlog> for BacklogBody {
    fn from(Backlog { open, more, in_flight, oldest_due }: Backlog) -> Self {
        Self { open, more, in_flight, oldest_due }
    }
}

/// Which rows are told. Times are Unix milliseconds.
#[derive(Debug, PartialEq, Eq)]
struct Rows {
    begin: i64,
    end: i64,
    /// In milliseconds.
    length: i64,
    /// The same, as it is written.
    named: &'static str,
    stretch: Stretch,
}

impl Rows {
    fn of(SpanQuery { since, until, bucket }: SpanQuery, now: Timestamp) -> Result<Self, Problem> {
        let until = until.map_or(now, |until| until.time(now)).min(now);
        let usual = || until.checked_sub(USUAL_SPAN).unwrap_or(Timestamp::MIN);
        let since = since.map_or_else(usual, |since| since.time(now));
        if since >= until {
            return Err(Problem::parameter("since", "must lie before 'until', and before now"));
        }
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        if age > HOURS_TOLD {
            let detail = "what happened is kept for 30 days: it must not lie further back";
            return Err(Problem::parameter("since", detail));
        }
        let is_kept = |secs: u64| secs >= HOUR || age <= MINUTES_TOLD;
        let Length(named, secs) = bucket.unwrap_or_else(|| {
            let long = until.duration_since(since).as_secs().unsigned_abs();
            let fits = |Length(_, secs): &Length| is_kept(*secs) && long.div_ceil(*secs) <= USUAL_ROWS;
            LENGTHS.into_iter().find(fits).unwrap_or(LONGEST)
        });
        if !is_kept(secs) {
            let detail = "what happened in which minute is kept for 3 hours: ask for '1h', '6h' or '1d', or for a 'since' \
                          that lies within them";
            return Err(Problem::parameter("bucket", detail));
        }
        let length = i64::try_from(secs * 1_000).unwrap_or(i64::MAX);
        let floor = |time: i64| time.div_euclid(length) * length;
        Ok(Self {
            begin: floor(since.as_millisecond()),
            end: floor(until.as_millisecond() - 1) + length,
            length,
            named,
            stretch: if secs < HOUR { Stretch::Minute } else { Stretch::Hour },
        })
    }

    /// What happened in each of them.
    fn fill(&self, counted: Vec<Bucket>) -> Vec<(i64, Counts)> {
        let begins = (0..).map(|row| self.begin + row * self.length).take_while(|begin| *begin < self.end);
        let mut rows: Vec<_> = begins.map(|begin| (begin, Counts::default())).collect();
        for Bucket { begin, counts } in counted {
            let row = (begin.as_millisecond() - self.begin).div_euclid(self.length);
            if let Some((_, sum)) = usize::try_from(row).ok().and_then(|row| rows.get_mut(row)) {
                sum.add(&counts);
            }
        }
        rows
    }
}

async fn tell(
    service: &Service,
    of: Subject,
    backlog: Option<Scope>,
    span: SpanQuery,
) -> Result<Json<StatsBody>, Problem> {
    let now = service.clock.now();
    let rows = Rows::of(span, now)?;
    // Whether the tenant or the endpoint exists is said here.
    let backlog = match backlog {
        Some(scope) => Some(service.store.backlog(scope, now).await?.into()),
        None => None,
    };
    let (since, until) = (time(rows.begin)?, time(rows.end)?);
    let counted = service.store.stats(of, rows.stretch, since, until).await?;
    let mut total = Counts::default();
    let mut data = Vec::new();
    for (begin, counts) in rows.fill(counted) {
        total.add(&counts);
        data.push(RowBody { begin: time(begin)?, counts: (&counts).into() });
    }
    Ok(Json(StatsBody { since, until, bucket: rows.named, data, total: (&total).into(), backlog }))
}

fn time(millis: i64) -> Result<Timestamp, Problem> {
    Timestamp::from_millisecond(millis).map_err(|e| Problem::internal(&e))
}

/// What happened in the whole service, by stretches of time, and what is open now.
#[utoipa::path(tag = "stats", params(TopicQuery), responses((status = 200, body = StatsBody)))]
#[get("/stats")]
pub(crate) async fn get_stats(
    service: Data<Service>,
    query: InQuery<TopicQuery>,
) -> Result<Json<StatsBody>, Problem> {
    let (span, topic) = query.0.parts();
    match topic {
        None => tell(&service, Subject::All, Some(Scope::All), span).await,
        Some(topic) => tell(&service, Subject::Topic(topic), None, span).await,
    }
}

/// What happened to a tenant, by stretches of time, and what is open now.
#[utoipa::path(tag = "stats", params(("tenant" = String, Path), TopicQuery),
    responses((status = 200, body = StatsBody)))]
#[get("/tenants/{tenant}/stats")]
pub(crate) async fn get_tenant_stats(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<TopicQuery>,
) -> Result<Json<StatsBody>, Problem> {
    let (InPath(tenant), (span, topic)) = (tenant, query.0.parts());
    match topic {
        None => {
            let scope = Scope::Tenant(tenant.clone());
            tell(&service, Subject::Tenant(tenant), Some(scope), span).await
        }
        Some(topic) => {
            service.store.tenant(&tenant).await?;
            tell(&service, Subject::TenantTopic(tenant, topic), None, span).await
        }
    }
}

/// What happened to an endpoint, by stretches of time, and what is open now.
#[utoipa::path(tag = "stats", params(("tenant" = String, Path), ("endpoint" = String, Path), SpanQuery),
    responses((status = 200, body = StatsBody)))]
#[get("/tenants/{tenant}/endpoints/{endpoint}/stats")]
pub(crate) async fn get_endpoint_stats(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
    query: InQuery<SpanQuery>,
) -> Result<Json<StatsBody>, Problem> {
    let BothInPath(tenant, endpoint) = path;
    let scope = Scope::Endpoint(tenant.clone(), endpoint);
    tell(&service, Subject::Endpoint(tenant, endpoint), Some(scope), query.0).await
}

#[cfg(test)]
mod tests;
