//! Where each feed and listing stands.

use super::column;
use super::connection::Link;
use super::encode::PreparedCommit;
use super::error::Fault;
use super::facts::Facts;
use super::statements::{Step, columns};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_engine::ports::store::{CursorKind, CursorName, Position};
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;

const ADD_CURSORS: &str = "INSERT INTO cursors (system, entity, kind, state, position)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING";

const MOVE_CURSORS: &str = "UPDATE cursors c SET state = k.state, position = k.position
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS k (system, entity, kind, state, position)
    WHERE c.system = k.system AND c.entity = k.entity AND c.kind = k.kind";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[ADD_CURSORS, MOVE_CURSORS];

/// Where a feed or listing stands.
pub(super) async fn position(link: &Link, name: &CursorName) -> Result<Option<Position>, Fault> {
    const CURSOR: &str = "SELECT system, entity, kind, state, position FROM cursors
        WHERE system = $1 AND entity = $2 AND kind = $3";
    let params: [&(dyn ToSql + Sync); 3] =
        [&name.system.as_str(), &name.entity.as_str(), &name.kind.as_str()];
    let rows = link.query(CURSOR, &params).await?;
    rows.first().map(|row| read(row).map(|(_, position)| position)).transpose()
}

/// A position with its name, of a row with all columns.
pub(super) fn read(row: &tokio_postgres::Row) -> Result<(CursorName, Position), Fault> {
    let (system, entity): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let place = |column: &str| format!("cursors row {system}, {entity}, {column}");
    let (kind, state): (String, String) = (row.try_get(2)?, row.try_get(3)?);
    let kind = CursorKind::parse(&kind).ok_or_else(|| Fault::damaged(place("kind"), &kind))?;
    let cursor = row.try_get::<_, Option<String>>(4)?.map(column::from_text);
    let position =
        Position::from_columns(&state, cursor).ok_or_else(|| Fault::damaged(place("state"), &state))?;
    Ok((CursorName { system: SystemName::from(system), entity: EntityName::from(entity), kind }, position))
}

/// Moves the positions that the commits move.
pub(super) fn write(commits: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Row<'a> = (&'a CursorName, &'a Position);
    let moved: BTreeMap<&CursorName, &Position> =
        commits.iter().flat_map(|prepared| &prepared.cursors).map(|step| (&step.name, &step.to)).collect();
    let (old, new): (Vec<Row<'_>>, Vec<Row<'_>>) =
        moved.into_iter().partition(|(name, _)| facts.cursors.contains_key(*name));
    for (sql, rows) in [(ADD_CURSORS, new), (MOVE_CURSORS, old)] {
        if rows.is_empty() {
            continue;
        }
        let params = columns!(rows;
            systems: String = |row: &Row<'_>| row.0.system.as_str().to_owned(),
            entities: String = |row: &Row<'_>| row.0.entity.as_str().to_owned(),
            kinds: &'static str = |row: &Row<'_>| row.0.kind.as_str(),
            states: &'static str = |row: &Row<'_>| row.1.state(),
            cursors: Option<String> = |row: &Row<'_>| row.1.cursor().map(|cursor| column::text(&cursor.0)),
        );
        steps.push(Step::exact(sql, params, rows.len()));
    }
}
