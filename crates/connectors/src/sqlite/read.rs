//! Listing, reading and finding rows.

use super::catalogue::{Table, TableColumn, table};
use super::example::example;
use super::install::newest;
use super::names::{Mapped, quote};
use super::row;
use super::session::Failure;
use avowal_core::data::ids::RemoteId;
use avowal_engine::ports::connector::{
    Change, ConnectorError, ConnectorErrorKind, Fields, Page, RemoteState,
};
use avowal_engine::ports::store::Cursor;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

/// The most rows `find` answers with.
const FOUND_MAX: usize = 10;

/// The page of rows whose ids follow the cursor's.
pub(super) fn list(
    connection: &mut Connection,
    mapped: &Mapped,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, &mapped.binding)?;
    let order = newest(&transaction, mapped, &table)?;
    let id = quote(&table.id.name);
    let after = if cursor.is_some() { format!("t.{id} > ?2") } else { format!("t.{id} IS NOT NULL") };
    let sql = format!("{} WHERE {after} ORDER BY t.{id} LIMIT ?1", select(&table));
    let limit_sql = Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
    let params = [limit_sql].into_iter().chain(cursor.map(stored_at));
    let rows = query(&transaction, &table, &sql, params)?;
    let more = rows.len() >= limit;
    let next = match (rows.last(), cursor) {
        (Some(last), _) => cursor_at(&last.stored),
        (None, Some(cursor)) => cursor.clone(),
        (None, None) => Cursor(String::new()),
    };
    let changes = rows.into_iter().map(|row| row::change(row.id, row.shown, order)).collect();
    Ok(Page { changes, next, more })
}

/// Where a listing stands after an id. A column without a type holds 7 and '7' apart, so the cursor says which it is.
fn cursor_at(stored: &Sql) -> Cursor {
    Cursor(match stored {
        Sql::Null => String::new(),
        Sql::Integer(int) => format!("i{int}"),
        Sql::Real(real) => format!("r{real:?}"),
        Sql::Text(text) => format!("t{text}"),
        Sql::Blob(bytes) => {
            format!("b{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    })
}

/// The inverse of [`cursor_at`].
fn stored_at(cursor: &Cursor) -> Sql {
    let mut signs = cursor.0.chars();
    let (kind, rest) = (signs.next(), signs.as_str());
    let stored = match kind {
        Some('i') => rest.parse().ok().map(Sql::Integer),
        Some('r') => rest.parse().ok().map(Sql::Real),
        Some('b') => (0..rest.len())
            .step_by(2)
            .map(|at| rest.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<Vec<_>>>()
            .map(Sql::Blob),
        Some(_) | None => None,
    };
    stored.unwrap_or_else(|| Sql::Text(rest.to_owned()))
}

/// The rows with these ids, in the order asked.
pub(super) fn read(
    connection: &mut Connection,
    mapped: &Mapped,
    ids: &[RemoteId],
) -> Result<Vec<Change>, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, &mapped.binding)?;
    let order = newest(&transaction, mapped, &table)?;
    ids.iter()
        .map(|id| {
            let shown = find_row(&transaction, &table, id)?.map_or(RemoteState::Gone, |row| row.shown);
            Ok(row::change(id.clone(), shown, order))
        })
        .collect()
}

/// The rows whose columns equal `fields`.
pub(super) fn find(
    connection: &mut Connection,
    mapped: &Mapped,
    fields: &Fields,
) -> Result<Vec<Change>, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, &mapped.binding)?;
    find_in(&transaction, mapped, &table, fields)
}

/// As [`find`], in a transaction that is already open.
pub(super) fn find_in(
    connection: &Connection,
    mapped: &Mapped,
    table: &Table,
    fields: &Fields,
) -> Result<Vec<Change>, Failure> {
    let (mut tests, mut params) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        let column = searchable(table, name)?;
        let spelled = example(connection, table, column, None)?;
        params.push(match row::stored(column, value, spelled.as_ref()) {
            Ok(param) => param,
            // A value that the column cannot hold stands in no row.
            Err(_) => return Ok(Vec::new()),
        });
        tests.push(format!("t.{} IS ?{}", quote(&column.name), params.len()));
    }
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let order = newest(connection, mapped, table)?;
    let id = quote(&table.id.name);
    let sql = format!(
        "{} WHERE {} AND t.{id} IS NOT NULL ORDER BY t.{id} LIMIT {FOUND_MAX}",
        select(table),
        tests.join(" AND ")
    );
    let rows = query(connection, table, &sql, params)?;
    Ok(rows.into_iter().map(|row| row::change(row.id, row.shown, order)).collect())
}

/// A row that stands in the table.
pub(super) struct Found {
    /// Its id.
    pub id: RemoteId,
    /// Its id as it is stored.
    pub stored: Sql,
    /// What stands in it.
    pub shown: RemoteState,
}

/// The row with this id, `None` where there is none.
pub(super) fn find_row(
    connection: &Connection,
    table: &Table,
    id: &RemoteId,
) -> Result<Option<Found>, Failure> {
    let sql = format!("{} WHERE t.{} IN (?1, ?2, ?3)", select(table), quote(&table.id.name));
    let found = query(connection, table, &sql, row::id_values(id.as_str()))?;
    // SQLite finds row 7 by '007' as well, but that is another id.
    Ok(found.into_iter().find(|row| row.id == *id))
}

/// What stands in the row whose id is stored like this, `None` where there is none.
pub(super) fn row_of(
    connection: &Connection,
    table: &Table,
    stored: &Sql,
) -> Result<Option<RemoteState>, Failure> {
    let sql = format!("{} WHERE t.{} = ?1", select(table), quote(&table.id.name));
    let found = query(connection, table, &sql, [stored.clone()])?;
    // The column's collation may find another row as well.
    Ok(found.into_iter().find(|row| row.stored == *stored).map(|row| row.shown))
}

/// Whether there is a row whose id is stored like this.
pub(super) fn stands(connection: &Connection, table: &Table, stored: &Sql) -> Result<bool, Failure> {
    Ok(row_of(connection, table, stored)?.is_some())
}

fn select(table: &Table) -> String {
    format!("SELECT {} FROM {} AS t", row::columns_sql(table), quote(&table.name))
}

fn query(
    connection: &Connection,
    table: &Table,
    sql: &str,
    params: impl IntoIterator<Item = Sql>,
) -> Result<Vec<Found>, Failure> {
    let found = connection
        .prepare_cached(sql)?
        .query_map(params_from_iter(params), |found| {
            let id = row::id_text(found.get_ref(0)?).unwrap_or_else(|| RemoteId::new(""));
            Ok(Found { id, stored: row::stored_id(found, 0)?, shown: row::state(table, found, 1)? })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn searchable<'a>(table: &'a Table, name: &str) -> Result<&'a TableColumn, Failure> {
    table.columns.iter().chain([&table.id]).find(|column| column.remote == name).ok_or_else(|| {
        ConnectorError::new(
            ConnectorErrorKind::SchemaDrift,
            format!("column {name:?} of table {:?} is not mapped", table.name),
            Some("Map the column, or leave it out of `match_on`"),
        )
        .into()
    })
}
