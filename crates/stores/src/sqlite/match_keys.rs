//! The rows by which an unlinked copy finds its record.

use super::apply::Change;
use super::error::Fault;
use avowal_core::data::ids::{EntityName, RecordId};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// The records that carry each match key, in order of their ids.
pub(super) fn matching(
    connection: &Connection,
    entity: &EntityName,
    keys: &[String],
) -> Result<Vec<Vec<RecordId>>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id FROM match_keys WHERE entity = ?1 AND key = ?2 ORDER BY record_id",
    )?;
    let mut find = |key: &String| {
        let rows = select.query_map([entity.as_str(), key], |row| row.get::<_, String>(0))?;
        rows.map(|id| Ok(RecordId::from(id?))).collect()
    };
    keys.iter().map(&mut find).collect()
}

pub(super) fn write(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
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
