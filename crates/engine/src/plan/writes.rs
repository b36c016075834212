//! What would be written, counted record by record: by system, entity and field, with examples.

use crate::parts::planned::{NamedCopy, PlannedWrite, value_digest};
use crate::parts::translate::references;
use crate::plan::report::{EntityWrites, Example, FieldWrites, OpenQuestion};
use avowal_core::data::ids::{EntityName, FieldName, RecordId, SystemName};
use avowal_core::data::spelling::is_spelling_of;
use avowal_core::data::value::Value;
use avowal_core::explain::review_words;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::intent::{Intent, Operation, OutgoingField};
use avowal_core::record::{Copy, Record, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// The records to which the records of a page refer, by their first copies.
pub(super) type Referents = BTreeMap<RecordId, NamedCopy>;

/// What is asked of the writes.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Only those to this system.
    pub(super) system: Option<&'a SystemName>,
    /// How many examples of each kind.
    pub(super) examples: usize,
    /// Whether each write is listed.
    pub(super) each: bool,
}

/// The writes in the making.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) systems: BTreeMap<SystemName, BTreeMap<EntityName, EntityWrites>>,
    pub(super) under_way: BTreeMap<SystemName, u64>,
    pub(super) each: Vec<PlannedWrite>,
    pub(super) questions_open: u64,
    pub(super) questions: Vec<OpenQuestion>,
}

/// The records to which the intents of these records refer.
pub(super) fn referents(
    policies: &BTreeMap<EntityName, std::sync::Arc<EntityPolicy>>,
    records: &[Record],
) -> BTreeSet<RecordId> {
    let mut found = BTreeSet::new();
    for record in records {
        let Some(policy) = policies.get(&record.entity) else { continue };
        for (field, _) in references(policy) {
            let values = record.intents.values().filter_map(|intent| intent.fields.get(field));
            found.extend(values.filter_map(|outgoing| outgoing.value.as_text().map(RecordId::new)));
        }
    }
    found
}

impl Writes {
    /// Counts what is planned for a record.
    pub(super) fn add(
        &mut self,
        policy: &EntityPolicy,
        record: &Record,
        referents: &Referents,
        wanted: Wanted<'_>,
    ) {
        let label = label(record);
        let is_wanted = |system: &SystemName| wanted.system.is_none_or(|only| only == system);
        for (system, intent) in record.intents.iter().filter(|(system, _)| is_wanted(system)) {
            if intent.is_open_attempt() {
                *self.under_way.entry(system.clone()).or_default() += 1;
                continue;
            }
            let reader = Reader { policy, record, label: &label, referents, wanted };
            let systems = self.systems.entry(system.clone()).or_default();
            reader.count(system, intent, systems.entry(record.entity.clone()).or_default());
            if wanted.each {
                self.each.extend(reader.planned(system, intent));
            }
        }
        for (system, copy) in record.copies.iter().filter(|(system, _)| is_wanted(system)) {
            let has_news = !copy.aside.is_empty() || record.held.contains_key(system);
            if has_news {
                let systems = self.systems.entry(system.clone()).or_default();
                let writes = systems.entry(record.entity.clone()).or_default();
                writes.refused_before += u64::from(record.held.contains_key(system));
                for field in copy.aside.keys() {
                    writes.fields.entry(field.clone()).or_default().not_understood += 1;
                }
            }
        }
        self.count_reviews(record, &label, wanted);
    }

    /// Counts the questions of a record, in each system that shows another value.
    fn count_reviews(&mut self, record: &Record, label: &str, wanted: Wanted<'_>) {
        for (subject, review) in &record.reviews {
            let shown = review.proposed.iter().map(|(system, side)| (system.clone(), side.value.clone()));
            let shown: BTreeMap<SystemName, Value> = shown.collect();
            if wanted.system.is_some_and(|only| !shown.contains_key(only)) {
                continue;
            }
            self.questions_open += 1;
            for system in shown.keys().filter(|system| wanted.system.is_none_or(|only| only == *system)) {
                let systems = self.systems.entry(system.clone()).or_default();
                let writes = systems.entry(record.entity.clone()).or_default();
                writes.reviews += 1;
                if let Subject::Field(field) = subject {
                    writes.fields.entry(field.clone()).or_default().reviews += 1;
                }
            }
            if self.questions.len() < wanted.examples {
                let about = match subject {
                    Subject::Field(field) => field.to_string(),
                    Subject::Existence => "existence".to_owned(),
                };
                self.questions.push(OpenQuestion {
                    entity: record.entity.clone(),
                    record: label.to_owned(),
                    about,
                    why: review_words(&review.reason, subject),
                    believed: review.believed.as_ref().map_or(Value::Null, |side| side.value.clone()),
                    shown,
                });
            }
        }
    }
}

