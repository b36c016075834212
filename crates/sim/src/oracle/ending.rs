//! When faults and edits have stopped: do the systems agree, on what people truly said, with nothing lost on the way?

use super::truth::{Truth, includes};
use super::{Oracle, chain, commits};
use crate::family::{self, CHILD, CHILD_FIELDS, entity_of_key};
use crate::scenario::{ENTITY, KEY, ProfileKind};
use avowal_core::data::ids::{FieldName, RemoteId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::{Copy, Record};
use avowal_engine::ports::connector::Fields;
use avowal_engine::ports::store::QuarantineItem;
use std::collections::{BTreeMap, BTreeSet};

/// A row, by system and id.
pub type RowKey = (String, RemoteId);

/// Everything that stands at the end.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// What the systems hold.
    pub rows: BTreeMap<RowKey, Fields>,
    /// What the engine holds.
    pub records: Vec<Record>,
    /// What it has set aside.
    pub quarantine: Vec<QuarantineItem>,
    /// How it came there.
    pub events: Vec<IntegrationEvent>,
}

impl Oracle {
    /// I2: every row is linked or set aside, and all copies of a record agree on every uncontested field.
    pub fn judge_agreement(&self, ending: &Ending) {
        self.judge_links(ending);
        let kinds = family::entities(&self.scenario);
        for record in ending.records.iter().filter(|record| kinds.contains(&record.entity.as_str())) {
            self.judge_copies(ending, record);
            self.judge_fields(ending, record);
        }
    }

    /// I17 and I2: a row belongs to one record, or is set aside.
    fn judge_links(&self, ending: &Ending) {
        let mut holders: BTreeMap<(&str, RowKey), usize> = BTreeMap::new();
        for record in &ending.records {
            for (system, copy) in record.links() {
                let place = (system.to_string(), copy.remote_id.clone());
                *holders.entry((record.entity.as_str(), place)).or_default() += 1;
            }
        }
        for ((_, place), count) in holders.iter().filter(|(_, count)| **count > 1) {
            self.accuse("I17", None, format!("{} {} belongs to {count} records", place.0, place.1));
        }
        for (place, row) in &ending.rows {
            let is_aside = ending
                .quarantine
                .iter()
                .any(|item| item.system.as_str() == place.0 && item.remote_id.as_ref() == Some(&place.1));
            if !holders.contains_key(&(entity_of_row(row), place.clone())) && !is_aside {
                let thing = row.get(KEY).and_then(Value::as_text);
                self.accuse("I2", thing, format!("{} {} is linked with no record", place.0, place.1));
            }
        }
    }

    /// A living record has its copies everywhere, a deleted one nowhere.
    fn judge_copies(&self, ending: &Ending, record: &Record) {
        if record.existence_contested() {
            return;
        }
        let thing = thing_of(ending, record);
        for system in &self.scenario.systems {
            let name = SystemName::new(&system.name);
            if record.held.contains_key(&name) || self.has_aside(ending, record, &system.name, &thing) {
                continue;
            }
            let copy = record.copies.get(&name);
            let exists = copy.is_some_and(|copy| row_of(ending, record, &system.name, copy).is_some());
            let believed = copy.is_some_and(|copy| copy.alive);
            if exists != believed {
                let what =
                    format!("{} in {} stands={exists}, taken for alive={believed}", record.id, system.name);
                self.accuse("I2", Some(&thing), what);
            } else if record.deleted.is_some() == exists {
                let what = format!(
                    "{} is deleted={}, and stands in {}={exists}",
                    record.id,
                    record.deleted.is_some(),
                    system.name
                );
                self.accuse("I2", Some(&thing), what);
            }
        }
    }

