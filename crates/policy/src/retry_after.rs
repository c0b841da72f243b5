//! The `Retry-After` header (RFC 9110, section 10.2.3).

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use posthaste_model::Reply;

/// The longest pause that a receiver can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The three spellings of an HTTP-date (RFC 9110, section 5.6.7): IMF-fixdate, RFC 850, asctime.
const HTTP_DATES: [&str; 3] =
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The pause that a reply asks for with the first readable `Retry-After`, at most [`MAX_RETRY_AFTER`].
///
/// None if it asks for none: there is no such header, or it is neither seconds nor an HTTP-date, or it names no
/// time ahead. A zero or a date in the past counts as that, since a receiver whose clock is slow means a pause.
pub fn retry_after(reply: &Reply, now: Timestamp) -> Option<Duration> {
    reply
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .find_map(|(_, value)| seconds(value.trim()).or_else(|| until_date(value.trim(), now)))
        .map(|pause| pause.min(MAX_RETRY_AFTER))
        .filter(|pause| !pause.is_zero())
}

fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What is too large for a number is beyond the bound anyway.
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

fn until_date(text: &str, now: Timestamp) -> Option<Duration> {
    let date = HTTP_DATES.iter().find_map(|format| DateTime::strptime(format, text).ok())?;
    // Compared as civil times in UTC, since the last day of the year 9999 is no timestamp.
    let pause = TimeZone::UTC.to_datetime(now).duration_until(date);
    Some(Duration::try_from(pause).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::reply;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the date that RFC 9110 spells in three ways.
    const NOW: i64 = 784_111_777;

    fn asked(headers: &[(&str, &str)], now: i64) -> Option<Duration> {
        retry_after(&reply(503, headers), Timestamp::from_second(now).unwrap())
    }

    #[track_caller]
    fn check(value: &str, expect: Option<u64>) {
        assert_eq!(asked(&[("Retry-After", value)], NOW), expect.map(Duration::from_secs), "{value:?}");
    }

    #[test]
    fn seconds() {
        check("120", Some(120));
        check(" 120\t", Some(120));
        check("007", Some(7));
        check("86400", Some(86_400));
        check("86401", Some(86_400));
        check("18446744073709551615", Some(86_400));
        check("99999999999999999999999999", Some(86_400));
        check("0", None);
    }

    #[test]
    fn dates() {
        check("Sun, 06 Nov 1994 08:49:38 GMT", Some(1));
        check("Sun, 06 Nov 1994 09:49:37 GMT", Some(3_600));
        check("Sunday, 06-Nov-94 09:49:37 GMT", Some(3_600));
        check("Sun Nov  6 09:49:37 1994", Some(3_600));
        check("Thu Nov 10 09:49:37 1994", Some(86_400));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400));
        check("Sun, 06 Nov 1994 08:49:37 GMT", None);
        check("Sun, 06 Nov 1994 08:49:36 GMT", None);
        check("Thu, 01 Jan 1970 00:00:00 GMT", None);
    }

    #[test]
    fn anything_else_asks_for_nothing() {
        for value in [
            "",
            " ",
            "-1",
            "+1",
            "1.5",
            "1e3",
            "0x10",
            "12 s",
            "1, 2",
            "soon",
            "NaN",
            "١٢",
            "1994-11-06T09:49:37Z",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "Sun, 06 Nov 1994 09:49:37",
            "Mon, 06 Nov 1994 09:49:37 GMT",
            "Wed, 31 Nov 1994 09:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
        ] {
            check(value, None);
        }
    }

    #[test]
    fn the_first_readable_header_counts_in_any_case() {
        let secs = |headers: &[(&str, &str)]| asked(headers, NOW).map(|pause| pause.as_secs());
        assert_eq!(secs(&[("rEtRy-aFtEr", "3")]), Some(3));
        assert_eq!(secs(&[("retry-after", "soon"), ("RETRY-AFTER", "3"), ("Retry-After", "4")]), Some(3));
        assert_eq!(secs(&[("x-retry-after", "3"), ("retry-after-ms", "3")]), None);
        assert_eq!(secs(&[]), None);
    }

    #[test]
    fn fractions_of_now_count() {
        let now = Timestamp::from_millisecond(NOW * 1_000 + 250).unwrap();
        let reply = reply(429, &[("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT")]);
        assert_eq!(retry_after(&reply, now), Some(Duration::from_millis(750)));
    }

    proptest! {
        #[test]
        fn is_bounded_whatever_is_sent(value in "\\PC{0,40}|[0-9]{1,40}", now in 0..253_402_000_000_i64) {
            let pause = asked(&[("Retry-After", &value)], now);
            prop_assert!(pause.is_none_or(|pause| !pause.is_zero() && pause <= MAX_RETRY_AFTER));
        }
    }
}
