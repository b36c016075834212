//! By what an unlinked copy is recognised as a record we know.

use crate::data::ids::FieldName;
use crate::data::value::{Digest, Value};
use crate::policy::{EntityPolicy, NoKey};
use crate::record::Record;
use std::collections::BTreeMap;

/// The longest key that is kept as text; a longer one is kept as its digest.
const KEY_BYTES_MAX: usize = 200;

/// The keys under which a copy with these fields is looked for, in the declared order.
pub fn keys_of_copy(policy: &EntityPolicy, fields: &BTreeMap<FieldName, Value>) -> Vec<String> {
    keys(policy, |field| fields.get(field))
}

/// The keys under which a record is found; none for a deleted one.
pub fn keys_of_record(policy: &EntityPolicy, record: &Record) -> Vec<String> {
    if record.deleted.is_some() {
        return Vec::new();
    }
    keys(policy, |field| record.fields.get(field).map(|belief| &belief.value))
}

/// Whether a copy with these fields has none of the declared keys.
pub fn has_no_key(policy: &EntityPolicy, fields: &BTreeMap<FieldName, Value>) -> bool {
    !policy.has_key(|field| fields.get(field))
}

/// Whether the record is made nowhere else for want of a key, although some system lacks it.
pub fn waits_for_key(policy: &EntityPolicy, record: &Record) -> bool {
    let is_wanted = policy.mappings.iter().any(|(system, mapping)| {
        mapping.create && !mapping.is_unlisted && !record.copies.contains_key(system)
    });
    policy.no_key != NoKey::Create
        && is_wanted
        && record.deleted.is_none()
        && !policy.has_key(|field| record.fields.get(field).map(|belief| &belief.value))
}

/// The fields of the declared keys, for sentences.
pub fn key_words(policy: &EntityPolicy) -> String {
    let keys =
        policy.match_on.iter().map(|key| key.iter().map(FieldName::as_str).collect::<Vec<_>>().join(" and "));
    keys.collect::<Vec<_>>().join(" or ")
}

/// The key of one declared field with one value, as a person would look for it.
pub fn key_of_field(field: &FieldName, value: &Value) -> String {
    bounded(part(field, value))
}

fn keys<'a>(policy: &EntityPolicy, value: impl Fn(&FieldName) -> Option<&'a Value>) -> Vec<String> {
    policy.match_on.iter().filter_map(|fields| key_of_fields(fields, &value)).collect()
}

/// The key that these fields make up; `None` if one of them is blank.
pub fn key_of_fields<'a>(
    fields: &[FieldName],
    value: impl Fn(&FieldName) -> Option<&'a Value>,
) -> Option<String> {
    let parts: Option<Vec<String>> = fields
        .iter()
        .map(|field| value(field).filter(|value| !value.is_blank()).map(|value| part(field, value)))
        .collect();
    parts.map(|parts| bounded(joined(&parts)))
}

/// A separator inside a value is escaped, so that no value can pose as two fields of another record.
fn joined(parts: &[String]) -> String {
    match parts {
        [single] => single.clone(),
        several => {
            let escaped: Vec<_> =
                several.iter().map(|part| part.replace('%', "%25").replace('&', "%26")).collect();
            escaped.join("&")
        }
    }
}

/// Keys are compared without surrounding space and without case: people type them.
fn part(field: &FieldName, value: &Value) -> String {
    match value.as_text() {
        Some(text) => format!("{field}={}", text.trim().to_lowercase()),
        None => format!("{field}={value}"),
    }
}

fn bounded(key: String) -> String {
    if key.len() <= KEY_BYTES_MAX { key } else { format!("sha256:{}", Digest::of(key.as_bytes())) }
}
