//! Numbers and times as people read them.

use std::time::Duration;

use posthaste_model::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const NINETY_DAYS: u64 = 90 * DAY;

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 event`, `2 events`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", count(number)),
        (_, None) => format!("{} {noun}s", count(number)),
    }
}

/// A length of time that was measured in milliseconds: `0.4 ms`, `12 ms`, `1.25 s`, `10 s`.
pub(crate) fn millis(ms: f64) -> String {
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 59_950.0 {
        let text = format!("{:.2}", ms / 1_000.0);
        format!("{} s", text.strip_suffix(".00").unwrap_or(&text))
    } else {
        span(Duration::from_secs((ms / 1_000.0).round() as u64))
    }
}

/// A length of time by its two largest units: `45 s`, `3 min`, `2 h 5 min`, `4 d`.
pub(crate) fn span(time: Duration) -> String {
    let secs = time.as_secs();
    let pair = |size: u64, name: &str, small: u64, smaller: &str| {
        let (whole, rest) = (secs / size, secs % size / small);
        if rest == 0 { format!("{whole} {name}") } else { format!("{whole} {name} {rest} {smaller}") }
    };
    match secs {
        0..MINUTE => format!("{secs} s"),
        MINUTE..HOUR => pair(MINUTE, "min", 1, "s"),
        HOUR..DAY => pair(HOUR, "h", MINUTE, "min"),
        _ => pair(DAY, "d", HOUR, "h"),
    }
}

/// How far a time is from now, by its largest unit: `3 min ago`, `in 2 h`, `now`. Beyond 90 days, the date.
pub(crate) fn from_now(at: Timestamp, now: Timestamp) -> String {
    let secs = now.duration_since(at).as_secs();
    let apart = match secs.unsigned_abs() {
        0..MINUTE => format!("{} s", secs.unsigned_abs()),
        minutes @ MINUTE..HOUR => format!("{} min", minutes / MINUTE),
        hours @ HOUR..DAY => format!("{} h", hours / HOUR),
        days @ DAY..NINETY_DAYS => format!("{} d", days / DAY),
        _ => return at.strftime("%Y-%m-%d").to_string(),
    };
    match secs {
        0 => "now".into(),
        1.. => format!("{apart} ago"),
        _ => format!("in {apart}"),
    }
}

/// A time in UTC, to the second.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time in UTC, to the minute.
pub(crate) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A share in percent: `0 %`, `less than 0.1 %`, `0.4 %`, `37 %`, `99.9 %`. Only nothing is 0 %, and only all of it 100 %.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 / whole as f64 * 100.0;
    match part {
        _ if whole == 0 => "–".into(),
        0 => "0 %".into(),
        _ if part >= whole => "100 %".into(),
        _ if percent < 0.05 => "less than 0.1 %".into(),
        _ if percent < 9.95 => format!("{percent:.1} %"),
        _ if percent < 99.5 => format!("{percent:.0} %"),
        _ => format!("{:.1} %", percent.min(99.9)),
    }
}

/// How many in a minute: `0`, `0.4`, `37`, `1,200`.
pub(crate) fn rate(number: u64, over: Duration) -> String {
    let minutes = over.as_secs_f64() / 60.0;
    if minutes <= 0.0 {
        return "–".into();
    }
    let rate = number as f64 / minutes;
    match number {
        0 => "0".into(),
        _ if rate < 0.05 => "less than 0.1".into(),
        _ if rate < 9.95 => format!("{rate:.1}"),
        _ => count(rate.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (number, expect) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), expect);
        }
        assert_eq!(counted(1, "delivery"), "1 delivery");
        assert_eq!(counted(2, "delivery"), "2 deliveries");
        assert_eq!(counted(0, "event"), "0 events");
    }

    #[test]
    fn what_was_measured() {
        for (ms, expect) in [
            (0.0, "0.0 ms"),
            (0.41, "0.4 ms"),
            (9.94, "9.9 ms"),
            (9.96, "10 ms"),
            (999.4, "999 ms"),
            (1_000.0, "1 s"),
            (1_250.0, "1.25 s"),
            (15_004.0, "15 s"),
            (90_000.0, "1 min 30 s"),
        ] {
            assert_eq!(millis(ms), expect);
        }
    }

    #[test]
    fn lengths_of_time() {
        for (secs, expect) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (7_500, "2 h 5 min"),
            (7_230, "2 h"),
            (345_600, "4 d"),
            (350_000, "4 d 1 h"),
        ] {
            assert_eq!(span(Duration::from_secs(secs)), expect);
        }
    }

    #[test]
    fn how_far_a_time_is() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (at, expect) in [
            ("2026-11-21T10:00:00.400Z", "now"),
            ("2026-11-21T09:59:58Z", "2 s ago"),
            ("2026-11-21T09:57:00Z", "3 min ago"),
            ("2026-11-20T10:00:00Z", "1 d ago"),
            ("2026-11-21T12:30:00Z", "in 2 h"),
            ("2027-02-19T09:59:59Z", "in 89 d"),
            ("2027-02-19T10:00:00Z", "2027-02-19"),
            ("2026-01-01T10:00:00Z", "2026-01-01"),
        ] {
            assert_eq!(from_now(at.parse().unwrap(), now), expect);
        }
        assert_eq!(clock(now), "2026-11-21 10:00:00 UTC");
        assert_eq!(minute(now), "2026-11-21 10:00 UTC");
    }

    #[test]
    fn shares_and_rates() {
        for (part, whole, expect) in [
            (0, 0, "–"),
            (0, 10, "0 %"),
            (1, 10_000, "less than 0.1 %"),
            (1, 250, "0.4 %"),
            (37, 100, "37 %"),
            (994, 1_000, "99 %"),
            (995, 1_000, "99.5 %"),
            (9_999, 10_000, "99.9 %"),
            (u64::MAX - 1, u64::MAX, "99.9 %"),
            (10, 10, "100 %"),
        ] {
            assert_eq!(share(part, whole), expect, "{part} of {whole}");
        }
        assert_eq!(rate(0, Duration::from_secs(60)), "0");
        assert_eq!(rate(6, Duration::from_secs(900)), "0.4");
        assert_eq!(rate(1, Duration::from_secs(3_600)), "less than 0.1");
        assert_eq!(rate(120_000, Duration::from_secs(6_000)), "1,200");
        assert_eq!(rate(1, Duration::ZERO), "–");
    }
}
