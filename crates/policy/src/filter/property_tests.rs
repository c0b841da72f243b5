//! What holds for any filter and any event, and an evaluator so plain that one can see what it does.

use std::{cmp::Ordering, collections::BTreeMap};

use posthaste_model::{Payload, TopicName};
use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::{Filter, Subject, json::Json, node::compare};

// --- the plain evaluator: everything is copied, and numbers are floats, which is exact for those that are made here ---

fn plainly_matches(filter: &Value, event: &Value) -> bool {
    filter.as_object().unwrap().iter().all(|(key, part)| match key.as_str() {
        "$and" => part.as_array().unwrap().iter().all(|part| plainly_matches(part, event)),
        "$or" => part.as_array().unwrap().iter().any(|part| plainly_matches(part, event)),
        "$not" => !plainly_matches(part, event),
        path => plainly_passes(part, &led_to(path, event)),
    })
}

fn led_to(path: &str, event: &Value) -> Vec<Value> {
    path.split('.').fold(vec![event.clone()], |values, key| {
        let below = |value: Value| match value {
            Value::Array(elements) => match key.parse::<usize>() {
                Ok(index) => elements.get(index).cloned().into_iter().collect(),
                Err(_) => {
                    elements.iter().filter_map(|element| element.as_object()?.get(key).cloned()).collect()
                }
            },
            Value::Object(members) => members.get(key).cloned().into_iter().collect(),
            _ => Vec::new(),
        };
        values.into_iter().flat_map(below).collect()
    })
}

fn plainly_passes(test: &Value, found: &[Value]) -> bool {
    let Value::Object(operators) = test else { return plainly_is(test, found) };
    operators.iter().all(|(operator, operand)| {
        let any = |holds: &dyn Fn(&Value) -> bool| with_elements(found).iter().any(holds);
        let any_text = |holds: &dyn Fn(&str) -> bool| any(&|value| value.as_str().is_some_and(holds));
        let is = |ordering: Ordering| any(&|value| plain_order(value, operand) == Some(ordering));
        let text = || operand.as_str().unwrap();
        let list = || operand.as_array().unwrap();
        match operator.as_str() {
            "$and" => list().iter().all(|test| plainly_passes(test, found)),
            "$or" => list().iter().any(|test| plainly_passes(test, found)),
            "$not" => !plainly_passes(operand, found),
            "$eq" => plainly_is(operand, found),
            "$neq" => !plainly_is(operand, found),
            "$in" => list().iter().any(|value| plainly_is(value, found)),
            "$nin" => !list().iter().any(|value| plainly_is(value, found)),
            "$gt" => is(Ordering::Greater),
            "$gte" => is(Ordering::Greater) || is(Ordering::Equal),
            "$lt" => is(Ordering::Less),
            "$lte" => is(Ordering::Less) || is(Ordering::Equal),
            "$startsWith" => any_text(&|value| value.starts_with(text())),
            "$endsWith" => any_text(&|value| value.ends_with(text())),
            "$contains" => found.iter().any(|value| match (value, operand) {
                (Value::Array(elements), _) => elements.iter().any(|element| same(element, operand)),
                (Value::String(value), Value::String(part)) => value.contains(part),
                _ => false,
            }),
            "$exists" => found.is_empty() != operand.as_bool().unwrap(),
            // Only patterns that stand for themselves are made here.
            "$regex" => any_text(&|value| value.contains(text())),
            other => panic!("{other}"),
        }
    })
}

fn plainly_is(expect: &Value, found: &[Value]) -> bool {
    with_elements(found).iter().any(|value| same(value, expect)) || found.is_empty() && expect.is_null()
}

fn with_elements(found: &[Value]) -> Vec<Value> {
    let elements = found.iter().filter_map(Value::as_array).flatten();
    found.iter().chain(elements).cloned().collect()
}

fn plain_order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left.as_f64().unwrap().partial_cmp(&right.as_f64().unwrap())
        }
        (Value::String(left), Value::String(right)) => Some(left.chars().cmp(right.chars())),
        _ => None,
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let in_right = |(key, left): (&String, _)| right.get(key).is_some_and(|right| same(left, right));
            left.len() == right.len() && left.iter().all(in_right)
        }
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        _ => plain_order(left, right) == Some(Ordering::Equal),
    }
}

// --- filters and events, small enough to meet each other ---

fn numbers() -> impl Strategy<Value = Value> {
    prop_oneof![(-2..4_i64).prop_map(Value::from), select(vec![-0.0, 0.5, 1.0, 2e0]).prop_map(Value::from)]
}

fn texts() -> impl Strategy<Value = &'static str> {
    select(vec!["", "a", "b", "ab", "ba", "é", "1"])
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers(),
        texts().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(select(vec!["a", "b", "0"]), inner, 0..4).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

/// An event as a JSON object whose keys are what paths begin with.
fn events() -> impl Strategy<Value = Value> {
    let metadata = prop::collection::btree_map(select(vec!["a", "b"]), texts(), 0..2);
    (select(vec!["a", "b.a"]), metadata, values())
        .prop_map(|(topic, metadata, data)| json!({ "topic": topic, "metadata": metadata, "data": data }))
}

