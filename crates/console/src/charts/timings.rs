//! Where the time of an attempt went: one bar of parts.

use posthaste_client::AttemptTimings;

use super::{Drawing, HEIGHT, WIDTH, escaped, unit};
use crate::words;

/// A part of an attempt's time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// How it is drawn.
    pub(crate) class: &'static str,
    /// What happened then.
    pub(crate) name: &'static str,
    /// How long it took, in milliseconds.
    pub(crate) ms: f64,
}

impl Part {
    /// How long it took, for people.
    pub(crate) fn time(&self) -> String {
        words::millis(self.ms)
    }
}

/// The parts that were measured, in their order. What is left until the first byte is the receiver's own.
pub(crate) fn parts(timings: &AttemptTimings) -> Vec<Part> {
    let AttemptTimings { queued_ms: _, dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms } = *timings;
    let before: f64 = [dns_ms, connect_ms, tls_ms].into_iter().flatten().sum();
    let waited = (first_byte_ms.unwrap_or(total_ms) - before).max(0.0);
    let read = first_byte_ms.map(|first_byte| (total_ms - first_byte).max(0.0));
    let waited_for = if first_byte_ms.is_some() { "waiting for the answer" } else { "waiting, no answer" };
    let all = [
        ("dns", "resolving the name", dns_ms),
        ("connect", "connecting", connect_ms),
        ("tls", "TLS handshake", tls_ms),
        ("wait", waited_for, Some(waited)),
        ("read", "reading the answer", read),
    ];
    all.into_iter().filter_map(|(class, name, ms)| Some(Part { class, name, ms: ms? })).collect()
}

/// Draws the parts beside each other, as long as they took.
pub(crate) fn timings(parts: &[Part]) -> Drawing {
    let total: f64 = parts.iter().map(|part| part.ms).sum();
    let mut marks = String::new();
    let mut left = 0.0;
    for part in parts {
        let width = if total > 0.0 { part.ms / total * WIDTH } else { 0.0 };
        marks.push_str(&format!(
            r#"<rect class="{}" x="{}" y="0" width="{}" height="{HEIGHT}"><title>{}: {}</title></rect>"#,
            part.class,
            unit(left),
            unit(width),
            escaped(part.name),
            escaped(&part.time())
        ));
        left += width;
    }
    let told: Vec<_> = parts.iter().map(|part| format!("{} {}", part.name, part.time())).collect();
    Drawing::framed("timings", &told.join(", "), &marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(dns: Option<f64>, first_byte: Option<f64>, total: f64) -> AttemptTimings {
        AttemptTimings {
            queued_ms: 5.0,
            dns_ms: dns,
            connect_ms: dns,
            tls_ms: None,
            first_byte_ms: first_byte,
            total_ms: total,
        }
    }

    #[track_caller]
    fn check(timings: AttemptTimings, expect: &[(&str, f64)]) {
        let parts = parts(&timings);
        let parts: Vec<_> = parts.iter().map(|part| (part.class, part.ms)).collect();
        assert_eq!(parts, expect);
    }

    #[test]
    fn what_is_left_is_the_receivers() {
        let all = [("dns", 10.0), ("connect", 10.0), ("wait", 80.0), ("read", 20.0)];
        check(measured(Some(10.0), Some(100.0), 120.0), &all);
        check(measured(None, Some(100.0), 120.0), &[("wait", 100.0), ("read", 20.0)]);
        check(measured(Some(10.0), None, 15_000.0), &[("dns", 10.0), ("connect", 10.0), ("wait", 14_980.0)]);
        check(
            measured(Some(10.0), Some(5.0), 4.0),
            &[("dns", 10.0), ("connect", 10.0), ("wait", 0.0), ("read", 0.0)],
        );
    }

    #[test]
    fn a_bar_is_as_long_as_its_parts() {
        let svg = timings(&parts(&measured(None, Some(90.0), 120.0))).to_string();
        assert!(svg.contains(r#"<rect class="wait" x="0" y="0" width="450" height="120">"#), "{svg}");
        assert!(svg.contains(r#"<rect class="read" x="450" y="0" width="150" height="120">"#), "{svg}");
        assert!(
            svg.contains(r#"aria-label="waiting for the answer 90 ms, reading the answer 30 ms""#),
            "{svg}"
        );
    }
}