    /// Whether something of this thing is set aside in the system: then a person has to act first.
    fn has_aside(&self, ending: &Ending, record: &Record, system: &str, thing: &str) -> bool {
        ending.quarantine.iter().any(|item| {
            item.system.as_str() == system
                && item.entity == record.entity
                && (item.record.as_ref() == Some(&record.id)
                    || item.payload.contains(thing)
                    || item.remote_id.as_ref().is_some_and(|id| {
                        let row = ending.rows.get(&(system.to_owned(), id.clone()));
                        row.and_then(|row| row.get(KEY)?.as_text()) == Some(thing)
                    }))
        })
    }

    fn judge_fields(&self, ending: &Ending, record: &Record) {
        let thing = thing_of(ending, record);
        for field in self.fields(record.entity.as_str()) {
            let name = FieldName::new(field);
            if record.is_contested(&name) || record.existence_contested() {
                continue;
            }
            let mut shown: Vec<(String, Value)> = Vec::new();
            for (system, copy) in record.links() {
                let shadow = copy.fields.get(&name);
                let lacks = self.lacks(system.as_str(), field);
                let excused = lacks
                    || record.held.contains_key(system)
                    || shadow.is_some_and(|shadow| shadow.tolerated && self.tolerates(field))
                    || copy.aside.contains_key(&name)
                    // Where single fields are set aside, the others of their copy go through.
                    || (copy.aside.is_empty() && self.has_aside(ending, record, system.as_str(), &thing));
                if let (Some(row), false) = (row_of(ending, record, system.as_str(), copy), excused) {
                    shown.push((system.to_string(), row.get(field).cloned().unwrap_or(Value::Null)));
                }
            }
            // Nobody who may has said anything: what the others hold stands in for it, each where it is.
            let speaks =
                |(system, value): &(String, Value)| *system == self.scenario.rules.owner && !value.is_null();
            if field == "stage" && !shown.iter().any(speaks) {
                continue;
            }
            let Some((first, value)) = shown.first() else { continue };
            for (other, theirs) in &shown[1..] {
                if !commits::same(value, theirs) {
                    let what = format!("{field}: {first} holds {value}, {other} holds {theirs}");
                    self.accuse("I2", Some(&thing), what);
                    break;
                }
            }
        }
    }

    fn fields(&self, entity: &str) -> Vec<&str> {
        if entity == CHILD {
            return CHILD_FIELDS.to_vec();
        }
        let others = self.scenario.rules.fields.iter().map(String::as_str);
        std::iter::once("name").chain(others).collect()
    }

    /// Whether the rules leave a refused value standing.
    fn tolerates(&self, field: &str) -> bool {
        field == "stage" && self.scenario.rules.on_refused == "ignore"
    }

    fn lacks(&self, system: &str, field: &str) -> bool {
        let found = self.scenario.systems.iter().find(|participant| participant.name == system);
        found.is_none_or(|participant| participant.lacks.iter().any(|lacks| lacks == field))
    }

    /// What people truly said: the owner's last word, the members of sets, the sums of numbers.
    pub fn judge_content(&self, ending: &Ending) {
        let things: BTreeSet<String> = self.truth().edits.iter().map(|edit| edit.thing.clone()).collect();
        for thing in things {
            let rows: BTreeMap<&str, (&RemoteId, &Fields)> = ending
                .rows
                .iter()
                .filter(|(_, row)| row.get(KEY).and_then(Value::as_text) == Some(&thing))
                .map(|((system, id), row)| (system.as_str(), (id, row)))
                .collect();
            let records: Vec<&Record> =
                ending.records.iter().filter(|record| thing_of(ending, record) == thing).collect();
            let is_simple = records.len() == 1
                && records.iter().all(|record| record.reviews.is_empty() && record.held.is_empty())
                && !self.was_answered(&records)
                && !ending.quarantine.iter().any(|item| item.payload.contains(&thing));
            if is_simple {
                self.judge_owner(&thing, &rows);
                self.judge_set(&thing, &rows);
                self.judge_sum(&thing, &rows, ending);
            }
        }
    }

    fn was_answered(&self, records: &[&Record]) -> bool {
        let truth = self.truth();
        records.iter().any(|record| truth.answered.contains(record.id.as_str()))
    }

