use std::time::Duration;

use posthaste_model::{Next, ReplayId, Tenant, TenantId};
use posthaste_store::{Catalogue as _, DeliveryFilter, Replay, ReplayState, Replays as _};
use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};
use tokio::time::{Instant, advance};

use crate::fixture::{Api, ENDPOINTS, EVENTS, NOW, replied};

const REPLAYS: &str = "/v1/tenants/default/replays";

/// An endpoint, and deliveries to it: one arrived, one is exhausted, one is skipped, one is cancelled, one is open.
async fn stand() -> (Api, String) {
    let api = Api::with(simulated_clock(NOW)).await;
    let endpoint = api.endpoint(json!({})).await["id"].as_str().unwrap().to_owned();
    for (status, next) in
        [(200, Some(Next::Delivered)), (500, Some(Next::Exhausted)), (410, Some(Next::Skipped)), (0, None)]
    {
        api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1}"#, 202).await;
        if let Some(next) = next {
            api.attempt(replied(status), next).await;
        }
    }
    let open = api.json("GET /v1/deliveries?state=scheduled", "", 200).await;
    let open = open["data"][0]["id"].as_str().unwrap();
    api.json(&format!("POST /v1/tenants/default/deliveries/{open}/cancel"), "", 200).await;
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1}"#, 202).await;
    advance(Duration::from_secs(60)).await;
    (api, endpoint)
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_counts_and_writes_nothing() {
    let (api, endpoint) = stand().await;
    let to_endpoint = json!({ "endpoint": endpoint }).to_string();
    for (filter, found) in [
        ("{}", 3),
        (r#"{"states": []}"#, 3),
        (to_endpoint.as_str(), 3),
        (r#"{"states": ["delivered"]}"#, 1),
        (r#"{"states": ["delivered", "skipped"]}"#, 2),
        (r#"{"status": 500}"#, 1),
        (r#"{"status": "4xx"}"#, 1),
        (r#"{"error": "timeout"}"#, 0),
        (r#"{"topic": "order.paid", "failed": true}"#, 2),
        (r#"{"since": "1h"}"#, 3),
        (r#"{"until": "1m"}"#, 0),
        (r#"{"event": "unknown"}"#, 0),
    ] {
        let body = format!(r#"{{"filter": {filter}, "dry_run": true}}"#);
        let answer = api.json(&format!("POST {REPLAYS}"), &body, 200).await;
        assert_eq!(answer, json!({ "found": found, "more": false }), "{filter}");
    }
    assert_eq!(api.json(&format!("GET {REPLAYS}"), "", 200).await["data"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn counting_ends_at_its_bound() {
    let (api, _) = stand().await;
    let tenant = TenantId::default_tenant();
    for (most, found, more) in [(1, 1, true), (4, 4, true), (5, 5, false), (6, 5, false)] {
        let counted = super::count(&api.service, &tenant, &DeliveryFilter::default(), most).await.unwrap();
        assert_eq!((counted.found, counted.more), (found, more), "{most}");
    }
}

/// Counts all of a tenant. Answers with how many there are, whether there are more, and how long it took, in milliseconds.
async fn counted(api: &Api, tenant: &TenantId) -> (u64, bool, u128) {
    let begun = Instant::now();
    let counted = super::count(&api.service, tenant, &DeliveryFilter::default(), 100).await.unwrap();
    (counted.found, counted.more, begun.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn counting_leaves_half_of_the_time_to_others() {
    let (api, _) = stand().await;
    let tenant = TenantId::default_tenant();
    api.store.searches_slowly(Duration::from_secs(1));
    assert_eq!(counted(&api, &tenant).await, (5, false, 9_000));
    let searches = api.store.searches();
    let apart: Vec<_> = searches.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(apart, [2, 2, 2, 2]);
    api.store.searches_slowly(Duration::from_millis(1_400));
    assert_eq!(counted(&api, &tenant).await, (4, true, 9_800), "nobody shall wait for more than ten seconds");
}

#[tokio::test(start_paused = true)]
async fn few_count_at_a_time() {
    let (api, _) = stand().await;
    let (tenant, other) = (TenantId::default_tenant(), "acme".parse().unwrap());
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    api.store.searches_slowly(Duration::from_millis(1_400));
    let all = tokio::join!(
        counted(&api, &tenant),
        counted(&api, &tenant),
        counted(&api, &tenant),
        counted(&api, &other),
    );
    // The second has its place just in time for a page, and the third in vain: another tenant's need not wait for them.
    assert_eq!(all, ((4, true, 9_800), (1, true, 11_200), (0, true, 10_000), (0, false, 1_400)));
    assert_eq!(counted(&api, &tenant).await, (4, true, 9_800), "they have left their places");
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_written_down_as_it_was_asked_for() {
    let (api, endpoint) = stand().await;
    let body = json!({ "filter": { "endpoint": endpoint, "status": "5xx", "since": "1h" }, "rate": 50 });
    let made = api.json(&format!("POST {REPLAYS}"), &body.to_string(), 202).await;
    let filter = json!({ "states": ["exhausted", "skipped", "cancelled"], "endpoint": endpoint, "event": null,
        "topic": null, "status": "500-599", "error": null, "failed": false,
        "since": "1969-12-31T23:01:00Z", "until": null });
    assert_eq!(made["filter"], filter);
    assert_eq!((&made["rate"], &made["state"]), (&json!(50), &json!("running")));
    assert_eq!((&made["found"], &made["more"]), (&json!(1), &json!(false)));
    assert_eq!((&made["reopened"], &made["passed_over"]), (&json!(0), &json!(0)));
    let id = made["id"].as_str().unwrap();
    assert_eq!(api.json(&format!("GET {REPLAYS}/{id}"), "", 200).await, made);
    let running = api.store.running_replays(posthaste_store::Partition(0)).await.unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].filter.status, Some((500, 599)));
}

#[tokio::test(start_paused = true)]
async fn replays_are_listed_newest_first() {
    let (api, _) = stand().await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    let mut made = Vec::new();
    for tenant in ["default", "acme", "default"] {
        let line = format!("POST /v1/tenants/{tenant}/replays");
        made.push(api.json(&line, r#"{"filter": {}}"#, 202).await);
    }
    let listed = api.json(&format!("GET {REPLAYS}"), "", 200).await;
    assert_eq!(listed["data"], json!([made[2], made[0]]));
    let first = api.json("GET /v1/replays?limit=2", "", 200).await;
    assert_eq!(first["data"], json!([made[2], made[1]]));
    let cursor = first["next"].as_str().unwrap();
    let second = api.json(&format!("GET /v1/replays?cursor={cursor}"), "", 200).await;
    assert_eq!(second, json!({ "data": [made[0]], "next": null }));
    let refused = "400 invalid-parameter parameter cursor: not a cursor of this list";
    api.refuses(&format!("GET {REPLAYS}?cursor={cursor}"), "", refused).await;
}

/// A replay that stands so, and the path to it.
async fn standing(api: &Api, state: ReplayState) -> (Replay, String) {
    let made = api.json(&format!("POST {REPLAYS}"), r#"{"filter": {}}"#, 202).await;
    let id: ReplayId = made["id"].as_str().unwrap().parse().unwrap();
    let replay = api.store.replay(&TenantId::default_tenant(), id).await.unwrap();
    let replay = api.store.update_replay(Replay { state, reopened: 2, ..replay }).await.unwrap();
    (replay, format!("{REPLAYS}/{id}"))
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_cancelled_unless_it_is_done() {
    let (api, _) = stand().await;
    let (_, running) = standing(&api, ReplayState::Running).await;
    let answer = api.json(&format!("POST {running}/cancel"), "", 200).await;
    assert_eq!((&answer["state"], &answer["reopened"]), (&json!("cancelled"), &json!(2)));
    assert_eq!(api.json(&format!("POST {running}/cancel"), "{}", 200).await, answer);
    assert_eq!(api.json(&format!("GET {running}"), "", 200).await, answer);

    let (_, done) = standing(&api, ReplayState::Done).await;
    api.refuses(&format!("POST {done}/cancel"), "", "409 conflict: the replay is done already").await;
    let unknown = r#"{"force": true}"#;
    let refused = "422 invalid-field pointer /force: unknown field";
    api.refuses(&format!("POST {done}/cancel"), unknown, refused).await;
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_by_its_place() {
    let (api, endpoint) = stand().await;
    let by_position =
        json!({ "filter": [["exhausted"], endpoint, null, null, null, null, false, null, null] }).to_string();
    for (body, refused) in [
        ("", "415 unsupported-media-type header content-type: "),
        ("{}", "422 invalid-field pointer /filter: missing field"),
        (r#"{"filter": null}"#, "422 invalid-field pointer /filter: expected an object"),
        (r#"{"filter": true}"#, "422 invalid-field pointer /filter: invalid type: boolean"),
        (r#"{"filter": "exhausted"}"#, "422 invalid-field pointer /filter: expected an object"),
        (
            r#"{"filter": []}"#,
            "422 invalid-field pointer /filter: invalid type: sequence, expected an object",
        ),
        (&by_position, "422 invalid-field pointer /filter: invalid type: sequence, expected an object"),
        (r#"{"filter": {"state": "exhausted"}}"#, "422 invalid-field pointer /filter/state: unknown field"),
        (r#"{"filter": {"states": "exhausted"}}"#, "422 invalid-field pointer /filter/states: "),
        (
            r#"{"filter": {"states": ["lost"]}}"#,
            "422 invalid-field pointer /filter/states/0: unknown variant",
        ),
        (
            r#"{"filter": {"states": ["exhausted", "held"]}}"#,
            "422 invalid-field pointer /filter/states/1: is a state of what is open",
        ),
        (r#"{"filter": {"status": 99}}"#, "422 invalid-field pointer /filter/status: invalid value"),
        (r#"{"filter": {"error": "lost"}}"#, "422 invalid-field pointer /filter/error: unknown variant"),
        (
            r#"{"filter": {"error": "dns", "status": 503}}"#,
            "422 invalid-field pointer /filter/error: cannot stand beside 'status'",
        ),
        (r#"{"filter": {"failed": 1}}"#, "422 invalid-field pointer /filter/failed: "),
        (r#"{"filter": {"since": "soon"}}"#, "422 invalid-field pointer /filter/since: not a time"),
        (
            r#"{"filter": {"since": "1h", "until": "2h"}}"#,
            "422 invalid-field pointer /filter/since: must lie before 'until'",
        ),
        (
            r#"{"filter": {"since": "2030-01-01T00:00:00Z"}}"#,
            "422 invalid-field pointer /filter/since: must not lie in the future",
        ),
        (
            r#"{"filter": {"endpoint": "ep_00000000000000000000000000000000"}}"#,
            "422 invalid-field pointer /filter/endpoint: no such endpoint",
        ),
        (r#"{"filter": {}, "rate": 0}"#, "422 invalid-field pointer /rate: must lie between 1 and 10000"),
        (r#"{"filter": {}, "rate": -1}"#, "422 invalid-field pointer /rate: "),
        (r#"{"filter": {}, "dry": true}"#, "422 invalid-field pointer /dry: unknown field"),
    ] {
        api.refuses(&format!("POST {REPLAYS}"), body, refused).await;
    }
    let to_endpoint = json!({ "filter": { "endpoint": endpoint } }).to_string();
    api.json(&format!("POST {ENDPOINTS}/{endpoint}/disable"), "", 200).await;
    let refused = "409 endpoint-closed: the endpoint is disabled; enable it first";
    api.refuses(&format!("POST {REPLAYS}"), &to_endpoint, refused).await;

    let nobody = "POST /v1/tenants/nobody/replays";
    api.refuses(nobody, r#"{"filter": {}}"#, "404 not-found: no such tenant").await;
    let listed: Value = api.json("GET /v1/replays", "", 200).await;
    assert_eq!(listed["data"], json!([]), "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let (api, _) = stand().await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    let (replay, path) = standing(&api, ReplayState::Running).await;
    let missing = "404 not-found: no such replay";
    for line in [
        format!("GET {REPLAYS}/rpl_00000000000000000000000000000000"),
        format!("POST {REPLAYS}/rpl_00000000000000000000000000000000/cancel"),
        format!("GET /v1/tenants/acme/replays/{}", replay.id),
        format!("POST /v1/tenants/acme/replays/{}/cancel", replay.id),
    ] {
        api.refuses(&line, "", missing).await;
    }
    api.refuses(&format!("GET {REPLAYS}/rpl_1"), "", "400 invalid-parameter parameter replay: ").await;
    api.refuses("GET /v1/tenants/nobody/replays", "", "404 not-found: no such tenant").await;
    assert_eq!(api.json(&format!("GET {path}"), "", 200).await["state"], "running");
}
