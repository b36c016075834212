//! What the engine sends: one effect a key, a look before a repetition, one write at a time, no unseen value
//! overwritten, no field of somebody else's, and no more than the bounds allow.

use super::Oracle;
use super::commits::thing_of;
use super::lies::{is_of_deleted, judge_blind_create, seems_empty};
use super::truth::{Edit, Truth, Version, includes};
use crate::scenario::{KEY, ProfileKind};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Fields, Write};
use avowal_fakes::fake::Put;
use std::collections::{BTreeMap, BTreeSet};

/// What is under way, and what nobody knows.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The writes under way: key to row, by system.
    under_way: BTreeMap<(String, String), String>,
    /// Writes of unknown outcome, and whether the engine has looked since.
    unknown: BTreeMap<(String, String), bool>,
    /// When the writes of late came, by system.
    times: BTreeMap<String, Vec<i64>>,
    /// Until when each system has asked for no writes.
    closed_until: BTreeMap<String, i64>,
    /// How many workers have begun anew: each has its own bound on writes and its own memory of pauses.
    restarts: u32,
    /// Whether the clock was set by hand: then nothing can be said about rates.
    clock_set: bool,
    /// Keys that a person has allowed to be sent again.
    allowed: BTreeSet<String>,
    /// Systems to which a person has stopped all writes.
    stopped: BTreeSet<String>,
    /// What was ever sent to a row, by system and row.
    sent: BTreeMap<(String, String), Vec<Fields>>,
}

impl Watch {
    /// Whether a write to the row ever carried the value, so that it cannot be told from our echo.
    pub(super) fn was_sent(&self, system: &str, row: &RemoteId, field: &str, value: &Value) -> bool {
        let sent = self.sent.get(&(system.to_owned(), row.to_string()));
        sent.is_some_and(|sent| sent.iter().any(|fields| fields.get(field) == Some(value)))
    }
}

impl Oracle {
    /// The answer to this write was lost.
    pub fn outcome_lost(&self, system: &str, key: &str) {
        self.truth().watch.unknown.insert((system.to_owned(), key.to_owned()), false);
    }

    /// A system has asked for no writes for so long.
    pub fn asked_for_pause(&self, system: &str, until_ms: i64) {
        let mut truth = self.truth();
        let stands = truth.watch.closed_until.entry(system.to_owned()).or_insert(until_ms);
        *stands = until_ms.max(*stands);
    }

    /// A worker has begun anew.
    pub fn restarted(&self) {
        let mut truth = self.truth();
        truth.watch.restarts += 1;
        truth.watch.closed_until.clear();
    }

    /// The clock was set by hand.
    pub fn clock_was_set(&self) {
        let mut truth = self.truth();
        truth.watch.clock_set = true;
        truth.watch.closed_until.clear();
    }

    /// A person has stopped writes to a system, and no worker was in the middle of something.
    pub fn stopped(&self, system: &str) {
        self.truth().watch.stopped.insert(system.to_owned());
    }

    /// A person has let every system go on.
    pub fn goes_on(&self) {
        self.truth().watch.stopped.clear();
    }

    /// A person has looked, and says that the write had no effect.
    pub fn allow_again(&self, key: &str) {
        self.truth().watch.allowed.insert(key.to_owned());
    }

    /// Whoever was writing is dead or given up.
    pub fn forget_under_way(&self) {
        self.truth().watch.under_way.clear();
    }

    /// The writes under way: system, key and row.
    pub fn writes_under_way(&self) -> Vec<(String, String, String)> {
        let truth = self.truth();
        let all = truth.watch.under_way.iter();
        all.map(|((system, key), row)| (system.clone(), key.clone(), row.clone())).collect()
    }

    pub(super) fn looked(&self, system: &str) {
        let mut truth = self.truth();
        for (_, looked) in truth.watch.unknown.iter_mut().filter(|((of, _), _)| of == system) {
            *looked = true;
        }
    }

