//! The keys by which unlinked copies find a record.

use avowal_core::data::ids::FieldName;
use avowal_core::data::value::Value;
use avowal_core::decide::identity::{keys_of_copy, keys_of_record};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::{Copy, Record};
use std::collections::BTreeMap;

/// Whether a row is another thing than the copy that is known under its id: both have keys, and none in common. The keys
/// of a copy are those that it was shown with last, and those that its record was believed to have last.
pub(crate) fn is_another_thing(
    policy: &EntityPolicy,
    record: &Record,
    copy: &Copy,
    shown: &BTreeMap<FieldName, Value>,
) -> bool {
    let content = copy.fields.iter().map(|(field, shadow)| (field.clone(), shadow.content.clone()));
    let belief = record.fields.iter().map(|(field, belief)| (field.clone(), belief.value.clone()));
    let mut known = keys_of_copy(policy, &content.collect());
    known.extend(keys_of_copy(policy, &belief.collect()));
    let shown = keys_of_copy(policy, shown);
    !shown.is_empty() && !known.is_empty() && !shown.iter().any(|key| known.contains(key))
}

/// The keys by which copies find a record. A field without a belief counts with the content that a copy shows, or the
/// owner's copy, if it comes later, would not find its record.
pub fn match_keys(policy: &EntityPolicy, record: &Record) -> Vec<String> {
    let mut keys = keys_of_record(policy, record);
    let mut known: BTreeMap<FieldName, Value> = BTreeMap::new();
    let is_alive = record.deleted.is_none();
    for field in policy.match_on.iter().flatten().filter(|_| is_alive) {
        let shown = record.copies.values().filter(|copy| copy.alive).find_map(|copy| copy.fields.get(field));
        let value = match record.fields.get(field) {
            Some(belief) => Some(&belief.value),
            None => shown.map(|shadow| &shadow.content),
        };
        known.extend(value.map(|value| (field.clone(), value.clone())));
    }
    keys.extend(keys_of_copy(policy, &known));
    // A create of unknown outcome may have made a copy with what was believed then.
    for intent in record.intents.values().filter(|intent| intent.is_open_create()) {
        let sent = intent.fields.iter().map(|(field, outgoing)| (field.clone(), outgoing.value.clone()));
        keys.extend(keys_of_copy(policy, &sent.collect()));
    }
    keys.sort();
    keys.dedup();
    keys
}
