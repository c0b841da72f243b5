use async_trait::async_trait;
use posthaste_model::{DeliveryId, ReplayId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{DeliveryFilter, Page, Paged, Partition, Result};

/// Sending again what is over: one delivery, or all that a filter finds, as a job.
#[async_trait]
pub trait Replays {
    /// Opens deliveries of a tenant again: each is scheduled anew or held, with its retry policy from the beginning; its
    /// attempts are kept and counted on. It is due at once, but not before its event is. At an ordered endpoint it takes the
    /// place that it had. Each is opened, or not, for itself; the answers are in the order of the ids.
    ///
    /// A job says `over_before`. What became final then or later is passed by: since the time that is meant, somebody opened it
    /// already, or it was open still. So is what was only a test: a job is for what was missed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) for the tenant.
    async fn reopen(
        &self,
        tenant: &TenantId,
        deliveries: Vec<DeliveryId>,
        over_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Reopened>>;

    /// Writes down a replay that was asked for. One that is known already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) for the tenant;
    /// [`StoreError::TooManyReplays`](crate::StoreError::TooManyReplays) when [`Replay::MOST_RUNNING`] of the tenant are
    /// running.
    async fn create_replay(&self, replay: Replay) -> Result<()>;

    /// Reads a replay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound).
    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Replay>;

    /// Lists the replays of a tenant, or of all, newest first. One that cannot be read is left out, with a line in the log.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) for the tenant;
    /// [`StoreError::InvalidCursor`](crate::StoreError::InvalidCursor).
    async fn replays(&self, tenant: Option<&TenantId>, page: Page) -> Result<Paged<Replay>>;

    /// The replays of a partition's tenants that are running, oldest first. One that cannot be read is left out, so that it
    /// does not stop the others; whoever reads it alone gets the error.
    async fn running_replays(&self, partition: Partition) -> Result<Vec<Replay>>;

    /// Writes down how far a replay has come, or that it ended, and gives it its next version. With one that ends, the oldest
    /// others of the tenant that are over are forgotten, so that [`Replay::MOST_OVER`] are left.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound);
    /// [`StoreError::StaleReplay`](crate::StoreError::StaleReplay) when it was changed since its version was read.
    async fn update_replay(&self, replay: Replay) -> Result<Replay>;
}

/// What became of a delivery that was to be opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopened {
    /// It is open again.
    Reopened,
    /// It was open as it is, or is none of those that a job means.
    Open,
    /// Its endpoint is disabled or deleted.
    Closed,
    /// There is no such delivery of the tenant.
    Missing,
}

/// A job that opens deliveries again: those of a tenant that a filter finds, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Made by Posthaste.
    pub id: ReplayId,
    /// Whose deliveries.
    pub tenant: TenantId,
    /// Which of them. What was accepted after the job was asked for is not meant, whatever it says.
    pub filter: DeliveryFilter,
    /// How many may be opened in a second; none: as many as there are.
    pub rate: Option<u32>,
    /// Where it stands.
    pub state: ReplayState,
    /// How many deliveries the filter found when it was asked for, as far as they were counted.
    pub found: u64,
    /// Whether there were more than were counted.
    pub found_more: bool,
    /// How many were opened.
    pub reopened: u64,
    /// How many were passed over: they were open as it is or since the job was asked for, were only tests, or could not be
    /// opened.
    pub passed_over: u64,
    /// Where it goes on: a cursor of the store; none: at the beginning.
    pub cursor: Option<String>,
    /// Grows with every change.
    pub version: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Replay {
    /// How many replays of a tenant may run at a time.
    pub const MOST_RUNNING: u32 = 20;
    /// How many replays of a tenant are kept that are over.
    pub const MOST_OVER: u32 = 1_000;
}

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// It goes on, also after a crash.
    Running,
    /// Everything that its filter found was looked at.
    Done,
    /// It was given up. What was opened until then stays open.
    Cancelled,
}

impl ReplayState {
    /// The state's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}
