//! Whether the systems agree at the end, as somebody sees who looks into all of them.

use super::run::Run;
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::data::value::Value;
use avowal_core::explain::event_line;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::mapping::Mapping;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::{Copy, CopyKey, Record};
use avowal_engine::ports::store::{QuarantineItem, ReadHistory, ReadOverview, ReadRecords};
use std::collections::BTreeMap;

/// The most differences that are told of one seed, and events of each.
const DIFFERENCES_MAX: usize = 5;
const STORY_EVENTS_MAX: usize = 40;
/// The most records and items that are looked at.
const MANY: usize = 1_000_000;

/// Something that does not agree.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Difference {
    pub(super) what: String,
    /// The history of the record, line by line.
    pub(super) story: Vec<String>,
}

impl Difference {
    /// There was nothing left to do, and yet something was written.
    pub(super) fn restless(writes: u64) -> Self {
        let what = format!("after everything had been quiet, one more full sync wrote {writes} times");
        Self { what, story: Vec::new() }
    }
}

/// What differs without a reason: no question open, nothing set aside, nothing tolerated by the rules.
pub(super) fn differences(run: &Run<'_>) -> Vec<Difference> {
    let records = run.now(run.memory.scan_records(None, MANY)).and_then(Result::ok).unwrap_or_default();
    let aside = run.now(run.memory.quarantined(MANY)).and_then(Result::ok).unwrap_or_default();
    let records: BTreeMap<_, _> = records.into_iter().map(|record| (record.id.clone(), record)).collect();
    let ending = Ending { run, records: &records, aside: &aside };
    let mut found = ending.unlinked();
    for record in records.values() {
        let Some(policy) = run.plan.policies.get(&record.entity) else { continue };
        let whats = ending.of_record(policy, record);
        found.extend(whats.into_iter().map(|what| (what, Some(record))));
    }
    found.truncate(DIFFERENCES_MAX);
    let told = found.into_iter().map(|(what, record)| Difference { what, story: ending.story(record) });
    told.collect()
}

struct Ending<'a> {
    run: &'a Run<'a>,
    records: &'a BTreeMap<avowal_core::data::ids::RecordId, Record>,
    aside: &'a [QuarantineItem],
}

impl<'a> Ending<'a> {
    fn row(
        &self,
        system: &SystemName,
        entity: &EntityName,
        copy: &Copy,
    ) -> Option<avowal_engine::ports::connector::Fields> {
        self.run.systems.get(system)?.fakes.get(entity)?.row(entity.as_str(), &copy.remote_id)
    }

    /// Rows that belong to no record, and are not set aside.
    fn unlinked(&self) -> Vec<(String, Option<&'a Record>)> {
        let mut found = Vec::new();
        for (name, system) in &self.run.systems {
            for (entity, fake) in &system.fakes {
                for id in fake.rows(entity.as_str()).into_keys() {
                    let key = CopyKey { system: name.clone(), entity: entity.clone(), remote_id: id.clone() };
                    let located = self.run.now(self.run.memory.locate(&[key])).and_then(Result::ok);
                    let linked = located.is_some_and(|found| found.iter().any(Option::is_some));
                    let is_aside = self.aside.iter().any(|item| {
                        item.system == *name && item.entity == *entity && item.remote_id.as_ref() == Some(&id)
                    });
                    if !linked && !is_aside {
                        found.push((format!("{entity} {id} in {name} belongs to no record"), None));
                    }
                }
            }
        }
        found
    }

    fn is_aside(&self, record: &Record, system: &SystemName) -> bool {
        let copy = record.copies.get(system);
        self.aside.iter().any(|item| {
            let same_copy = copy.is_some_and(|copy| item.remote_id.as_ref() == Some(&copy.remote_id));
            item.system == *system && (item.record.as_ref() == Some(&record.id) || same_copy)
        })
    }

