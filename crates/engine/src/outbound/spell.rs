//! From an intent to a write: canonical fields become the names and raw values of their system.

use crate::outbound::turn::Target;
use crate::parts::error::EngineError;
use crate::parts::translate::references;
use crate::ports::connector::{Expected, Fields, Write};
use avowal_core::data::ids::{FieldName, RecordId, RemoteId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::translate::Understood;
use avowal_core::record::intent::{Intent, Operation, content_digest};
use avowal_core::record::{Record, Shadow};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An intent in remote names, or why it has to wait.
pub(crate) enum Spelled {
    /// Ready to be sent.
    Write(Box<Write>),
    /// A create that these references lead back to: it has to be made without them first.
    InCircle(Vec<FieldName>),
    /// Something that it needs is missing.
    Waits {
        /// What, in words.
        reason: String,
        /// Whether another write to the same system may bring it about.
        waits_for_write: bool,
    },
}

impl Spelled {
    /// Waits for something that no write brings about.
    pub(crate) fn waits(reason: String) -> Self {
        Spelled::Waits { reason, waits_for_write: false }
    }
}

/// Translates an intent to the names of its system.
pub(crate) async fn spell(
    target: Target<'_>,
    policy: &Arc<EntityPolicy>,
    record: &Record,
    intent: &Intent,
) -> Result<Spelled, EngineError> {
    let system = target.system;
    let Some(mapping) = policy.mappings.get(system) else {
        return Ok(Spelled::waits("the entity is not mapped any more".into()));
    };
    let mut fields = Fields::new();
    let mut circle = Vec::new();
    for (field, outgoing) in &intent.fields {
        let Some(rules) = policy.field(field) else { continue };
        let value = match rules.field_type.reference().filter(|_| !outgoing.value.is_null()) {
            None => outgoing.value.clone(),
            Some(_) => match remote_reference(target, &outgoing.value).await? {
                Some(id) => Value::text(id.as_str()),
                None if leads_back(target, record, intent, &outgoing.value).await? => {
                    circle.push(field.clone());
                    continue;
                }
                None => return Ok(no_copy_yet(field, system)),
            },
        };
        if let Some((name, raw)) = mapping.write(field, rules, &value) {
            fields.insert(name, raw);
        }
    }
    if let Some(field) = circle.first() {
        return Ok(match was_refused_without(record, system, intent, &circle) {
            // Another create of the circle has to be made without its reference.
            true => no_copy_yet(field, system),
            false => Spelled::InCircle(circle),
        });
    }
    let copy = record.copies.get(system);
    let creating = intent.operation == Operation::Create;
    let lookup = if creating { lookups(policy, record, system, &fields) } else { Vec::new() };
    Ok(Spelled::Write(Box::new(Write {
        key: intent.key.clone(),
        operation: intent.operation,
        id: if creating { None } else { copy.map(|copy| copy.remote_id.clone()) },
        fields,
        version: copy.filter(|_| !creating).and_then(|copy| copy.version.clone()),
        expected: expectation(policy, record, system, intent),
        lookup,
    })))
}

/// The target's own id of a referenced record, if it has a copy there.
async fn remote_reference(target: Target<'_>, value: &Value) -> Result<Option<RemoteId>, EngineError> {
    let Some(id) = value.as_text() else { return Ok(None) };
    let record = target.parts.store.load(&[RecordId::new(id)]).await?.pop().flatten();
    Ok(record.and_then(|record| record.live_copy(target.system).map(|copy| copy.remote_id.clone())))
}

fn no_copy_yet(field: &FieldName, system: &SystemName) -> Spelled {
    let reason = format!("{field} refers to a record that has no copy in {system} yet");
    Spelled::Waits { reason, waits_for_write: true }
}

/// Whether the system has refused the create without these references for good, because it demands one of them.
fn was_refused_without(
    record: &Record,
    system: &SystemName,
    intent: &Intent,
    left_out: &[FieldName],
) -> bool {
    let mut fields = intent.fields.clone();
    fields.retain(|field, _| !left_out.contains(field));
    let content = content_digest(intent.operation, &fields);
    record.held.get(system).is_some_and(|held| held.content == content)
}

/// The most records that are looked at to find a circle of references.
const CIRCLE_RECORDS_MAX: usize = 1_000;

/// Whether a create waits for a record whose own create waits, directly or by others, for this one.
async fn leads_back(
    target: Target<'_>,
    record: &Record,
    intent: &Intent,
    referent: &Value,
) -> Result<bool, EngineError> {
    let Target { parts, system, .. } = target;
    if intent.operation != Operation::Create {
        return Ok(false);
    }
    let mut next: Vec<RecordId> = referent.as_text().map(RecordId::new).into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = next.pop() {
        if id == record.id {
            return Ok(true);
        }
        if seen.len() >= CIRCLE_RECORDS_MAX || !seen.insert(id.clone()) {
            continue;
        }
        let Some(other) = parts.store.load(&[id]).await?.pop().flatten() else { continue };
        let creates = |intent: &&Intent| intent.operation == Operation::Create;
        let Some(waits) = other.intents.get(system).filter(creates) else { continue };
        let Some(policy) = parts.policies.get(&other.entity) else { continue };
        let values = references(policy).filter_map(|(field, _)| waits.fields.get(field)?.value.as_text());
        next.extend(values.map(RecordId::new));
    }
    Ok(false)
}

/// The precondition of a write: its fields must still hold what the shadow says. Differences of spelling do not
/// count.
fn expectation(
    policy: &Arc<EntityPolicy>,
    record: &Record,
    system: &SystemName,
    intent: &Intent,
) -> Expected {
    let Some(copy) = record.copies.get(system) else { return Expected::anything() };
    let guarded: Vec<FieldName> = match intent.operation {
        Operation::Create => return Expected::anything(),
        // The row must still be the thing that we know: ids come again, and an empty field is empty in every row.
        Operation::Update => {
            let keys = policy.match_on.iter().flatten().filter(|key| copy.fields.contains_key(*key));
            intent.fields.keys().chain(keys).cloned().collect()
        }
        // A delete must have seen every field of the copy.
        Operation::Delete => policy
            .mappings
            .get(system)
            .map(|mapping| mapping.columns.keys().cloned().collect())
            .unwrap_or_default(),
    };
    let references: Vec<&FieldName> = references(policy).map(|(field, _)| field).collect();
    // A field that was never shown must still be empty.
    let shadows: BTreeMap<FieldName, Option<Shadow>> = guarded
        .into_iter()
        .filter(|field| !references.contains(&field))
        .map(|field| {
            let shadow = copy.fields.get(&field).cloned();
            (field, shadow)
        })
        .collect();
    let known_aside = copy.aside.clone();
    let (policy, system) = (policy.clone(), system.clone());
    Expected::when(move |present| {
        let Some(mapping) = policy.mappings.get(&system) else { return false };
        let Understood { fields: present, aside } = mapping.understand(&policy.fields, present);
        // What cannot be understood must be what was set aside, or nobody has seen it.
        let is_seen =
            |field: &FieldName| aside.get(field).is_none_or(|found| known_aside.get(field) == Some(found));
        shadows.iter().all(|(field, shadow)| match (present.get(field), shadow) {
            (None, _) => is_seen(field),
            (Some(value), Some(shadow)) => shadow.is_equivalent_to(value),
            (Some(value), None) => value.is_null(),
        })
    })
}

/// The contents by which a copy that exists already would be recognised. A field that is written is looked up as it
/// is written, because a reference carries the target's own id.
fn lookups(policy: &EntityPolicy, record: &Record, system: &SystemName, written: &Fields) -> Vec<Fields> {
    let Some(mapping) = policy.mappings.get(system) else { return Vec::new() };
    policy
        .match_on
        .iter()
        .filter_map(|key| {
            key.iter()
                .map(|field| {
                    let value = &record.fields.get(field)?.value;
                    if value.is_blank() {
                        return None;
                    }
                    let column = mapping.columns.get(field)?;
                    let spelled = written.get(&column.name).cloned();
                    let spelled = spelled.or_else(|| Some(policy.field(field)?.field_type.export(value)));
                    Some((column.name.clone(), spelled?))
                })
                .collect::<Option<Fields>>()
        })
        .filter(|fields| !fields.is_empty())
        .collect()
}
