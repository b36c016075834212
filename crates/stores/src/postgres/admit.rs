//! Which commits of a group may be written. Each is tested against what is stored, and against what the accepted
//! commits before it will have changed.

use super::column;
use super::encode::{LinkKey, PreparedCommit};
use super::facts::Facts;
use avowal_engine::ports::store::{CommitOutcome, CursorName, Position};
use std::collections::{BTreeMap, BTreeSet};

/// The links and keys that the accepted commits of a group take.
#[derive(Default)]
pub(super) struct TakenByGroup {
    links: BTreeSet<LinkKey>,
    match_keys: BTreeSet<(String, String)>,
}

/// Why the commit may not be written, if so. Otherwise what it takes is noted in `taken`.
pub(super) fn refusal(
    prepared: &PreparedCommit,
    facts: &Facts,
    taken: &mut TakenByGroup,
) -> Option<CommitOutcome> {
    let refusal =
        repeated_delivery(prepared, facts).map(|key| CommitOutcome::Duplicate { key }).or_else(|| {
            moved_cursor(prepared, facts)
                .or_else(|| moved_record(prepared, facts))
                .or_else(|| taken_link(prepared, facts, taken))
                .or_else(|| carried_key(prepared, facts, taken))
                .map(|what| CommitOutcome::Conflict { what })
        });
    if refusal.is_none() {
        for record in prepared.records.values() {
            taken.links.extend(record.links.keys().cloned());
            let entity = record.entity.as_str();
            let keys = record.match_keys.iter().map(|key| (entity.to_owned(), key.clone()));
            taken.match_keys.extend(keys);
        }
    }
    refusal
}

fn repeated_delivery(prepared: &PreparedCommit, facts: &Facts) -> Option<String> {
    let taken = prepared
        .deliveries
        .keys()
        .find(|(system, key)| facts.taken.contains(&(system.as_str().to_owned(), column::key(key))));
    taken.map(|(_, key)| key.clone()).or_else(|| prepared.delivered_twice.clone())
}

fn moved_cursor(prepared: &PreparedCommit, facts: &Facts) -> Option<String> {
    let mut reached: BTreeMap<&CursorName, &Position> = BTreeMap::new();
    for step in &prepared.cursors {
        let stands = reached.get(&step.name).copied().or_else(|| facts.cursors.get(&step.name));
        if stands != step.from.as_ref() {
            let name = &step.name;
            return Some(format!(
                "the {} cursor of {} in {} has been moved by somebody else",
                name.kind.as_str(),
                name.entity,
                name.system
            ));
        }
        reached.insert(&step.name, &step.to);
    }
    None
}

/// A record that comes twice must continue its own first part.
fn moved_record(prepared: &PreparedCommit, facts: &Facts) -> Option<String> {
    let mut reached: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, expected, to) in &prepared.steps {
        let stored = facts.records.get(id).map_or(0, |stored| stored.seq);
        let stands = reached.get(id.as_str()).copied().unwrap_or(stored);
        if stands != *expected {
            return Some(format!("record {id} stands at event {stands}, not {expected}"));
        }
        reached.insert(id, *to);
    }
    None
}

/// A remote id may go from one record of the commit to another, but not be taken from a record outside it.
fn taken_link(prepared: &PreparedCommit, facts: &Facts, taken: &TakenByGroup) -> Option<String> {
    let mut own: BTreeSet<&LinkKey> = BTreeSet::new();
    for (id, record) in &prepared.records {
        let stored = facts.records.get(id);
        for key in record.links.keys() {
            let is_old = stored.is_some_and(|stored| stored.links.contains(key));
            let holder = facts.holders.get(key).filter(|_| !is_old);
            let is_taken = holder.is_some_and(|holder| !prepared.records.contains_key(holder));
            if is_taken || taken.links.contains(key) || !own.insert(key) {
                let (system, entity, remote_id) = key;
                return Some(format!(
                    "{entity} {remote_id} in {system} is already linked to another record than {id}"
                ));
            }
        }
    }
    None
}

/// A key that only a record of this commit may carry.
fn carried_key(prepared: &PreparedCommit, facts: &Facts, taken: &TakenByGroup) -> Option<String> {
    prepared.sole.iter().find_map(|sole| {
        let key = (sole.entity.clone(), sole.key.clone());
        let carriers = facts.carriers.get(&key).into_iter().flatten();
        let mut others = carriers.filter(|record| !prepared.records.contains_key(*record));
        let other = others.next().map(|record| format!("record {record}"));
        let other = other.or_else(|| taken.match_keys.contains(&key).then(|| "a new record".to_owned()))?;
        Some(format!("{other} has come to carry the key {}", sole.key))
    })
}
