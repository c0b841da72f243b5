use std::time::Duration;

use posthaste_model::{Clock, Counts, TenantId, Timestamp};
use posthaste_store::{Statistics as _, Subject, Tally};
use posthaste_telemetry::{HOURS_KEPT, MINUTES_KEPT};
use serde_json::{Value, json};

use crate::fixture::{Api, ENDPOINTS, EVENTS};

const NOW: &str = "2026-11-21T10:30:20Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A service with an endpoint, and what happened to it counted at these times.
async fn stand(at: &[(&str, u64)]) -> (Api, String) {
    stand_at(NOW, at).await
}

/// The same, when it is that time.
async fn stand_at(now: &'static str, at: &[(&str, u64)]) -> (Api, String) {
    let api = Api::with(Clock::new(move || time(now))).await;
    let endpoint = api.endpoint(json!({})).await["id"].as_str().unwrap().to_owned();
    let tenant = TenantId::default_tenant();
    let topic: posthaste_model::TopicName = "order.paid".parse().unwrap();
    for (at, count) in at {
        let mut counts = Counts { deliveries: *count, attempts: *count, ..Counts::default() };
        counts.queue.record(Duration::from_millis(10));
        let tally = |of, events| Tally { of, at: time(at), counts: Counts { events, ..counts.clone() } };
        let tallies = vec![
            tally(Subject::All, 10 * count),
            tally(Subject::Topic(topic.clone()), 9 * count),
            tally(Subject::Tenant(tenant.clone()), 8 * count),
            tally(Subject::TenantTopic(tenant.clone(), topic.clone()), 7 * count),
            tally(Subject::Endpoint(tenant.clone(), endpoint.parse().unwrap()), 0),
        ];
        assert!(api.store.add_stats(tallies).await.is_empty());
    }
    (api, endpoint)
}

#[tokio::test]
async fn rows_follow_each_other_without_a_gap() {
    let (api, _) = stand(&[("2026-11-21T10:01:30Z", 1), ("2026-11-21T10:30:01Z", 2)]).await;
    let stats = api.json("GET /v1/stats", "", 200).await;
    assert_eq!(
        (&stats["since"], &stats["until"]),
        (&json!("2026-11-21T09:30:00Z"), &json!("2026-11-21T10:31:00Z"))
    );
    assert_eq!(stats["bucket"], "1m");
    let rows = stats["data"].as_array().unwrap();
    assert_eq!(rows.len(), 61);
    for (row, begin) in
        rows.iter().zip((0..).map(|row| time("2026-11-21T09:30:00Z") + Duration::from_secs(60 * row)))
    {
        assert_eq!(row["begin"], begin.to_string());
    }
    let counted: Vec<_> = rows.iter().filter(|row| row["attempts"] != 0).collect();
    assert_eq!((counted.len(), &counted[0]["attempts"], &counted[1]["attempts"]), (2, &json!(1), &json!(2)));
    assert_eq!(counted[0]["begin"], "2026-11-21T10:01:00Z");
    assert_eq!((&rows[0]["queue_ms"], &rows[0]["exhausted"]), (&Value::Null, &json!(0)));
    let p50 = counted[0]["queue_ms"]["p50"].as_f64().unwrap();
    assert!((9.0..=11.0).contains(&p50), "{p50}");
    assert_eq!((&stats["total"]["events"], &stats["total"]["receiver_ms"]), (&json!(30), &Value::Null));
}

#[tokio::test]
async fn each_subject_has_its_own() {
    let (api, endpoint) = stand(&[("2026-11-21T10:30:01Z", 1)]).await;
    for (path, events, backlog) in [
        ("/v1/stats".to_owned(), 10, true),
        ("/v1/stats?topic=order.paid".to_owned(), 9, false),
        ("/v1/stats?topic=order.other".to_owned(), 0, false),
        ("/v1/tenants/default/stats".to_owned(), 8, true),
        ("/v1/tenants/default/stats?topic=order.paid".to_owned(), 7, false),
        (format!("{ENDPOINTS}/{endpoint}/stats"), 0, true),
    ] {
        let stats = api.json(&format!("GET {path}"), "", 200).await;
        assert_eq!(stats["total"]["events"], events, "{path}");
        assert_eq!(stats["backlog"].is_object(), backlog, "{path}");
    }
}

#[tokio::test]
async fn what_is_open_is_told() {
    let (api, endpoint) = stand(&[]).await;
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1}"#, 202).await;
    let expect = json!({ "open": 1, "more": false, "in_flight": 0, "oldest_due": NOW });
    for path in [
        "/v1/stats".to_owned(),
        "/v1/tenants/default/stats".to_owned(),
        format!("{ENDPOINTS}/{endpoint}/stats"),
    ] {
        assert_eq!(api.json(&format!("GET {path}"), "", 200).await["backlog"], expect, "{path}");
    }
}

