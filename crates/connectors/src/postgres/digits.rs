//! Numbers within JSON keep the digits that the database holds, where the write does not change them.
//!
//! One number has many spellings, such as 1.5 and 1.50. Ours may be that of another system; written back with an edit of
//! another key, it would change what stands here.

use avowal_core::data::value::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A document as it is sent, with the digits of what stands in its place.
pub(super) fn spelled(value: &Value, present: Option<&str>) -> String {
    let present = present.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let mut out = String::new();
    write(value, present, &mut out);
    out
}

fn write(value: &Value, present: Option<&RawValue>, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_json()),
        Value::Int(_) | Value::Float(_) | Value::Text(_) => match present.filter(|raw| same(value, raw)) {
            Some(raw) => out.push_str(raw.get()),
            None => out.push_str(&value.to_json()),
        },
        Value::List(items) => {
            let present: Vec<&RawValue> = present.and_then(parse).unwrap_or_default();
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                separate(at, out);
                write(item, present.get(at).copied(), out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let present: BTreeMap<String, &RawValue> = present.and_then(parse).unwrap_or_default();
            out.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                separate(at, out);
                out.push_str(&Value::text(name).to_json());
                out.push(':');
                write(value, present.get(name).copied(), out);
            }
            out.push('}');
        }
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether what stands there is a number that we hold as this value.
fn same(value: &Value, raw: &RawValue) -> bool {
    let is_number = raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    is_number && Value::parse(raw.get().as_bytes()).is_ok_and(|present| present == *value)
}

fn separate(at: usize, out: &mut String) {
    if at > 0 {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::spelled;
    use avowal_core::data::value::Value;

    #[test]
    fn a_number_that_stays_keeps_its_digits() {
        let check = |present: &str, change: &str, expected: &str| {
            let ours = Value::parse(change.as_bytes()).unwrap();
            assert_eq!(spelled(&ours, Some(present)), expected, "{present}");
        };
        let price = "12345678.12345678901";
        check(
            &format!(r#"{{"price": {price}, "note": "x"}}"#),
            &format!(r#"{{"note":"y","price":{price}}}"#),
            &format!(r#"{{"note":"y","price":{price}}}"#),
        );
        check(
            r#"{"n": 12345678901234567890}"#,
            r#"{"n":12345678901234567890,"m":1}"#,
            r#"{"m":1,"n":12345678901234567890}"#,
        );
        check(r#"[1.50, {"a": 0.10}]"#, r#"[1.5,{"a":0.1},2]"#, r#"[1.50,{"a":0.10},2]"#);
        check(r#"{"n": "5"}"#, r#"{"n":5}"#, r#"{"n":5}"#);
        check(r#"{"n": 5.25}"#, r#"{"n":5.5}"#, r#"{"n":5.5}"#);
        check("[]", r#"{"a":null,"b":[true,"q\""]}"#, r#"{"a":null,"b":[true,"q\""]}"#);
        assert_eq!(spelled(&Value::Int(9_007_199_254_740_993), None), "9007199254740993");
    }
}
