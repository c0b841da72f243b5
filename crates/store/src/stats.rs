use std::time::Duration;

use async_trait::async_trait;
use posthaste_model::{Counts, EndpointId, TenantId, Timestamp, TopicName};

use crate::{Result, StoreError};

/// What happened, counted by stretches of time.
///
/// Processes count in memory and bring what they counted now and then: what one counted that crashed is lost. Nothing but
/// these figures depends on them.
#[async_trait]
pub trait Statistics {
    /// Adds what was counted, each to its minute and to its hour. Where a part of the store fails, the others are added all the
    /// same; answers with those that were not, or of which that is not known, nothing if all were. Only these are to be brought
    /// again: what is brought twice counts twice, and so may what was added while its answer was lost.
    ///
    /// Of endpoints that do not exist any more nothing needs to be kept, and of tenants nothing is: whoever gets the id of a
    /// deleted one begins with nothing.
    async fn add_stats(&self, tallies: Vec<Tally>) -> Vec<NotAdded>;

    /// Reads what was counted for a subject in the stretches that begin within `[since, until)`, oldest first; those in which
    /// nothing happened are left out.
    async fn stats(
        &self,
        of: Subject,
        stretch: Stretch,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Bucket>>;

    /// Forgets stretches that began before their time: minutes, and hours. Looks at up to `limit` of them, and says whether
    /// there may be more.
    async fn forget_stats(
        &self,
        minutes_before: Timestamp,
        hours_before: Timestamp,
        limit: u32,
    ) -> Result<bool>;
}

/// For whom it is counted. What happens to a delivery counts for each of them that it concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The whole service.
    All,
    /// A topic, of all tenants.
    Topic(TopicName),
    /// A tenant.
    Tenant(TenantId),
    /// A topic of a tenant.
    TenantTopic(TenantId, TopicName),
    /// An endpoint.
    Endpoint(TenantId, EndpointId),
}

impl Subject {
    /// The tenant with whom its figures go.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::All | Self::Topic(_) => None,
            Self::Tenant(tenant) | Self::TenantTopic(tenant, _) | Self::Endpoint(tenant, _) => Some(tenant),
        }
    }
}

/// How long the stretches of time are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stretch {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

/// What was counted for a subject in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// For whom.
    pub of: Subject,
    /// A time within the minute.
    pub at: Timestamp,
    /// What happened.
    pub counts: Counts,
}

/// Tallies that were not added.
#[derive(Debug)]
pub struct NotAdded {
    /// Which they are.
    pub tallies: Vec<Tally>,
    /// Why.
    pub error: StoreError,
}

/// What was counted in a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// When the stretch began: a multiple of its length since 1970.
    pub begin: Timestamp,
    /// What happened in it.
    pub counts: Counts,
}

impl Stretch {
    /// Its length.
    pub fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3_600),
        }
    }

    /// The Unix milliseconds at which the stretch began that a time lies in.
    pub fn begin(self, at: Timestamp) -> i64 {
        let length = self.length().as_millis() as i64;
        at.as_millisecond().div_euclid(length) * length
    }
}
