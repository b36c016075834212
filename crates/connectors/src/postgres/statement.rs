//! The statements that write many rows at once.

use super::digits::spelled;
use super::document::{document, from_document_sql, ids_sql, json};
use super::image::id_sql;
use super::sequence::follow;
use super::table::{Table, TableColumn, quote};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::Write;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient};

/// Writes of one operation that set the same columns, so that one statement carries them all.
pub(super) struct Group {
    /// What they do.
    pub operation: Operation,
    /// The columns they set, by remote name.
    pub columns: Vec<String>,
    /// Which writes, by their place in the batch.
    pub places: Vec<usize>,
}

/// The JSON columns of the rows to be written, as the database spells them.
pub(super) type JsonTexts = BTreeMap<RemoteId, BTreeMap<String, String>>;

/// Sorts writes into groups: deletes first, then updates, then creates, which find unique values free and keep their
/// order, for that is the order in which their source made them.
pub(super) fn groups(table: &Table, writes: &[Write], places: &[usize]) -> Vec<Group> {
    let mut groups: BTreeMap<(u8, Vec<String>), Vec<usize>> = BTreeMap::new();
    let mut creates = Vec::new();
    for place in places {
        let write = &writes[*place];
        match write.operation {
            Operation::Delete => groups.entry((0, Vec::new())).or_default().push(*place),
            Operation::Update => {
                groups.entry((1, write.fields.keys().cloned().collect())).or_default().push(*place);
            }
            Operation::Create => creates.push(*place),
        }
    }
    let group = |((_, columns), places): ((u8, Vec<String>), Vec<usize>)| Group {
        operation: writes[places[0]].operation,
        columns,
        places,
    };
    let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
    groups.extend(runs(table, writes, &creates));
    groups
}

/// Creates that follow each other and set the same columns. Where a column that is not named gets null, null is written
/// to it, so that most creates set the same.
fn runs(table: &Table, writes: &[Write], places: &[usize]) -> Vec<Group> {
    let named: BTreeSet<&String> = places.iter().flat_map(|place| writes[*place].fields.keys()).collect();
    let is_null = |name: &&String| {
        table.columns.iter().any(|column| &column.remote == *name && !column.fills && !column.generated)
    };
    let nulls: BTreeSet<&String> = named.into_iter().filter(is_null).collect();
    let mut runs: Vec<Group> = Vec::new();
    for place in places {
        let columns: BTreeSet<&String> = writes[*place].fields.keys().chain(nulls.iter().copied()).collect();
        match runs.last_mut() {
            Some(run) if run.columns.iter().eq(columns.iter().copied()) => run.places.push(*place),
            Some(_) | None => runs.push(Group {
                operation: Operation::Create,
                columns: columns.into_iter().cloned().collect(),
                places: vec![*place],
            }),
        }
    }
    runs
}

/// Carries out some writes of a group in one statement; answers with those that the database carried out.
pub(super) async fn carry_out(
    client: &impl GenericClient,
    table: &Table,
    group: &Group,
    writes: &[Write],
    places: &[usize],
    present: &JsonTexts,
) -> Result<Vec<(usize, RemoteId)>, Error> {
    match group.operation {
        Operation::Create => create(client, table, group, writes, places).await,
        Operation::Update if group.columns.is_empty() => {
            // Nothing to set: the row, which is locked, is as it should be.
            Ok(places.iter().filter_map(|place| Some((*place, writes[*place].id.clone()?))).collect())
        }
        Operation::Update => {
            let sql = update_sql(table, &columns(table, group));
            let ids = query_ids(client, &sql, &documents(table, writes, places, present)).await?;
            Ok(by_id(writes, places, &ids))
        }
        Operation::Delete => {
            let sql = format!(
                "DELETE FROM {} t WHERE {} RETURNING {}",
                table.sql,
                ids_sql(table),
                id_sql(table, "t")
            );
            let ids: Vec<_> = places.iter().filter_map(|place| writes[*place].id.as_ref()).collect();
            let ids: Vec<_> = ids.into_iter().map(RemoteId::as_str).collect();
            let rows = client.query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
            let gone: Vec<_> = rows.iter().map(|row| RemoteId::from(row.get::<_, String>(0))).collect();
            Ok(by_id(writes, places, &gone))
        }
    }
}