fn paths() -> impl Strategy<Value = String> {
    let data = prop::collection::vec(select(vec![".a", ".b", ".0", ".1"]), 0..4);
    prop_oneof![
        8 => data.prop_map(|keys| format!("data{}", keys.concat())),
        1 => Just("topic".to_owned()),
        1 => Just("metadata.a".to_owned()),
    ]
}

fn conditions() -> impl Strategy<Value = (&'static str, Value)> {
    let comparable = prop_oneof![numbers(), texts().prop_map(Value::from)];
    let lists = prop::collection::vec(values(), 1..4).prop_map(Value::from);
    let with = |operators: &[&'static str]| select(operators.to_vec());
    prop_oneof![
        4 => (with(&["$eq", "$neq", "$contains"]), values()),
        4 => (with(&["$gt", "$gte", "$lt", "$lte"]), comparable),
        3 => (with(&["$in", "$nin"]), lists),
        2 => (with(&["$startsWith", "$endsWith"]), texts().prop_map(Value::from)),
        1 => (Just("$regex"), texts().prop_map(Value::from)),
        1 => (Just("$exists"), any::<bool>().prop_map(Value::from)),
    ]
}

fn object<K: Into<String>>(members: Vec<(K, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map<_, _>>())
}

fn joined(part: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = (&'static str, Value)> {
    let parts = prop::collection::vec(part.clone(), 1..3).prop_map(Value::from);
    prop_oneof![(select(vec!["$and", "$or"]), parts), (Just("$not"), part)]
}

fn tests() -> impl Strategy<Value = Value> {
    let alone = values().prop_filter("an object alone is no test", |value| !value.is_object());
    let leaf = prop_oneof![1 => alone, 3 => prop::collection::vec(conditions(), 1..3).prop_map(object)];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (joined(inner), prop::collection::vec(conditions(), 0..2))
            .prop_map(|(joined, conditions)| object([vec![joined], conditions].concat()))
    })
}

fn filters() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::vec((paths(), tests()), 1..3).prop_map(object);
    leaf.prop_recursive(2, 6, 2, |inner| {
        (joined(inner), prop::collection::vec((paths(), tests()), 0..2)).prop_map(
            |((join, part), mut paths)| {
                paths.push((join.to_owned(), part));
                object(paths)
            },
        )
    })
}

/// A filter; none where it is one of the few that have too many conditions.
fn read(filter: &Value) -> Result<Filter, TestCaseError> {
    let text = filter.to_string();
    text.parse::<Filter>().map_err(|error| {
        let bounds = ["one too many", "in each other"];
        if bounds.iter().any(|bound| error.problem().contains(bound)) {
            return TestCaseError::reject("beyond a bound");
        }
        TestCaseError::fail(format!("{text}: {error}"))
    })
}

