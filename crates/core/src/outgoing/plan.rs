//! Intents are derived: for every system, the difference between belief and shadow over mapped, writable,
//! uncontested fields. A refused change simply leaves a difference; there is no separate correction machinery.

use crate::data::ids::{FieldName, SystemName};
use crate::data::left_join::left_join;
use crate::data::value::Digest;
use crate::data::version::Dot;
use crate::history::Body;
use crate::history::chronicle::Chronicle;
use crate::policy::mapping::{ColumnMapping, Mapping};
use crate::policy::{EntityPolicy, NoKey, Owner};
use crate::record::intent::{Intent, Operation, OutgoingField, content_digest};
use crate::record::{Belief, Copy, Record, Shadow};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The write that would bring a copy in line with the belief.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desired {
    /// What has to be done.
    pub operation: Operation,
    /// The fields to write.
    pub fields: BTreeMap<FieldName, OutgoingField>,
}

/// Brings the planned intents in line with the differences. An intent that is on its way is left alone: what
/// has changed since folds into the next one. `corrected` names the system whose own change was just refused.
pub fn plan(policy: &EntityPolicy, chronicle: &mut Chronicle, corrected: Option<&SystemName>) {
    for (system, mapping) in &policy.mappings {
        let record = chronicle.record();
        let current = record.intents.get(system);
        if current.is_some_and(Intent::is_open) {
            continue;
        }
        let desired = desired(policy, mapping, record, system);
        let key = desired.as_ref().map(|desired| idempotency_key(record, system, desired));
        match (current, desired.zip(key)) {
            (None, None) => {}
            (Some(intent), Some((desired, key))) if is_planned_by(intent, &desired, &key) => {}
            (_, Some((desired, key))) => {
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
                let put_off = waits_for_person(record, intent);
                chronicle.push(Body::IntentWithdrawn { system: system.clone(), key, put_off });
            }
        }
    }
}

/// Whether the intent to a system is still the write that the difference asks for.
pub fn is_still_wanted(policy: &EntityPolicy, record: &Record, system: &SystemName) -> bool {
    let (Some(intent), Some(mapping)) = (record.intents.get(system), policy.mappings.get(system)) else {
        return false;
    };
    desired(policy, mapping, record, system).is_some_and(|mut desired| {
        if intent.operation == Operation::Create && intent.attempt > 0 {
            // It was sent without the references that lead in a circle.
            desired
                .fields
                .retain(|field, _| intent.fields.contains_key(field) || !is_reference(policy, field));
        }
        let key = idempotency_key(record, system, &desired);
        is_planned_by(intent, &desired, &key)
    })
}

/// Plans a create without these references, which lead in a circle. Once the copy exists, they are a difference like any
/// other.
pub fn plan_without(chronicle: &mut Chronicle, system: &SystemName, left_out: &[FieldName]) {
    let record = chronicle.record();
    let Some(intent) = record.intents.get(system) else { return };
    let mut fields = intent.fields.clone();
    fields.retain(|field, _| !left_out.contains(field));
    let desired = Desired { operation: intent.operation, fields };
    let key = idempotency_key(record, system, &desired);
    let Desired { operation, fields } = desired;
    chronicle.push(Body::IntentPlanned { system: system.clone(), key, operation, fields, correction: false });
}

fn is_reference(policy: &EntityPolicy, field: &FieldName) -> bool {
    policy.field(field).is_some_and(|rules| rules.field_type.reference().is_some())
}

/// Whether an intent is the write that is desired. After another change of the target the same difference has another
/// key: a system that remembers the first key would answer without writing.
fn is_planned_by(intent: &Intent, desired: &Desired, key: &str) -> bool {
    (intent.attempt == 0 || intent.key == key)
        && intent.operation == desired.operation
        && intent.fields == desired.fields
}

/// Whether a write is not wanted now because a person has to decide first.
fn waits_for_person(record: &Record, intent: &Intent) -> bool {
    record.existence_contested() || intent.fields.keys().any(|field| record.is_contested(field))
}

/// The write that would bring the system's copy in line with the belief, if one is needed and allowed.
pub fn desired(
    policy: &EntityPolicy,
    mapping: &Mapping,
    record: &Record,
    system: &SystemName,
) -> Option<Desired> {
    let desired = match (record.copies.get(system), &record.deleted) {
        // An intentional delete is never undone, so no copy of a deleted record is created.
        (None, Some(_)) => None,
        (Some(copy), _) if !copy.alive && (!copy.wanted || record.deleted.is_some()) => None,
        (None, None) => made(policy, mapping, record, system),
        (Some(copy), None) if !copy.alive => made(policy, mapping, record, system),
        (Some(_), Some(_)) => (mapping.delete && !record.existence_contested())
            .then(|| Desired { operation: Operation::Delete, fields: BTreeMap::new() }),
        (Some(copy), None) => {
            let fields = differences(policy, system, mapping, record, copy);
            (!fields.is_empty()).then_some(Desired { operation: Operation::Update, fields })
        }
    }?;
    let Some(refused) = record.held.get(system) else { return Some(desired) };
    (refused.content != content_digest(desired.operation, &desired.fields)).then_some(desired)
}

