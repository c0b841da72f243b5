//! The documents and the metrics say the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::setup::Bench;

/// The type of a metric, and its labels.
type Shape = (String, BTreeSet<String>);

fn docs(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The metrics that are there, by the names that they are asked for.
fn there() -> BTreeMap<String, Shape> {
    let text = Bench::new().telemetry.render();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let shapes = types.map(|(name, kind)| {
        let (asked, of_series) = match kind {
            "counter" => (format!("{name}_total"), format!("{name}_total")),
            "histogram" => (name.to_owned(), format!("{name}_count")),
            "info" => (format!("{name}_info"), format!("{name}_info")),
            _ => (name.to_owned(), name.to_owned()),
        };
        let series = text.lines().find_map(|line| {
            let rest = line.strip_prefix(&of_series)?;
            rest.starts_with(['{', ' ']).then_some(rest)
        });
        let series = series.unwrap_or_else(|| panic!("{asked} has no series at the start"));
        let labels = series.strip_prefix('{').map_or("", |labels| labels.split_once('}').unwrap().0);
        let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        (asked, (kind.to_owned(), names.collect()))
    });
    shapes.collect()
}

/// The metrics of the table in `metrics.md`.
fn documented() -> BTreeMap<String, Shape> {
    let text = docs("metrics.md");
    let (_, from) = text.split_once("| metric | type | labels | what |").unwrap();
    let (table, _) = from.split_once("\n\n").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let shapes = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    });
    shapes.collect()
}

#[tokio::test(start_paused = true)]
async fn every_metric_is_documented_and_every_documented_one_is_there() {
    assert_eq!(there(), documented());
}

#[tokio::test(start_paused = true)]
async fn dashboard_and_alerts_ask_for_metrics_that_are_there() {
    let there = there();
    let known = |name: &str| {
        let of_histogram =
            ["_bucket", "_sum", "_count"].iter().find_map(|part| there.get(name.strip_suffix(part)?));
        of_histogram.is_some_and(|(kind, _)| kind == "histogram")
            || there.get(name).is_some_and(|(kind, _)| kind != "histogram")
    };
    for file in ["grafana/posthaste.json", "grafana/alerts.yml"] {
        let text = docs(file);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("posthaste_"));
        let names: BTreeSet<_> = words.collect();
        assert!(names.len() >= 8, "{file} asks for little: {names:?}");
        for name in names {
            assert!(known(name), "{file} asks for {name}");
        }
    }
}

#[test]
fn the_dashboard_asks_all_processes_for_what_one_tells_of_the_store() {
    let text = docs("grafana/posthaste.json");
    for gauge in ["posthaste_open_deliveries", "posthaste_oldest_due_seconds"] {
        assert!(text.contains(&format!("max({gauge})")), "{gauge}");
    }
}

#[test]
fn no_label_names_a_tenant_an_endpoint_a_topic_or_a_url() {
    let allowed = ["result", "outcome", "status_class", "error_class", "state", "operation", "version", "le"];
    for (name, (_, labels)) in documented() {
        for label in labels {
            assert!(allowed.contains(&label.as_str()), "{name} has the label {label}");
        }
    }
}
