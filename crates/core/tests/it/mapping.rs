//! Absent, null and empty: what each mapping makes of them, both ways.

use crate::world::value;
use avowal_core::data::ids::{FieldName, SystemName};
use avowal_core::data::value::Value;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::mapping::Mapping;
use avowal_testpolicy::policy;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

fn rules(empty: &str) -> EntityPolicy {
    policy(&json!({
        "systems": {"app": {"local": true, "empty": empty}, "crm": {"read_only": ["age"]}},
        "fields": {
            "name": {"type": "string", "owner": "app", "normalize": ["trim", "lowercase"]},
            "age": {"type": "integer", "owner": "app"},
        },
    }))
}

fn mapping<'a>(policy: &'a EntityPolicy, system: &str) -> &'a Mapping {
    &policy.mappings[&SystemName::new(system)]
}

/// What `app` says with these raw contents, in canonical words.
fn read(empty: &str, raw: Json) -> String {
    let policy = rules(empty);
    let raw: BTreeMap<String, Value> =
        raw.as_object().unwrap().iter().map(|(name, json)| (name.clone(), value(json))).collect();
    match mapping(&policy, "app").read(&policy.fields, &raw) {
        Ok(fields) => {
            let words: Vec<_> = fields.iter().map(|(field, value)| format!("{field}={value}")).collect();
            words.join(" ")
        }
        Err(problems) => problems.join("; "),
    }
}

#[test]
fn absent_null_and_empty() {
    for (empty, raw, expected) in [
        ("value", json!({}), ""),
        ("value", json!({"name": null, "age": null}), "age=null name=null"),
        ("value", json!({"name": "", "age": ""}), "age=null name=\"\""),
        ("null", json!({"name": "", "age": ""}), "age=null name=null"),
        ("absent", json!({"name": "", "age": ""}), ""),
        ("absent", json!({"name": null}), "name=null"),
        ("value", json!({"unmapped": 1, "age": "7"}), "age=7"),
        ("value", json!({"name": "  ANN "}), "name=\"ann\""),
        ("value", json!({"name": "   "}), "name=\"\""),
        (
            "value",
            json!({"name": true, "age": "x"}),
            "age (`age`): \"x\" is not an integer; name (`name`): true is not a string",
        ),
    ] {
        assert_eq!(read(empty, raw.clone()), expected, "empty = {empty}, raw = {raw}");
    }
}

#[test]
fn a_canonical_value_under_its_remote_name() {
    let policy = rules("null");
    let written = |system: &str, field: &str, json: Json| {
        let field = FieldName::new(field);
        mapping(&policy, system).write(&field, &policy.fields[&field], &value(&json))
    };
    assert_eq!(written("app", "name", json!(null)), Some(("name".into(), Value::text(""))));
    assert_eq!(written("app", "age", json!(null)), Some(("age".into(), Value::Null)));
    assert_eq!(written("crm", "name", json!(null)), Some(("name".into(), Value::Null)));
    assert_eq!(written("crm", "name", json!("x")), Some(("name".into(), Value::text("x"))));
    assert_eq!(written("crm", "age", json!(5)), None, "read-only");
    let big = written("app", "age", json!("9007199254740993"));
    assert_eq!(big, Some(("age".into(), Value::Int(9_007_199_254_740_993))));
}
