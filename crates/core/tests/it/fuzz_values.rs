//! Bytes from outside as JSON: never a panic, one canonical form, the same one as the reference implementation's.

use crate::fuzz_cases::fuzz;
use avowal_core::data::value::{SAFE_INTEGER_MAX, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

/// What is accepted has one canonical form, which is accepted and is its own.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(value) = Value::parse(bytes) else { return Ok(()) };
    let canonical = value.canonical();
    let again = Value::parse(&canonical);
    prop_assert!(again.is_ok(), "{:?} is not read again: {again:?}", String::from_utf8_lossy(&canonical));
    let again = again.unwrap();
    prop_assert_eq!(again.digest(), value.digest());
    let again = again.canonical();
    prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&canonical));
    // Where no integer goes beyond what the standard can carry, the reference says the same.
    if let Ok(json) = serde_json::from_slice::<Json>(bytes)
        && is_exact(&json)
        && are_doubles(&value)
    {
        let reference = serde_json_canonicalizer::to_vec(&json).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&canonical), String::from_utf8_lossy(&reference));
    }
    Ok(())
}

/// Whether a double carries each number.
fn are_doubles(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_double(),
        Value::List(items) => items.iter().all(are_doubles),
        Value::Object(map) => map.values().all(are_doubles),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) => true,
    }
}

fn is_exact(json: &Json) -> bool {
    match json {
        Json::Number(number) => match number.as_i64() {
            Some(int) => int.abs() <= SAFE_INTEGER_MAX,
            None => number.as_u64().is_none(),
        },
        Json::Array(items) => items.iter().all(is_exact),
        Json::Object(map) => map.values().all(is_exact),
        Json::Null | Json::Bool(_) | Json::String(_) => true,
    }
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|int| int.to_string()),
        any::<f64>().prop_map(|float| format!("{float:e}")),
        "-?[0-9]{1,20}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| Json::String(text).to_string()),
        "\"(\\\\u[0-9a-fA-F]{4}|[a-z\\u{e000}\\u{10000}]){0,4}\"",
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let pair = (any::<String>(), inner.clone())
            .prop_map(|(name, value)| format!("{}: {value}", Json::String(name)));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            prop::collection::vec(pair, 0..5).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(fuzz(1_000))]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes)?;
    }

    #[test]
    fn bytes_that_look_like_json(bytes in "[\\[\\]{}\",:0-9eE.+\\-tfn \\\\u]{0,60}") {
        check(bytes.as_bytes())?;
    }

    #[test]
    fn json(text in any_json()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn mutated_json(text in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        check(&bytes)?;
    }

    #[test]
    fn equal_content_has_an_equal_digest(text in any_json()) {
        if let (Ok(one), Ok(json)) = (Value::parse(text.as_bytes()), serde_json::from_str::<Json>(&text)) {
            let spelled = serde_json::to_vec_pretty(&json).unwrap();
            if let (Ok(other), true) = (Value::parse(&spelled), is_exact(&json) && are_doubles(&one)) {
                prop_assert_eq!(one.digest(), other.digest());
            }
        }
    }
}

#[test]
fn depth_is_bounded() {
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(10_000);
        assert!(Value::parse(deep.as_bytes()).is_err());
    }
}
