//! Writes a record's row, and the rows by which it is found by something else than its id. Of those, only what differs
//! from the state before.

use super::encode::RowTexts;
use super::error::{Fault, Refusal, is_taken};
use super::load::Stored;
use super::text;
use avowal_core::data::ids::{FieldName, SystemName};
use avowal_core::record::intent::{Intent, IntentStatus};
use avowal_core::record::{Copy, Record, Shadow};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;

/// When an intent is due that nobody has delayed.
const AT_ONCE: &str = "1970-01-01T00:00:00.000Z";

/// A record about to be written: its new state and keys, and what is stored of it.
pub(super) struct Change<'a> {
    pub(super) state: &'a Record,
    pub(super) match_keys: &'a [String],
    pub(super) texts: &'a RowTexts,
    pub(super) before: Option<&'a Stored>,
}

/// Deletes the links that the new state no longer has like this.
pub(super) fn release_links(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
    let Some(before) = change.before else { return Ok(()) };
    for (system, copy) in &before.state.copies {
        let is_kept = change.state.copies.get(system).is_some_and(|now| now.remote_id == copy.remote_id);
        if !is_kept {
            connection
                .prepare_cached("DELETE FROM links WHERE record_id = ?1 AND system = ?2")?
                .execute([change.state.id.as_str(), system.as_str()])?;
        }
    }
    Ok(())
}

/// Writes the state and what points to it. A link that another record holds is a conflict.
pub(super) fn write(connection: &Connection, change: &Change<'_>) -> Result<(), Refusal> {
    write_row(connection, change)?;
    write_links(connection, change)?;
    write_intents(connection, change)?;
    write_match_keys(connection, change)?;
    Ok(())
}

/// Removes what points to a record, whatever its row says. Intents that the new state has as well keep their schedule.
pub(super) fn clear(connection: &Connection, record: &Record) -> Result<(), Fault> {
    let id = record.id.as_str();
    connection.prepare_cached("DELETE FROM links WHERE record_id = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM match_keys WHERE record_id = ?1")?.execute([id])?;
    let mut select = connection.prepare_cached("SELECT system FROM intents WHERE record_id = ?1")?;
    let systems: Vec<String> = select.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for system in systems.iter().filter(|system| !record.intents.contains_key(system.as_str())) {
        drop_intent(connection, record, system)?;
    }
    Ok(())
}

/// The name of a status in tables: the word that people read everywhere.
fn status_name(status: IntentStatus) -> &'static str {
    match status {
        IntentStatus::Planned => "pending",
        IntentStatus::Sent => "sent",
        IntentStatus::Unknown => "unknown",
    }
}

fn write_row(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
    let record = change.state;
    let (seq, living) = (text::to_column(record.seq)?, record.deleted.is_none());
    let is_same =
        |before: &Stored| before.state.entity == record.entity && before.state.deleted.is_none() == living;
    let RowTexts { match_keys: keys, state } = change.texts;
    if change.before.is_some_and(is_same) {
        // Names no column of an index, so that none is touched.
        connection
            .prepare_cached("UPDATE records SET seq = ?2, match_keys = ?3, state = ?4 WHERE id = ?1")?
            .execute(params![record.id.as_str(), seq, keys, state])?;
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO records (id, entity, seq, living, match_keys, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET entity = excluded.entity, seq = excluded.seq, living = excluded.living,
                 match_keys = excluded.match_keys, state = excluded.state",
        )?
        .execute(params![record.id.as_str(), record.entity.as_str(), seq, living, keys, state])?;
    Ok(())
}

fn write_links(connection: &Connection, change: &Change<'_>) -> Result<(), Refusal> {
    let record = change.state;
    for (system, copy) in &record.copies {
        let before = change.before.and_then(|before| before.state.copies.get(system));
        match before.filter(|before| before.remote_id == copy.remote_id && before.alive == copy.alive) {
            Some(before) if shows_same(before, copy) => {}
            Some(_) => show(connection, record, system, copy)?,
            None => link(connection, record, system, copy)?,
        }
    }
    Ok(())
}

/// The linked copy shows something else. Names no column of a key or an index.
fn show(connection: &Connection, record: &Record, system: &SystemName, copy: &Copy) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE links SET content = ?3 WHERE record_id = ?1 AND system = ?2")?
        .execute(params![record.id.as_str(), system.as_str(), copy.content_digest().to_string()])?;
    Ok(())
}

