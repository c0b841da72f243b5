//! A length of time as people write it.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SpanRelativeTo, fmt::friendly};
use serde::{Deserialize, Serialize, de::Error as _};

/// A length of time that is read and written as text: `15s`, `5m`, `24h`, `1h 30m`, `7d`. A day has 24 hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

/// A text that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a length of time: expected a number and a unit, such as '15s', '5m', '24h' or '7d'")]
pub struct InvalidPeriod;

impl Period {
    /// A period of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// A period of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The period in milliseconds, saturating.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&friendly::SpanPrinter::new().unsigned_duration_to_string(&self.0))
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        friendly::SpanParser::new()
            .parse_span(text)
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .map(Self)
            .ok_or(InvalidPeriod)
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, secs) in
            [("15s", 15), ("5m", 300), ("24h", 86_400), ("1h 30m", 5_400), ("0s", 0), ("7d", 604_800)]
        {
            let period: Period = text.parse().unwrap();
            assert_eq!(period, Period::from_secs(secs), "{text}");
            assert_eq!(period.to_string().parse(), Ok(period), "{text} as it is printed");
        }
    }

    #[test]
    fn refuses_what_is_no_period() {
        for text in ["", "5", "-5s", "5s ago", "soon", "5 lightyears", "999999999999999h"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
