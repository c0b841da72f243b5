//! The specification is frozen: a change of the API shows in the snapshot, and is made on purpose.
//!
//! After a deliberate change: `INSTA_UPDATE=always cargo test -p posthaste-api --test openapi`.

#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::Value;

fn specification() -> Value {
    serde_json::to_value(posthaste_api::openapi()).unwrap()
}

#[test]
fn the_specification_is_as_it_was() {
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(specification());
    });
}

/// Every operation says what its errors look like and which key it needs, and every reference leads somewhere.
#[test]
fn the_specification_is_whole() {
    let specification = specification();
    let schemas = specification["components"]["schemas"].as_object().unwrap();
    let mut operations = 0;
    for (path, methods) in specification["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            let named = format!("{method} {path}");
            assert!(
                !operation["summary"].as_str().unwrap_or_default().is_empty(),
                "{named} says what it does"
            );
            if path.starts_with("/v1/") {
                assert!(operation["security"].is_array(), "{named} names its key");
                assert!(operation["responses"]["default"].is_object(), "{named} describes its errors");
            }
        }
    }
    assert!(operations > 20, "{operations}");
    let text = specification.to_string();
    for reference in text.split(r##""$ref":"#/components/schemas/"##).skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not there");
    }
}

/// What has to meet several schemas at once can, only where none of them forbids the fields of the others.
#[test]
fn every_schema_can_be_met() {
    let specification = specification();
    let schemas = specification["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let reference = part["$ref"].as_str().unwrap_or_default();
            let part = schemas.get(reference.rsplit('/').next().unwrap()).unwrap_or(part);
            assert_eq!(part.get("additionalProperties"), None, "{name}");
        }
    }
    for (name, field) in [("Endpoint", "url"), ("Endpoint", "state"), ("Endpoint", "health")] {
        assert!(schemas[name]["properties"][field].is_object(), "{name} has {field}");
    }
}

#[test]
fn the_data_of_an_event_is_any_json_value() {
    let specification = specification();
    let schemas = &specification["components"]["schemas"];
    for name in ["EventFields", "Event", "TestEvent"] {
        let data = &schemas[name]["properties"]["data"];
        assert!(data.is_object() && data.get("type").is_none(), "{name}: {data}");
    }
}
