//! What a filter may be at most, and what the worst of events makes of one. Nothing here is timed: what would take long is
//! counted.

use std::collections::BTreeMap;

use posthaste_model::{Payload, TopicName};

use super::{
    Filter, Subject,
    path::{Path, Root},
};

fn payload(data: String) -> Payload {
    Payload::Data(data.into_bytes().into())
}

fn with_subject<T>(payload: &Payload, ask: impl FnOnce(&Subject<'_>) -> T) -> T {
    let topic: TopicName = "order.paid".parse().unwrap();
    ask(&Subject::new(&topic, &BTreeMap::new(), payload))
}

#[track_caller]
fn check(filter: &str, expect: Result<(), &str>) {
    let beginning: String = filter.chars().take(100).collect();
    match (filter.parse::<Filter>(), expect) {
        (Ok(filter), Ok(())) => assert_eq!(filter.to_string(), filter.json().get()),
        (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{beginning}: {error}"),
        (found, expect) => panic!("{beginning}: {found:?}, not {expect:?}"),
    }
}

fn repeated(what: &str, times: usize) -> String {
    vec![what; times].join(",")
}

#[test]
fn a_filter_is_bounded_in_every_direction() {
    let nested =
        |depth: usize| format!(r#"{}{{"data.a":1}}{}"#, r#"{"$not":"#.repeat(depth), "}".repeat(depth));
    check(&nested(15), Ok(()));
    check(&nested(16), Err("more than 16 objects and lists in each other"));
    check(&nested(1_000), Err("more than 16 objects and lists in each other"));

    let value =
        |depth: usize| format!(r#"{{"data.a":{{"$eq":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    check(&value(14), Ok(()));
    check(&value(15), Err("more than 16 objects and lists in each other"));
    check(&value(7_000), Err("more than 16 objects and lists in each other"));

    let conditions = |count: usize| format!(r#"{{"$or":[{}]}}"#, repeated(r#"{"data.a":1}"#, count));
    check(&conditions(64), Ok(()));
    check(&conditions(65), Err("/$or/64/data.a: is one too many: a filter has at most 64 conditions"));

    let patterns =
        |count: usize| format!(r#"{{"data.a":{{"$or":[{}]}}}}"#, repeated(r#"{"$regex":"x"}"#, count));
    check(&patterns(4), Ok(()));
    check(&patterns(5), Err("/data.a/$or/4/$regex: is one too many: a filter has at most 4 $regex"));

    let values = |count: usize| format!(r#"{{"data.a":{{"$in":[{}]}}}}"#, repeated("1", count));
    check(&values(500), Ok(()));
    check(&values(501), Err("/data.a/$in: must be a list of 1 to 500 values"));

    let text = |length: usize| format!(r#"{{"data.a":"{}"}}"#, "x".repeat(length));
    check(&text(16 * 1024 - 13), Ok(()));
    check(&text(16 * 1024 - 12), Err("must not be longer than 16384 bytes"));

    let number = |number: &str| format!(r#"{{"data.a":{number}}}"#);
    let beyond = Err("/data.a: must not have an exponent beyond 100000");
    check(&number("9.9e100000"), Ok(()));
    check(&number("1e100001"), beyond);
    check(&number("1e-100000"), Ok(()));
    check(&number("9.9e-100001"), beyond);
    check(&number(&format!("1e{}", "9".repeat(1_000))), beyond);
    check(&number(&format!("-1e-{}", "9".repeat(1_000))), beyond);
    check(&number(&"9".repeat(16_000)), Ok(()));
}

#[test]
fn what_is_no_json_is_told() {
    check("", Err("is not JSON"));
    check("{", Err("is not JSON"));
    check(r#"{"data.a": 1} x"#, Err("is not JSON"));
    check(&"[".repeat(100_000), Err("is not JSON"));
}

#[track_caller]
fn check_levels(filter: &str, data: String, matches: bool, levels: usize) {
    let filter: Filter = filter.parse().unwrap();
    let payload = payload(data);
    with_subject(&payload, |subject| {
        for _ in 0..2 {
            assert_eq!(filter.matches(subject), matches);
            assert_eq!(filter.explain(subject).matches, matches);
            let read = subject.root(Root::Data).unwrap().levels_read();
            assert!(read <= levels, "{filter}: {read} levels");
        }
    });
}

/// As deep as a payload of 256 KiB can be: neither the stack nor the time grows with it.
#[test]
fn a_deep_payload_is_read_as_deep_as_the_filter_looks() {
    let objects = || format!("{}1{}", r#"{"a":"#.repeat(43_000), "}".repeat(43_000));
    let lists = || format!("{}{}", "[".repeat(131_072), "]".repeat(131_072));
    check_levels(r#"{"data.a.a.a":1}"#, objects(), false, 4);
    check_levels(&format!(r#"{{"data{}":{{"$exists":true}}}}"#, ".a".repeat(32)), objects(), true, 33);
    check_levels(r#"{"data":{"$eq":{"a":{"a":{"b":1}}}}}"#, objects(), false, 4);
    check_levels(r#"{"data":{"$contains":[[[[1]]]]}}"#, lists(), false, 6);
    check_levels(r#"{"data":{"$in":[1,[[[]]],"x"]}}"#, lists(), false, 5);
    check_levels(r#"{"data.0.0.0.0":{"$gt":1}}"#, lists(), false, 6);
    check_levels(r#"{"data.a.a.a.a":{"$gt":1}}"#, lists(), false, 2);
}

#[track_caller]
fn check_visits(path: &str, data: String, expect: usize) {
    let payload = payload(data);
    let mut visits = 0;
    with_subject(&payload, |subject| {
        Path::read(path).unwrap().any(subject, |_| {
            visits += 1;
            false
        });
    });
    assert_eq!(visits, expect, "{path}");
}

/// Lists in lists do not multiply: a value has one way to it.
#[test]
fn a_path_leads_to_no_value_twice() {
    let row = format!("[{}]", repeated(r#"{"a":1,"0":{"a":2}}"#, 100));
    let square = format!("[{}]", repeated(&format!(r#"{{"a":{row},"0":{row}}}"#), 100));
    check_visits("data.a.a", square.clone(), 100 * 100);
    check_visits("data.a.0.a", square.clone(), 100);
    check_visits("data.0.0.0.a", square.clone(), 1);
    check_visits(&format!("data{}", ".a".repeat(32)), square.clone(), 0);
    check_visits(&format!("data{}", ".0".repeat(32)), square, 0);
}

#[track_caller]
fn check_reading(texts: &[String], matches: bool, everything: bool) {
    let filter: Filter = r#"{"data":{"$regex":"needle"}}"#.parse().unwrap();
    let payload = payload(serde_json::to_string(texts).unwrap());
    with_subject(&payload, |subject| {
        assert_eq!(filter.matches(subject), matches);
        let explained = serde_json::to_value(filter.explain(subject)).unwrap();
        let note = explained["conditions"][0]["note"].as_str();
        assert_eq!(note.is_none(), everything, "{note:?}");
        assert!(note.is_none_or(|note| note.contains("$regex reads at most 16 KiB")), "{note:?}");
    });
}

#[test]
fn a_regular_expression_reads_so_much_text_of_an_event() {
    let hay = |length: usize| "-".repeat(length);
    let needle_after = |length: usize| format!("{}needle", hay(length));
    check_reading(&[needle_after(16 * 1024 - 7)], true, true);
    check_reading(&[needle_after(16 * 1024 - 6)], false, false);
    check_reading(&[hay(16 * 1024 - 7), needle_after(0)], false, false);
    check_reading(&[hay(16 * 1024 - 7), needle_after(0), String::new()], false, false);
    check_reading(&[hay(16 * 1024 - 8), needle_after(0)], true, true);
    check_reading(&[hay(1024 * 1024), needle_after(0)], true, true);
    check_reading(&vec![hay(0); 16 * 1024], false, true);
    check_reading(&[vec![hay(0); 16 * 1024], vec![needle_after(0)]].concat(), false, false);
    check_reading(&[hay(10)], false, true);
}

#[test]
fn an_explanation_is_short_whatever_was_found() {
    let filter: Filter = r#"{"data.a":{"$gt":"x"}}"#.parse().unwrap();
    let long = format!("{:?}", "é\n".repeat(50_000));
    let data = format!(r#"[{}]"#, repeated(&format!(r#"{{"a":{long}}},{{"a":[{long}]}}"#), 20));
    let payload = payload(data);
    with_subject(&payload, |subject| {
        let explanation = serde_json::to_value(filter.explain(subject)).unwrap();
        let found = &explanation["conditions"][0]["found"];
        assert_eq!(found["count"], 40);
        assert_eq!(found["values"].as_array().unwrap().len(), 5);
        assert_eq!(found["values"][0], format!("{:?}", format!("{}…", "é\n".repeat(50))));
        assert!(found["values"][1].as_str().unwrap().starts_with(r#"["é\n"#), "{found}");
        assert!(explanation.to_string().len() < 2_000);
    });
}

#[test]
fn an_explanation_says_that_there_are_no_data() {
    let filter: Filter = r#"{"data.a":{"$exists":false},"topic":"order.paid"}"#.parse().unwrap();
    let raw = Payload::Raw { content_type: "application/json".to_owned(), body: "{}".into() };
    for (payload, expect) in
        [(raw, true), (payload("nonsense".to_owned()), true), (payload("{}".to_owned()), false)]
    {
        with_subject(&payload, |subject| {
            let explanation = serde_json::to_value(filter.explain(subject)).unwrap();
            assert_eq!(explanation["matches"], true);
            assert_eq!(explanation["conditions"][0]["note"].is_string(), expect, "{explanation}");
            assert!(explanation["conditions"][1]["note"].is_null(), "{explanation}");
        });
    }
}

#[test]
fn threads_can_share_a_filter() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&r#"{"data":{"$regex":"x"}}"#.parse::<Filter>().unwrap());
}