    pub(super) fn write_begins(&self, system: &str, write: &Write) {
        let Some(declared) = self.systems.get(system) else { return };
        let mut truth = self.truth();
        let truth = &mut *truth;
        if truth.watch.stopped.contains(system) {
            truth.accuse("I16", None, format!("{system}: {} was sent although a stop stands", write.key));
        }
        let at = (system.to_owned(), write.key.clone());
        let unlooked = truth.watch.unknown.get(&at) == Some(&false);
        if unlooked && !declared.capabilities.idempotent && !truth.watch.allowed.contains(&write.key) {
            let what = format!("{system}: {} was sent again without a look at what became of it", write.key);
            truth.accuse("I6", None, what);
        }
        let entity = write.key.split('.').next().unwrap_or_default().to_owned();
        if write.operation == Operation::Create && !truth.listed.contains(&(system.to_owned(), entity)) {
            let what = format!(
                "{}: nobody knows yet what {system} lacks; it was never listed to its end",
                write.key
            );
            truth.accuse("I6", None, what);
        }
        if let Some(row) = write.id.as_ref().map(ToString::to_string) {
            let other = truth
                .watch
                .under_way
                .iter()
                .find(|((of, key), on)| of == system && **on == row && *key != write.key);
            if let Some(((_, other), _)) = other {
                let what = format!("{system} {row}: {} began while {other} was under way", write.key);
                truth.accuse("I14", None, what);
            }
            let sent = truth.watch.sent.entry((system.to_owned(), row.clone())).or_default();
            sent.push(write.fields.clone());
            truth.watch.under_way.insert(at, row);
        }
        self.judge_rate(truth, system);
    }

    fn judge_rate(&self, truth: &mut Truth, system: &str) {
        let now = truth.now_ms;
        let one_worker = self.scenario.workers == 1;
        if one_worker && truth.watch.closed_until.get(system).is_some_and(|until| now < *until) {
            truth.accuse("I16", None, format!("{system} was written to although it had asked for a pause"));
        }
        let Some((per_second, burst)) = self.systems.get(system).and_then(|declared| declared.rate) else {
            return;
        };
        let times = truth.watch.times.entry(system.to_owned()).or_default();
        times.push(now);
        times.retain(|at| now.saturating_sub(*at) < 1_000);
        let workers = truth.watch.restarts as usize + self.scenario.workers;
        let most = (per_second + burst) as usize * workers;
        if times.len() > most && !truth.watch.clock_set {
            let what = format!("{system} got {} writes within a second; {most} are allowed", times.len());
            truth.accuse("I16", None, what);
        }
    }

    pub(super) fn write_ends(&self, system: &str, key: &str) {
        self.truth().watch.under_way.remove(&(system.to_owned(), key.to_owned()));
    }

    /// A write of the engine takes effect now.
    pub(super) fn judge_effect(&self, truth: &mut Truth, put: &Put<'_>, key: &str, thing: &str) {
        let effects = truth.effects.entry(key.to_owned()).or_default();
        *effects += 1;
        let effects = *effects;
        let again = effects > 1 && !self.was_undone(truth, put, key);
        truth.figures.entry(put.system.to_owned()).or_default().writes += 1;
        if again && !truth.watch.allowed.contains(key) && !seems_empty(truth, put.system) {
            truth.accuse("I6", Some(thing), format!("{key} took effect twice in {}", put.system));
        }
        judge_aim(truth, put, key);
        match (put.before, put.after) {
            (None, Some(_)) => {
                judge_blind_create(truth, put, key, thing);
                judge_create(truth, put, key, thing);
            }
            (Some(before), Some(after)) => {
                let changed = before.keys().filter(|field| after.get(*field) != before.get(*field));
                let fields: Vec<&String> = changed.collect();
                self.judge_overwrite(truth, put, key, thing, &fields);
            }
            (Some(before), None) => {
                self.judge_overwrite(truth, put, key, thing, &before.keys().collect::<Vec<_>>());
                self.judge_delete(truth, put, key, thing);
            }
            (None, None) => {}
        }
    }

    /// Whether a person has undone the first effect, so that nobody can tell by looking that it ever was: removed
    /// the row that it made, or put back what it had changed.
    fn was_undone(&self, truth: &Truth, put: &Put<'_>, key: &str) -> bool {
        if self.systems.get(put.system).is_some_and(|declared| declared.capabilities.idempotent) {
            return false;
        }
        let made = |version: &&Version| version.system == put.system && version.key.as_deref() == Some(key);
        let mut effects = truth.versions.iter().filter(made);
        let Some(stands) = put.before else {
            let mut rows = effects
                .filter(|version| version.row != *put.id)
                .filter_map(|version| truth.rows.get(&(version.system.clone(), version.row.clone())));
            // A row that has the id now and was made by another write came after it.
            return rows.all(|row| !row.alive || row.made_by != key);
        };
        effects.all(|effect| {
            let earlier = truth.versions.iter().rev().find(|version| {
                version.system == effect.system && version.row == effect.row && version.seq < effect.seq
            });
            let stood = earlier.and_then(|version| version.fields.as_ref());
            stood.is_some_and(|stood| {
                let changed = |field: &&String| {
                    effect.fields.as_ref().and_then(|row| row.get(*field)) != stood.get(*field)
                };
                stood.keys().filter(changed).all(|field| stands.get(field) == stood.get(field))
            })
        })
    }

