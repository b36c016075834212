//! The edit log and the true version vectors.

use super::{Figures, Oracle, Violation};
use crate::scenario::KEY;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::Fields;
use avowal_fakes::fake::Put;
use std::collections::{BTreeMap, BTreeSet};

/// Which edits of each system something includes, for one field of one thing.
pub type Vector = BTreeMap<String, u64>;

/// One edit that a person made.
#[derive(Clone, PartialEq, Debug)]
pub struct Edit {
    /// Its number, from 0.
    pub no: usize,
    /// Where.
    pub system: String,
    /// Of what.
    pub thing: String,
    /// Which row.
    pub row: RemoteId,
    /// Which of the rows that had this id, one after the other.
    pub life: u64,
    /// Which field.
    pub field: String,
    /// What stood there before.
    pub from: Value,
    /// What the person put there.
    pub value: Value,
    /// The edits that it includes, with itself.
    pub vector: Vector,
    /// Whether the engine was ever shown the row with it.
    pub shown: bool,
    /// Whether a write of the engine has taken its place.
    pub covered: bool,
    /// Whether the system's feed was being followed when it was made: then a log shows it, whatever came after.
    pub followed: bool,
    /// Whether it still stands in its row.
    pub stands: bool,
}

/// What stood in a row.
#[derive(Clone, PartialEq, Debug)]
pub struct Version {
    /// Where.
    pub system: String,
    /// Which row.
    pub row: RemoteId,
    /// Of what.
    pub thing: String,
    /// Its number in that system.
    pub seq: u64,
    /// The contents; `None` when it was gone.
    pub fields: Option<Fields>,
    /// The key of the write that made it, or a person.
    pub key: Option<String>,
    /// When.
    pub at_ms: i64,
}

/// What stands in one field, and which edits it includes.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldTruth {
    /// The person's edit that put it there, if one did.
    pub(super) edit: Option<usize>,
    pub(super) vector: Vector,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) thing: String,
    pub(super) alive: bool,
    /// Which of all rows that were ever made it is: an id may come again.
    pub(super) life: u64,
    /// Whether the engine made it.
    pub(super) ours: bool,
    /// By which write.
    pub(super) made_by: String,
    pub(super) fields: BTreeMap<String, FieldTruth>,
    /// Which edits stood in it, by version.
    past: Vec<(u64, Vec<usize>)>,
}

/// A row that a person deleted.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    pub(super) system: String,
    pub(super) thing: String,
    /// What its copy included, by field.
    pub(super) saw: BTreeMap<String, Vector>,
}

#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) edits: Vec<Edit>,
    pub(super) versions: Vec<Version>,
    /// The rows by where they are; of those that had one id, the last.
    pub(super) rows: BTreeMap<(String, RemoteId), Row>,
    /// How many rows were ever made.
    pub(super) births: u64,
    pub(super) removals: Vec<Removal>,
    /// The edits that put each value in place, by thing, field and value.
    by_value: BTreeMap<(String, String), Vec<(Value, usize)>>,
    counts: BTreeMap<(String, String, String), u64>,
    pub(super) effects: BTreeMap<String, u64>,
    pub(super) figures: BTreeMap<String, Figures>,
    pub(super) violations: Vec<Violation>,
    pub(super) answered: BTreeSet<String>,
    pub(super) now_ms: i64,
    pub(super) at_peace: bool,
    /// The writes that count as confirmed, by key.
    pub(super) confirmed: BTreeSet<String>,
    /// What was ever set aside.
    pub(super) aside: BTreeSet<String>,
    /// The systems whose feeds are followed now, by entity.
    pub(super) followed: BTreeSet<(String, String)>,
    /// The systems that have been listed to their end at least once, by entity.
    pub(super) listed: BTreeSet<(String, String)>,
    /// The records whose deletes wait for each system, by entity.
    pub(super) deletes: BTreeMap<(String, String), BTreeSet<String>>,
    /// The systems that answer as if they held nothing.
    pub(super) blind: BTreeSet<String>,
    /// Systems that have answered so at some time.
    pub(super) liars: BTreeSet<String>,
    /// Rows of such systems that were taken for deleted with their records.
    pub(super) hidden: BTreeSet<(String, RemoteId)>,
    pub(super) watch: super::writes::Watch,
    pub(super) streams: BTreeMap<String, super::commits::Stream>,
}