/// One record, as its writes are read.
struct Reader<'a> {
    policy: &'a EntityPolicy,
    record: &'a Record,
    label: &'a str,
    referents: &'a Referents,
    wanted: Wanted<'a>,
}

impl Reader<'_> {
    /// Counts one intent.
    fn count(&self, system: &SystemName, intent: &Intent, writes: &mut EntityWrites) {
        let examples = self.wanted.examples;
        match intent.operation {
            Operation::Create => {
                writes.creates += 1;
                for field in intent.fields.keys() {
                    writes.fields.entry(field.clone()).or_default().in_creates += 1;
                }
                if writes.create_examples.len() < examples {
                    writes.create_examples.push(self.label.to_owned());
                }
            }
            Operation::Update => {
                writes.updates += 1;
                let copy = self.record.copies.get(system);
                for (field, outgoing) in &intent.fields {
                    self.count_field(copy, field, outgoing, writes.fields.entry(field.clone()).or_default());
                }
            }
            Operation::Delete => {
                writes.deletes += 1;
                if writes.delete_examples.len() < examples {
                    writes.delete_examples.push(self.label.to_owned());
                }
            }
        }
    }

    fn count_field(
        &self,
        copy: Option<&Copy>,
        field: &FieldName,
        outgoing: &OutgoingField,
        writes: &mut FieldWrites,
    ) {
        let before = copy.and_then(|copy| copy.fields.get(field)).map(|shadow| shadow.content.clone());
        let before = before.unwrap_or(Value::Null);
        if outgoing.value.is_null() {
            writes.emptied += 1;
        } else if before.is_null() {
            writes.filled += 1;
        } else {
            writes.replaced += 1;
            writes.spelling_only += u64::from(is_same_but_spelled(&before, &outgoing.value));
        }
        if writes.examples.len() < self.wanted.examples {
            let after = self.readable(field, &outgoing.value);
            let before = self.readable(field, &before);
            writes.examples.push(Example { record: self.label.to_owned(), before, after });
        }
    }

    /// A reference as a person reads it: by a copy of the record that it leads to.
    fn readable(&self, field: &FieldName, value: &Value) -> Value {
        match self.referent(field, value) {
            Some(copy) => Value::text(copy.to_string()),
            None => value.clone(),
        }
    }

    fn referent(&self, field: &FieldName, value: &Value) -> Option<&NamedCopy> {
        let is_reference = self.policy.field(field)?.field_type.reference().is_some();
        let record = value.as_text().filter(|_| is_reference).map(RecordId::new)?;
        self.referents.get(&record)
    }

    /// The write as a sync is held to it; `None` for a record without a copy.
    fn planned(&self, system: &SystemName, intent: &Intent) -> Option<PlannedWrite> {
        let digest = |(field, outgoing): (&FieldName, &OutgoingField)| {
            let digest = match self.referent(field, &outgoing.value) {
                Some(copy) => copy.digest(),
                None => value_digest(&outgoing.value),
            };
            (field.clone(), digest)
        };
        Some(PlannedWrite {
            entity: self.record.entity.clone(),
            copy: NamedCopy::first_of(self.record)?,
            to: system.clone(),
            operation: intent.operation,
            fields: intent.fields.iter().map(digest).collect(),
        })
    }
}

/// A record by its copies: `app:3, crm:7`.
fn label(record: &Record) -> String {
    let copies: Vec<String> = NamedCopy::all_of(record).iter().map(ToString::to_string).collect();
    if copies.is_empty() { record.id.to_string() } else { copies.join(", ") }
}

/// Whether two values differ in the spelling alone: in case, in the space around them, or as numbers and times are spelled.
fn is_same_but_spelled(before: &Value, after: &Value) -> bool {
    let texts = before.as_text().zip(after.as_text());
    let is_like = texts.is_some_and(|(a, b)| a.trim().to_lowercase() == b.trim().to_lowercase());
    is_like || is_spelling_of(before, after)
}
