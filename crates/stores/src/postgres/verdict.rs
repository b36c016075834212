//! Which commits of a group may be written: one after the other, each against what is stored and what those
//! before it will have changed.

use super::column;
use super::draft::{LinkKey, PreparedCommit};
use super::facts::Facts;
use avowal_engine::ports::store::{CommitOutcome, Cursor, CursorName};
use std::collections::{BTreeMap, BTreeSet};

/// What the accepted commits of a group have laid hands on.
#[derive(Default)]
pub(super) struct TakenByGroup {
    links: BTreeSet<LinkKey>,
    match_keys: BTreeSet<(String, String)>,
}

/// Why `draft` may not be written, if so; otherwise what it takes is claimed.
pub(super) fn refusal(
    draft: &PreparedCommit,
    facts: &Facts,
    taken: &mut TakenByGroup,
) -> Option<CommitOutcome> {
    let refusal = repeated_delivery(draft, facts).map(|key| CommitOutcome::Duplicate { key }).or_else(|| {
        moved_cursor(draft, facts)
            .or_else(|| moved_record(draft, facts))
            .or_else(|| taken_link(draft, facts, taken))
            .or_else(|| carried_key(draft, facts, taken))
            .map(|what| CommitOutcome::Conflict { what })
    });
    if refusal.is_none() {
        for record in draft.records.values() {
            taken.links.extend(record.links.keys().cloned());
            let entity = record.entity.as_str();
            let keys = record.match_keys.iter().map(|key| (entity.to_owned(), key.clone()));
            taken.match_keys.extend(keys);
        }
    }
    refusal
}

fn repeated_delivery(draft: &PreparedCommit, facts: &Facts) -> Option<String> {
    let taken = draft
        .deliveries
        .keys()
        .find(|(system, key)| facts.taken.contains(&(system.as_str().to_owned(), column::key(key))));
    taken.map(|(_, key)| key.clone()).or_else(|| draft.delivered_twice.clone())
}

fn moved_cursor(draft: &PreparedCommit, facts: &Facts) -> Option<String> {
    let mut reached: BTreeMap<&CursorName, &Cursor> = BTreeMap::new();
    for step in &draft.cursors {
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
fn moved_record(draft: &PreparedCommit, facts: &Facts) -> Option<String> {
    let mut reached: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, expected, to) in &draft.steps {
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
fn taken_link(draft: &PreparedCommit, facts: &Facts, taken: &TakenByGroup) -> Option<String> {
    let mut own: BTreeSet<&LinkKey> = BTreeSet::new();
    for (id, record) in &draft.records {
        let stored = facts.records.get(id);
        for key in record.links.keys() {
            let is_old = stored.is_some_and(|stored| stored.links.contains(key));
            let holder = facts.holders.get(key).filter(|_| !is_old);
            let is_taken = holder.is_some_and(|holder| !draft.records.contains_key(holder));
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
fn carried_key(draft: &PreparedCommit, facts: &Facts, taken: &TakenByGroup) -> Option<String> {
    draft.sole.iter().find_map(|sole| {
        let key = (sole.entity.clone(), sole.key.clone());
        let carriers = facts.carriers.get(&key).into_iter().flatten();
        let mut others = carriers.filter(|record| !draft.records.contains_key(*record));
        let other = others.next().map(|record| format!("record {record}"));
        let other = other.or_else(|| taken.match_keys.contains(&key).then(|| "a new record".to_owned()))?;
        Some(format!("{other} has come to carry the key {}", sole.key))
    })
}
