//! Applies one task inside its savepoint: first every test, then every row.

use super::encode::{Encoded, RowTexts};
use super::error::{Fault, Refusal};
use super::load::{self, Stored};
use super::project::{self, Change};
use super::recent::Recent;
use super::writer::Task;
use super::{events, reviews};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::history::{Body, IntegrationEvent};
use avowal_core::record::Record;
use avowal_engine::ports::store::{
    Commit, CommitOutcome, CopyKey, CursorMove, DedupeKey, IntentDelay, MatchKey, QuarantineItem,
    RecordCommit, Signal, StoreError,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// How one task of a group went; durable only after the group's flush.
pub(super) enum Applied {
    /// It is in the transaction.
    Done,
    /// It was undone: something had moved on.
    Refused(CommitOutcome),
    /// It was undone: it could not be written.
    Failed(StoreError),
}

/// Applies `task`; after an error its savepoint must be rolled back.
pub(super) fn task(connection: &Connection, recent: &Recent, task: &Task) -> Result<(), Refusal> {
    match task {
        Task::Commit(encoded) => commit(connection, recent, encoded),
        Task::Restate { record, match_keys } => {
            recent.forget(&record.id);
            restate(connection, record, match_keys).map_err(Refusal::from)
        }
        Task::CountRepeats { system, keys } => count_repeats(connection, system, keys).map_err(Refusal::from),
        Task::Forget(deliveries) => forget(connection, deliveries).map_err(Refusal::from),
        Task::LimitPages(pages) => limit_pages(connection, *pages).map_err(Refusal::from),
    }
}

fn commit(connection: &Connection, recent: &Recent, encoded: &Encoded) -> Result<(), Refusal> {
    let commit = &encoded.commit;
    take_deliveries(connection, &commit.dedupe)?;
    move_cursors(connection, &commit.cursors)?;
    let finals = finals(encoded)?;
    let before = continued(connection, recent, &finals)?;
    check_sole_keys(connection, commit)?;
    let changes: Vec<Change<'_>> = finals
        .iter()
        .zip(&before)
        .map(|(Final { last, texts, .. }, before)| Change {
            state: &last.state,
            match_keys: &last.match_keys,
            texts,
            before: before.as_ref(),
        })
        .collect();
    // A remote id may go from one record of the commit to another, so all let go before any takes.
    for change in &changes {
        project::release_links(connection, change)?;
    }
    for change in &changes {
        project::write(connection, change)?;
    }
    for (record, texts) in commit.records.iter().zip(&encoded.records) {
        for (event, texts) in record.events.iter().zip(&texts.events) {
            events::append(connection, event, texts)?;
            reviews::note(connection, event)?;
        }
    }
    let asked: BTreeSet<&RecordId> =
        events_of(commit).filter(|event| is_question(event)).map(|event| &event.record).collect();
    for change in &changes {
        // Where there was no question, is none and none came up in between, no row can be open.
        let was_quiet = change.before.is_none_or(|before| before.state.reviews.is_empty());
        if !was_quiet || !change.state.reviews.is_empty() || asked.contains(&change.state.id) {
            reviews::follow_state(connection, change.state)?;
        }
    }
    add_quarantine(connection, &commit.quarantine)?;
    close_quarantine(connection, &commit.quarantine_closed)?;
    release_quarantine(connection, &commit.quarantine_ids_closed)?;
    add_signals(connection, &commit.signals)?;
    drop_signals(connection, &commit.signals_done)?;
    delay_intents(connection, &commit.delays)?;
    Ok(())
}

fn events_of(commit: &Commit) -> impl Iterator<Item = &IntegrationEvent> {
    commit.records.iter().flat_map(|record| &record.events)
}

fn is_question(event: &IntegrationEvent) -> bool {
    matches!(event.body, Body::ManualReviewRequested { .. })
}

/// The last part of each record, with the sequence that its first part expects to find.
struct Final<'a> {
    expected_seq: u64,
    last: &'a RecordCommit,
    texts: &'a RowTexts,
}

