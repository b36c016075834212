//! From raw contents to canonical fields, with references carried as our record ids.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::connector::Fields;
use avowal_core::data::ids::{EntityName, FieldName, RemoteId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::translate::Understood;
use avowal_core::record::{CopyKey, Misread};
use std::collections::BTreeMap;

/// Canonical fields by name.
pub(crate) type Canonical = BTreeMap<FieldName, Value>;

/// The fields of a copy that could not be understood.
pub(crate) type Aside = BTreeMap<FieldName, Misread>;

/// Raw contents after translation.
#[derive(Clone, Debug)]
pub(crate) enum Translated {
    /// In canonical names and types, each field that could not be understood set aside.
    Row(Understood),
    /// Nothing of it can be read: the reason for the quarantine.
    Unreadable(String),
    /// A reference points to a record that is not known yet: the reason to wait.
    Waits(String),
}

/// Translates raw contents of several copies of one system and entity, in the order given.
pub(crate) async fn translate(
    parts: &Parts,
    policy: &EntityPolicy,
    system: &SystemName,
    rows: &[&Fields],
) -> Result<Vec<Translated>, EngineError> {
    let Some(mapping) = policy.mappings.get(system) else {
        let unmapped = |_: &&Fields| Translated::Unreadable("the entity is not mapped".into());
        return Ok(rows.iter().map(unmapped).collect());
    };
    let read = |row: &&Fields| Translated::Row(mapping.understand(&policy.fields, row));
    let mut out: Vec<Translated> = rows.iter().map(read).collect();
    for (field, to) in references(policy) {
        resolve_references(parts, system, (field, to), &mut out).await?;
    }
    Ok(out)
}

/// Replaces the remote ids in one reference field by our record ids.
async fn resolve_references(
    parts: &Parts,
    system: &SystemName,
    (field, to): (&FieldName, &EntityName),
    rows: &mut [Translated],
) -> Result<(), EngineError> {
    let key_of = |row: &Translated| match row {
        Translated::Row(row) => row.fields.get(field).and_then(Value::as_text).map(|text| CopyKey {
            system: system.clone(),
            entity: to.clone(),
            remote_id: RemoteId::new(text),
        }),
        Translated::Unreadable(_) | Translated::Waits(_) => None,
    };
    let keys: Vec<Option<CopyKey>> = rows.iter().map(key_of).collect();
    let asked: Vec<CopyKey> = keys.iter().flatten().cloned().collect();
    if asked.is_empty() {
        return Ok(());
    }
    let mut found = parts.store.locate(&asked).await?.into_iter();
    for (row, key) in rows.iter_mut().zip(keys) {
        let Some(key) = key else { continue };
        match (found.next().flatten(), row) {
            (Some(located), Translated::Row(row)) => {
                row.fields.insert(field.clone(), Value::text(located.record.as_str()));
            }
            (None, row) => {
                let reason = format!("{field} refers to {to} {}, which is not known yet", key.remote_id);
                *row = Translated::Waits(reason);
            }
            (Some(_), Translated::Unreadable(_) | Translated::Waits(_)) => {}
        }
    }
    Ok(())
}

/// The reference fields of an entity, with the entities they refer to.
pub(crate) fn references(policy: &EntityPolicy) -> impl Iterator<Item = (&FieldName, &EntityName)> {
    policy.fields.iter().filter_map(|(field, rules)| Some((field, rules.field_type.reference()?)))
}
