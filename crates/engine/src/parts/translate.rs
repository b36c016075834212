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
    /// A reference points to a record that is not known yet.
    Waits(Box<Waiting>),
}

/// A row that refers to records that are not known yet.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// The row with those references set aside.
    pub(crate) row: Understood,
    /// What it waits for, in words.
    pub(crate) reason: String,
    /// The copies that are not known yet.
    pub(crate) referents: Vec<CopyKey>,
}

impl Translated {
    fn row_mut(&mut self) -> Option<&mut Understood> {
        match self {
            Translated::Row(row) => Some(row),
            Translated::Waits(waiting) => Some(&mut waiting.row),
            Translated::Unreadable(_) => None,
        }
    }

    /// Sets a reference aside whose referent is not known.
    fn wait_for(self, field: &FieldName, referent: CopyKey) -> Self {
        let (to, id) = (&referent.entity, &referent.remote_id);
        let reason = format!("{field} refers to {to} {id}, which is not known yet");
        let mut waiting = match self {
            Translated::Row(row) => Box::new(Waiting { row, reason, referents: Vec::new() }),
            Translated::Waits(waiting) => waiting,
            Translated::Unreadable(_) => return self,
        };
        let found = Value::text(id.as_str()).to_string();
        let misread = Misread { found, expected: format!("a {to} that is known yet"), hint: String::new() };
        waiting.row.fields.remove(field);
        waiting.row.aside.insert(field.clone(), misread);
        waiting.referents.push(referent);
        Translated::Waits(waiting)
    }
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
    let key_of = |row: &mut Translated| {
        let text = row.row_mut()?.fields.get(field)?.as_text()?.to_owned();
        Some(CopyKey { system: system.clone(), entity: to.clone(), remote_id: RemoteId::new(text) })
    };
    let keys: Vec<Option<CopyKey>> = rows.iter_mut().map(key_of).collect();
    let asked: Vec<CopyKey> = keys.iter().flatten().cloned().collect();
    if asked.is_empty() {
        return Ok(());
    }
    let mut found = parts.store.locate(&asked).await?.into_iter();
    for (row, key) in rows.iter_mut().zip(keys) {
        let Some(key) = key else { continue };
        match found.next().flatten() {
            Some(located) => {
                if let Some(row) = row.row_mut() {
                    row.fields.insert(field.clone(), Value::text(located.record.as_str()));
                }
            }
            None => {
                let before = std::mem::replace(row, Translated::Unreadable(String::new()));
                *row = before.wait_for(field, key);
            }
        }
    }
    Ok(())
}

/// The reference fields of an entity, with the entities they refer to.
pub(crate) fn references(policy: &EntityPolicy) -> impl Iterator<Item = (&FieldName, &EntityName)> {
    policy.fields.iter().filter_map(|(field, rules)| Some((field, rules.field_type.reference()?)))
}