fn ask<T>(event: &Value, ask: impl FnOnce(&Subject<'_>) -> T) -> T {
    let topic: TopicName = event["topic"].as_str().unwrap().parse().unwrap();
    let metadata: BTreeMap<String, String> = serde_json::from_value(event["metadata"].clone()).unwrap();
    let payload = Payload::Data(event["data"].to_string().into_bytes().into());
    ask(&Subject::new(&topic, &metadata, &payload))
}

fn matches(filter: &Value, event: &Value) -> Result<bool, TestCaseError> {
    let filter = read(filter)?;
    Ok(ask(event, |subject| filter.matches(subject)))
}

/// Whether what an explanation says of a group follows from what it says of its parts.
fn is_consistent(explained: &Value) -> bool {
    let Some(parts) = explained.get("conditions").and_then(Value::as_array) else { return true };
    let held: Vec<bool> = parts.iter().map(|part| part["held"].as_bool().unwrap()).collect();
    let all = held.iter().all(|held| *held);
    let expect = match explained["operator"].as_str() {
        Some("$or") => held.contains(&true),
        Some("$not") => !all,
        _ => all,
    };
    let says = explained.get("held").unwrap_or(&explained["matches"]);
    *says == expect && parts.iter().all(is_consistent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn decides_as_the_plain_evaluator(filter in filters(), event in events()) {
        prop_assert_eq!(matches(&filter, &event)?, plainly_matches(&filter, &event));
    }

    #[test]
    fn one_condition_decides_as_the_plain_evaluator(
        path in paths(),
        (operator, operand) in conditions(),
        event in events(),
    ) {
        let filter = json!({ path: { operator: operand } });
        prop_assert_eq!(matches(&filter, &event)?, plainly_matches(&filter, &event));
    }
}

/// So few that they are often the same.
fn few_values() -> impl Strategy<Value = Value> {
    let leaf = select(vec![json!(null), json!(0), json!(1), json!(1.0), json!("a")]);
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((select(vec!["a", "b"]), inner), 0..3).prop_map(object),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn values_have_an_order_in_which_the_same_are_equal(
        one in few_values(),
        two in few_values(),
        three in few_values(),
    ) {
        let texts = [&one, &two, &three].map(Value::to_string);
        let [a, b, c] = texts.each_ref().map(|text| Json::parse(text.as_bytes()).unwrap());
        prop_assert_eq!(compare(&a, &b).is_eq(), same(&one, &two));
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        prop_assert!(!(compare(&a, &b).is_le() && compare(&b, &c).is_le()) || compare(&a, &c).is_le());
    }
}

proptest! {
    #[test]
    fn not_negates(filter in filters(), event in events()) {
        prop_assert_eq!(matches(&json!({ "$not": filter }), &event)?, !matches(&filter, &event)?);
    }

    #[test]
    fn not_negates_what_is_asked_of_a_path(path in paths(), test in tests(), event in events()) {
        let (plain, negated) = (json!({ &path: test }), json!({ &path: { "$not": test } }));
        prop_assert_eq!(matches(&negated, &event)?, !matches(&plain, &event)?);
    }

    #[test]
    fn and_and_or_are_those_of_logic(left in filters(), right in filters(), event in events()) {
        let (l, r) = (matches(&left, &event)?, matches(&right, &event)?);
        prop_assert_eq!(matches(&json!({ "$and": [left, right] }), &event)?, l && r);
        prop_assert_eq!(matches(&json!({ "$or": [left, right] }), &event)?, l || r);
        prop_assert_eq!(matches(&json!({ "$or": [right, left] }), &event)?, l || r);
    }

    #[test]
    fn de_morgan(left in filters(), right in filters(), event in events()) {
        let not = |filter: &Value| json!({ "$not": filter });
        for (join, dual) in [("$and", "$or"), ("$or", "$and")] {
            let outside = not(&json!({ join: [left, right] }));
            let inside = json!({ dual: [not(&left), not(&right)] });
            prop_assert_eq!(matches(&outside, &event)?, matches(&inside, &event)?);
        }
    }

    #[test]
    fn neq_and_nin_are_the_opposites_of_eq_and_in(path in paths(), value in values(), event in events()) {
        let asks = |operator: &str, operand: Value| matches(&json!({ &path: { operator: operand } }), &event);
        prop_assert_eq!(asks("$neq", value.clone())?, !asks("$eq", value.clone())?);
        prop_assert_eq!(asks("$nin", json!([value, 1]))?, !asks("$in", json!([value, 1]))?);
        prop_assert_eq!(asks("$in", json!([value]))?, asks("$eq", value)?);
    }

    #[test]
    fn a_filter_that_is_read_back_decides_alike(filter in filters(), event in events(), pretty: bool) {
        let text = if pretty { format!("{filter:#}") } else { filter.to_string() };
        let first = read(&filter)?;
        let first = if pretty { serde_json::from_str::<Filter>(&text).unwrap() } else { first };
        let written = serde_json::to_string(&first).unwrap();
        prop_assert_eq!(&written, &text);
        let again: Filter = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(&again, &first);
        let by_value: Filter = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
        ask(&event, |subject| {
            prop_assert_eq!(again.matches(subject), first.matches(subject));
            prop_assert_eq!(by_value.matches(subject), first.matches(subject));
            Ok(())
        })?;
    }

    #[test]
    fn an_explanation_says_what_is_decided_and_follows(filter in filters(), event in events()) {
        let filter = read(&filter)?;
        ask(&event, |subject| {
            let explanation = filter.explain(subject);
            prop_assert_eq!(explanation.matches, filter.matches(subject));
            let explanation = serde_json::to_value(explanation).unwrap();
            prop_assert!(is_consistent(&explanation), "{}", explanation);
            Ok(())
        })?;
    }

    #[test]
    fn any_filter_is_read_or_refused(
        filter in "\\PC{0,40}|[{}\\[\\]\":,$.a-z0-9 ]{0,40}",
        operator in select(vec!["$eq", "$in", "$gt", "$regex", "$not", "$or", "$contains", "$x", "a"]),
        operand in values(),
        path in "\\PC{0,10}|(data|topic|metadata)[.a\\\\]{0,5}",
        event in events(),
    ) {
        let made = json!({ path: { operator: operand } }).to_string();
        for text in [filter, made] {
            match text.parse::<Filter>() {
                Ok(filter) => ask(&event, |subject| {
                    prop_assert_eq!(filter.explain(subject).matches, filter.matches(subject));
                    Ok(())
                })?,
                Err(error) => {
                    prop_assert!(error.pointer().is_empty() || error.pointer().starts_with('/'));
                    prop_assert!(!error.problem().is_empty());
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_decided_on(
        filter in filters(),
        data in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "[{}\\[\\]\":,a0-9.eE\\\\u+-]{0,40}".prop_map(String::into_bytes),
        ],
    ) {
        let filter = read(&filter)?;
        let is_json = serde_json::from_slice::<Value>(&data).is_ok();
        let topic: TopicName = "a".parse().unwrap();
        let metadata = BTreeMap::new();
        let payload = Payload::Data(data.into());
        let subject = Subject::new(&topic, &metadata, &payload);
        prop_assert_eq!(filter.explain(&subject).matches, filter.matches(&subject));
        let has_data: Filter = r#"{"data": {"$exists": true}}"#.parse().unwrap();
        prop_assert!(has_data.matches(&subject) || !is_json);
    }
}