    /// The owner's last word stands, in the owner and everywhere.
    fn judge_owner(&self, thing: &str, rows: &BTreeMap<&str, (&RemoteId, &Fields)>) {
        let rules = &self.scenario.rules;
        if !rules.proposers.is_empty() || !rules.fields.iter().any(|field| field == "stage") {
            return;
        }
        let Some((id, row)) = rows.get(rules.owner.as_str()) else { return };
        let truth = self.truth();
        let life = truth.rows.get(&(rules.owner.clone(), (*id).clone())).map(|row| row.life);
        let last = truth
            .edits
            .iter()
            .rev()
            .find(|edit| edit.field == "stage" && edit.system == rules.owner && Some(edit.life) == life);
        let Some(last) = last.filter(|edit| !edit.value.is_null()) else { return };
        let stands = row.get("stage").cloned().unwrap_or(Value::Null);
        let said = last.value.clone();
        drop(truth);
        if !commits::same(&stands, &said) {
            let what = format!("{} said stage={said}, and its copy holds {stands}", rules.owner);
            self.accuse("I4", Some(thing), what);
        }
    }

    /// Added members are there unless somebody removed them; removed ones are not.
    fn judge_set(&self, thing: &str, rows: &BTreeMap<&str, (&RemoteId, &Fields)>) {
        let Some(present) = self.final_value("tags", rows) else { return };
        let present = members(&present);
        let truth = self.truth();
        let edits: Vec<_> =
            truth.edits.iter().filter(|edit| edit.thing == thing && edit.field == "tags").cloned().collect();
        let covered_unseen = edits.iter().any(|edit| !edit.shown);
        let rows_gone = truth.removals.iter().any(|removal| removal.thing == thing);
        drop(truth);
        if covered_unseen
            || rows_gone
            || edits.iter().any(|edit| edit.value.is_null() || edit.value.as_text().is_some())
        {
            return;
        }
        let mut added: BTreeMap<Value, usize> = BTreeMap::new();
        let mut removed: BTreeSet<Value> = BTreeSet::new();
        for edit in &edits {
            let (from, to) = (members(&edit.from), members(&edit.value));
            to.difference(&from).for_each(|member| *added.entry(member.clone()).or_default() += 1);
            // Who takes away exactly what we have just added leaves the row as it was, and nothing to see.
            let stood_before = edits.iter().any(|other| other.no < edit.no && members(&other.value) == to);
            let is_seen = !stood_before || self.profile(&edit.system) == Some(ProfileKind::Log);
            if is_seen {
                removed.extend(from.difference(&to).cloned());
            } else {
                to.iter().chain(&from).for_each(|member| *added.entry(member.clone()).or_default() += 2);
                removed.extend(from.difference(&to).cloned());
            }
        }
        for (member, times) in added {
            let was_removed = removed.contains(&member);
            if !was_removed && !present.contains(&member) {
                self.accuse(
                    "I1",
                    Some(thing),
                    format!("{member} was added to tags, never removed, and is lost"),
                );
            } else if was_removed && times == 1 && present.contains(&member) {
                self.accuse("I9", Some(thing), format!("{member} was removed from tags and has come back"));
            }
        }
    }

