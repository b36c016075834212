//! One record as `show` prints it: for each field the belief and the content of each copy.

use super::reasons::{failure_words, subject_words};
use super::short::{short_text, short_value};
use crate::data::ids::{EntityName, FieldName, RecordId, RemoteId, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::Value;
use crate::data::version::{Dot, VersionVector};
use crate::policy::EntityPolicy;
use crate::record::{Record, Subject, Tombstone};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// One record with all its copies.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RecordView {
    /// The kind of record.
    pub entity: EntityName,
    /// Our id.
    pub id: RecordId,
    /// The sequence of its last event.
    pub seq: u64,
    /// All changes seen so far.
    pub version: VersionVector,
    /// Set if it is deleted.
    pub deleted: Option<Tombstone>,
    /// Each field of the policy.
    pub fields: BTreeMap<FieldName, FieldView>,
    /// Each linked copy.
    pub copies: BTreeMap<SystemName, CopyView>,
    /// The open reviews: what they are about, to their ids.
    pub reviews: BTreeMap<Subject, String>,
}

/// One field.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FieldView {
    /// The believed value, if there is one.
    pub value: Option<Value>,
    /// The change that made it so.
    pub dot: Option<Dot>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether a person has to decide.
    pub contested: bool,
    /// The field in each copy that has it.
    pub copies: BTreeMap<SystemName, FieldCopy>,
}

/// One field of one copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FieldCopy {
    /// The copy's content; absent if it was never shown.
    pub content: Option<Value>,
    /// How the content compares with the belief.
    pub state: ContentState,
    /// Why what stands there cannot be understood, where it is set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<String>,
}

/// How a copy's content compares with the belief.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentState {
    /// They are equal.
    Same,
    /// The system stored its own form of what we sent; the two are equivalent.
    Equivalent,
    /// They differ.
    Differs,
    /// They differ, and the policy leaves it so.
    Tolerated,
    /// They differ, and a person has to decide.
    Contested,
    /// What stands there cannot be understood and is set aside.
    SetAside,
    /// The copy never showed this field.
    Unseen,
}

/// One linked copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CopyView {
    /// The system's id of it.
    pub remote_id: RemoteId,
    /// Whether it exists there, as far as proven.
    pub alive: bool,
    /// The changes that it provably includes.
    pub seen: VersionVector,
    /// The outgoing change that is not confirmed yet: `pending`, `sent` or `unknown`.
    pub outgoing: Option<String>,
    /// Why the system refused the last change for good.
    pub held: Option<String>,
}

/// The record with all its copies, compared field by field.
pub fn record_view(policy: &EntityPolicy, record: &Record) -> RecordView {
    let fields = policy.fields.keys().map(|field| (field.clone(), field_view(policy, record, field)));
    let copies = record.copies.iter().map(|(system, copy)| {
        let view = CopyView {
            remote_id: copy.remote_id.clone(),
            alive: copy.alive,
            seen: copy.seen.clone(),
            outgoing: record.intents.get(system).map(|intent| intent.status.to_string()),
            held: record.held.get(system).map(|held| failure_words(&held.reason, system)),
        };
        (system.clone(), view)
    });
    RecordView {
        entity: record.entity.clone(),
        id: record.id.clone(),
        seq: record.seq,
        version: record.vector.clone(),
        deleted: record.deleted.clone(),
        fields: fields.collect(),
        copies: copies.collect(),
        reviews: record
            .reviews
            .iter()
            .map(|(subject, review)| (subject.clone(), review.id.clone()))
            .collect(),
    }
}

fn field_view(policy: &EntityPolicy, record: &Record, field: &FieldName) -> FieldView {
    let belief = record.fields.get(field);
    let holds = |system: &SystemName| {
        policy.mappings.get(system).is_some_and(|mapping| mapping.columns.contains_key(field))
    };
    let copies = record
        .copies
        .iter()
        .filter(|(system, copy)| copy.alive && holds(system))
        .map(|(system, _)| (system.clone(), field_copy(record, system, field)));
    FieldView {
        value: belief.map(|belief| belief.value.clone()),
        dot: belief.map(|belief| belief.dot.clone()),
        since: belief.map(|belief| belief.since),
        contested: record.is_contested(field),
        copies: copies.collect(),
    }
}

