//! What the engine records, commit by commit: dense, append-only, with vectors that only grow, under the rules,
//! and never against the true order.

use super::Oracle;
use super::truth::{Edit, Truth, essence, includes};
use crate::family::{self, entity_of_key};
use crate::scenario::KEY;
use avowal_core::data::ids::EntityName;
use avowal_core::data::value::Value;
use avowal_core::history::fold::apply;
use avowal_core::history::{Body, FieldRelation, IntegrationEvent, Strength};
use avowal_core::record::Record;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::store::{Commit, CursorKind, RecordCommit};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of one record's stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) seq: u64,
    pub(super) thing: String,
    vector: BTreeMap<String, u64>,
    pub(super) beliefs: BTreeMap<String, Value>,
    /// How many edits there were when each was believed.
    pub(super) believed_at: BTreeMap<String, usize>,
    /// The fold of its events so far.
    pub(super) folded: Option<Record>,
}

impl Stream {
    /// Whether the belief came after this edit, and so may be its word.
    pub(super) fn believed_since(&self, field: &str, edit: usize) -> bool {
        self.believed_at.get(field).is_some_and(|count| *count > edit)
    }
}

impl Oracle {
    /// A commit has become durable.
    pub fn committed(&self, commit: &Commit) {
        let mut truth = self.truth();
        for step in commit.cursors.iter().filter(|step| step.name.kind == CursorKind::Listing) {
            let system = step.name.system.to_string();
            let entity = step.name.entity.to_string();
            if step.to.is_complete() {
                truth.listed.insert((system.clone(), entity.clone()));
                truth.followed.insert((system, entity));
            } else {
                // The feed has lost our place: what came before is not read from it any more.
                for edit in truth
                    .edits
                    .iter_mut()
                    .filter(|edit| edit.system == system && entity_of_key(&edit.thing) == entity)
                {
                    edit.followed = false;
                }
                truth.followed.remove(&(system, entity));
            }
        }
        truth.aside.extend(commit.quarantine.iter().map(|item| item.payload.clone()));
        let kinds = family::entities(&self.scenario);
        for record in commit.records.iter().filter(|record| kinds.contains(&record.state.entity.as_str())) {
            let mut stream = truth.streams.remove(record.state.id.as_str()).unwrap_or_default();
            self.judge_record(&mut truth, &mut stream, record);
            truth.streams.insert(record.state.id.to_string(), stream);
        }
    }

    fn judge_record(&self, truth: &mut Truth, stream: &mut Stream, commit: &RecordCommit) {
        if commit.expected_seq != stream.seq {
            let what =
                format!("{} was written at {} over {}", commit.state.id, commit.expected_seq, stream.seq);
            truth.accuse("I14", None, what);
        }
        for (system, intent) in &commit.state.intents {
            let of_kind = (system.to_string(), commit.state.entity.to_string());
            let waits = truth.deletes.entry(of_kind).or_default();
            if intent.operation == Operation::Delete {
                waits.insert(commit.state.id.to_string());
            }
        }
        for ((system, _), waits) in &mut truth.deletes {
            let intent = commit.state.intents.get(system.as_str());
            if intent.is_none_or(|intent| intent.operation != Operation::Delete) {
                waits.remove(commit.state.id.as_str());
            }
        }
        stream.thing = thing_of(&commit.state).unwrap_or_else(|| stream.thing.clone());
        for event in &commit.events {
            if event.seq != stream.seq + 1 {
                let what = format!("{}: event {} follows event {}", event.record, event.seq, stream.seq);
                truth.accuse("I12", None, what);
            }
            stream.seq = event.seq;
            let vector: BTreeMap<String, u64> =
                event.vector.iter().map(|(system, count)| (system.to_string(), count)).collect();
            if !includes(&vector, &stream.vector) {
                let what =
                    format!("{}: the vector shrank from {:?} to {vector:?}", event.id(), stream.vector);
                truth.accuse("I9", None, what);
            }
            stream.vector = vector;
            self.judge_event(truth, stream, commit, event);
        }
        judge_fold(truth, stream, commit);
    }