    /// Where nothing could be overwritten unseen, every increment is in the sum once.
    fn judge_sum(&self, thing: &str, rows: &BTreeMap<&str, (&RemoteId, &Fields)>, ending: &Ending) {
        let Some(Value::Int(sum)) = self.final_value("credit", rows) else { return };
        let truth = self.truth();
        let edits: Vec<_> =
            truth.edits.iter().filter(|edit| edit.thing == thing && edit.field == "credit").collect();
        let numbers: Option<Vec<(Option<i64>, i64)>> = edits
            .iter()
            .map(|edit| match (&edit.from, &edit.value) {
                (Value::Null, Value::Int(to)) => Some((None, *to)),
                (Value::Int(from), Value::Int(to)) => Some((Some(*from), *to)),
                _ => None,
            })
            .collect();
        let first_words = edits.iter().filter(|edit| edit.from.is_null()).count();
        let all_shown = edits.iter().all(|edit| edit.shown);
        let rows_gone = truth.removals.iter().any(|removal| removal.thing == thing);
        let made_at_once = truth.rows.values().filter(|row| row.thing == thing && !row.ours).count() > 1;
        let reviewed = ending.events.iter().any(|event| event.body.kind() == "manual_review_requested");
        // Who takes back exactly what we have just added leaves the number as it was, and nothing to see; and who puts
        // exactly what we have sent is taken for our echo.
        let taken_back = edits.iter().any(|edit| {
            truth.stood_before(edit) || truth.watch.was_sent(&edit.system, &edit.row, "credit", &edit.value)
        });
        // A copy that our create of unknown outcome made, and a person edited since, may as well be a stranger's: nobody can
        // tell whether its number counts beside the one that we sent.
        let is_doubtful = edits.iter().any(|edit| {
            let row = truth.rows.get(&(edit.system.clone(), edit.row.clone()));
            row.is_some_and(|row| row.ours && !truth.confirmed.contains(&row.made_by))
        });
        drop(truth);
        let Some(numbers) = numbers.filter(|_| !taken_back && !is_doubtful) else { return };
        if first_words != 1 || !all_shown || rows_gone || reviewed || made_at_once {
            return;
        }
        let expected: i64 = numbers.iter().map(|(from, to)| to - from.unwrap_or(0)).sum();
        if sum != expected {
            let what = format!("credit is {sum}; what people added makes {expected}");
            self.accuse("I1", Some(thing), what);
        }
    }

    fn final_value(&self, field: &str, rows: &BTreeMap<&str, (&RemoteId, &Fields)>) -> Option<Value> {
        if !self.fields(ENTITY).contains(&field) {
            return None;
        }
        rows.iter()
            .find(|(system, _)| !self.lacks(system, field))
            .map(|(_, (_, row))| row.get(field).cloned().unwrap_or(Value::Null))
    }

    /// I1: whatever the engine was shown has left a trace; whatever it was not shown was undone before it could be.
    pub fn judge_traces(&self, ending: &Ending) {
        let truth = self.truth();
        let text: String = ending
            .events
            .iter()
            .filter_map(|event| serde_json::to_string(&event.body).ok())
            .chain(truth.aside.iter().cloned())
            .collect();
        let lost: Vec<_> =
            truth.edits.iter().filter(|edit| self.is_lost(&truth, edit, &text)).cloned().collect();
        drop(truth);
        for edit in lost {
            let what = format!(
                "{}={} of {} was shown to the engine and has left no trace",
                edit.field, edit.value, edit.system
            );
            self.accuse("I1", Some(&edit.thing), what);
        }
    }

    fn is_lost(&self, truth: &Truth, edit: &super::Edit, text: &str) -> bool {
        // What could not be read was set aside until it was repaired; then its item is closed.
        let readable = edit.value.as_text().filter(|_| edit.field != "credit");
        let Some(value) = readable else { return false };
        let mapped = self.fields(entity_of_key(&edit.thing)).contains(&edit.field.as_str())
            && !self.lacks(&edit.system, &edit.field);
        let is_log = self.profile(&edit.system) == Some(ProfileKind::Log);
        let leaves = edit.shown && (edit.stands || (is_log && edit.followed));
        if !mapped || !leaves || text.contains(&format!("\"{value}\"")) {
            return false;
        }
        // A row that was never linked, because it was gone or set aside before, has no record to leave a trace in.
        let row = truth.rows.get(&(edit.system.clone(), edit.row.clone()));
        row.is_some_and(|row| row.alive && row.life == edit.life)
    }

    pub(super) fn profile(&self, system: &str) -> Option<ProfileKind> {
        self.scenario.systems.iter().find(|participant| participant.name == system).map(|found| found.profile)
    }