/// Puts the parts of each record together. A record that comes twice must continue its own first part.
fn finals(encoded: &Encoded) -> Result<Vec<Final<'_>>, Refusal> {
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
fn continued(
    connection: &Connection,
    recent: &Recent,
    finals: &[Final<'_>],
) -> Result<Vec<Option<Stored>>, Refusal> {
    let mut out = Vec::with_capacity(finals.len());
    for Final { expected_seq, last, .. } in finals {
        let id = &last.state.id;
        let stored = match recent.take(id) {
            Some(stored) => Some(stored),
            None => load::stored(connection, id, recent.take_read(id))?,
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

/// Replaces what is stored of a record beside its history, and derives again what only the history tells.
fn restate(connection: &Connection, record: &Record, match_keys: &[String]) -> Result<(), Fault> {
    project::clear(connection, record)?;
    let texts = RowTexts::new(record, match_keys)?;
    let change = Change { state: record, match_keys, texts: &texts, before: None };
    project::write(connection, &change).map_err(|refusal| match refusal {
        Refusal::Fault(fault) => fault,
        Refusal::Outcome(outcome) => {
            Fault::damaged(format!("links of record {}", record.id), format!("{outcome:?}"))
        }
    })?;
    reviews::forget(connection, &record.id)?;
    events::each_noted(connection, &record.id, |event| reviews::note(connection, event))?;
    reviews::follow_state(connection, record)
}

fn take_deliveries(connection: &Connection, keys: &[DedupeKey]) -> Result<(), Refusal> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO dedupe (system, key, received_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for key in keys {
        let new = insert.execute(params![key.system.as_str(), key.key, key.received_at.to_string()])?;
        if new == 0 {
            return Err(Refusal::Outcome(CommitOutcome::Duplicate { key: key.key.clone() }));
        }
    }
    Ok(())
}

fn move_cursors(connection: &Connection, moves: &[CursorMove]) -> Result<(), Refusal> {
    let mut select = connection
        .prepare_cached("SELECT position FROM cursors WHERE system = ?1 AND entity = ?2 AND kind = ?3")?;
    let mut upsert = connection.prepare_cached(
        "INSERT INTO cursors (system, entity, kind, position) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (system, entity, kind) DO UPDATE SET position = excluded.position",
    )?;
    for CursorMove { name, from, to } in moves {
        let (system, entity, kind) = (name.system.as_str(), name.entity.as_str(), name.kind.as_str());
        let stored: Option<String> = select.query_row([system, entity, kind], |row| row.get(0)).optional()?;
        if stored.as_deref() != from.as_ref().map(|cursor| cursor.0.as_str()) {
            return Err(Refusal::conflict(format!(
                "the {kind} cursor of {entity} in {system} has been moved by somebody else"
            )));
        }
        upsert.execute([system, entity, kind, to.0.as_str()])?;
    }
    Ok(())
}

/// Tests that no record outside the commit carries the keys for which it begins one.
fn check_sole_keys(connection: &Connection, commit: &Commit) -> Result<(), Refusal> {
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

/// Stores what could not be understood. The same item again counts up instead of filling the disk.
fn add_quarantine(connection: &Connection, items: &[QuarantineItem]) -> Result<(), Fault> {
    let mut again = connection.prepare_cached(
        "UPDATE quarantine SET times = times + 1
         WHERE status = 'open' AND system = ?1 AND entity = ?2 AND remote_id IS ?3 AND record_id IS ?4
           AND reason = ?5 AND payload = ?6",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO quarantine (system, entity, remote_id, record_id, reason, payload, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for item in items {
        let (system, entity) = (item.system.as_str(), item.entity.as_str());
        let remote_id = item.remote_id.as_ref().map(|id| id.as_str());
        let record = item.record.as_ref().map(|id| id.as_str());
        if again.execute(params![system, entity, remote_id, record, item.reason, item.payload])? == 0 {
            let at = item.at.to_string();
            insert.execute(params![system, entity, remote_id, record, item.reason, item.payload, at])?;
        }
    }
    Ok(())
}

/// Closes what came from copies that are understood now; what could not go out stays.
fn close_quarantine(connection: &Connection, copies: &[CopyKey]) -> Result<(), Fault> {
    let mut close = connection.prepare_cached(
        "UPDATE quarantine SET status = 'closed'
         WHERE status = 'open' AND system = ?1 AND entity = ?2 AND remote_id = ?3 AND record_id IS NULL",
    )?;
    for copy in copies {
        close.execute([copy.system.as_str(), copy.entity.as_str(), copy.remote_id.as_str()])?;
    }
    Ok(())
}

fn release_quarantine(connection: &Connection, ids: &[i64]) -> Result<(), Fault> {
    let mut close = connection.prepare_cached("UPDATE quarantine SET status = 'closed' WHERE id = ?1")?;
    for id in ids {
        close.execute([id])?;
    }
    Ok(())
}

fn add_signals(connection: &Connection, signals: &[Signal]) -> Result<(), Fault> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO signals (system, entity, remote_id, not_before, reason, received_at, attempts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for signal in signals {
        insert.execute(params![
            signal.copy.system.as_str(),
            signal.copy.entity.as_str(),
            signal.copy.remote_id.as_str(),
            signal.not_before.to_string(),
            signal.reason.as_str(),
            signal.received_at.to_string(),
            signal.attempts,
        ])?;
    }
    Ok(())
}

fn drop_signals(connection: &Connection, ids: &[i64]) -> Result<(), Fault> {
    let mut delete = connection.prepare_cached("DELETE FROM signals WHERE id = ?1")?;
    for id in ids {
        delete.execute([id])?;
    }
    Ok(())
}

fn delay_intents(connection: &Connection, delays: &[IntentDelay]) -> Result<(), Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE intents SET not_before = ?3, failures = ?4, last_error = ?5 WHERE record_id = ?1 AND system = ?2",
    )?;
    for delay in delays {
        update.execute(params![
            delay.record.as_str(),
            delay.system.as_str(),
            delay.not_before.to_string(),
            delay.failures,
            delay.reason,
        ])?;
    }
    Ok(())
}

fn count_repeats(connection: &Connection, system: &SystemName, keys: &[String]) -> Result<(), Fault> {
    let mut update = connection
        .prepare_cached("UPDATE dedupe SET repeats = repeats + 1 WHERE system = ?1 AND key = ?2")?;
    for key in keys {
        update.execute([system.as_str(), key])?;
    }
    Ok(())
}

fn forget(connection: &Connection, deliveries: &[(String, String)]) -> Result<(), Fault> {
    let mut delete = connection.prepare_cached("DELETE FROM dedupe WHERE system = ?1 AND key = ?2")?;
    for (system, key) in deliveries {
        delete.execute([system, key])?;
    }
    Ok(())
}

fn limit_pages(connection: &Connection, pages: u32) -> Result<(), Fault> {
    // The pragma answers with the bound that holds now: never below the present size.
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    Ok(())
}