    fn judge_event(
        &self,
        truth: &mut Truth,
        stream: &mut Stream,
        commit: &RecordCommit,
        event: &IntegrationEvent,
    ) {
        match &event.body {
            Body::FieldChanged { field, value, .. } => {
                self.judge_belief(truth, stream, commit, event, field.as_str(), value);
                stream.beliefs.insert(field.to_string(), value.clone());
                stream.believed_at.insert(field.to_string(), truth.edits.len());
            }
            Body::Observed { system, class, fields, dot: Some(_), .. } => {
                let figures = truth.figures.entry(system.to_string()).or_default();
                figures.observed += 1;
                figures.indeterminate +=
                    u64::from(*class == avowal_core::history::Classification::Indeterminate);
                let proven = event.evidence.as_ref().map(|evidence| evidence.strength);
                for (field, seen) in fields {
                    self.judge_order(
                        truth,
                        stream,
                        system.as_str(),
                        field.as_str(),
                        &seen.to,
                        seen.relation,
                        proven,
                    );
                }
            }
            Body::ConflictResolved { field, dot, losers, .. } => {
                for loser in losers {
                    self.judge_winner(
                        truth,
                        stream,
                        field.as_str(),
                        dot.system.as_str(),
                        loser.system.as_str(),
                    );
                }
            }
            Body::ManualReviewRequested { .. } => {
                let source = event.source.as_ref().map(ToString::to_string).unwrap_or_default();
                truth.figures.entry(source).or_default().reviews += 1;
            }
            Body::IntentSent { system, key, attempt } => {
                self.judge_guard(truth, system.as_str(), &commit.state.entity, key);
                // The state at the end of the commit still holds the intent: nothing can follow its sending in it.
                // Sent again under the same key it only asks what became of the first.
                if *attempt == 1 {
                    self.judge_intent(truth, system.as_str(), &commit.state, key);
                }
            }
            Body::IntentConfirmed { system, key, fields, .. } => {
                let sent: Vec<(String, Value)> = fields
                    .iter()
                    .map(|(field, stored)| {
                        let sent = stored.sent_as.as_ref().unwrap_or(&stored.content);
                        (field.to_string(), sent.clone())
                    })
                    .collect();
                truth.confirmed.insert(key.clone());
                self.judge_confirmation(truth, stream, system.as_str(), key, &sent);
            }
            _ => {}
        }
    }

    /// More deletes than the guard allows do not go out without a person's word.
    fn judge_guard(&self, truth: &mut Truth, system: &str, entity: &EntityName, key: &str) {
        let of_kind = (system.to_owned(), entity.to_string());
        let waits = truth.deletes.get(&of_kind).map_or(0, BTreeSet::len);
        // Two may have been added while one was on its way out.
        let most = crate::world::DELETES_MAX as usize + 2;
        if key.contains(".delete.") && waits > most && !truth.at_peace {
            truth.accuse("I16", None, format!("{key} was sent while {waits} deletes wait for {system}"));
        }
    }

