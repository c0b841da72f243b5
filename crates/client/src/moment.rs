use std::fmt;

use posthaste_model::{Period, Timestamp};
use serde::{Serialize, Serializer};

/// A time, or how long before now it was, by the clock of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This time.
    At(Timestamp),
    /// So long before now.
    Back(Period),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(f, "{time}"),
            Self::Back(period) => write!(f, "{period}"),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self::At(time)
    }
}

impl From<Period> for Moment {
    fn from(period: Period) -> Self {
        Self::Back(period)
    }
}
