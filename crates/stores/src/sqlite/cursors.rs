//! Where each feed and listing stands.

use super::error::{Fault, Refusal};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_engine::ports::store::{CursorMove, CursorName, Position};
use rusqlite::{Connection, OptionalExtension, params};

/// Where a feed or listing stands.
pub(super) fn position(connection: &Connection, name: &CursorName) -> Result<Option<Position>, Fault> {
    let CursorName { system, entity, kind } = name;
    let row: Option<(String, Option<String>)> = connection
        .prepare_cached(
            "SELECT state, position FROM cursors WHERE system = ?1 AND entity = ?2 AND kind = ?3",
        )?
        .query_row([system.as_str(), entity.as_str(), kind.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(state, cursor)| {
        Position::from_columns(&state, cursor).ok_or_else(|| damaged(system, entity, &state))
    })
    .transpose()
}

fn damaged(system: &SystemName, entity: &EntityName, state: &str) -> Fault {
    Fault::damaged(format!("cursors row {system}, {entity}, state"), state)
}

/// Moves positions that still stand where the commit expects them.
pub(super) fn advance(connection: &Connection, moves: &[CursorMove]) -> Result<(), Refusal> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO cursors (system, entity, kind, state, position) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (system, entity, kind) DO UPDATE SET state = excluded.state, position = excluded.position",
    )?;
    for CursorMove { name, from, to } in moves {
        let (system, entity, kind) = (name.system.as_str(), name.entity.as_str(), name.kind.as_str());
        if position(connection, name)? != *from {
            return Err(Refusal::conflict(format!(
                "the {kind} cursor of {entity} in {system} has been moved by somebody else"
            )));
        }
        let cursor = to.cursor().map(|cursor| cursor.0.as_str());
        upsert.execute(params![system, entity, kind, to.state(), cursor])?;
    }
    Ok(())
}
