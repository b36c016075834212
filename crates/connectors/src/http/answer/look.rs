//! Looking into JSON that comes from outside, without trusting its shape.

use avowal_core::data::value::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The value behind a name, or behind a JSON pointer if it begins with `/`.
pub(crate) fn look<'a>(item: &'a Value, place: &str) -> Option<&'a Value> {
    if place.is_empty() {
        return Some(item);
    }
    match place.strip_prefix('/') {
        Some(pointer) => pointer.split('/').try_fold(item, |at, step| member(at, &unescape(step))),
        None => member(item, place),
    }
}

/// A text, number or boolean as text.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Int(int) => Some(int.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Float(number) => Some(number.whole().unwrap_or_else(|| number.to_string())),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

fn member<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(step),
        Value::List(items) => items.get(step.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
    }
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

pub(crate) fn descend<'a>(from: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let Some(steps) = pointer.strip_prefix('/') else {
        return pointer.is_empty().then_some(from);
    };
    steps.split('/').try_fold(from, |at, step| {
        if let Some(items) = array(at) {
            return items.get(step.parse::<usize>().ok()?).copied();
        }
        let mut members: BTreeMap<String, &'a RawValue> = serde_json::from_str(at.get()).ok()?;
        members.remove(&unescape(step))
    })
}

pub(crate) fn array(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get().starts_with('[') { serde_json::from_str(raw.get()).ok() } else { None }
}
