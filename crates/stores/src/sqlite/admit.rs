//! Whether a commit may be applied: every record, link and key must stand where the commit expects it.

use super::encode::{Encoded, RowTexts};
use super::error::Refusal;
use super::recent::Recent;
use super::records::{self, Stored};
use avowal_core::data::ids::RecordId;
use avowal_engine::ports::store::{Commit, MatchKey, RecordCommit};
use rusqlite::Connection;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The last part of each record, with the sequence that its first part expects to find.
pub(super) struct Final<'a> {
    pub(super) expected_seq: u64,
    pub(super) last: &'a RecordCommit,
    pub(super) texts: &'a RowTexts,
}

/// Puts the parts of each record together. A record that comes twice must continue its own first part.
pub(super) fn finals(encoded: &Encoded) -> Result<Vec<Final<'_>>, Refusal> {
    let records = &encoded.commit.records;
    let mut places: BTreeMap<&RecordId, usize> = BTreeMap::new();
    let mut finals: Vec<Final<'_>> = Vec::with_capacity(records.len());
    for (last, texts) in records.iter().zip(&encoded.records) {
        let texts = &texts.row;
        match places.entry(&last.state.id) {
            Entry::Vacant(place) => {
                place.insert(finals.len());
                finals.push(Final { expected_seq: last.expected_seq, last, texts });
            }
            Entry::Occupied(place) => {
                let before = &mut finals[*place.get()];
                check_sequence(&last.state.id, before.last.state.seq, last.expected_seq)?;
                (before.last, before.texts) = (last, texts);
            }
        }
    }
    Ok(finals)
}

/// What is stored of each record, which must stand where the commit expects it. States that are kept in memory are gone
/// from there until the flush.
pub(super) fn continued(
    connection: &Connection,
    recent: &Recent,
    finals: &[Final<'_>],
) -> Result<Vec<Option<Stored>>, Refusal> {
    let mut out = Vec::with_capacity(finals.len());
    for Final { expected_seq, last, .. } in finals {
        let id = &last.state.id;
        let stored = match recent.take(id) {
            Some(stored) => Some(stored),
            None => records::stored(connection, id, recent.take_read(id))?,
        };
        check_sequence(id, stored.as_ref().map_or(0, |stored| stored.state.seq), *expected_seq)?;
        out.push(stored);
    }
    Ok(out)
}

fn check_sequence(id: &RecordId, stands_at: u64, expected: u64) -> Result<(), Refusal> {
    if stands_at == expected {
        return Ok(());
    }
    Err(Refusal::conflict(format!("record {id} stands at event {stands_at}, not {expected}")))
}

/// Tests that no record outside the commit carries the keys for which it begins one.
pub(super) fn check_sole_keys(connection: &Connection, commit: &Commit) -> Result<(), Refusal> {
    if commit.sole_keys.is_empty() {
        return Ok(());
    }
    let own: BTreeSet<&str> = commit.records.iter().map(|record| record.state.id.as_str()).collect();
    let mut select =
        connection.prepare_cached("SELECT record_id FROM match_keys WHERE entity = ?1 AND key = ?2")?;
    for MatchKey { entity, key } in &commit.sole_keys {
        for carrier in select.query_map([entity.as_str(), key], |row| row.get::<_, String>(0))? {
            let carrier = carrier?;
            if !own.contains(carrier.as_str()) {
                return Err(Refusal::conflict(format!("record {carrier} has come to carry the key {key}")));
            }
        }
    }
    Ok(())
}