    /// A belief never goes back to a value that the one before it had seen, and changes only by those who may.
    fn judge_belief(
        &self,
        truth: &mut Truth,
        stream: &Stream,
        commit: &RecordCommit,
        event: &IntegrationEvent,
        field: &str,
        value: &Value,
    ) {
        let by_person = event.source.as_ref().is_some_and(|source| source.is_operator());
        if by_person || truth.answered.contains(event.record.as_str()) {
            return;
        }
        let rules = &self.scenario.rules;
        let source = event.source.as_ref().map(ToString::to_string).unwrap_or_default();
        let may = field != "stage" || source == rules.owner || rules.proposers.contains(&source);
        let owner_speaks = commit.state.copies.keys().any(|system| system.as_str() == rules.owner);
        if !may && owner_speaks && !source.is_empty() {
            let what = format!("{}: {source} changed {field}, which belongs to {}", event.id(), rules.owner);
            truth.accuse("I4", Some(&stream.thing), what);
        }
        let thing = stream.thing.clone();
        if field != KEY && !is_computed(field) && truth.author(&thing, field, value).is_none() {
            let what = format!("{}: {source} is said to have put {value} into {field}", event.id());
            truth.accuse("I20", Some(&thing), format!("{what}, and nobody ever did"));
        }
        let Some(before) = stream.beliefs.get(field) else { return };
        // A set that lost its other members to several people is nobody's older word, and neither is a sum that several
        // have made; what becomes of each member and of each increment is judged at the end.
        if is_computed(field) {
            return;
        }
        if !truth.is_unique(&thing, field, value) || !truth.is_unique(&thing, field, before) {
            return;
        }
        let (Some(old), Some(new)) =
            (truth.author(&thing, field, before), truth.author(&thing, field, value))
        else {
            return;
        };
        // What was merged from several may be what a person puts there later.
        if !stream.believed_since(field, old.no) {
            return;
        }
        // A system that showed nothing had its rows taken for deleted. What is found there later is another record's.
        let mut copies = commit.state.copies.iter();
        let was_hidden =
            copies.any(|(system, copy)| truth.hidden.contains(&(system.to_string(), copy.remote_id.clone())));
        if old.no != new.no && includes(&old.vector, &new.vector) && !was_hidden {
            let what = format!("{}: {field} went back from {before} to {value}, which is older", event.id());
            truth.accuse("I9", Some(&thing), what);
        }
    }

    /// What is taken for a change made after seeing the belief was truly made after it.
    #[allow(clippy::too_many_arguments, reason = "one fact, named part by part")]
    fn judge_order(
        &self,
        truth: &mut Truth,
        stream: &Stream,
        system: &str,
        field: &str,
        to: &Value,
        relation: FieldRelation,
        strength: Option<Strength>,
    ) {
        let Some(before) = stream.beliefs.get(field) else { return };
        let thing = stream.thing.clone();
        if to.is_null() || !truth.is_unique(&thing, field, to) || !truth.is_unique(&thing, field, before) {
            return;
        }
        let (Some(old), Some(new)) = (truth.author(&thing, field, before), truth.author(&thing, field, to))
        else {
            return;
        };
        let is_said = stream.believed_since(field, old.no);
        if new.system != system || old.no == new.no || !is_said {
            return;
        }
        let has_seen = includes(&new.vector, &old.vector);
        // What is inferred from a system that has lied is no better than the lie.
        let is_misled = strength == Some(Strength::Inferred) && truth.liars.contains(system);
        match relation {
            // Whoever changes the same value, put there by somebody else, has seen what is believed.
            FieldRelation::Sequential if !has_seen && new.from != *before && !is_misled => {
                let what = format!(
                    "{system} changed {field} to {to} without having seen {before}, and it was taken for sequential ({strength:?})"
                );
                truth.accuse("I19", Some(&thing), what);
            }
            FieldRelation::Concurrent if old.system == system && old.row == new.row && is_next(old, new) => {
                let what = format!(
                    "{system} changed {field} from {before} to {to}, both its own words, and they were taken for concurrent"
                );
                truth.accuse("I19", Some(&thing), what);
            }
            FieldRelation::Concurrent if has_seen => {
                // What a system made of a value is another one to all who have not been told of it.
                let is_as_said = old.value == *before;
                if strength == Some(Strength::Proven) && is_as_said {
                    let what = format!(
                        "{system} changed {field} to {to} having seen {before}, and the contrary was called proven"
                    );
                    truth.accuse("I19", Some(&thing), what);
                }
                truth.figures.entry(system.to_owned()).or_default().false_concurrent += 1;
            }
            FieldRelation::First
            | FieldRelation::Sequential
            | FieldRelation::Concurrent
            | FieldRelation::Indeterminate
            | FieldRelation::Agreement => {}
        }
    }

