//! Writes a record's state as rows, touching only the rows that differ from the stored ones.

use super::error::{Fault, Refusal, is_taken};
use super::text;
use avowal_core::ids::{FieldName, SystemName};
use avowal_core::intent::{Intent, IntentStatus};
use avowal_core::record::{Copy, Record, Shadow};
use rusqlite::{CachedStatement, Connection, params};
use std::collections::BTreeMap;

/// When an intent is due that nobody has delayed.
pub(super) const AT_ONCE: &str = "1970-01-01T00:00:00.000Z";

/// Deletes the links of `record` that its new state no longer has like this. `before` is what the rows hold, where
/// that is known without reading them.
pub(super) fn release_links(
    connection: &Connection,
    record: &Record,
    before: Option<&Record>,
) -> Result<(), Fault> {
    let keeps = |(system, copy): (&SystemName, &Copy)| {
        record.copies.get(system).is_some_and(|now| now.remote_id == copy.remote_id)
    };
    if before.is_some_and(|before| before.copies.iter().all(keeps)) {
        return Ok(());
    }
    let mut delete = connection.prepare_cached("DELETE FROM links WHERE record_id = ?1 AND system = ?2")?;
    for (system, stored) in stored_links(connection, record)? {
        let kept = record
            .copies
            .get(system.as_str())
            .is_some_and(|copy| copy.remote_id.as_str() == stored.remote_id);
        if !kept {
            delete.execute([record.id.as_str(), &system])?;
        }
    }
    Ok(())
}

/// Writes the state and its match keys. Links that another record holds are a conflict.
pub(super) fn write(
    connection: &Connection,
    record: &Record,
    match_keys: &[String],
    before: Option<&Record>,
) -> Result<(), Refusal> {
    write_belief(connection, record)?;
    if !before.is_some_and(|before| before.copies == record.copies) {
        write_links(connection, record, before)?;
        write_shadows(connection, record, before)?;
    }
    if !before.is_some_and(|before| before.intents == record.intents) {
        write_intents(connection, record, before)?;
    }
    write_match_keys(connection, record, match_keys)?;
    Ok(())
}

/// The name of a status in tables: the word that people read everywhere.
pub(super) fn status_name(status: IntentStatus) -> &'static str {
    match status {
        IntentStatus::Planned => "pending",
        IntentStatus::Sent => "sent",
        IntentStatus::Unknown => "unknown",
    }
}

fn write_belief(connection: &Connection, record: &Record) -> Result<(), Fault> {
    let deleted = record.deleted.as_ref().map(text::to_json).transpose()?;
    connection
        .prepare_cached(
            "INSERT INTO records (id, entity, seq, head, vector, fields, held, deleted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET entity = excluded.entity, seq = excluded.seq, head = excluded.head,
                 vector = excluded.vector, fields = excluded.fields, held = excluded.held, deleted = excluded.deleted",
        )?
        .execute(params![
            record.id.as_str(),
            record.entity.as_str(),
            text::to_column(record.seq)?,
            record.head.to_string(),
            text::to_json(&record.vector)?,
            text::to_json(&record.fields)?,
            text::to_json(&record.held)?,
            deleted,
        ])?;
    Ok(())
}

#[derive(PartialEq)]
struct LinkRow {
    entity: String,
    remote_id: String,
    content: String,
    alive: bool,
}

fn stored_links(connection: &Connection, record: &Record) -> Result<BTreeMap<String, LinkRow>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT system, entity, remote_id, content, alive FROM links WHERE record_id = ?1")?;
    let rows = select.query_map([record.id.as_str()], |row| {
        let link =
            LinkRow { entity: row.get(1)?, remote_id: row.get(2)?, content: row.get(3)?, alive: row.get(4)? };
        Ok((row.get(0)?, link))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn write_links(connection: &Connection, record: &Record, before: Option<&Record>) -> Result<(), Refusal> {
    let stored = match before {
        Some(_) => BTreeMap::new(),
        None => stored_links(connection, record)?,
    };
    let mut upsert = connection.prepare_cached(
        "INSERT INTO links (record_id, system, entity, remote_id, content, alive) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (record_id, system) DO UPDATE SET entity = excluded.entity, remote_id = excluded.remote_id,
             content = excluded.content, alive = excluded.alive",
    )?;
    for (system, copy) in &record.copies {
        if copy_before(before, system).is_some_and(|before| is_same_link(before, copy)) {
            continue;
        }
        let row = LinkRow {
            entity: record.entity.as_str().to_owned(),
            remote_id: copy.remote_id.as_str().to_owned(),
            content: copy.content_digest().to_string(),
            alive: copy.alive,
        };
        if stored.get(system.as_str()) == Some(&row) {
            continue;
        }
        let LinkRow { entity, remote_id, content, alive } = row;
        upsert
            .execute(params![record.id.as_str(), system.as_str(), entity, remote_id, content, alive])
            .map_err(|error| taken_link(error, record, system.as_str(), copy))?;
    }
    forget_others(
        connection.prepare_cached("DELETE FROM links WHERE record_id = ?1 AND system = ?2")?,
        record,
        systems_before(before, &stored).filter(|system| !record.copies.contains_key(*system)),
    )?;
    Ok(())
}

fn copy_before<'a>(before: Option<&'a Record>, system: &SystemName) -> Option<&'a Copy> {
    before.and_then(|before| before.copies.get(system))
}

/// Whether two states of a copy have the same link row.
fn is_same_link(before: &Copy, now: &Copy) -> bool {
    let same = |((field, before), (other, now)): ((&FieldName, &Shadow), (&FieldName, &Shadow))| {
        field == other && before.content == now.content
    };
    before.remote_id == now.remote_id
        && before.alive == now.alive
        && before.fields.len() == now.fields.len()
        && before.fields.iter().zip(&now.fields).all(same)
}