fn made(policy: &EntityPolicy, mapping: &Mapping, record: &Record, system: &SystemName) -> Option<Desired> {
    let is_planned =
        || record.intents.get(system).is_some_and(|intent| intent.operation == Operation::Create);
    let may = mapping.create && (!mapping.is_unlisted || is_planned()) && !record.existence_contested();
    let desired = may.then(|| creation(policy, mapping, record));
    desired.filter(|desired| !desired.fields.is_empty())
}

fn creation(policy: &EntityPolicy, mapping: &Mapping, record: &Record) -> Desired {
    let has_key = policy.no_key == NoKey::Create
        || policy.has_key(|field| record.fields.get(field).map(|belief| &belief.value));
    let fields = left_join(&record.fields, &mapping.columns)
        .filter(|(field, belief, column)| {
            has_key && writable(*column, record, field) && !belief.value.is_null()
        })
        .map(|(field, belief, _)| outgoing(field, belief))
        .collect();
    Desired { operation: Operation::Create, fields }
}

fn differences(
    policy: &EntityPolicy,
    system: &SystemName,
    mapping: &Mapping,
    record: &Record,
    copy: &Copy,
) -> BTreeMap<FieldName, OutgoingField> {
    left_join(&record.fields, &mapping.columns)
        .zip(left_join(&record.fields, &copy.fields))
        .filter(|((field, _, column), _)| writable(*column, record, field))
        // Nobody has understood what stands there, so nothing is written over it.
        .filter(|((field, ..), _)| !copy.aside.contains_key(*field))
        .filter(|(_, (_, belief, shadow))| match shadow {
            Some(shadow) => !shadow.tolerated && !shadow.is_equivalent_to(&belief.value),
            // The copy never showed this field, so it is written unless there is nothing to write.
            None => !belief.value.is_null(),
        })
        .filter(|((field, belief, _), _)| may_be_written(policy, system, field, &belief.dot.system, copy))
        .map(|((field, belief, _), _)| outgoing(field, belief))
        .collect()
}

fn outgoing(field: &FieldName, belief: &Belief) -> (FieldName, OutgoingField) {
    (field.clone(), OutgoingField { value: belief.value.clone(), dot: belief.dot.clone() })
}

/// Whether another system's value may be written to a system: not to a field it owns, unless the other may propose.
/// A provisional value, accepted while the owner had no copy, is never written to the owner's copy.
fn may_be_written(
    policy: &EntityPolicy,
    system: &SystemName,
    field: &FieldName,
    by: &SystemName,
    copy: &Copy,
) -> bool {
    let Some(rules) = policy.field(field) else { return false };
    match &rules.owner {
        Owner::System(owner) if owner == system => {
            // The value that our create put into its copy was not set by the owner.
            let is_ours = copy.fields.get(field).is_some_and(Shadow::is_our_write);
            by == owner || by.is_operator() || rules.proposals.contains(by) || is_ours
        }
        Owner::System(_) | Owner::Shared => true,
    }
}

fn writable(column: Option<&ColumnMapping>, record: &Record, field: &FieldName) -> bool {
    column.is_some_and(|column| !column.read_only) && !record.is_contested(field)
}

/// The most field names that a key spells out.
const KEY_FIELDS_MAX: usize = 3;

/// A key from business identity with direction: which record, which fields, which changes, to which system.
///
/// The same difference always gets the same key. A value that went A→B→A gets a new one, because its dot is new;
/// a correction after the target has changed the field again gets a new one, because the target's count is new.
pub fn idempotency_key(record: &Record, system: &SystemName, desired: &Desired) -> String {
    // Appended to one buffer, because this runs for every change and every target.
    let mut identity = String::with_capacity(256);
    content_digest(desired.operation, &desired.fields).append_to(&mut identity);
    for outgoing in desired.fields.values() {
        identity.push(' ');
        outgoing.dot.append_to(&mut identity);
    }
    let copy = record.copies.get(system);
    identity.push(' ');
    Dot { system: system.clone(), n: record.vector.get(system) }.append_to(&mut identity);
    identity.push(' ');
    identity.push_str(copy.and_then(|copy| copy.version.as_deref()).unwrap_or(""));
    match desired.operation {
        // A record that was deleted and restored is made, or removed, again: that is another change, although
        // its contents and the target's count may be what they were.
        Operation::Create | Operation::Delete => {
            let _ = write!(identity, " {}", record.vector);
        }
        // A copy that was made again is another copy.
        Operation::Update => {
            identity.push(' ');
            identity.push_str(copy.map_or("", |copy| copy.remote_id.as_str()));
        }
    }
    let mut key = String::with_capacity(128);
    key.push_str(record.entity.as_str());
    key.push('.');
    key.push_str(record.id.as_str());
    key.push('.');
    push_subject(&mut key, desired);
    key.push('.');
    key.push_str(&Digest::of(identity.as_bytes()).to_string()[..16]);
    key.push_str(".to.");
    key.push_str(system.as_str());
    key
}

/// The fields, if they are few, or the operation.
fn push_subject(key: &mut String, desired: &Desired) {
    let Desired { operation, fields } = desired;
    if fields.is_empty() || fields.len() > KEY_FIELDS_MAX || *operation == Operation::Create {
        return key.push_str(operation.as_str());
    }
    for (at, field) in fields.keys().enumerate() {
        if at > 0 {
            key.push('+');
        }
        key.push_str(field.as_str());
    }
}