    /// Of two concurrent values the declared one prevails.
    fn judge_winner(&self, truth: &mut Truth, stream: &Stream, field: &str, winner: &str, loser: &str) {
        let rules = &self.scenario.rules;
        if field == "stage" {
            if loser == rules.owner && winner != rules.owner {
                let what = format!("{winner} prevailed over {loser}, which owns {field}");
                truth.accuse("I4", Some(&stream.thing), what);
            }
            return;
        }
        let place = |system: &str| rules.precedence.iter().position(|name| name == system);
        if let (Some(winner_at), Some(loser_at)) = (place(winner), place(loser))
            && winner_at > loser_at
        {
            let what = format!("{winner} prevailed over {loser} in {field} against the declared precedence");
            truth.accuse("I4", Some(&stream.thing), what);
        }
    }

    /// What counts as confirmed has truly happened, or stands there anyway.
    fn judge_confirmation(
        &self,
        truth: &mut Truth,
        stream: &Stream,
        system: &str,
        key: &str,
        sent: &[(String, Value)],
    ) {
        if truth.effects.contains_key(key) {
            return;
        }
        let stood = truth.versions.iter().any(|version| {
            version.system == system
                && version.thing == stream.thing
                && match &version.fields {
                    Some(row) => {
                        !sent.is_empty()
                            && sent.iter().all(|(field, value)| {
                                field == crate::scenario::KEY
                                    || same(row.get(field).unwrap_or(&Value::Null), value)
                            })
                    }
                    None => sent.is_empty(),
                }
        });
        // A system that shows nothing shows a delete to be done.
        let is_lied_to = sent.is_empty() && truth.blind.contains(system);
        if !stood && !is_lied_to {
            let what = format!("{key} counts as confirmed, but it never took effect in {system}");
            truth.accuse("I19", Some(&stream.thing), what);
        }
    }
}

/// I11: what was committed as the state is what the events make of the state before.
fn judge_fold(truth: &mut Truth, stream: &mut Stream, commit: &RecordCommit) {
    let state = &commit.state;
    let mut folded =
        stream.folded.take().unwrap_or_else(|| Record::new(state.id.clone(), state.entity.clone()));
    commit.events.iter().for_each(|event| apply(&mut folded, event));
    if folded != *state {
        let what = format!("{} at {} is not the fold of its history", state.id, state.seq);
        truth.accuse("I11", Some(&stream.thing), what);
    }
    if folded.deleted.is_some() {
        let of_liars = folded.copies.iter().filter(|(system, _)| truth.liars.contains(system.as_str()));
        let rows = of_liars.map(|(system, copy)| (system.to_string(), copy.remote_id.clone()));
        truth.hidden.extend(rows);
    }
    stream.folded = Some(folded);
}

/// Whether two spellings mean the same: sets have no order.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::List(items) => items.is_empty(),
        value => value.is_null(),
    };
    (is_nothing(left) && is_nothing(right)) || essence(left) == essence(right)
}

/// Whether a field may hold what nobody has said: sets and sums are made of what several have.
fn is_computed(field: &str) -> bool {
    ["tags", "credit"].contains(&field)
}

/// Whether a person changed what stood there by the edit before, and nothing of ours had come between.
fn is_next(old: &Edit, new: &Edit) -> bool {
    !old.covered && new.from == old.value
}

pub(super) fn thing_of(state: &Record) -> Option<String> {
    let key = avowal_core::data::ids::FieldName::new(crate::scenario::KEY);
    let believed = state.fields.get(&key).and_then(|belief| belief.value.as_text());
    let shown = state.copies.values().find_map(|copy| copy.fields.get(&key)?.content.as_text());
    believed.or(shown).map(str::to_owned)
}