    /// With a precondition, nothing is overwritten that the engine has not been shown.
    fn judge_overwrite(&self, truth: &mut Truth, put: &Put<'_>, key: &str, thing: &str, fields: &[&String]) {
        let Some(declared) = self.systems.get(put.system) else { return };
        let Some(row) = truth.rows.get(&(put.system.to_owned(), put.id.clone())) else { return };
        let unseen: Vec<String> = fields
            .iter()
            .filter_map(|field| truth.edits.get(row.fields.get(field.as_str())?.edit?))
            // A condition on values does not tell what stood there from the same, put back.
            .filter(|edit| {
                !edit.shown && (self.profile(put.system) != Some(ProfileKind::Log) || !was_known(truth, edit))
            })
            .map(|edit| format!("{}={}", edit.field, edit.value))
            .collect();
        if declared.capabilities.precondition && !unseen.is_empty() {
            let what = format!("{key} took the place of {} in {}, unseen", unseen.join(", "), put.system);
            truth.accuse("I5", Some(thing), what);
        }
    }

    /// A delete goes out only after somebody has deleted the thing elsewhere, and never over an edit that this
    /// somebody had not seen, unless the rules say that deletes prevail.
    fn judge_delete(&self, truth: &mut Truth, put: &Put<'_>, key: &str, thing: &str) {
        if !truth.answered.is_empty() {
            return;
        }
        let allowed = |system: &str| match self.scenario.rules.deletes.as_deref() {
            None => false,
            Some("shared") => true,
            Some(owner) => owner == system,
        };
        let removals: Vec<_> = truth
            .removals
            .iter()
            .filter(|removal| {
                removal.thing == thing && removal.system != put.system && allowed(&removal.system)
            })
            .collect();
        if removals.is_empty() {
            let what = format!("{key} deleted {thing} in {}, and nobody who may had deleted it", put.system);
            truth.accuse("I13", Some(thing), what);
            return;
        }
        if self.scenario.rules.edit_against_delete == "delete_wins" {
            return;
        }
        let Some(row) = truth.rows.get(&(put.system.to_owned(), put.id.clone())) else { return };
        let lost = row.fields.iter().find_map(|(field, stand)| {
            let edit = truth.edits.get(stand.edit?)?;
            let known = removals
                .iter()
                .any(|removal| removal.saw.get(field).is_none_or(|saw| includes(saw, &edit.vector)));
            let foreign = self.scenario.systems.iter().any(|system| {
                removals.iter().any(|removal| removal.system == system.name) && system.lacks.contains(field)
            });
            let is_unique = truth.is_unique(thing, field, &edit.value);
            (edit.shown && !known && !foreign && is_unique && !edit.value.is_null()).then(|| edit.clone())
        });
        if let Some(edit) = lost {
            // What was superseded by another belief before is nobody's loss now.
            let is_believed = truth.streams.values().any(|stream| {
                stream.thing == thing
                    && stream.believed_since(&edit.field, edit.no)
                    && stream.beliefs.get(&edit.field).is_some_and(|value| super::same(value, &edit.value))
            });
            if is_believed {
                let what = format!(
                    "{key} deleted {thing} in {} over {}={}, which the deleting side had not seen",
                    put.system, edit.field, edit.value
                );
                truth.accuse("I13", Some(thing), what);
            }
        }
    }

