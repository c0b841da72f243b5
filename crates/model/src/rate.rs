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

    /// So many attempts per minute, or as close to it from below as a limit can come; none where it is 0.
    pub fn per_minute_of(attempts: u64) -> Option<Self> {
        let most = u64::from(Self::MAX_LIMIT);
        let (limit, per) = if attempts <= most { (attempts, 60) } else { ((attempts / 60).min(most), 1) };
        Self::new(limit.try_into().ok()?, Period::from_secs(per)).ok()
    }

    /// How many attempts per minute, in whole ones: at least 1.
    pub fn per_minute(self) -> u64 {
        (u64::from(self.limit) * 60_000 / self.per.as_millis()).max(1)
    }

    /// The same limit where it never lets more attempts begin within the other's time than the other does; else the
    /// other.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        // So many of its own times cover the other's, and each may be used up.
        let times = other.per.0.as_nanos().div_ceil(self.per.0.as_nanos());
        if u128::from(self.limit) * times <= u128::from(other.limit) { self } else { other }
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

    #[track_caller]
    fn check_per_minute(attempts: u64, expect: Option<(u32, u64)>) {
        let rate = RateLimit::per_minute_of(attempts);
        assert_eq!(rate, expect.map(|(limit, secs)| RateLimit::new(limit, Period::from_secs(secs)).unwrap()));
        assert!(rate.is_none_or(|rate| rate.per_minute() <= attempts));
    }

    #[test]
    fn attempts_per_minute() {
        check_per_minute(0, None);
        check_per_minute(1, Some((1, 60)));
        check_per_minute(10_000, Some((10_000, 60)));
        check_per_minute(10_001, Some((166, 1)));
        check_per_minute(600_000, Some((10_000, 1)));
        check_per_minute(u64::MAX, Some((10_000, 1)));
        let per_minute = |limit, per| RateLimit::new(limit, per).unwrap().per_minute();
        assert_eq!(per_minute(100, Period::from_secs(1)), 6_000);
        assert_eq!(per_minute(100, Period::from_millis(100)), 60_000);
        assert_eq!(per_minute(1, Period::from_secs(24 * 3600)), 1, "less cannot be said");
    }

    #[test]
    fn a_limit_that_ever_allows_more_than_another_gives_way_to_it() {
        let rate = |limit, secs| RateLimit::new(limit, Period::from_secs(secs)).unwrap();
        for (one, other, stricter) in [
            (rate(100, 1), rate(100, 60), rate(100, 60)),
            (rate(100, 60), rate(100, 1), rate(100, 60)),
            (rate(1, 1), rate(60, 60), rate(1, 1)),
            (rate(1, 1), rate(59, 60), rate(59, 60)),
            // Less in a day, and all of it may be in one minute.
            (rate(10_000, 24 * 3600), rate(7, 60), rate(7, 60)),
            (rate(7, 24 * 3600), rate(7, 60), rate(7, 24 * 3600)),
            // It takes two times of 40 s to cover a minute.
            (rate(60, 40), rate(119, 60), rate(119, 60)),
            (rate(60, 40), rate(120, 60), rate(60, 40)),
        ] {
            assert_eq!(one.stricter(other), stricter, "{one:?}, {other:?}");
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