    fn of_record(&self, policy: &EntityPolicy, record: &Record) -> Vec<String> {
        let mut found = Vec::new();
        if record.existence_contested() {
            return found;
        }
        for (system, mapping) in &policy.mappings {
            if record.held.contains_key(system) || self.is_aside(record, system) {
                continue;
            }
            let name = format!("{} {}", record.entity, record.id);
            let copy = record.copies.get(system);
            let row = copy.and_then(|copy| Some((copy, self.row(system, &record.entity, copy)?)));
            match (record.deleted.is_some(), row) {
                (true, Some(_)) if mapping.delete && !tolerates_deletes(policy) => {
                    found.push(format!("{name} is deleted, and stands in {system}"));
                }
                (true, _) => {}
                (false, Some((copy, row))) => {
                    let fields = mapping.columns.keys();
                    found.extend(fields.filter_map(|field| {
                        let what = self.of_field(policy, record, mapping, system, copy, &row, field)?;
                        Some(format!("{name}: {what}"))
                    }));
                }
                (false, None) if mapping.create && !tolerates_deletes(policy) => {
                    found.push(format!("{name} has no copy in {system}"));
                }
                (false, None) => {}
            }
        }
        found
    }

    #[expect(clippy::too_many_arguments, reason = "one field of one copy, with everything it depends on")]
    fn of_field(
        &self,
        policy: &EntityPolicy,
        record: &Record,
        mapping: &Mapping,
        system: &SystemName,
        copy: &Copy,
        row: &avowal_engine::ports::connector::Fields,
        field: &FieldName,
    ) -> Option<String> {
        let rules = policy.field(field)?;
        let belief = record.fields.get(field)?;
        let tolerated = copy.fields.get(field).is_some_and(|shadow| shadow.tolerated);
        if record.is_contested(field) || tolerated || !mapping.is_writable(field) {
            return None;
        }
        let read = mapping.read(&policy.fields, row);
        let shown = match read {
            Ok(fields) => fields.get(field).cloned().unwrap_or(Value::Null),
            Err(problems) => return Some(format!("{system} cannot be read: {}", problems.join("; "))),
        };
        let believed = match (&rules.field_type, belief.value.as_text()) {
            (FieldType::Ref { .. }, Some(id)) => self.remote(id, system)?,
            (FieldType::Ref { .. }, None)
            | (
                FieldType::String
                | FieldType::Integer
                | FieldType::Decimal
                | FieldType::Boolean
                | FieldType::Date
                | FieldType::Timestamp
                | FieldType::Enum { .. }
                | FieldType::Set
                | FieldType::List
                | FieldType::Object,
                _,
            ) => belief.value.clone(),
        };
        (shown != believed)
            .then(|| format!("{field} is believed to be {believed}, and {system} holds {shown}"))
    }

    /// The id of a referred record in a system; `None` if it has no copy there.
    fn remote(&self, id: &str, system: &SystemName) -> Option<Value> {
        let referent = self.records.get(&avowal_core::data::ids::RecordId::new(id))?;
        let copy = referent.copies.get(system).filter(|copy| copy.alive)?;
        Some(Value::text(copy.remote_id.as_str()))
    }

    fn story(&self, record: Option<&Record>) -> Vec<String> {
        let Some(record) = record else { return Vec::new() };
        let from = record.seq.saturating_sub(STORY_EVENTS_MAX as u64) + 1;
        let events = self.run.now(self.run.memory.events(&record.id, from, STORY_EVENTS_MAX));
        events.and_then(Result::ok).unwrap_or_default().iter().map(event_line).collect()
    }
}

/// Whether the rules leave a copy deleted where somebody deleted it without being allowed to.
fn tolerates_deletes(policy: &EntityPolicy) -> bool {
    match policy.deletes.on_refused {
        avowal_core::policy::OnRefused::Ignore => true,
        avowal_core::policy::OnRefused::Revert | avowal_core::policy::OnRefused::Review => false,
    }
}
