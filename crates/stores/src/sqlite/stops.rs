//! The stops of systems, and the name of this installation. Stops are written beside the writer's thread and without its
//! lock: a person may set one while a daemon runs.

use super::column;
use super::connection::open_writer;
use super::error::Fault;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::Installation;
use avowal_engine::ports::store::{Direction, Stop, StopCause, StoreError};
use rusqlite::{Connection, params};
use std::path::Path;

/// The name of this installation.
pub(super) fn installation(connection: &Connection) -> Result<Installation, Fault> {
    let name: String = connection.query_row("SELECT name FROM installation", [], |row| row.get(0))?;
    Installation::new(name.clone()).ok_or_else(|| Fault::damaged("installation row 1, name", name))
}

/// The stops that stand, oldest first.
pub(super) fn standing(connection: &Connection) -> Result<Vec<Stop>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT id, system, direction, cause, set_by, note, since FROM stops WHERE lifted_at IS NULL ORDER BY id",
    )?;
    let mut rows = find.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (direction, cause, since): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(6)?);
        let place = |column: &str| format!("stops row {id}, {column}");
        found.push(Stop {
            system: SystemName::from(row.get::<_, String>(1)?),
            direction: Direction::parse(&direction)
                .ok_or_else(|| Fault::damaged(place("direction"), &direction))?,
            cause: StopCause::parse(&cause).ok_or_else(|| Fault::damaged(place("cause"), &cause))?,
            by: row.get(4)?,
            note: row.get(5)?,
            since: column::parsed(&since, || place("since"))?,
        });
    }
    Ok(found)
}

/// When a stop of this cause was lifted last.
pub(super) fn last_lifted(
    connection: &Connection,
    system: &SystemName,
    cause: StopCause,
) -> Result<Option<Timestamp>, Fault> {
    let last: Option<String> = connection.query_row(
        "SELECT max(lifted_at) FROM stops WHERE system = ?1 AND cause = ?2",
        [system.as_str(), cause.as_str()],
        |row| row.get(0),
    )?;
    last.map(|at| column::parsed(&at, || format!("stops of {system}, lifted_at"))).transpose()
}

/// Sets a stop, unless one of its cause stands. Answers whether it is new.
pub(super) fn set(path: &Path, stop: &Stop) -> Result<bool, StoreError> {
    change(path, |connection| {
        connection.execute(
            "INSERT INTO stops (system, direction, cause, set_by, note, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
            params![
                stop.system.as_str(),
                stop.direction.as_str(),
                stop.cause.as_str(),
                stop.by,
                stop.note,
                stop.since.to_string()
            ],
        )
    })
}

/// Lifts a stop. Answers whether it stood.
pub(super) fn lift(path: &Path, stop: &Stop, by: &str, at: Timestamp) -> Result<bool, StoreError> {
    change(path, |connection| {
        connection.execute(
            "UPDATE stops SET lifted_by = ?4, lifted_at = ?5
             WHERE system = ?1 AND direction = ?2 AND cause = ?3 AND lifted_at IS NULL",
            params![stop.system.as_str(), stop.direction.as_str(), stop.cause.as_str(), by, at.to_string()],
        )
    })
}

/// Changes rows on a connection of its own. Answers whether there were any.
fn change(
    path: &Path,
    change: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
) -> Result<bool, StoreError> {
    let connection = open_writer(path)?;
    let changed = change(&connection).map_err(|error| Fault::from(error).into_store_error(path))?;
    Ok(changed > 0)
}