    /// I12: the streams are dense and chained, by an independent reading of their wire form.
    pub fn judge_chain(&self, ending: &Ending) {
        let mut streams: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
        for event in &ending.events {
            let Ok(json) = serde_json::to_value(event) else {
                self.accuse("I12", None, format!("{} cannot be spelled", event.id()));
                continue;
            };
            streams.entry(event.record.to_string()).or_default().push(json);
        }
        for (record, stream) in &streams {
            if let Some(what) = chain::broken(stream) {
                self.accuse("I12", None, what);
            }
            let state = ending.records.iter().find(|state| state.id.as_str() == record);
            let last = stream.last().map(|event| event["hash"].clone()).unwrap_or_default();
            if state.is_none_or(|state| serde_json::to_value(state.head).ok() != Some(last)) {
                self.accuse("I12", None, format!("{record} does not stand at the end of its history"));
            }
        }
    }

    /// I13: a record counts as deleted only if a person deleted a copy of it, or said so.
    pub fn judge_deletes(&self, ending: &Ending) {
        for record in ending.records.iter().filter(|record| record.deleted.is_some()) {
            let thing = thing_of(ending, record);
            let truth = self.truth();
            let deleted = truth.removals.iter().any(|removal| removal.thing == thing);
            let said = truth.answered.contains(record.id.as_str());
            drop(truth);
            // A row that came and went before anybody read it tells nothing of its thing.
            if !deleted && !said && !thing.is_empty() {
                self.accuse(
                    "I13",
                    Some(&thing),
                    format!("{} counts as deleted, and nobody deleted it", record.id),
                );
            }
        }
    }

    /// I3: no more writes than edits times systems, and the retries that faults have forced.
    pub fn judge_economy(&self, retries: u64) {
        let truth = self.truth();
        let (edits, removals) = (truth.edits.len() as u64, truth.removals.len() as u64);
        let rows = truth.births;
        let writes: u64 = truth.effects.values().sum();
        let systems = self.scenario.systems.len() as u64;
        drop(truth);
        let most = (edits + removals + rows) * systems + retries;
        if writes > most {
            self.accuse("I3", None, format!("{writes} writes for {edits} edits; {most} would be many"));
        }
    }

    /// Whether the true vector of one edit includes another: for reports.
    pub fn has_seen(&self, later: usize, earlier: usize) -> bool {
        let truth = self.truth();
        match (truth.edits.get(later), truth.edits.get(earlier)) {
            (Some(later), Some(earlier)) => includes(&later.vector, &earlier.vector),
            _ => false,
        }
    }
}

/// The row of a record's copy. Its id may belong to a row of the other entity by now, or to another thing.
fn row_of<'a>(ending: &'a Ending, record: &Record, system: &str, copy: &Copy) -> Option<&'a Fields> {
    let row = ending.rows.get(&(system.to_owned(), copy.remote_id.clone()))?;
    (!copy.is_replaced && record.entity.as_str() == entity_of_row(row)).then_some(row)
}

fn entity_of_row(row: &Fields) -> &'static str {
    entity_of_key(row.get(KEY).and_then(Value::as_text).unwrap_or_default())
}

fn members(value: &Value) -> BTreeSet<Value> {
    match value {
        Value::List(items) => items.iter().cloned().collect(),
        _ => BTreeSet::new(),
    }
}

/// Which thing a record is about: as its rows say, or as its stream said last.
fn thing_of(ending: &Ending, record: &Record) -> String {
    let row = record.links().find_map(|(system, copy)| row_of(ending, record, system.as_str(), copy));
    let key = FieldName::new(KEY);
    let shown = row.and_then(|row| row.get(KEY)?.as_text());
    let believed = record.fields.get(&key).and_then(|belief| belief.value.as_text());
    let shadow = record.copies.values().find_map(|copy| copy.fields.get(&key)?.content.as_text());
    shown.or(believed).or(shadow).unwrap_or_default().to_owned()
}
