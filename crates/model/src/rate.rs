use serde::{Deserialize, Serialize};

use crate::Period;

/// How many attempts may begin within any time of a length. As JSON `{"limit": 100, "per": "1s"}`; reading one validates
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RateLimitFields", into = "RateLimitFields")]
pub struct RateLimit {
    limit: u32,
    per: Period,
}

/// A rate limit that makes no sense, with the field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidRateLimit {
    /// The field, as the API names it.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl RateLimit {
    /// The most attempts that a limit can speak of: each is remembered for as long as it counts.
    pub const MAX_LIMIT: u32 = 10_000;
    /// The shortest and the longest time that it can speak of.
    pub const PER: std::ops::RangeInclusive<Period> = Period::from_millis(100)..=Period::from_secs(24 * 3600);

    /// So many attempts per time.
    ///
    /// # Errors
    /// When the limit is 0 or above [`Self::MAX_LIMIT`], or the time lies outside [`Self::PER`].
    pub fn new(limit: u32, per: Period) -> Result<Self, InvalidRateLimit> {
        let wrong = |field, reason: String| Err(InvalidRateLimit { field, reason });
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return wrong("limit", format!("must lie between 1 and {}", Self::MAX_LIMIT));
        }
        if !Self::PER.contains(&per) {
            return wrong("per", format!("must lie between {} and {}", Self::PER.start(), Self::PER.end()));
        }
        Ok(Self { limit, per })
    }

    /// How many attempts.
    pub fn limit(self) -> u32 {
        self.limit
    }

    /// Within which time.
    pub fn per(self) -> Period {
        self.per
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimitFields {
    limit: u32,
    per: Period,
}

impl TryFrom<RateLimitFields> for RateLimit {
    type Error = InvalidRateLimit;

    fn try_from(RateLimitFields { limit, per }: RateLimitFields) -> Result<Self, InvalidRateLimit> {
        Self::new(limit, per)
    }
}

impl From<RateLimit> for RateLimitFields {
    fn from(RateLimit { limit, per }: RateLimit) -> Self {
        Self { limit, per }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expect: Result<(u32, Period), &str>) {
        let read = serde_json::from_str::<RateLimit>(json);
        match expect {
            Ok(expect) => assert_eq!(read.map(|rate| (rate.limit(), rate.per())).unwrap(), expect),
            Err(part) => assert!(read.as_ref().unwrap_err().to_string().contains(part), "{read:?}"),
        }
    }

    #[test]
    fn limits() {
        check(r#"{"limit": 100, "per": "1s"}"#, Ok((100, Period::from_secs(1))));
        check(r#"{"limit": 1, "per": "24h"}"#, Ok((1, Period::from_secs(24 * 3600))));
        check(r#"{"limit": 0, "per": "1s"}"#, Err("limit: must lie between 1 and 10000"));
        check(r#"{"limit": 10001, "per": "1s"}"#, Err("limit: must lie between"));
        check(r#"{"limit": 1, "per": "0s"}"#, Err("per: must lie between 100ms and 24h"));
        check(r#"{"limit": 1, "per": "25h"}"#, Err("per: must lie between"));
        check(r#"{"limit": -1, "per": "1s"}"#, Err("invalid value"));
        check(r#"{"limit": 1}"#, Err("missing field `per`"));
        check(r#"{"limit": 1, "per": "1s", "burst": 2}"#, Err("unknown field `burst`"));
    }
}
