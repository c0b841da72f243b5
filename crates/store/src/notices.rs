use async_trait::async_trait;
use posthaste_model::{DeliveryId, EndpointId, TenantId, Timestamp};

use crate::{Partition, Result};

/// What operators are to be told, kept until it was told.
///
/// A settlement leaves a notice, in the same atomic step, when by it
/// - an endpoint becomes disabled ([`Told::Disabled`]),
/// - a warning is given that is higher than the last one ([`Told::Failing`]),
/// - an endpoint is well of which a warning was given ([`Told::Recovered`]),
/// - a delivery becomes exhausted ([`Told::Exhausted`]).
///
/// What an operator does through the catalogue leaves none.
#[async_trait]
pub trait Notices {
    /// Reads up to `limit` notices of a partition, oldest first. Notices of tenants that are deleted may be left out.
    async fn notices(&self, partition: Partition, limit: u32) -> Result<Vec<Notice>>;

    /// Forgets the notices of a partition up to a number, that one included.
    async fn forget_notices(&self, partition: Partition, up_to: u64) -> Result<()>;
}

/// Something that operators are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Counts the notices of a partition, growing.
    pub number: u64,
    /// Whose endpoint it is about.
    pub tenant: TenantId,
    /// Which.
    pub endpoint: EndpointId,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub told: Told,
}

/// What a notice tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// An endpoint fails, and will be disabled if it goes on so.
    Failing {
        /// Since when.
        since: Timestamp,
        /// How much of the time until then has passed, in percent.
        percent: u8,
    },
    /// An endpoint was disabled.
    Disabled {
        /// Why.
        reason: String,
    },
    /// An endpoint that had failed works again.
    Recovered {
        /// Since when it had failed.
        failing_since: Timestamp,
    },
    /// A delivery has used up its attempts.
    Exhausted {
        /// Which.
        delivery: DeliveryId,
    },
}