/// The systems that have a row: those of the state before, where it is known, or those that were read.
fn systems_before<'a, R>(
    before: Option<&'a Record>,
    stored: &'a BTreeMap<String, R>,
) -> impl Iterator<Item = &'a str> {
    let known = before.into_iter().flat_map(|before| before.copies.keys().map(SystemName::as_str));
    known.chain(stored.keys().map(String::as_str))
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

#[derive(PartialEq)]
struct ShadowRow {
    fields: String,
    seen: String,
    sent: String,
    order_token: Option<String>,
    version: Option<String>,
    changed_at: i64,
    wanted: bool,
}

fn write_shadows(connection: &Connection, record: &Record, before: Option<&Record>) -> Result<(), Fault> {
    let stored = match before {
        Some(_) => BTreeMap::new(),
        None => stored_shadows(connection, record)?,
    };
    let mut upsert = connection.prepare_cached(
        "INSERT INTO shadows (record_id, system, fields, seen, sent, order_token, version, changed_at, wanted)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (record_id, system) DO UPDATE SET fields = excluded.fields, seen = excluded.seen,
             sent = excluded.sent, order_token = excluded.order_token, version = excluded.version,
             changed_at = excluded.changed_at, wanted = excluded.wanted",
    )?;
    for (system, copy) in &record.copies {
        if copy_before(before, system) == Some(copy) {
            continue;
        }
        let row = ShadowRow {
            fields: text::to_json(&copy.fields)?,
            seen: text::to_json(&copy.seen)?,
            sent: text::to_json(&copy.sent)?,
            order_token: copy.order.as_ref().map(text::to_json).transpose()?,
            version: copy.version.clone(),
            changed_at: copy.changed_at.millis(),
            wanted: copy.wanted,
        };
        if stored.get(system.as_str()) == Some(&row) {
            continue;
        }
        let ShadowRow { fields, seen, sent, order_token, version, changed_at, wanted } = row;
        upsert.execute(params![
            record.id.as_str(),
            system.as_str(),
            fields,
            seen,
            sent,
            order_token,
            version,
            changed_at,
            wanted
        ])?;
    }
    forget_others(
        connection.prepare_cached("DELETE FROM shadows WHERE record_id = ?1 AND system = ?2")?,
        record,
        systems_before(before, &stored).filter(|system| !record.copies.contains_key(*system)),
    )
}

fn stored_shadows(connection: &Connection, record: &Record) -> Result<BTreeMap<String, ShadowRow>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT system, fields, seen, sent, order_token, version, changed_at, wanted
         FROM shadows WHERE record_id = ?1",
    )?;
    let rows = select.query_map([record.id.as_str()], |row| {
        let shadow = ShadowRow {
            fields: row.get(1)?,
            seen: row.get(2)?,
            sent: row.get(3)?,
            order_token: row.get(4)?,
            version: row.get(5)?,
            changed_at: row.get(6)?,
            wanted: row.get(7)?,
        };
        Ok((row.get(0)?, shadow))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// An intent with the key that is stored keeps its schedule; any other one is due at once.
fn write_intents(connection: &Connection, record: &Record, before: Option<&Record>) -> Result<(), Fault> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO intents (record_id, system, key, operation, fields, vector, status, attempt, not_before)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (record_id, system) DO UPDATE SET
             not_before = CASE WHEN key = excluded.key THEN not_before ELSE excluded.not_before END,
             failures   = CASE WHEN key = excluded.key THEN failures ELSE 0 END,
             last_error = CASE WHEN key = excluded.key THEN last_error END,
             key = excluded.key, operation = excluded.operation, fields = excluded.fields,
             vector = excluded.vector, status = excluded.status, attempt = excluded.attempt",
    )?;
    for (system, intent) in &record.intents {
        if before.and_then(|before| before.intents.get(system)) == Some(intent) {
            continue;
        }
        let Intent { key, operation, fields, vector, status, attempt } = intent;
        upsert.execute(params![
            record.id.as_str(),
            system.as_str(),
            key,
            operation.to_string(),
            text::to_json(fields)?,
            text::to_json(vector)?,
            status_name(*status),
            attempt,
            AT_ONCE,
        ])?;
    }
    let stored = match before {
        Some(before) => before.intents.keys().map(|system| system.as_str().to_owned()).collect(),
        None => names(connection, "SELECT system FROM intents WHERE record_id = ?1", record)?,
    };
    forget_others(
        connection.prepare_cached("DELETE FROM intents WHERE record_id = ?1 AND system = ?2")?,
        record,
        stored.iter().map(String::as_str).filter(|system| !record.intents.contains_key(*system)),
    )
}

fn write_match_keys(connection: &Connection, record: &Record, match_keys: &[String]) -> Result<(), Fault> {
    let mut wanted: Vec<&str> = match_keys.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let stored = names(connection, "SELECT key FROM match_keys WHERE record_id = ?1 ORDER BY key", record)?;
    if stored == wanted {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM match_keys WHERE record_id = ?1")?
        .execute([record.id.as_str()])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO match_keys (record_id, entity, key) VALUES (?1, ?2, ?3)")?;
    for key in wanted {
        insert.execute([record.id.as_str(), record.entity.as_str(), key])?;
    }
    Ok(())
}

fn names(connection: &Connection, sql: &str, record: &Record) -> Result<Vec<String>, Fault> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([record.id.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn forget_others<'a>(
    mut delete: CachedStatement<'_>,
    record: &Record,
    systems: impl Iterator<Item = &'a str>,
) -> Result<(), Fault> {
    for system in systems {
        delete.execute([record.id.as_str(), system])?;
    }
    Ok(())
}