/// How a system that normalises spells what it is sent.
pub(crate) fn normalised(value: &Value) -> Value {
    match value.as_text() {
        Some(text) => Value::text(text.to_lowercase()),
        None => value.clone(),
    }
}

/// What is the same for all spellings of a value: sets have no order, and letters no case.
pub(super) fn essence(value: &Value) -> Value {
    match value {
        Value::List(items) => {
            let mut items = items.clone();
            items.sort();
            Value::List(items)
        }
        _ => normalised(value),
    }
}

impl Truth {
    /// Adds what the rows of a thing that a system had before included when they were removed.
    fn join_removed(&self, system: &str, thing: &str, field: &str, vector: &mut Vector) {
        let before =
            self.removals.iter().filter(|removal| removal.system == system && removal.thing == thing);
        before.filter_map(|removal| removal.saw.get(field)).for_each(|saw| join(vector, saw));
    }

    /// Notes what was seen in those fields that a row made again does not hold.
    fn join_empty(&self, system: &str, thing: &str, row: &mut Row) {
        let before =
            self.removals.iter().filter(|removal| removal.system == system && removal.thing == thing);
        for (field, saw) in before.flat_map(|removal| &removal.saw) {
            let stand = row.fields.entry(field.clone()).or_default();
            if stand.edit.is_none() {
                join(&mut stand.vector, saw);
            }
        }
    }

    pub(super) fn accuse(&mut self, invariant: &str, thing: Option<&str>, what: String) {
        const KEPT_MAX: usize = 20;
        if self.violations.len() < KEPT_MAX {
            let thing = thing.map(str::to_owned);
            self.violations.push(Violation { invariant: invariant.to_owned(), what, thing });
        }
    }

    /// The last edit that put this value, or what a system makes of it, into this field.
    pub(super) fn author(&self, thing: &str, field: &str, value: &Value) -> Option<&Edit> {
        let known = self.by_value.get(&(thing.to_owned(), field.to_owned()))?;
        let found = known.iter().rev().find(|(known, _)| known == value).or_else(|| {
            let spelled = essence(value);
            known.iter().rev().find(|(known, _)| essence(known) == spelled)
        });
        found.and_then(|(_, edit)| self.edits.get(*edit))
    }

    /// Whether only one edit ever put this value into this field.
    pub(super) fn is_unique(&self, thing: &str, field: &str, value: &Value) -> bool {
        let spelled = essence(value);
        let known = self.by_value.get(&(thing.to_owned(), field.to_owned()));
        known.is_some_and(|known| known.iter().filter(|(known, _)| essence(known) == spelled).count() == 1)
    }

    /// Whether the row held in this field, before the edit, what the edit put there.
    pub(super) fn stood_before(&self, edit: &Edit) -> bool {
        let held = |fields: &Fields| fields.get(&edit.field) == Some(&edit.value);
        let of_row = |version: &&Version| {
            version.system == edit.system && version.row == edit.row && version.thing == edit.thing
        };
        let states: Vec<_> =
            self.versions.iter().filter(of_row).filter_map(|version| version.fields.as_ref()).collect();
        // One stretch of states with that value is the edit's own.
        let stretches = states.chunk_by(|left, right| held(left) == held(right));
        stretches.filter(|stretch| held(stretch[0])).count() > 1
    }

    pub(super) fn rows_of(&self, system: &str, thing: &str) -> Vec<RemoteId> {
        self.rows
            .iter()
            .filter(|((of, _), row)| of == system && row.alive && row.thing == thing)
            .map(|((_, id), _)| id.clone())
            .collect()
    }

    /// The engine is shown a version of a row: all edits that stood in it then are known to it.
    pub(super) fn show(&mut self, system: &str, id: &RemoteId, seq: u64) {
        let Some(row) = self.rows.get(&(system.to_owned(), id.clone())) else { return };
        let version = row.past.iter().rev().find(|(at, _)| *at <= seq);
        for edit in version.map(|(_, edits)| edits.as_slice()).unwrap_or_default() {
            if let Some(edit) = self.edits.get_mut(*edit) {
                edit.shown = true;
            }
        }
    }

