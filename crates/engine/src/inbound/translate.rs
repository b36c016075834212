//! Between raw contents and canonical fields, with references carried as our record ids.

use crate::ports::connector::{Expected, Fields, Write};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{EntityName, FieldName, RecordId, RemoteId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::{Intent, Operation};
use avowal_core::record::{CopyKey, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Canonical fields by name.
pub(crate) type Canonical = BTreeMap<FieldName, Value>;

/// Raw contents after translation.
#[derive(Clone, Debug)]
pub(crate) enum Translated {
    /// In canonical names and types.
    Fields(Canonical),
    /// A field could not be read: the reason for the quarantine.
    Unreadable(String),
    /// A reference points to a record that is not known yet.
    Waits(String),
}

/// An outgoing change in remote names, or why it has to wait.
pub(crate) enum Outbound {
    /// Ready to go.
    Write(Box<Write>),
    /// A referenced record has no copy in the target yet.
    Waits(String),
}

impl Engine {
    /// Reads raw contents of several copies of one system and entity.
    pub(crate) async fn translate(
        &self,
        policy: &EntityPolicy,
        system: &SystemName,
        rows: &[&Fields],
    ) -> Result<Vec<Translated>, EngineError> {
        let Some(mapping) = policy.mappings.get(system) else {
            return Ok(rows
                .iter()
                .map(|_| Translated::Unreadable("the entity is not mapped".into()))
                .collect());
        };
        let mut out: Vec<Translated> = rows
            .iter()
            .map(|row| match mapping.read(&policy.fields, row) {
                Ok(fields) => Translated::Fields(fields),
                Err(problems) => Translated::Unreadable(problems.join("; ")),
            })
            .collect();
        for (field, to) in references(policy) {
            self.resolve_references(system, &field, &to, &mut out).await?;
        }
        Ok(out)
    }

    async fn resolve_references(
        &self,
        system: &SystemName,
        field: &FieldName,
        to: &EntityName,
        rows: &mut [Translated],
    ) -> Result<(), EngineError> {
        let key_of =
            |row: &Translated| match row {
                Translated::Fields(fields) => fields.get(field).and_then(Value::as_text).map(|text| {
                    CopyKey { system: system.clone(), entity: to.clone(), remote_id: RemoteId::new(text) }
                }),
                Translated::Unreadable(_) | Translated::Waits(_) => None,
            };
        let keys: Vec<Option<CopyKey>> = rows.iter().map(key_of).collect();
        let asked: Vec<CopyKey> = keys.iter().flatten().cloned().collect();
        if asked.is_empty() {
            return Ok(());
        }
        let mut found = self.store.locate(&asked).await?.into_iter();
        for (row, key) in rows.iter_mut().zip(keys) {
            let Some(key) = key else { continue };
            match (found.next().flatten(), row) {
                (Some(located), Translated::Fields(fields)) => {
                    fields.insert(field.clone(), Value::text(located.record.as_str()));
                }
                (None, row) => {
                    *row = Translated::Waits(format!(
                        "{field} refers to {to} {}, which is not known yet",
                        key.remote_id
                    ));
                }
                (Some(_), Translated::Unreadable(_) | Translated::Waits(_)) => {}
            }
        }
        Ok(())
    }

    /// Spells an intent for its system.
    pub(crate) async fn outbound(
        &self,
        policy: &Arc<EntityPolicy>,
        record: &Record,
        system: &SystemName,
        intent: &Intent,
    ) -> Result<Outbound, EngineError> {
        let Some(mapping) = policy.mappings.get(system) else {
            return Ok(Outbound::Waits("the entity is not mapped any more".into()));
        };
        let mut fields = Fields::new();
        for (field, outgoing) in &intent.fields {
            let Some(rules) = policy.field(field) else { continue };
            let value = match &rules.field_type {
                FieldType::Ref { .. } if !outgoing.value.is_null() => {
                    match self.remote_reference(system, &outgoing.value).await? {
                        Some(id) => Value::text(id.as_str()),
                        None => {
                            return Ok(Outbound::Waits(format!(
                                "{field} refers to a record that has no copy in {system} yet"
                            )));
                        }
                    }
                }
                _ => outgoing.value.clone(),
            };
            if let Some((name, raw)) = mapping.write(field, rules, &value) {
                fields.insert(name, raw);
            }
        }
        let copy = record.copies.get(system);
        let creating = intent.operation == Operation::Create;
        let lookup = if creating { lookups(policy, record, system, &fields) } else { Vec::new() };
        let is_checked = !planted(Mistake::SkipPrecondition);
        Ok(Outbound::Write(Box::new(Write {
            key: intent.key.clone(),
            operation: intent.operation,
            id: if creating { None } else { copy.map(|copy| copy.remote_id.clone()) },
            fields,
            version: copy.filter(|_| is_checked && !creating).and_then(|copy| copy.version.clone()),
            expected: match is_checked {
                true => expectation(policy, record, system, intent),
                false => Expected::anything(),
            },
            lookup,
        })))
    }

    async fn remote_reference(
        &self,
        system: &SystemName,
        value: &Value,
    ) -> Result<Option<RemoteId>, EngineError> {
        let Some(id) = value.as_text() else { return Ok(None) };
        let record = self.store.load(&[RecordId::new(id)]).await?.pop().flatten();
        Ok(record.and_then(|record| record.live_copy(system).map(|copy| copy.remote_id.clone())))
    }
}

fn references(policy: &EntityPolicy) -> Vec<(FieldName, EntityName)> {
    policy
        .fields
        .iter()
        .filter_map(|(field, rules)| match &rules.field_type {
            FieldType::Ref { entity } => Some((field.clone(), entity.clone())),
            _ => None,
        })
        .collect()
}

/// The fields to be written must still hold what the shadow says; spelling differences do not count.
fn expectation(
    policy: &Arc<EntityPolicy>,
    record: &Record,
    system: &SystemName,
    intent: &Intent,
) -> Expected {
    let Some(copy) = record.copies.get(system) else { return Expected::anything() };
    let guarded: Vec<FieldName> = match intent.operation {
        Operation::Create => return Expected::anything(),
        Operation::Update => intent.fields.keys().cloned().collect(),
        // A delete must have seen everything that stands there.
        Operation::Delete => policy
            .mappings
            .get(system)
            .map(|mapping| mapping.columns.keys().cloned().collect())
            .unwrap_or_default(),
    };
    let references: Vec<FieldName> = references(policy).into_iter().map(|(field, _)| field).collect();
    // A field that was never shown must still be empty.
    let shadows: BTreeMap<FieldName, Option<avowal_core::record::Shadow>> = guarded
        .into_iter()
        .filter(|field| !references.contains(field))
        .map(|field| {
            let shadow = copy.fields.get(&field).cloned();
            (field, shadow)
        })
        .collect();
    let (policy, system) = (policy.clone(), system.clone());
    Expected::when(move |present| {
        let Some(mapping) = policy.mappings.get(&system) else { return false };
        let Ok(present) = mapping.read(&policy.fields, present) else { return false };
        shadows.iter().all(|(field, shadow)| match (present.get(field), shadow) {
            (None, _) => true,
            (Some(value), Some(shadow)) => shadow.is_equivalent_to(value),
            (Some(value), None) => value.is_null(),
        })
    })
}

/// The contents by which a copy that exists already would be recognised; as they are written, where they are,
/// because a reference is spelled in the target's own ids.
fn lookups(policy: &EntityPolicy, record: &Record, system: &SystemName, written: &Fields) -> Vec<Fields> {
    let Some(mapping) = policy.mappings.get(system) else { return Vec::new() };
    policy
        .match_on
        .iter()
        .filter_map(|key| {
            key.iter()
                .map(|field| {
                    let value = &record.fields.get(field)?.value;
                    if value.is_null() {
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
