//! The rows that say which record each copy belongs to.

use super::apply::Change;
use super::column;
use super::error::{Fault, Refusal, is_taken};
use avowal_core::data::ids::{EntityName, FieldName, RecordId, RemoteId, SystemName};
use avowal_core::record::{Copy, CopyKey, Record, Shadow};
use avowal_engine::ports::store::Located;
use rusqlite::{Connection, OptionalExtension, params};

/// Which record each copy belongs to. One prepared look-up a key: nothing is cheaper inside one process.
pub(super) fn locate(connection: &Connection, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, content, alive,
                EXISTS (SELECT 1 FROM intents AS i WHERE i.record_id = links.record_id
                        AND i.system = links.system AND i.status <> 'pending')
         FROM links WHERE system = ?1 AND entity = ?2 AND remote_id = ?3",
    )?;
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let row: Option<(String, String, bool, bool)> = select
            .query_row([key.system.as_str(), key.entity.as_str(), key.remote_id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let located = row.map(|(record, content, alive, in_flight)| {
            let content =
                column::parsed(&content, || format!("links row {record}, {}, content", key.system))?;
            Ok::<_, Fault>(Located { record: RecordId::from(record), content, alive, in_flight })
        });
        out.push(located.transpose()?);
    }
    Ok(out)
}

/// The living copies of one entity in one system, in order of their records' ids.
pub(super) fn copies(
    connection: &Connection,
    system: &SystemName,
    entity: &EntityName,
    after: Option<&RecordId>,
    limit: usize,
) -> Result<Vec<(RecordId, RemoteId)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, remote_id FROM links INDEXED BY links_living
         WHERE system = ?1 AND entity = ?2 AND alive = 1 AND record_id > ?3 ORDER BY record_id LIMIT ?4",
    )?;
    let after = after.map_or("", RecordId::as_str);
    let rows = select
        .query_map(params![system.as_str(), entity.as_str(), after, column::limit(limit)], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
    rows.map(|row| {
        row.map(|(record, copy)| (RecordId::from(record), RemoteId::from(copy))).map_err(Fault::from)
    })
    .collect()
}

/// Deletes the links that the new state no longer has like this.
pub(super) fn release(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
    let Some(before) = change.before else { return Ok(()) };
    for (system, copy) in before.state.links() {
        let now = change.state.links().find(|(other, _)| *other == system);
        let is_kept = now.is_some_and(|(_, now)| now.remote_id == copy.remote_id);
        if !is_kept {
            connection
                .prepare_cached("DELETE FROM links WHERE record_id = ?1 AND system = ?2")?
                .execute([change.state.id.as_str(), system.as_str()])?;
        }
    }
    Ok(())
}

pub(super) fn write(connection: &Connection, change: &Change<'_>) -> Result<(), Refusal> {
    let record = change.state;
    for (system, copy) in record.links() {
        let before = change.before.and_then(|before| before.state.copies.get(system));
        let before = before.filter(|before| !before.is_replaced);
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