    /// Fields that go out to a copy: none that its system owns, none that a person is being asked about.
    pub(super) fn judge_intent(
        &self,
        truth: &mut Truth,
        system: &str,
        state: &avowal_core::record::Record,
        key: &str,
    ) {
        let rules = &self.scenario.rules;
        let Some(intent) = state.intents.values().find(|intent| intent.key == key) else { return };
        for (field, outgoing) in &intent.fields {
            if state.is_contested(field) {
                let what = format!("{key} writes {field} although a person is being asked about it");
                truth.accuse("I4", None, what);
            }
            let by = outgoing.dot.system.as_str();
            let is_owned = field.as_str() == "stage" && rules.owner == system;
            let may = rules.proposers.iter().any(|name| name == by) || outgoing.dot.system.is_operator();
            // What the engine itself put there, when the owner had no copy yet, is not the owner's word.
            let row = state.copies.get(system).map(|copy| (system.to_owned(), copy.remote_id.clone()));
            let row = row.and_then(|row| truth.rows.get(&row));
            // The id may belong to another thing by now.
            let is_another = row.is_some_and(|row| thing_of(state).is_some_and(|thing| thing != row.thing));
            let stand = row.and_then(|row| row.fields.get(field.as_str()));
            // Nor does a write reach a row that is gone.
            let is_ours = stand.is_some_and(|stand| stand.edit.is_none())
                || row.is_some_and(|row| !row.alive)
                || is_another;
            // A new copy of the owner without a word may have the owner's own last word.
            let is_empty = stand.is_none_or(|stand| {
                stand.edit.and_then(|edit| truth.edits.get(edit)).is_some_and(|edit| edit.value.is_null())
            });
            let may = may || (by == rules.owner && is_empty);
            if is_owned && intent.operation == Operation::Update && !may && !is_ours {
                let what =
                    format!("{key} writes {field}={} of {by} to {system}, which owns it", outgoing.value);
                truth.accuse("I4", None, what);
            }
        }
    }
}

/// The record that a key names.
fn record_of(key: &str) -> Option<&str> {
    key.split('.').nth(1)
}

/// A write reaches the thing that it is meant for, although ids come again, and makes no other thing of it.
fn judge_aim(truth: &mut Truth, put: &Put<'_>, key: &str) {
    let name_of = |row: &Fields| row.get(KEY).and_then(Value::as_text).map(str::to_owned);
    let Some(stands) = put.before.and_then(name_of) else { return };
    let meant =
        record_of(key).and_then(|record| truth.streams.get(record)).map(|stream| stream.thing.clone());
    if let Some(meant) = meant.filter(|meant| !meant.is_empty() && *meant != stands) {
        let what =
            format!("{key}, meant for {meant}, reached {} in {}, which is {stands}", put.id, put.system);
        truth.accuse("I17", Some(&stands), what);
    } else if let Some(made) = put.after.and_then(name_of).filter(|made| *made != stands) {
        let what = format!("{key} made {made} of {} in {}, which was {stands}", put.id, put.system);
        truth.accuse("I17", Some(&stands), what);
    }
}

fn judge_create(truth: &mut Truth, put: &Put<'_>, key: &str, thing: &str) {
    if seems_empty(truth, put.system) {
        return;
    }
    // A thing that was deleted and made again is another record, while the old one's copies are still being removed.
    let was_removed = truth.removals.iter().any(|removal| removal.thing == thing);
    let ours = truth.rows_of(put.system, thing).into_iter().find(|id| {
        let row = truth.rows.get(&(put.system.to_owned(), id.clone()));
        let same_record = row.is_some_and(|row| record_of(&row.made_by) == record_of(key));
        *id != *put.id
            && row.is_some_and(|row| row.ours)
            && (same_record || !was_removed)
            && (same_record || !is_of_deleted(truth, put.system, id))
    });
    if let Some(other) = ours {
        let what =
            format!("{key} made {} in {}, which holds {other} of the same thing already", put.id, put.system);
        truth.accuse("I6", Some(thing), what);
    }
    let nameless = put.after.is_some_and(|row| row.get(KEY).is_none_or(Value::is_null));
    if nameless {
        truth.accuse("I6", Some(thing), format!("{key} made a row without a key in {}", put.system));
    }
}

/// Whether the engine knew the value from that field of that row already: it was shown there, or we put it there.
fn was_known(truth: &Truth, edit: &Edit) -> bool {
    let is_same = |other: &&Edit| {
        let is_of_it = other.system == edit.system
            && other.row == edit.row
            && other.thing == edit.thing
            && other.field == edit.field;
        is_of_it && other.no < edit.no && other.shown
    };
    let by_person = truth.edits.iter().filter(is_same);
    let is_ours = |version: &&Version| {
        version.system == edit.system
            && version.row == edit.row
            && version.thing == edit.thing
            && version.key.is_some()
    };
    let ours = truth.versions.iter().filter(is_ours);
    let of_us = ours.filter_map(|version| version.fields.as_ref()?.get(&edit.field));
    by_person.map(|other| &other.value).chain(of_us).any(|value| *value == edit.value)
}
