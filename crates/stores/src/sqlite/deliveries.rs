//! The deliveries that have been taken.

use super::column;
use super::error::{Fault, Refusal};
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::store::{CommitOutcome, DedupeKey};
use rusqlite::{Connection, OptionalExtension, params};

/// Whether each delivery has been taken.
pub(super) fn taken(
    connection: &Connection,
    system: &SystemName,
    keys: &[String],
) -> Result<Vec<bool>, Fault> {
    let mut select = connection.prepare_cached("SELECT 1 FROM dedupe WHERE system = ?1 AND key = ?2")?;
    let mut is_taken = |key: &String| {
        let found = select.query_row([system.as_str(), key], |_| Ok(())).optional()?;
        Ok(found.is_some())
    };
    keys.iter().map(&mut is_taken).collect()
}

/// The deliveries that came before `before`, oldest first, by system and key.
pub(super) fn old(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<(String, String)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT system, key FROM dedupe WHERE received_at < ?1 ORDER BY received_at LIMIT ?2",
    )?;
    let rows = select
        .query_map(params![before.to_string(), column::limit(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn take(connection: &Connection, keys: &[DedupeKey]) -> Result<(), Refusal> {
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

pub(super) fn count_repeats(
    connection: &Connection,
    system: &SystemName,
    keys: &[String],
) -> Result<(), Fault> {
    let mut update = connection
        .prepare_cached("UPDATE dedupe SET repeats = repeats + 1 WHERE system = ?1 AND key = ?2")?;
    for key in keys {
        update.execute([system.as_str(), key])?;
    }
    Ok(())
}

pub(super) fn forget(connection: &Connection, deliveries: &[(String, String)]) -> Result<(), Fault> {
    let mut delete = connection.prepare_cached("DELETE FROM dedupe WHERE system = ?1 AND key = ?2")?;
    for (system, key) in deliveries {
        delete.execute([system, key])?;
    }
    Ok(())
}
