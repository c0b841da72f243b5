use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::ClientError;

/// Which events of its topics an endpoint wants, as it was written: `{"data.amount": {"$gte": 100}}`. What it means is the
/// service's affair.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointFilter(Box<RawValue>);

impl EndpointFilter {
    /// A filter of a JSON object.
    ///
    /// # Errors
    /// [`ClientError::Encode`].
    pub fn new(filter: &impl Serialize) -> Result<Self, ClientError> {
        to_raw_value(filter).map(Self).map_err(|source| ClientError::Encode { source })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

/// Reads JSON, and keeps how it is written.
impl FromStr for EndpointFilter {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json).map(Self)
    }
}

/// Filters are equal that are written the same.
impl PartialEq for EndpointFilter {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for EndpointFilter {}

impl fmt::Display for EndpointFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EndpointFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
