//! A time as callers say it.

use std::str::FromStr;

use posthaste_model::{Period, Timestamp};
use serde::Deserialize;

/// A time, or how long before now it was: `2026-11-21T10:00:00Z`, or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Moment {
    At(Timestamp),
    Back(Period),
}

/// A text that is no time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a time: expected one such as '2026-11-21T10:00:00Z' (RFC 3339), or how long before now it was, such as '1h' or '7d'"
)]
pub(crate) struct InvalidMoment;

/// What a caller asks for that cannot be, or not together. `field` is the one to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) field: &'static str,
    pub(crate) detail: &'static str,
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let at = text.parse().map(Self::At);
        at.or_else(|_| text.parse().map(Self::Back)).map_err(|_| InvalidMoment)
    }
}

impl TryFrom<String> for Moment {
    type Error = InvalidMoment;

    fn try_from(text: String) -> Result<Self, InvalidMoment> {
        text.parse()
    }
}

impl Moment {
    /// Which time is meant.
    pub(crate) fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Back(period) => now.checked_sub(period.0).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Which times are meant: from `since` on, which nobody asks for before it has come, and before `until`.
pub(crate) fn span(
    since: Option<Moment>,
    until: Option<Moment>,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Contradiction> {
    let (since, until) = (since.map(|since| since.time(now)), until.map(|until| until.time(now)));
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(Contradiction { field: "since", detail: "must lie before 'until'" });
    }
    if since.is_some_and(|since| since > now) {
        return Err(Contradiction { field: "since", detail: "must not lie in the future" });
    }
    Ok((since, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let time = text.parse::<Moment>().ok().map(|moment| moment.time(now).to_string());
        assert_eq!(time.as_deref(), expect, "{text}");
    }

    #[test]
    fn times_and_how_long_ago_they_were() {
        check("2026-11-20T10:00:00Z", Some("2026-11-20T10:00:00Z"));
        check("2026-11-20T10:00:00.5+01:00", Some("2026-11-20T09:00:00.5Z"));
        check("1h", Some("2026-11-21T09:00:00Z"));
        check("1h 30m", Some("2026-11-21T08:30:00Z"));
        check("7d", Some("2026-11-14T10:00:00Z"));
        check("0s", Some("2026-11-21T10:00:00Z"));
        for text in ["", "now", "1", "-1h", "1h ago", "2026-11-20", "2026-11-20T10:00:00", "yesterday"] {
            check(text, None);
        }
    }

    #[test]
    fn a_span_ends_after_it_begins() {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let ask = |since: &str, until: &str| span(since.parse().ok(), until.parse().ok(), now);
        let refused = Contradiction { field: "since", detail: "must lie before 'until'" };
        assert_eq!(ask("1h", "1h"), Err(refused));
        assert!(ask("1h", "2h").is_err());
        assert!(ask("2026-11-21T11:00:00Z", "0s").is_err());
        assert!(ask("2h", "1h").is_ok());
        assert_eq!(ask("", ""), Ok((None, None)));
        assert_eq!(ask("0s", ""), Ok((Some(now), None)));
        assert_eq!(ask("", "0s"), Ok((None, Some(now))));
    }

    #[test]
    fn a_span_does_not_begin_in_the_future() {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let ask = |since: &str, until: &str| span(since.parse().ok(), until.parse().ok(), now);
        let (later, latest) = ("2026-11-21T10:00:00.001Z", "2026-11-21T11:00:00Z");
        let refused = Err(Contradiction { field: "since", detail: "must not lie in the future" });
        assert_eq!([ask(later, ""), ask(later, latest)], [refused.clone(), refused]);
        // Until then is until now.
        assert!(ask("1h", latest).is_ok() && ask("", latest).is_ok());
    }
}