async fn create(
    client: &impl GenericClient,
    table: &Table,
    group: &Group,
    writes: &[Write],
    places: &[usize],
) -> Result<Vec<(usize, RemoteId)>, Error> {
    let columns = columns(table, group);
    // `INSERT … SELECT … ORDER BY` inserts, and returns, in that order.
    let ids = if columns.is_empty() {
        let returned = id_sql(table, "t");
        let sql = format!("INSERT INTO {} AS t DEFAULT VALUES RETURNING {returned}", table.sql);
        let mut ids = Vec::with_capacity(places.len());
        for _ in places {
            let rows = client.query_typed(&sql, &[]).await?;
            ids.extend(rows.iter().filter_map(|row| row.get::<_, Option<String>>(0)).map(RemoteId::from));
        }
        ids
    } else {
        let sql = insert_sql(table, &columns);
        query_ids(client, &sql, &documents(table, writes, places, &JsonTexts::new())).await?
    };
    // After a trigger has dropped a row nothing tells which one: the caller tries again one by one.
    if ids.len() != places.len() {
        return Ok(Vec::new());
    }
    follow(client, table, &group.columns, &ids).await?;
    Ok(places.iter().copied().zip(ids).collect())
}

fn insert_sql(table: &Table, columns: &[&TableColumn]) -> String {
    let names: Vec<_> = columns.iter().map(|column| quote(&column.name)).collect();
    let values: Vec<_> = columns.iter().map(|column| from_document_sql(column, "v.f")).collect();
    format!(
        "INSERT INTO {} AS t ({}) SELECT {} FROM (SELECT x.e -> 'f' AS f, x.o FROM jsonb_array_elements($1::text::jsonb) \
         WITH ORDINALITY AS x(e, o)) v ORDER BY v.o RETURNING {}",
        table.sql,
        names.join(", "),
        values.join(", "),
        id_sql(table, "t"),
    )
}

fn update_sql(table: &Table, columns: &[&TableColumn]) -> String {
    let sets: Vec<_> = columns
        .iter()
        .map(|column| format!("{} = {}", quote(&column.name), from_document_sql(column, "v.f")))
        .collect();
    format!(
        "UPDATE {} t SET {} FROM (SELECT (x.e ->> 'i')::{} AS i, x.e -> 'f' AS f \
         FROM jsonb_array_elements($1::text::jsonb) AS x(e)) v WHERE {} RETURNING {}",
        table.sql,
        sets.join(", "),
        table.id.type_sql,
        table.id.equal(&table.id_of("t"), "v.i"),
        id_sql(table, "t"),
    )
}

async fn query_ids(client: &impl GenericClient, sql: &str, documents: &str) -> Result<Vec<RemoteId>, Error> {
    let rows = client.query_typed(sql, &[(&documents, Type::TEXT)]).await?;
    Ok(rows.iter().filter_map(|row| row.get::<_, Option<String>>(0)).map(RemoteId::from).collect())
}

/// Every write as `{"i": id, "f": fields}`.
fn documents(table: &Table, writes: &[Write], places: &[usize], present: &JsonTexts) -> String {
    let each = places.iter().map(|place| {
        let write = &writes[*place];
        let id = write.id.as_ref().map_or(Value::Null, |id| Value::text(id.as_str()));
        let mut fields = document(table, &write.fields);
        let texts = write.id.as_ref().and_then(|id| present.get(id));
        if let (Value::Object(fields), Some(texts)) = (&mut fields, texts) {
            for (name, text) in texts {
                if let Some(value) = write.fields.get(name).filter(|value| !value.is_null()) {
                    fields.insert(name.clone(), Value::text(spelled(value, Some(text))));
                }
            }
        }
        Value::Object([("i".to_owned(), id), ("f".to_owned(), fields)].into())
    });
    json(&Value::List(each.collect()))
}

fn by_id(writes: &[Write], places: &[usize], done: &[RemoteId]) -> Vec<(usize, RemoteId)> {
    let done: BTreeSet<_> = done.iter().collect();
    let each = places.iter().filter_map(|place| Some((*place, writes[*place].id.clone()?)));
    each.filter(|(_, id)| done.contains(id)).collect()
}

fn columns<'a>(table: &'a Table, group: &Group) -> Vec<&'a TableColumn> {
    let find = |name: &String| table.columns.iter().find(|column| &column.remote == name);
    group.columns.iter().filter_map(find).collect()
}
