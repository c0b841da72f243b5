use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn schema(schema: &Value) -> Schema {
    Schema::new(schema).unwrap_or_else(|refused| panic!("{schema}: {refused}"))
}

/// What is wrong with data: the pointer, and the beginning of what is told.
#[track_caller]
fn check(by: Value, data: &str, expect: Option<(&str, &str)>) {
    let judged = schema(&by).check(data.as_bytes());
    match (judged, expect) {
        (Ok(()), None) => {}
        (Err(wrong), Some((pointer, message))) => {
            assert_eq!(wrong.pointer, pointer, "{by} and {data}: {wrong}");
            assert!(wrong.message.starts_with(message), "{by} and {data}: {wrong}");
        }
        (judged, _) => panic!("{by} and {data}: {judged:?}"),
    }
}

#[track_caller]
fn check_refused(schema: Value, pointer: &str, expect: &str) {
    let refused = Schema::new(&schema).expect_err(&schema.to_string());
    assert_eq!(refused.pointer, pointer, "{refused}");
    assert!(refused.problem.contains(expect), "{refused}");
}

#[test]
fn data_are_judged() {
    let order = json!({
        "type": "object", "required": ["id"],
        "properties": {
            "id": { "type": "string", "pattern": "^ord-\\d+$" },
            "amount": { "type": "number", "minimum": 0 },
            "items": { "type": "array", "items": { "$ref": "#/$defs/item" } }
        },
        "$defs": { "item": { "type": "object", "additionalProperties": false, "properties": { "a/b": { "type": "integer" } } } }
    });
    check(order.clone(), r#"{"id": "ord-42", "amount": 1.5, "items": [{}, {"a/b": 2}]}"#, None);
    check(order.clone(), r#"{"id": "ord-42", "amount": 1.5, "more": null}"#, None);
    check(order.clone(), "{}", Some(("", "\"id\" is a required property")));
    check(order.clone(), "[]", Some(("", "the value is not of type \"object\"")));
    check(order.clone(), r#"{"id": "42"}"#, Some(("/id", "the value does not match")));
    check(order.clone(), r#"{"id": "ord-1", "amount": -1}"#, Some(("/amount", "the value is less than")));
    check(
        order.clone(),
        r#"{"id": "ord-1", "items": [{}, {"a/b": "x"}]}"#,
        Some(("/items/1/a~1b", "the value")),
    );
    check(order.clone(), r#"{"id": "ord-1", "items": [{"c": 1}]}"#, Some(("/items/0", "Additional")));
    // Of a key that appears twice the last counts.
    check(order.clone(), r#"{"id": 1, "id": "ord-1"}"#, None);
    check(order, r#"{"id": "ord-1", "id": 1}"#, Some(("/id", "the value")));
}

#[test]
fn drafts_and_formats() {
    let draft = |draft: &str| json!({ "$schema": draft, "items": [{ "type": "integer" }] });
    for old in ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema"] {
        check(draft(old), "[1, true]", None);
        check(draft(old), "[true]", Some(("/0", "the value is not of type \"integer\"")));
    }
    check(json!({ "prefixItems": [{ "type": "integer" }] }), "[true]", Some(("/0", "the value")));
    check(json!({ "format": "uuid" }), "\"x\"", Some(("", "the value is not a \"uuid\"")));
    check(json!({ "format": "date-time" }), "\"2026-11-21T10:00:00Z\"", None);
    check(json!({ "format": "tomorrow" }), "\"x\"", None);
    check(json!({ "format": "regex" }), "\"(\"", None);
    check_refused(
        draft("https://example.com/own"),
        "/$schema",
        "must be one of https://json-schema.org/draft/2020",
    );
    check_refused(json!({ "$schema": 7 }), "/$schema", "must be one of");
}

#[test]
fn data_that_cannot_be_judged_are_not_taken() {
    let any = || json!({});
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    check(any(), "{", Some(("", "cannot be judged by its schema: EOF")));
    check(any(), "1e400", Some(("", "cannot be judged by its schema: number out of range")));
    check(any(), &nested(MAX_DATA_DEPTH), None);
    check(any(), &nested(MAX_DATA_DEPTH + 1), Some(("", "must not have more than 64 objects and lists")));
    check(any(), &nested(200_000), Some(("", "cannot be judged by its schema: recursion limit")));
}

#[test]
fn what_is_wrong_is_short_and_does_not_repeat_the_value() {
    let long = "x".repeat(10_000);
    let wrong = schema(&json!({ "required": [long] })).check(b"{}");
    assert_eq!(wrong.unwrap_err().message.chars().count(), SHOWN + 1);
    let wrong = schema(&json!({ "type": "integer" })).check(json!(long).to_string().as_bytes());
    assert!(!wrong.unwrap_err().message.contains("xx"));
}

#[test]
fn what_is_no_schema_is_refused() {
    check_refused(json!(true), "", "must be an object");
    check_refused(json!([]), "", "must be an object");
    check_refused(json!({ "type": "text" }), "/type", "the value is not valid");
    check_refused(
        json!({ "properties": { "a/b": { "minimum": "1" } } }),
        "/properties/a~1b/minimum",
        "the value is not of type",
    );
    check_refused(json!({ "required": "id" }), "/required", "the value is not of type \"array\"");
    check_refused(json!({ "pattern": "(" }), "/pattern", "regex");
    check_refused(json!({ "pattern": "(?=a)b" }), "/pattern", "regex");
    check_refused(json!({ "pattern": "(a)\\1" }), "/pattern", "regex");
}

/// Nothing is fetched, and nothing is looked for elsewhere.
#[test]
fn a_schema_leads_to_itself_alone() {
    let never = "is never fetched";
    for reference in [
        "https://example.com/order.json",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "//example.com/a",
        "order.json",
        "order.json#/a",
        "#anchor",
        "#/$defs/a%20b",
        "https://json-schema.org/draft/2020-12/schema",
        "",
    ] {
        check_refused(json!({ "$ref": reference }), "/$ref", never);
        // Also where nobody asks for it.
        check_refused(
            json!({ "$defs": { "a": { "items": { "$ref": reference } } } }),
            "/$defs/a/items/$ref",
            never,
        );
        check_refused(json!({ "allOf": [{}, { "$ref": reference }] }), "/allOf/1/$ref", never);
    }
    check_refused(json!({ "$ref": 5 }), "/$ref", never);
    check_refused(json!({ "$ref": "#/$defs/a" }), "/$ref", "leads to no schema");
    check_refused(json!({ "$ref": "#/required", "required": ["a"] }), "/$ref", "leads to no schema");
    check_refused(json!({ "$dynamicRef": "#a" }), "/$dynamicRef", "not supported");
    check_refused(json!({ "not": { "$recursiveRef": "#" } }), "/not/$recursiveRef", "not supported");
    check_refused(json!({ "not": { "$id": "https://example.com" } }), "/not/$id", "at the beginning");
    check_refused(json!({ "not": { "$schema": DRAFT } }), "/not/$schema", "at the beginning");
    // A field of the data may have any name.
    let named = json!({ "properties": { "$ref": { "type": "string" }, "$id": {}, "id": {}, "pattern": {} } });
    check(named, r#"{"$ref": 1}"#, Some(("/$ref", "the value is not of type")));
    check(
        json!({ "$id": "https://example.com/a", "$ref": "#/$defs/b", "$defs": { "b": { "type": "null" } } }),
        "null",
        None,
    );
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

#[test]
fn a_schema_has_bounds() {
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({ "not": inner }));
    schema(&nested(62));
    check_refused(nested(64), "", "must not have more than 64 objects and lists");
    check_refused(
        json!({ "description": "x".repeat(MAX_LENGTH) }),
        "",
        "must not be longer than 65536 bytes",
    );
    let parts = |count: usize| json!({ "properties": (0..count).map(|n| (n.to_string(), json!({}))).collect::<serde_json::Map<_, _>>() });
    schema(&parts(1_999));
    check_refused(parts(2_000), "", "more than 2000 schemas");
    check_refused(json!({ "pattern": "a".repeat(257) }), "/pattern", "longer than 256 bytes");
    check_refused(
        json!({ "patternProperties": { "a".repeat(257): {} } }),
        &format!("/patternProperties/{}", "a".repeat(257)),
        "longer",
    );
    let patterns = |count: usize| json!({ "prefixItems": vec![json!({ "pattern": "a" }); count] });
    schema(&patterns(64));
    check_refused(patterns(65), "/prefixItems/0/pattern", "more than 64 patterns");
}

/// Each is known to make some engine, or some compiler of patterns, take for ever.
#[test]
fn patterns_made_to_blow_up_are_refused_or_found_in_linear_time() {
    for refused in
        ["a{1000}{1000}{1000}", "(((((a{10}){10}){10}){10}){10}){10}", "(?:a?){20000}a{20000}", "\\p{L}{200}"]
    {
        check_refused(json!({ "pattern": refused }), "/pattern", "");
    }
    for taken in ["(x+x+)+y", "^(a+)+$", "(a|a)*b", "(a|aa)+$", "(.*)*(.*)*(.*)*x"] {
        let long = format!("\"{}!\"", "a".repeat(200_000));
        assert!(schema(&json!({ "pattern": taken })).check(long.as_bytes()).is_err(), "{taken}");
    }
}

/// Schemas that lead to the next one twice, so many in a row.
fn doubling(count: usize, twice: impl Fn(Value) -> Value) -> Value {
    let mut defs = serde_json::Map::new();
    for n in 0..count {
        defs.insert(n.to_string(), twice(json!({ "$ref": format!("#/$defs/{}", n + 1) })));
    }
    defs.insert(count.to_string(), json!({ "type": "string" }));
    json!({ "$ref": "#/$defs/0", "$defs": defs })
}

#[test]
fn schemas_made_to_blow_up_are_refused() {
    let times = "more than 1000 times";
    check_refused(doubling(30, |next| json!({ "anyOf": [next, next] })), "", times);
    check_refused(doubling(30, |next| json!({ "allOf": [next, { "not": { "not": next } }] })), "", times);
    check_refused(doubling(30, |next| json!({ "if": next, "then": next, "else": next })), "", times);
    let alike = |next: Value| json!({ "properties": { "a": next }, "patternProperties": { "^a": next } });
    check_refused(doubling(30, alike), "", times);
    let below = |next: Value| json!({ "oneOf": [{ "items": next }, { "items": next }] });
    check_refused(doubling(30, below), "", times);
    let again = |next: Value| json!({ "allOf": [next], "unevaluatedProperties": false });
    check_refused(doubling(30, again), "", times);
    // Recursion that branches.
    let both = json!({ "anyOf": [{ "properties": { "a": { "$ref": "#" } } }, { "properties": { "a": { "$ref": "#" } } }] });
    check_refused(both, "", times);
    let row = doubling(300, |next| json!({ "allOf": [next] }));
    check_refused(row, "", "more than 400 schemas ask each other in a row");
}

#[test]
fn schemas_that_would_never_end_are_refused() {
    let never = "it would never end";
    check_refused(json!({ "$ref": "#" }), "", never);
    check_refused(json!({ "anyOf": [{ "type": "null" }, { "$ref": "#" }] }), "", never);
    let round = json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "not": { "$ref": "#/$defs/a" } } }, "items": { "$ref": "#/$defs/a" } });
    assert!(Schema::new(&round).unwrap_err().problem.contains(never));
}

/// Many schemas that share others are small, whatever they would be written out.
#[test]
fn schemas_that_share_others_are_taken() {
    let shared = |next: Value| json!({ "properties": { "a": next, "b": next } });
    check(doubling(60, shared), r#"{"a": {"b": {}}}"#, None);
    check(doubling(6, |next| json!({ "anyOf": [next, next] })), "\"x\"", None);
}

#[test]
fn recursion_goes_as_deep_as_data_do() {
    let tree = json!({
        "type": "object", "required": ["n"],
        "properties": { "n": { "type": "integer" }, "left": { "$ref": "#" }, "right": { "$ref": "#" } }
    });
    let nested = |levels: usize, inner: &str| {
        (0..levels)
            .fold(inner.to_owned(), |inner, _| format!(r#"{{"n": 1, "left": {{"n": 2}}, "right": {inner}}}"#))
    };
    check(tree.clone(), &nested(60, r#"{"n": 1}"#), None);
    check(tree, &nested(60, "{}"), Some((&"/right".repeat(60), "\"n\" is a required property")));
    let list = json!({ "anyOf": [{ "type": "null" }, { "type": "array", "items": { "$ref": "#" } }] });
    let lists = format!("{}null{}", "[".repeat(64), "]".repeat(64));
    check(list, &lists, None);
    // As many in a row as there may be, on the stack of a thread.
    let row = json!({ "allOf": [{ "allOf": [{ "allOf": [{ "items": { "$ref": "#" } }] }] }] });
    check(row, &format!("{}{}", "[".repeat(64), "]".repeat(64)), None);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["#(/[a-z$]{1,5}){0,2}", "[a-z]{0,6}", "\\PC{0,6}"].prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let key = prop_oneof![
            prop::sample::select(
                [
                    "$ref", "$defs", "properties", "items", "allOf", "anyOf", "oneOf", "not", "if", "then", "pattern",
                    "patternProperties", "type", "enum", "required", "minimum", "dependencies", "unevaluatedProperties",
                    "additionalProperties", "contains", "propertyNames", "const", "uniqueItems", "$id", "format"
                ]
                .map(str::to_owned)
                .to_vec()
            ),
            "[a-z]{1,2}",
        ];
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::btree_map(key, inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_a_schema_or_none(schema in values(), data in values()) {
        if let Ok(schema) = Schema::new(&schema) {
            let bytes = data.to_string();
            let judged = schema.check(bytes.as_bytes());
            let data: Value = serde_json::from_str(&bytes).unwrap();
            prop_assert!(judged.is_ok() || data.pointer(&judged.unwrap_err().pointer).is_some());
        }
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let judged = Schema::new(&json!({})).unwrap().check(&bytes);
        prop_assert_eq!(judged.is_ok(), serde_json::from_slice::<Value>(&bytes).is_ok());
    }
}
