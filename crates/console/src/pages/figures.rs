//! Charts and numbers of what happened.

use std::time::Duration;

use posthaste_client::{Backlog, Counts, Moment, Period, Quantiles, Stats, StatsSpan, Timestamp};

use crate::{
    charts::{Bars, Chart, Lines, bars, lines},
    elements::Mood,
    fields::Fields,
    words,
};

/// A number that can be read at a glance.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// What it is made of, or what it means.
    pub(super) note: String,
    /// Whether it should worry.
    pub(super) mood: Mood,
    /// The search that finds the deliveries behind it, as a query; empty: there is none.
    pub(super) search: &'static str,
}

impl Tile {
    fn new(name: &'static str, value: String, note: String) -> Self {
        Self { name, value, note, mood: Mood::Over, search: "" }
    }

    fn found_by(self, search: &'static str) -> Self {
        Self { search, ..self }
    }

    fn bad_if(self, bad: bool) -> Self {
        Self { mood: if bad { Mood::Bad } else { self.mood }, ..self }
    }

    /// How it is drawn.
    pub(super) fn class(&self) -> &'static str {
        if self.mood == Mood::Bad { "tile bad" } else { "tile" }
    }
}

/// How far back the numbers go, as one of a few.
pub(super) struct Span {
    pub(super) text: &'static str,
    pub(super) name: &'static str,
    pub(super) chosen: bool,
}

const SPANS: [(&str, &str, u64); 5] = [
    ("1h", "hour", 3_600),
    ("6h", "6 hours", 6 * 3_600),
    ("24h", "24 hours", 24 * 3_600),
    ("7d", "7 days", 7 * 86_400),
    ("30d", "30 days", 30 * 86_400),
];

/// How far back somebody wants to look, by the query of the address.
pub(super) fn span(query: &str, usual: &str) -> (StatsSpan, Vec<Span>) {
    let fields = Fields::read(query.as_bytes());
    let asked = fields.get("since");
    let known = |text: &str| SPANS.into_iter().find(|(known, ..)| *known == text);
    let (text, _, secs) = known(asked).or_else(|| known(usual)).unwrap_or(SPANS[0]);
    let spans = SPANS.map(|(of, name, _)| Span { text: of, name, chosen: of == text });
    let since = Moment::Back(Period::from_secs(secs));
    (StatsSpan { since: Some(since), ..StatsSpan::default() }, spans.into())
}

/// How long the rows are together, as far as they lie in the past.
fn length(stats: &Stats, now: Timestamp) -> Duration {
    stats.until.min(now).duration_since(stats.since).unsigned_abs()
}

/// The numbers above the charts; those of an endpoint have no accepted events.
pub(super) fn tiles(stats: &Stats, with_events: bool, now: Timestamp) -> Vec<Tile> {
    let (total, length) = (&stats.total, length(stats, now));
    let per_minute = |number| words::rate(number, length);
    let mut tiles = vec![
        Tile::new(
            "Delivered",
            words::count(total.delivered),
            format!("{} a minute", per_minute(total.delivered)),
        ),
        Tile::new(
            "Failed attempts",
            words::share(total.failed, total.attempts),
            format!("{} of {}", words::count(total.failed), words::count(total.attempts)),
        )
        .bad_if(total.failed * 10 >= total.attempts.max(1))
        .found_by("failed=true"),
        Tile::new("Given up", words::count(total.exhausted), "times; a replay counts again".into())
            .bad_if(total.exhausted > 0)
            .found_by("state=exhausted"),
    ];
    if with_events {
        let note = format!(
            "{} a minute, {} wanted by nobody",
            per_minute(total.events),
            words::count(total.unmatched)
        );
        tiles.insert(0, Tile::new("Accepted events", words::count(total.events), note));
    }
    if let Some(backlog) = &stats.backlog {
        tiles.extend(backlog_tiles(backlog, now));
    }
    tiles
}

