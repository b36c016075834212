//! Listing, reading and finding rows.

use super::catalogue::{Table, TableColumn, quote, table};
use super::feed::newest;
use super::image::{self, id_param, id_sql, image_sql, value_param};
use super::session::Failure;
use avowal_core::data::ids::RemoteId;
use avowal_engine::ports::connector::{
    Binding, Change, ConnectorError, ConnectorErrorKind, Fields, Page, RemoteState,
};
use avowal_engine::ports::store::Cursor;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

/// The most rows `find` answers with.
const FOUND_MAX: usize = 10;

/// The page of rows whose ids follow the cursor's.
pub(super) fn list(
    connection: &mut Connection,
    binding: &Binding,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, binding)?;
    let order = newest(&transaction)?;
    let id = quote(&table.id.name);
    let after = if cursor.is_some() { format!("t.{id} > ?2") } else { format!("t.{id} IS NOT NULL") };
    let sql = format!("{} WHERE {after} ORDER BY t.{id} LIMIT ?1", select(&table));
    let limit_sql = Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
    let params = [limit_sql].into_iter().chain(cursor.map(|cursor| id_param(&table.id, &cursor.0)));
    let changes = query(&transaction, &sql, params, order)?;
    let more = changes.len() >= limit;
    let next = match (changes.last(), cursor) {
        (Some(last), _) => Cursor(last.id.as_str().to_owned()),
        (None, Some(cursor)) => cursor.clone(),
        (None, None) => Cursor(String::new()),
    };
    Ok(Page { changes, next, more })
}

/// The rows with these ids, in the order asked.
pub(super) fn read(
    connection: &mut Connection,
    binding: &Binding,
    ids: &[RemoteId],
) -> Result<Vec<Change>, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, binding)?;
    let order = newest(&transaction)?;
    ids.iter()
        .map(|id| {
            let shown = row(&transaction, &table, id)?.unwrap_or(RemoteState::Gone);
            Ok(image::change(id.clone(), shown, order))
        })
        .collect()
}

/// The rows whose columns equal `fields`.
pub(super) fn find(
    connection: &mut Connection,
    binding: &Binding,
    fields: &Fields,
) -> Result<Vec<Change>, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, binding)?;
    find_in(&transaction, &table, fields)
}

/// As [`find`], in a transaction that is already open.
pub(super) fn find_in(
    connection: &Connection,
    table: &Table,
    fields: &Fields,
) -> Result<Vec<Change>, Failure> {
    let (mut tests, mut params) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        let column = searchable(table, name)?;
        params.push(match value_param(column, value) {
            Ok(param) => param,
            // A value that the column cannot hold stands in no row.
            Err(_) => return Ok(Vec::new()),
        });
        tests.push(format!("t.{} IS ?{}", quote(&column.name), params.len()));
    }
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let order = newest(connection)?;
    let id = quote(&table.id.name);
    let sql = format!(
        "{} WHERE {} AND t.{id} IS NOT NULL ORDER BY t.{id} LIMIT {FOUND_MAX}",
        select(table),
        tests.join(" AND ")
    );
    query(connection, &sql, params, order)
}

/// What stands in a row, `None` where there is none.
pub(super) fn row(
    connection: &Connection,
    table: &Table,
    id: &RemoteId,
) -> Result<Option<RemoteState>, Failure> {
    let sql = format!("{} WHERE t.{} = ?1", select(table), quote(&table.id.name));
    let found = connection
        .prepare_cached(&sql)?
        .query_row([id_param(&table.id, id.as_str())], image_row)
        .optional()?;
    // SQLite finds row 7 by '007' as well, but that is another id.
    Ok(found.filter(|(found, _)| found == id).map(|(_, shown)| shown))
}

fn select(table: &Table) -> String {
    format!("SELECT {}, {} FROM {} AS t", id_sql(table, "t"), image_sql(table, "t"), quote(&table.name))
}

fn query(
    connection: &Connection,
    sql: &str,
    params: impl IntoIterator<Item = Sql>,
    order: Option<u64>,
) -> Result<Vec<Change>, Failure> {
    let rows = connection
        .prepare_cached(sql)?
        .query_map(params_from_iter(params), image_row)?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().map(|(id, shown)| image::change(id, shown, order)).collect())
}

fn image_row(row: &Row<'_>) -> rusqlite::Result<(RemoteId, RemoteState)> {
    let text =
        |at| -> rusqlite::Result<Vec<u8>> { Ok(row.get_ref(at)?.as_bytes().unwrap_or_default().to_vec()) };
    Ok((RemoteId::from(String::from_utf8_lossy(&text(0)?).into_owned()), image::shown(&text(1)?)))
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