fn field_copy(record: &Record, system: &SystemName, field: &FieldName) -> FieldCopy {
    let copy = record.copies.get(system);
    let shadow = copy.and_then(|copy| copy.fields.get(field));
    if let Some(misread) = copy.and_then(|copy| copy.aside.get(field)) {
        let content = shadow.map(|shadow| shadow.content.clone());
        let set_aside = Some(misread.to_string());
        return FieldCopy { content, state: ContentState::SetAside, set_aside };
    }
    let Some(shadow) = shadow else {
        return FieldCopy { content: None, state: ContentState::Unseen, set_aside: None };
    };
    let believed = record.fields.get(field).map(|belief| &belief.value);
    let state = match believed {
        Some(value) if shadow.content == *value => ContentState::Same,
        Some(value) if shadow.is_equivalent_to(value) => ContentState::Equivalent,
        Some(_) | None if record.is_contested(field) => ContentState::Contested,
        Some(_) | None if shadow.tolerated => ContentState::Tolerated,
        Some(_) => ContentState::Differs,
        // There is no belief, and an empty field is no value that differs from it.
        None if shadow.content.is_null() => ContentState::Same,
        None => ContentState::Differs,
    };
    FieldCopy { content: Some(shadow.content.clone()), state, set_aside: None }
}

impl fmt::Display for RecordView {
    /// Several lines that can be read aloud.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, version {}, after {} events", self.entity, self.id, self.version, self.seq)?;
        if let Some(tombstone) = &self.deleted {
            write!(f, "\ndeleted since {} ({})", tombstone.since, tombstone.dot)?;
        }
        for (system, copy) in &self.copies {
            write!(f, "\n{}", copy.line(system))?;
        }
        for (field, view) in &self.fields {
            write!(f, "\n{}", view.line(field))?;
        }
        for (subject, review) in &self.reviews {
            let subject = subject_words(subject);
            write!(f, "\n{subject} waits for a person: review {review}")?;
        }
        Ok(())
    }
}

impl CopyView {
    fn line(&self, system: &SystemName) -> String {
        let alive = if self.alive { "" } else { ", gone" };
        let outgoing =
            self.outgoing.as_ref().map(|status| format!(", a change is {status}")).unwrap_or_default();
        let held = self.held.as_ref().map(|why| format!(", refused for good: {}", super::short::reason(why)));
        let id = short_text(self.remote_id.as_str());
        format!("in {system}: {id}, has seen {}{alive}{outgoing}{}", self.seen, held.unwrap_or_default())
    }
}

impl FieldView {
    fn line(&self, field: &FieldName) -> String {
        let value = match (&self.value, &self.dot) {
            (Some(value), Some(dot)) => format!("{} ({dot})", short_value(value)),
            (Some(value), None) => short_value(value),
            (None, _) => "nothing is believed yet".to_owned(),
        };
        let contested = if self.contested { ", contested" } else { "" };
        let is_told =
            |copy: &FieldCopy| self.value.is_some() || copy.content.is_some() || copy.set_aside.is_some();
        let told = self.copies.iter().filter(|(_, copy)| is_told(copy));
        let copies: Vec<String> = told.filter_map(|(system, copy)| copy.line(system)).collect();
        let copies = if copies.is_empty() { String::new() } else { format!("; {}", copies.join("; ")) };
        format!("{field}: {value}{contested}{copies}")
    }
}

impl FieldCopy {
    /// Its words; `None` where it equals the belief.
    fn line(&self, system: &SystemName) -> Option<String> {
        let content = self.content.as_ref().map(short_value).unwrap_or_default();
        match self.state {
            ContentState::Same => None,
            ContentState::Equivalent => Some(format!("{system} stores it as {content}")),
            ContentState::Differs => Some(format!("{system} differs: {content}")),
            ContentState::Tolerated => Some(format!("{system} differs, tolerated: {content}")),
            ContentState::Contested => Some(format!("{system} differs, contested: {content}")),
            ContentState::SetAside => {
                let why = super::short::reason(self.set_aside.as_deref().unwrap_or_default());
                Some(format!("{system} shows what cannot be understood, set aside: {why}"))
            }
            ContentState::Unseen => Some(format!("{system} has not shown it")),
        }
    }
}