/// What is open. Where the store did not look at all of it, there is at least as much as it found.
fn backlog_tiles(backlog: &Backlog, now: Timestamp) -> [Tile; 2] {
    let (plus, least) = if backlog.more { ("+", "at least ") } else { ("", "") };
    let open = format!("{}{plus}", words::count(backlog.open));
    let in_flight = format!("{least}{} in flight", words::count(backlog.in_flight));
    let late = backlog.oldest_due.map(|due| now.duration_since(due).as_secs().max(0).unsigned_abs());
    let (value, note) = match late {
        Some(secs) => {
            let span = words::span(Duration::from_secs(secs));
            (format!("{span}{plus}"), format!("overdue for {least}so long"))
        }
        None if backlog.more => ("none".into(), "none was found".into()),
        None => ("none".into(), "nothing is due".into()),
    };
    [
        Tile::new("Open now", open, in_flight).found_by("state=scheduled,held,in_flight"),
        Tile::new("Oldest due", value, note).bad_if(late.is_some_and(|secs| secs >= 60)),
    ]
}

/// The charts of some stats; those of an endpoint have no accepted events.
pub(super) fn charts(stats: &Stats, with_events: bool) -> Vec<Chart> {
    let mut charts = Vec::new();
    if with_events {
        let columns = columns(
            stats,
            |counts| vec![counts.events as f64],
            |counts| words::counted(counts.events, "event"),
        );
        let headline = words::counted(stats.total.events, "event");
        charts.push(chart_of_bars(stats, "Accepted", headline, &[("plain", "events")], columns));
    }
    let columns = columns(
        stats,
        |counts| vec![(counts.attempts.saturating_sub(counts.failed)) as f64, counts.failed as f64],
        |counts| {
            let arrived = counts.attempts.saturating_sub(counts.failed);
            format!("{} succeeded, {} failed", words::count(arrived), words::count(counts.failed))
        },
    );
    let headline = match stats.total.attempts {
        0 => "none was made".into(),
        attempts => format!("{} failed", words::share(stats.total.failed, attempts)),
    };
    charts.push(chart_of_bars(
        stats,
        "Attempts",
        headline,
        &[("ok", "succeeded"), ("failed", "failed")],
        columns,
    ));
    charts.push(chart_of_times(stats, "Receivers’ time", |counts| counts.receiver_ms));
    charts.push(chart_of_times(stats, "Wait for the first attempt", |counts| counts.queue_ms));
    charts
}

fn columns(
    stats: &Stats,
    values: impl Fn(&Counts) -> Vec<f64>,
    said: impl Fn(&Counts) -> String,
) -> Vec<(String, Vec<f64>)> {
    let column = |row: &posthaste_client::StatsRow| {
        (format!("{}: {}", words::clock(row.begin), said(&row.counts)), values(&row.counts))
    };
    stats.data.iter().map(column).collect()
}

fn chart_of_bars(
    stats: &Stats,
    title: &'static str,
    headline: String,
    legend: &[(&'static str, &'static str)],
    columns: Vec<(String, Vec<f64>)>,
) -> Chart {
    let classes: Vec<_> = legend.iter().map(|(class, _)| *class).collect();
    let told = told(stats, title, &headline);
    let (drawing, top) = bars(&Bars { classes: &classes, columns, told });
    let top = format!("{} in {}", words::count(top.round() as u64), stats.bucket);
    let legend = if legend.len() > 1 { legend.to_vec() } else { Vec::new() };
    Chart {
        title,
        headline,
        drawing,
        top,
        begin: words::minute(stats.since),
        end: words::minute(stats.until),
        legend,
    }
}

fn chart_of_times(stats: &Stats, title: &'static str, of: impl Fn(&Counts) -> Option<Quantiles>) -> Chart {
    let moments = stats.data.iter().map(|row| {
        let times = of(&row.counts);
        let said = times.map_or_else(
            || "nothing was measured".into(),
            |Quantiles { p50, p95, p99 }| {
                format!(
                    "half within {}, 95 % within {}, 99 % within {}",
                    words::millis(p50),
                    words::millis(p95),
                    words::millis(p99)
                )
            },
        );
        let values = [times.map(|t| t.p50), times.map(|t| t.p95), times.map(|t| t.p99)];
        (format!("{}: {said}", words::clock(row.begin)), values.to_vec())
    });
    let headline = of(&stats.total).map_or_else(
        || "nothing measured".into(),
        |times| format!("95 % within {}", words::millis(times.p95)),
    );
    let legend = vec![("half", "half within"), ("most", "95 % within"), ("nearly", "99 % within")];
    let classes: Vec<_> = legend.iter().map(|(class, _)| *class).collect();
    let told = told(stats, title, &headline);
    let (drawing, top) = lines(&Lines { classes: &classes, moments: moments.collect(), told });
    let top = words::millis(top);
    Chart {
        title,
        headline,
        drawing,
        top,
        begin: words::minute(stats.since),
        end: words::minute(stats.until),
        legend,
    }
}

