//! What docs/filters.md says, row by row.

use std::collections::BTreeMap;

use posthaste_model::{Payload, TopicName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Filter, Subject};

const PAGE: &str = include_str!("../../../../docs/filters.md");

/// An event as the page writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(default = "topic")]
    topic: TopicName,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    data: Option<Box<RawValue>>,
    raw: Option<String>,
}

fn topic() -> TopicName {
    "order.paid".parse().unwrap()
}

impl Event {
    fn of_data(data: &str) -> Self {
        let data = serde_json::from_str(data).unwrap();
        Self { topic: topic(), metadata: BTreeMap::new(), data: Some(data), raw: None }
    }

    fn payload(&self) -> Payload {
        match (&self.data, &self.raw) {
            (_, Some(raw)) => Payload::Raw {
                content_type: "application/json".to_owned(),
                body: raw.clone().into_bytes().into(),
            },
            (Some(data), None) => Payload::Data(data.get().to_owned().into_bytes().into()),
            (None, None) => Payload::Data("{}".into()),
        }
    }
}

/// The rows of all tables whose first row is this.
fn rows(header: &[&str]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        let Some(line) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            inside = false;
            continue;
        };
        // A bar that is part of a cell has a backslash before it.
        let cells: Vec<_> = line
            .replace(r"\|", "\0")
            .split('|')
            .map(|cell| cell.replace('\0', "|").trim().to_owned())
            .collect();
        if cells == header {
            inside = true;
        } else if inside && !cells[0].starts_with("---") {
            rows.push(cells);
        }
    }
    rows
}

fn code(cell: &str) -> &str {
    cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap()
}

#[track_caller]
fn check(filter: &str, event: &Event, expect: &str) {
    let filter: Filter = filter.parse().unwrap();
    let payload = event.payload();
    let subject = Subject::new(&event.topic, &event.metadata, &payload);
    let shown = |matches: bool| if matches { "yes" } else { "no" };
    assert_eq!(shown(filter.matches(&subject)), expect, "{filter} and {payload:?}");
    let explanation = filter.explain(&subject);
    assert_eq!(shown(explanation.matches), expect, "{explanation:?}");
}

#[test]
fn what_matches_data() {
    let rows = rows(&["filter", "data", "matches", ""]);
    assert!(rows.len() > 100, "{} rows", rows.len());
    for row in rows {
        check(code(&row[0]), &Event::of_data(code(&row[1])), &row[2]);
    }
}

#[test]
fn what_matches_an_event() {
    let rows = rows(&["filter", "event", "matches", ""]);
    assert!(rows.len() > 10, "{} rows", rows.len());
    for row in rows {
        check(code(&row[0]), &serde_json::from_str(code(&row[1])).unwrap(), &row[2]);
    }
}

#[test]
fn what_is_refused() {
    let rows = rows(&["filter", "answer"]);
    assert!(rows.len() > 25, "{} rows", rows.len());
    for row in rows {
        let answer = code(&row[0]).parse::<Filter>().unwrap_err().to_string();
        match row[1].strip_suffix('…') {
            Some(start) => assert!(answer.starts_with(start), "{answer}, not {start}"),
            None => assert_eq!(answer, row[1]),
        }
    }
}

#[test]
fn why() {
    let blocks = PAGE.split("Filter and data:").nth(1).unwrap();
    let mut blocks = blocks.trim().split("\n\n");
    let (filter, data) = blocks.next().unwrap().split_once('\n').unwrap();
    let filter: Filter = filter.trim().parse().unwrap();
    let event = Event::of_data(data.trim());
    let payload = event.payload();
    let explanation = filter.explain(&Subject::new(&event.topic, &event.metadata, &payload));
    let expect: serde_json::Value = serde_json::from_str(blocks.next().unwrap()).unwrap();
    assert_eq!(serde_json::to_value(explanation).unwrap(), expect);
}
