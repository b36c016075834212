//! The keys by which unlinked copies find a record.

use avowal_core::data::ids::FieldName;
use avowal_core::data::value::Value;
use avowal_core::decide::identity::{keys_of_copy, keys_of_record};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use std::collections::BTreeMap;

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