fn told(stats: &Stats, title: &str, headline: &str) -> String {
    format!("{title}, from {} to {}: {headline}", words::clock(stats.since), words::clock(stats.until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        let counts = |events: u64, failed: u64| {
            serde_json::json!({
                "events": events, "unmatched": 0, "deliveries": events, "attempts": events, "failed": failed,
                "retried": failed, "delivered": events - failed, "exhausted": 0,
                "queue_ms": null, "receiver_ms": {"p50": 10.0, "p95": 40.0, "p99": 80.0},
            })
        };
        let mut row = counts(20, 5);
        row["begin"] = "2026-11-21T10:00:00Z".into();
        let json = serde_json::json!({
            "since": "2026-11-21T10:00:00Z", "until": "2026-11-21T10:01:00Z", "bucket": "1m", "data": [row],
            "total": counts(20, 5),
            "backlog": {"open": 10_000, "more": true, "in_flight": 2, "oldest_due": "2026-11-21T09:58:00Z"},
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn numbers_say_what_is_bad() {
        let now = "2026-11-21T10:01:00Z".parse().unwrap();
        let tiles = tiles(&stats(), true, now);
        let told: Vec<_> = tiles.iter().map(|tile| (tile.name, tile.value.as_str(), tile.class())).collect();
        assert_eq!(
            told,
            [
                ("Accepted events", "20", "tile"),
                ("Delivered", "15", "tile"),
                ("Failed attempts", "25 %", "tile bad"),
                ("Given up", "0", "tile"),
                ("Open now", "10,000+", "tile"),
                ("Oldest due", "3 min+", "tile bad"),
            ]
        );
    }

    #[test]
    fn what_was_not_looked_at_is_not_told_as_known() {
        let now = "2026-11-21T10:01:00Z".parse().unwrap();
        let told = |more, oldest_due: Option<&str>| {
            let oldest_due = oldest_due.map(|at| at.parse().unwrap());
            let tiles = backlog_tiles(&Backlog { open: 7, more, in_flight: 2, oldest_due }, now);
            tiles.map(|tile| format!("{} ({})", tile.value, tile.note))
        };
        let due = Some("2026-11-21T10:00:30Z");
        assert_eq!(told(false, due), ["7 (2 in flight)", "30 s (overdue for so long)"]);
        assert_eq!(told(true, due), ["7+ (at least 2 in flight)", "30 s+ (overdue for at least so long)"]);
        assert_eq!(told(false, None)[1], "none (nothing is due)");
        assert_eq!(told(true, None)[1], "none (none was found)");
    }

    #[test]
    fn a_quiet_hour_has_the_same_numbers() {
        let names = |with_events| {
            let mut quiet = stats();
            (quiet.total.events, quiet.total.unmatched) = (0, 0);
            let tiles = tiles(&quiet, with_events, quiet.until);
            tiles.into_iter().map(|tile| tile.name).collect::<Vec<_>>()
        };
        assert_eq!(names(true)[0], "Accepted events");
        assert_eq!(names(true).len(), 6);
        assert_eq!(names(false), names(true)[1..]);
    }

    #[test]
    fn charts_are_told_in_words() {
        let charts = charts(&stats(), true);
        let told: Vec<_> =
            charts.iter().map(|chart| (chart.title, chart.headline.as_str(), chart.top.as_str())).collect();
        assert_eq!(
            told,
            [
                ("Accepted", "20 events", "20 in 1m"),
                ("Attempts", "25 % failed", "20 in 1m"),
                ("Receivers’ time", "95 % within 40 ms", "100 ms"),
                ("Wait for the first attempt", "nothing measured", "1.0 ms"),
            ]
        );
        assert!(charts[1].drawing.to_string().contains("15 succeeded, 5 failed"));
        assert_eq!(super::charts(&stats(), false).len(), 3);
    }

    #[test]
    fn only_known_spans_are_asked_for() {
        let chosen = |query| span(query, "24h").1.into_iter().find(|span| span.chosen).map(|span| span.text);
        assert_eq!(chosen("since=7d"), Some("7d"));
        assert_eq!(chosen("since=9y"), Some("24h"));
        assert_eq!(chosen(""), Some("24h"));
    }
}
