//! How a column spells what it holds: by the row's own value, else by the newest rows, else by its default.

use super::catalogue::{Table, TableColumn};
use super::names::quote;
use avowal_core::policy::schema::FieldType;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension};

/// How many rows are looked at.
const ROWS_MAX: usize = 1_000;

/// A value of the column whose spelling is followed; `None` where the type has one spelling, or nothing is known.
pub(super) fn example(
    connection: &Connection,
    table: &Table,
    column: &TableColumn,
    row: Option<&Sql>,
) -> rusqlite::Result<Option<Sql>> {
    if !matches!(column.field_type, Some(FieldType::Timestamp | FieldType::Boolean)) {
        return Ok(None);
    }
    let (on, id, name) = (quote(&table.name), quote(&table.id.name), quote(&column.name));
    if let Some(row) = row {
        let own = connection
            .prepare_cached(&format!("SELECT {name} FROM {on} WHERE {id} = ?1 AND {name} IS NOT NULL"))?
            .query_row([row], |row| row.get(0))
            .optional()?;
        if own.is_some() {
            return Ok(own);
        }
    }
    let newest = connection
        .prepare_cached(&format!(
            "SELECT v FROM (SELECT {name} AS v FROM {on} ORDER BY {id} DESC LIMIT {ROWS_MAX}) \
             WHERE v IS NOT NULL AND v <> '' LIMIT 1"
        ))?
        .query_row([], |row| row.get(0))
        .optional()?;
    if newest.is_some() {
        return Ok(newest);
    }
    // A default that only the application's functions can compute tells nothing.
    let computed = column.default.as_ref().and_then(|default| {
        connection.query_row(&format!("SELECT {default}"), [], |row| row.get::<_, Sql>(0)).ok()
    });
    Ok(computed.filter(|value| *value != Sql::Null))
}