/// At the worst time the first row is older than what is asked for by nearly all its length.
#[tokio::test]
async fn what_the_first_row_begins_with_is_kept() {
    for (now, query, begin) in [
        ("2026-11-21T10:44:59.999Z", "since=3h&bucket=15m", "2026-11-21T07:30:00Z"),
        ("2026-11-21T10:44:59.999Z", "since=3h&bucket=5m", "2026-11-21T07:40:00Z"),
        ("2026-11-21T23:59:59.999Z", "since=30d&bucket=1d", "2026-10-22T00:00:00Z"),
        ("2026-11-21T23:59:59.999Z", "since=30d&bucket=6h", "2026-10-22T18:00:00Z"),
    ] {
        let (api, _) = stand_at(now, &[(begin, 3)]).await;
        while api.store.forget_stats(time(now) - MINUTES_KEPT, time(now) - HOURS_KEPT, 100).await.unwrap() {}
        let stats = api.json(&format!("GET /v1/stats?{query}"), "", 200).await;
        let first = &stats["data"][0];
        assert_eq!((&first["begin"], &first["attempts"]), (&json!(begin), &json!(3)), "{query}");
    }
}

/// The rows that a query is answered with: from when to when, how long each is, and how many; or the refusal.
async fn check(query: &str, expect: Result<(&str, &str, &str, usize), &str>) {
    let (api, _) = stand(&[]).await;
    let line = format!("GET /v1/stats?{query}");
    match expect {
        Ok((since, until, bucket, rows)) => {
            let stats = api.json(&line, "", 200).await;
            let told = (&stats["since"], &stats["until"], &stats["bucket"]);
            assert_eq!(told, (&json!(since), &json!(until), &json!(bucket)), "{query}");
            assert_eq!(stats["data"].as_array().unwrap().len(), rows, "{query}");
        }
        Err(refused) => {
            api.refuses(&line, "", &format!("400 invalid-parameter parameter {refused}")).await;
        }
    }
}

#[tokio::test]
async fn rows_are_as_long_as_fits() {
    let end = "2026-11-21T10:31:00Z";
    check("since=10m", Ok(("2026-11-21T10:20:00Z", end, "1m", 11))).await;
    check("since=3h", Ok(("2026-11-21T07:30:00Z", "2026-11-21T10:35:00Z", "5m", 37))).await;
    check("since=3h&bucket=1m", Ok(("2026-11-21T07:30:00Z", end, "1m", 181))).await;
    check("since=3h&bucket=15m", Ok(("2026-11-21T07:30:00Z", "2026-11-21T10:45:00Z", "15m", 13))).await;
    check("since=4h", Ok(("2026-11-21T06:00:00Z", "2026-11-21T11:00:00Z", "1h", 5))).await;
    check("since=1h&bucket=60m", Ok(("2026-11-21T09:00:00Z", "2026-11-21T11:00:00Z", "1h", 2))).await;
    check("since=7d", Ok(("2026-11-14T06:00:00Z", "2026-11-21T12:00:00Z", "6h", 29))).await;
    check("since=30d", Ok(("2026-10-22T00:00:00Z", "2026-11-22T00:00:00Z", "1d", 31))).await;
    check("since=30d&bucket=1h", Ok(("2026-10-22T10:00:00Z", "2026-11-21T11:00:00Z", "1h", 721))).await;
    // Without a beginning it is an hour before the end. The end is never later than now.
    check("until=2026-11-21T09:00:00Z", Ok(("2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z", "1m", 60))).await;
    check("until=2030-01-01T00:00:00Z&since=1m", Ok(("2026-11-21T10:29:00Z", end, "1m", 2))).await;
    // An old stretch is told by hours, however short it is.
    check("since=2d&until=47h", Ok(("2026-11-19T10:00:00Z", "2026-11-19T12:00:00Z", "1h", 2))).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_name() {
    for (query, refused) in [
        ("since=soon", "since: not a time"),
        ("until=soon", "until: not a time"),
        ("since=0s", "since: must lie before 'until', and before now"),
        ("since=2027-01-01T00:00:00Z", "since: must lie before 'until', and before now"),
        ("since=1h&until=2h", "since: must lie before 'until', and before now"),
        ("since=30d 1s", "since: what happened is kept for 30 days"),
        ("since=1970-01-01T00:00:00Z", "since: what happened is kept for 30 days"),
        ("since=3h1s&bucket=15m", "bucket: what happened in which minute is kept for 3 hours"),
        ("since=2d&until=47h&bucket=1m", "bucket: what happened in which minute is kept for 3 hours"),
        ("bucket=2m", "bucket: not '2m': expected one of '1m', '5m', '15m', '1h', '6h', '1d'"),
        ("bucket=", "bucket: not ''"),
        ("bucket=0s", "bucket: not '0s'"),
        ("topic=order..paid", "topic: "),
        ("tenant=acme", "tenant: unknown parameter"),
    ] {
        check(&query.replace(' ', "%20"), Err(refused)).await;
    }
    let (api, endpoint) = stand(&[]).await;
    let refused = "400 invalid-parameter parameter topic: unknown parameter";
    api.refuses(&format!("GET {ENDPOINTS}/{endpoint}/stats?topic=order.paid"), "", refused).await;
    let nobody = "404 not-found: no such tenant";
    api.refuses("GET /v1/tenants/nobody/stats", "", nobody).await;
    api.refuses("GET /v1/tenants/nobody/stats?topic=order.paid", "", nobody).await;
    let missing = format!("GET {ENDPOINTS}/ep_00000000000000000000000000000000/stats");
    api.refuses(&missing, "", "404 not-found: no such endpoint").await;
}
