//! Raw contents under any types and mappings: a canonical form, or a reason that names the field; never a panic.

use crate::fuzz_cases::fuzz;
use avowal_core::data::ids::{FieldName, SystemName};
use avowal_core::data::value::Value;
use avowal_core::policy::EntityPolicy;
use avowal_testpolicy::policy;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const TYPES: [&str; 9] =
    ["string", "integer", "decimal", "boolean", "date", "timestamp", "set", "list", "object"];

fn any_raw() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter_map("finite", |number| Value::from_f64(number).ok()),
        any::<String>().prop_map(Value::text),
        "[0-9+\\-:.TZ eE]{0,30}".prop_map(Value::text),
        "[\\[\\]{}\",:0-9a-z ]{0,30}".prop_map(Value::text),
        "-?[0-9]{1,40}".prop_map(Value::text),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|\\+[0-9]{2}:[0-9]{2})?)?"
            .prop_map(Value::text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..4).prop_map(Value::Object),
        ]
    })
}

fn any_rules() -> impl Strategy<Value = EntityPolicy> {
    let normalise = prop::sample::subsequence(vec!["trim", "lowercase"], 0..=2);
    let choices = ["value", "null", "absent"];
    (prop::collection::vec(0..TYPES.len(), 1..5), normalise, 0..3_usize, any::<bool>()).prop_map(
        move |(types, normalise, empty, clear)| {
            let field = |(at, kind): (usize, &usize)| {
                let normalise = if TYPES[*kind] == "string" { json!(normalise) } else { json!([]) };
                (format!("f{at}"), json!({"type": TYPES[*kind], "owner": "app", "normalize": normalise}))
            };
            let fields: BTreeMap<String, Json> = types.iter().enumerate().map(field).collect();
            let nulls = if clear { "clear" } else { "ignore" };
            policy(&json!({
                "systems": {"app": {"local": true, "empty": choices[empty], "nulls": nulls}, "crm": {}},
                "fields": fields,
            }))
        },
    )
}

proptest! {
    #![proptest_config(fuzz(500))]

    #[test]
    fn any_contents_are_read_or_refused_by_name(
        rules in any_rules(),
        raw in prop::collection::btree_map("f[0-4]|[a-z]{0,3}", any_raw(), 0..6),
    ) {
        let mapping = &rules.mappings[&SystemName::new("app")];
        match mapping.read(&rules.fields, &raw) {
            Ok(fields) => {
                for (field, value) in &fields {
                    prop_assert!(rules.fields.contains_key(field) && raw.contains_key(field.as_str()));
                    written_and_read_again(&rules, field, value)?;
                }
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.starts_with('f') && problem.len() < 1_000, "{problem}");
                }
            }
        }
    }
}

/// What we write is read as what we believe, so that our own write is never somebody's change.
fn written_and_read_again(
    rules: &EntityPolicy,
    field: &FieldName,
    value: &Value,
) -> Result<(), TestCaseError> {
    let mapping = &rules.mappings[&SystemName::new("app")];
    let Some((name, raw)) = mapping.write(field, &rules.fields[field], value) else { return Ok(()) };
    let read = mapping.read(&rules.fields, &BTreeMap::from([(name, raw.clone())]));
    prop_assert!(read.is_ok(), "{field}: {value:?} was written as {raw:?}, and {read:?}");
    let read = read.unwrap();
    match read.get(field) {
        Some(read) => prop_assert_eq!(read, value, "{} as {:?}", field, raw),
        // An empty text that is declared to say nothing is never a change.
        None => prop_assert!(raw == Value::text("")),
    }
    prop_assert_eq!(value.canonical(), Value::parse(&value.canonical()).unwrap().canonical());
    Ok(())
}
