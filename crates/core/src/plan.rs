//! Intents are derived: for every system, the difference between belief and shadow over mapped, writable,
//! uncontested fields. A refused change simply leaves a difference; there is no separate correction machinery.

use crate::chronicle::Chronicle;
use crate::history::Body;
use crate::ids::{FieldName, SystemName};
use crate::intent::{IntentStatus, Operation, Outgoing};
use crate::mapping::Mapping;
use crate::policy::EntityPolicy;
use crate::record::{Copy, Record};
use crate::value::Digest;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a copy lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desired {
    /// What has to be done.
    pub operation: Operation,
    /// The fields to write.
    pub fields: BTreeMap<FieldName, Outgoing>,
}

/// Brings the planned intents in line with the differences. An intent that is on its way is left alone: what
/// has changed since folds into the next one. `corrected` names the system whose own change was just refused.
pub fn plan(policy: &EntityPolicy, chronicle: &mut Chronicle, corrected: Option<&SystemName>) {
    for (system, mapping) in &policy.mappings {
        let record = chronicle.record();
        let current = record.intents.get(system);
        if current.is_some_and(|intent| intent.status != IntentStatus::Planned) {
            continue;
        }
        let desired = desired(policy, mapping, record, system);
        match (current, desired) {
            (None, None) => {}
            (Some(intent), Some(desired))
                if intent.operation == desired.operation && intent.fields == desired.fields => {}
            (_, Some(desired)) => {
                let key = idempotency_key(record, system, &desired);
                chronicle.push(Body::IntentPlanned {
                    system: system.clone(),
                    key,
                    operation: desired.operation,
                    fields: desired.fields,
                    correction: corrected == Some(system),
                });
            }
            (Some(intent), None) => {
                let key = intent.key.clone();
                chronicle.push(Body::IntentWithdrawn { system: system.clone(), key });
            }
        }
    }
}

/// What the system's copy lacks, if anything that may be written.
pub fn desired(
    policy: &EntityPolicy,
    mapping: &Mapping,
    record: &Record,
    system: &SystemName,
) -> Option<Desired> {
    let desired = match (record.copies.get(system), &record.deleted) {
        // An intentional delete is never undone, and a copy that nobody has yet is not made.
        (None, Some(_)) => None,
        (None, None) => (mapping.create && !record.existence_contested())
            .then(|| creation(policy, mapping, record))
            .filter(|desired| !desired.fields.is_empty()),
        (Some(copy), _) if !copy.alive => None,
        (Some(_), Some(_)) => (mapping.delete && !record.existence_contested())
            .then(|| Desired { operation: Operation::Delete, fields: BTreeMap::new() }),
        (Some(copy), None) => {
            let fields = differences(mapping, record, copy);
            (!fields.is_empty()).then_some(Desired { operation: Operation::Update, fields })
        }
    }?;
    let refused = record.held.get(system);
    let content = content_digest(desired.operation, &desired.fields);
    (refused.map(|held| held.content) != Some(content)).then_some(desired)
}

fn creation(policy: &EntityPolicy, mapping: &Mapping, record: &Record) -> Desired {
    let has_key = policy.match_on.is_empty()
        || policy.match_on.iter().any(|key| {
            key.iter().all(|field| record.fields.get(field).is_some_and(|belief| !belief.value.is_null()))
        });
    let fields = record
        .fields
        .iter()
        .filter(|(field, belief)| has_key && writable(mapping, record, field) && !belief.value.is_null())
        .map(|(field, belief)| {
            (field.clone(), Outgoing { value: belief.value.clone(), dot: belief.dot.clone() })
        })
        .collect();
    Desired { operation: Operation::Create, fields }
}

fn differences(mapping: &Mapping, record: &Record, copy: &Copy) -> BTreeMap<FieldName, Outgoing> {
    record
        .fields
        .iter()
        .filter(|(field, _)| writable(mapping, record, field))
        .filter(|(field, belief)| match copy.fields.get(*field) {
            Some(shadow) => !shadow.tolerated && !shadow.stands_for(&belief.value),
            // A field that the copy never showed: nothing is known to stand there.
            None => !belief.value.is_null(),
        })
        .map(|(field, belief)| {
            (field.clone(), Outgoing { value: belief.value.clone(), dot: belief.dot.clone() })
        })
        .collect()
}

fn writable(mapping: &Mapping, record: &Record, field: &FieldName) -> bool {
    mapping.is_writable(field) && !record.is_contested(field)
}

/// The digest by which a refused write is recognised: the same operation with the same values.
pub fn content_digest(operation: Operation, fields: &BTreeMap<FieldName, Outgoing>) -> Digest {
    let mut bytes = operation.to_string().into_bytes();
    let pairs = fields.iter().map(|(field, outgoing)| (field.as_str(), &outgoing.value));
    crate::value::write_canonical_map(pairs, &mut bytes);
    Digest::of(&bytes)
}

/// The most field names that a key spells out.
const KEY_FIELDS_MAX: usize = 3;

/// A key from business identity with direction: which record, which fields, which changes, to which system.
///
/// The same difference always gets the same key. A value that went A→B→A gets a new one, because its dot is new;
/// a correction after the target has changed the field again gets a new one, because the target's count is new.
pub fn idempotency_key(record: &Record, system: &SystemName, desired: &Desired) -> String {
    let mut identity = content_digest(desired.operation, &desired.fields).to_string();
    for outgoing in desired.fields.values() {
        let _ = write!(identity, " {}", outgoing.dot);
    }
    let copy = record.copies.get(system);
    let version = copy.and_then(|copy| copy.version.as_deref()).unwrap_or("");
    let _ = write!(identity, " {system}:{} {version}", record.vector.get(system));
    match desired.operation {
        // A record that was deleted and restored is made, or removed, again: that is another change, although
        // its contents and the target's count may be what they were.
        Operation::Create | Operation::Delete => {
            let _ = write!(identity, " {}", record.vector);
        }
        // A copy that was made again is another copy.
        Operation::Update => {
            let _ = write!(identity, " {}", copy.map_or("", |copy| copy.remote_id.as_str()));
        }
    }
    let mut names: Vec<&str> = desired.fields.keys().map(FieldName::as_str).collect();
    if names.len() > KEY_FIELDS_MAX || names.is_empty() || desired.operation == Operation::Create {
        names = vec![match desired.operation {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }];
    }
    let short = &Digest::of(identity.as_bytes()).to_string()[..16];
    format!("{}.{}.{}.{short}.to.{system}", record.entity, record.id, names.join("+"))
}