fn link(connection: &Connection, record: &Record, system: &SystemName, copy: &Copy) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO links (record_id, system, entity, remote_id, content, alive) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (record_id, system) DO UPDATE SET entity = excluded.entity, remote_id = excluded.remote_id,
                 content = excluded.content, alive = excluded.alive",
        )?
        .execute(params![
            record.id.as_str(),
            system.as_str(),
            record.entity.as_str(),
            copy.remote_id.as_str(),
            copy.content_digest().to_string(),
            copy.alive,
        ])
        .map_err(|error| taken_link(error, record, system.as_str(), copy))?;
    Ok(())
}

/// Whether the same contents stand in two states of a copy.
fn shows_same(before: &Copy, now: &Copy) -> bool {
    let same = |((field, before), (other, now)): ((&FieldName, &Shadow), (&FieldName, &Shadow))| {
        field == other && before.content == now.content
    };
    before.fields.len() == now.fields.len() && before.fields.iter().zip(&now.fields).all(same)
}

fn taken_link(error: rusqlite::Error, record: &Record, system: &str, copy: &Copy) -> Refusal {
    if is_taken(&error) {
        return Refusal::conflict(format!(
            "{} {} in {system} is already linked to another record than {}",
            record.entity, copy.remote_id, record.id
        ));
    }
    Refusal::from(error)
}

/// An intent with the key that is stored keeps its schedule; any other one is due at once.
fn write_intents(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
    for (system, intent) in &change.state.intents {
        match change.before.and_then(|before| before.state.intents.get(system)) {
            Some(before) if before == intent => {}
            Some(before) if before.key == intent.key => move_on(connection, change.state, system, intent)?,
            Some(_) | None => schedule(connection, change.state, system, intent)?,
        }
    }
    let before = change.before.into_iter().flat_map(|before| before.state.intents.keys());
    for system in before.filter(|system| !change.state.intents.contains_key(*system)) {
        drop_intent(connection, change.state, system.as_str())?;
    }
    Ok(())
}

fn drop_intent(connection: &Connection, record: &Record, system: &str) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM intents WHERE record_id = ?1 AND system = ?2")?
        .execute([record.id.as_str(), system])?;
    Ok(())
}

/// The same operation has come further.
fn move_on(
    connection: &Connection,
    record: &Record,
    system: &SystemName,
    intent: &Intent,
) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE intents SET status = ?3, attempt = ?4 WHERE record_id = ?1 AND system = ?2")?
        .execute(params![record.id.as_str(), system.as_str(), status_name(intent.status), intent.attempt])?;
    Ok(())
}

fn schedule(
    connection: &Connection,
    record: &Record,
    system: &SystemName,
    intent: &Intent,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO intents (record_id, system, key, operation, status, attempt, not_before)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (record_id, system) DO UPDATE SET
                 not_before = CASE WHEN key = excluded.key THEN not_before ELSE excluded.not_before END,
                 failures   = CASE WHEN key = excluded.key THEN failures ELSE 0 END,
                 last_error = CASE WHEN key = excluded.key THEN last_error END,
                 key = excluded.key, operation = excluded.operation, status = excluded.status,
                 attempt = excluded.attempt",
        )?
        .execute(params![
            record.id.as_str(),
            system.as_str(),
            intent.key,
            intent.operation.to_string(),
            status_name(intent.status),
            intent.attempt,
            AT_ONCE,
        ])?;
    Ok(())
}

fn write_match_keys(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
    let stored = change.before.map_or(&[][..], |before| &before.match_keys);
    if stored == change.match_keys {
        return Ok(());
    }
    let (record, entity) = (change.state.id.as_str(), change.state.entity.as_str());
    let wanted: BTreeSet<&String> = change.match_keys.iter().collect();
    let stored: BTreeSet<&String> = stored.iter().collect();
    let mut delete = connection
        .prepare_cached("DELETE FROM match_keys WHERE record_id = ?1 AND entity = ?2 AND key = ?3")?;
    for key in stored.difference(&wanted) {
        delete.execute([record, entity, key])?;
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO match_keys (record_id, entity, key) VALUES (?1, ?2, ?3)")?;
    for key in wanted.difference(&stored) {
        insert.execute([record, entity, key])?;
    }
    Ok(())
}