    fn edit(
        &mut self,
        put: &Put<'_>,
        (thing, life): (&str, u64),
        field: &str,
        from: Value,
        value: &Value,
        saw: Vector,
    ) -> FieldTruth {
        let count =
            self.counts.entry((thing.to_owned(), field.to_owned(), put.system.to_owned())).or_default();
        *count += 1;
        let mut vector = saw;
        vector.insert(put.system.to_owned(), *count);
        let no = self.edits.len();
        self.edits.push(Edit {
            no,
            system: put.system.to_owned(),
            thing: thing.to_owned(),
            row: put.id.clone(),
            life,
            field: field.to_owned(),
            from,
            value: value.clone(),
            vector: vector.clone(),
            shown: false,
            covered: false,
            followed: self.followed.contains(&(put.system.to_owned(), put.entity.to_string())),
            stands: true,
        });
        let known = self.by_value.entry((thing.to_owned(), field.to_owned())).or_default();
        known.push((value.clone(), no));
        FieldTruth { edit: Some(no), vector }
    }
}

/// Whether `left` includes everything that `right` does.
pub(super) fn includes(left: &Vector, right: &Vector) -> bool {
    right.iter().all(|(system, count)| left.get(system).is_some_and(|known| known >= count))
}

fn join(into: &mut Vector, other: &Vector) {
    for (system, count) in other {
        let known = into.entry(system.clone()).or_default();
        *known = (*known).max(*count);
    }
}

impl Oracle {
    /// A row has changed, by a person or by the engine.
    pub(super) fn put_row(&self, put: &Put<'_>) {
        let thing = [put.after, put.before]
            .into_iter()
            .flatten()
            .find_map(|row| row.get(KEY)?.as_text().map(str::to_owned))
            .unwrap_or_default();
        let mut truth = self.truth();
        let truth = &mut *truth;
        if let Some(key) = put.key {
            self.judge_effect(truth, put, key, &thing);
        }
        let at = (put.system.to_owned(), put.id.clone());
        let mut row = truth.rows.remove(&at).unwrap_or_default();
        row.thing = thing.clone();
        if put.before.is_none() && put.after.is_some() {
            truth.births += 1;
            row.life = truth.births;
            row.fields.clear();
            row.ours = put.key.is_some();
            row.made_by = put.key.unwrap_or_default().to_owned();
        }
        if put.after.is_none() && put.key.is_none() && put.before.is_some() {
            let saw = row.fields.iter().map(|(field, stand)| (field.clone(), stand.vector.clone())).collect();
            truth.removals.push(Removal { system: put.system.to_owned(), thing: thing.clone(), saw });
        }
        let names: BTreeSet<&String> =
            put.before.iter().chain(&put.after).flat_map(|row| row.keys()).collect();
        for field in names.into_iter().filter(|field| field.as_str() != KEY) {
            let before = put.before.and_then(|row| row.get(field)).unwrap_or(&Value::Null);
            let after = put.after.and_then(|row| row.get(field)).unwrap_or(&Value::Null);
            if before == after {
                continue;
            }
            let mut old = row.fields.remove(field).unwrap_or_default();
            if put.before.is_none() && put.key.is_none() {
                // Whoever makes a thing again in a system that had it before has seen what stood there.
                truth.join_removed(put.system, &thing, field, &mut old.vector);
            }
            if let Some(edit) = old.edit.and_then(|edit| truth.edits.get_mut(edit)) {
                edit.stands = false;
                edit.covered |= put.key.is_some();
            }
            if put.after.is_none() {
                continue;
            }
            let stand = if put.key.is_some() {
                let mut vector = old.vector;
                if let Some(author) = truth.author(&thing, field, after) {
                    join(&mut vector, &author.vector);
                }
                FieldTruth { edit: None, vector }
            } else {
                truth.edit(put, (&thing, row.life), field, before.clone(), after, old.vector)
            };
            row.fields.insert(field.clone(), stand);
        }
        if put.before.is_none() && put.key.is_none() {
            // So has whoever fills later what was left empty then.
            truth.join_empty(put.system, &thing, &mut row);
        }
        row.alive = put.after.is_some();
        row.past.push((put.seq, row.fields.values().filter_map(|stand| stand.edit).collect()));
        truth.rows.insert(at, row);
        truth.versions.push(Version {
            system: put.system.to_owned(),
            row: put.id.clone(),
            thing,
            seq: put.seq,
            fields: put.after.cloned(),
            key: put.key.map(str::to_owned),
            at_ms: truth.now_ms,
        });
    }
}
