//! Listing, reading and finding rows.

use super::catalogue::table;
use super::document::{can_be_id, document, from_document_sql, ids_sql, json, searchable};
use super::image::{self, id_sql};
use super::plain::{columns_sql, shown};
use super::refusal::is_row_error;
use super::session::Session;
use super::table::{Table, literal, quote};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{
    Binding, Change, ConnectorError, ConnectorErrorKind, Fields, Page, RemoteState,
};
use avowal_engine::ports::store::Cursor;
use std::collections::BTreeMap;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, GenericClient, Row};

/// The most rows `find` answers with.
const FOUND_MAX: usize = 10;

/// The page of rows whose ids follow the cursor's.
pub(super) async fn list(
    session: &Session,
    binding: &Binding,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page, ConnectorError> {
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let table = table(session, client, binding).await?;
            let id = quote(&table.id.name);
            let after = match cursor {
                Some(_) => format!("t.{id} {} $1::{}", table.id.operator(">"), table.id.type_sql),
                None => format!("$1::text IS NULL AND t.{id} IS NOT NULL"),
            };
            let sql = format!("{} WHERE {after} ORDER BY t.{id} LIMIT $2", select(binding, &table));
            let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
            let after = cursor.map(|cursor| cursor.0.as_str());
            let rows = client.query_typed(&sql, &[(&after, Type::TEXT), (&limit_rows, Type::INT8)]).await;
            let rows = rows.map_err(|error| session.error(&error))?;
            let changes: Vec<_> = rows.iter().map(|row| change(&table, row)).collect();
            let more = changes.len() >= limit;
            let next = match (changes.last(), cursor) {
                (Some(last), _) => Cursor(last.id.as_str().to_owned()),
                (None, Some(cursor)) => cursor.clone(),
                (None, None) => Cursor(String::new()),
            };
            Ok(Page { changes, next, more })
        })
        .await
}

/// The rows with these ids, in the order asked.
pub(super) async fn read(
    session: &Session,
    binding: &Binding,
    ids: &[RemoteId],
) -> Result<Vec<Change>, ConnectorError> {
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let table = table(session, client, binding).await?;
            let found = rows(client, binding, &table, ids).await.map_err(|error| session.error(&error))?;
            let gone = |id: &RemoteId| Change::bare(id.clone(), RemoteState::Gone);
            Ok(ids.iter().map(|id| found.get(id).cloned().unwrap_or_else(|| gone(id))).collect())
        })
        .await
}

/// The rows whose columns equal `fields`.
pub(super) async fn find(
    session: &Session,
    binding: &Binding,
    fields: &Fields,
) -> Result<Vec<Change>, ConnectorError> {
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let table = table(session, client, binding).await?;
            if fields.is_empty() {
                return Ok(Vec::new());
            }
            for name in fields.keys() {
                if searchable(&table, name).is_none() {
                    let message = format!("column {name:?} of table {} is not mapped", table.shown);
                    let cure = "Map the column, or leave it out of `match_on`";
                    return Err(session.port_error(ConnectorErrorKind::SchemaDrift, &message, cure));
                }
            }
            match find_all(client, binding, &table, &[fields]).await {
                Ok(found) => Ok(found.into_iter().map(|(_, change)| change).collect()),
                // A value that the column's type does not know stands in no row.
                Err(error) if is_row_error(&error) => Ok(Vec::new()),
                Err(error) => Err(session.error(&error)),
            }
        })
        .await
}

/// The rows with these ids, as far as they exist.
pub(super) async fn rows(
    client: &impl GenericClient,
    binding: &Binding,
    table: &Table,
    ids: &[RemoteId],
) -> Result<BTreeMap<RemoteId, Change>, Error> {
    let ids: Vec<_> = ids.iter().filter(|id| can_be_id(table, id)).map(RemoteId::as_str).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!("{} WHERE {}", select(binding, table), ids_sql(table));
    let rows = client.query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
    Ok(rows.iter().map(|row| change(table, row)).map(|change| (change.id.clone(), change)).collect())
}

/// For each of `searches`, which must all name the same mapped columns, the rows that equal it: at most 10 a
/// search, each with the search's place.
pub(super) async fn find_all(
    client: &impl GenericClient,
    binding: &Binding,
    table: &Table,
    searches: &[&Fields],
) -> Result<Vec<(usize, Change)>, Error> {
    let mut tests = Vec::new();
    for column in searches.first().into_iter().flat_map(|search| search.keys()) {
        let Some(column) = searchable(table, column) else { return Ok(Vec::new()) };
        let cast = if column.type_sql == "json" { "::text" } else { "" };
        let left = format!("t.{}{cast}", quote(&column.name));
        let wanted = format!("{}{cast}", from_document_sql(column, "v.e"));
        let equal = column.equal(&left, &wanted);
        // Only equality where a value is given, so that an index serves.
        let is_null = searches.iter().any(|search| search.get(&column.remote).is_some_and(Value::is_null));
        tests.push(match is_null {
            true => format!("({equal} OR ({left} IS NULL AND {wanted} IS NULL))"),
            false => equal,
        });
    }
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let documents = searches.iter().map(|search| document(table, search)).collect();
    // Matched in one join, so that a table without an index is read once and not once a search.
    let id = quote(&table.id.name);
    let sql = format!(
        "{} JOIN (SELECT v.o, t.{id} AS id, row_number() OVER (PARTITION BY v.o ORDER BY t.{id}) AS n \
             FROM jsonb_array_elements($1::text::jsonb) WITH ORDINALITY AS v(e, o) \
             JOIN {} t ON {} WHERE t.{id} IS NOT NULL) m ON m.id = t.{id} AND m.n <= {FOUND_MAX} ORDER BY m.o, m.n",
        select_with(binding, table, "(m.o - 1)::bigint AS place, "),
        table.sql,
        tests.join(" AND ")
    );
    let documents = json(&Value::List(documents));
    let params: [(&(dyn ToSql + Sync), Type); 1] = [(&documents, Type::TEXT)];
    let rows = client.query_typed(&sql, &params).await?;
    let place = |row: &Row| usize::try_from(row.get::<_, i64>("place")).unwrap_or(usize::MAX);
    Ok(rows.iter().map(|row| (place(row), change(table, row))).collect())
}

/// Id, order and columns of rows `t`. The order is the newest log row of that row: what the same snapshot shows of
/// it is contained in the row.
fn select(binding: &Binding, table: &Table) -> String {
    select_with(binding, table, "")
}

fn select_with(binding: &Binding, table: &Table, first: &str) -> String {
    let order = match table.logged {
        true => format!(
            "(SELECT max(l.id) FROM {}.log l WHERE l.entity = {} AND l.remote_id = {})",
            table.ours,
            literal(binding.entity.as_str()),
            id_sql(table, "t")
        ),
        false => "NULL::bigint".to_owned(),
    };
    format!(
        "SELECT {first}{} AS row_id, {order} AS row_order{} FROM {} t",
        id_sql(table, "t"),
        columns_sql(table, "t"),
        table.sql
    )
}

fn change(table: &Table, row: &Row) -> Change {
    let id = RemoteId::from(row.get::<_, String>("row_id"));
    image::change(id, shown(table, row), row.get("row_order"))
}
