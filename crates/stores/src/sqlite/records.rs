//! The rows of records: each holds a state whole, as JSON.

use super::apply::Change;
use super::column;
use super::encode::RowTexts;
use super::error::Fault;
use avowal_core::data::ids::RecordId;
use avowal_core::record::Record;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;

/// What is stored of a record: its state, and the keys under which it is found.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) state: Arc<Record>,
    pub(super) match_keys: Arc<[String]>,
}

/// The state of one record; `None` if there is none.
pub(super) fn record(connection: &Connection, id: &RecordId) -> Result<Option<Record>, Fault> {
    let row: Option<String> = connection
        .prepare_cached("SELECT state FROM records WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    row.map(|state| parse(&state, id.as_str())).transpose()
}

/// A record with its keys; `None` if there is none. `read` is what was read of it before: it need not be put together
/// again where it still stands at that sequence, for no sequence has two states.
pub(super) fn stored(
    connection: &Connection,
    id: &RecordId,
    read: Option<Arc<Record>>,
) -> Result<Option<Stored>, Fault> {
    let row: Option<(i64, String)> = connection
        .prepare_cached("SELECT seq, match_keys FROM records WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, keys)) = row else { return Ok(None) };
    let keys: Vec<String> = column::from_json(&keys, || format!("records row {id}, match_keys"))?;
    let match_keys = keys.into();
    let state = match read.filter(|read| u64::try_from(seq) == Ok(read.seq)) {
        Some(read) => Some(read),
        None => record(connection, id)?.map(Arc::new),
    };
    Ok(state.map(|state| Stored { state, match_keys }))
}

/// Up to `limit` states after the given record, in order of id.
pub(super) fn after(
    connection: &Connection,
    after: Option<&RecordId>,
    limit: usize,
) -> Result<Vec<Record>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT id, state FROM records WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let after = after.map_or("", RecordId::as_str);
    let rows = select.query_map(params![after, column::limit(limit)], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    rows.map(|row| row.map_err(Fault::from).and_then(|(id, state)| parse(&state, &id))).collect()
}

fn parse(state: &str, id: &str) -> Result<Record, Fault> {
    column::from_json(state, || format!("records row {id}, state"))
}

pub(super) fn write(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
    let record = change.state;
    let (seq, living) = (column::to_column(record.seq)?, record.deleted.is_none());
    let is_same =
        |before: &Stored| before.state.entity == record.entity && before.state.deleted.is_none() == living;
    let RowTexts { match_keys: keys, state } = change.texts;
    if change.before.is_some_and(is_same) {
        // Names no column of an index, so that none is touched.
        connection
            .prepare_cached("UPDATE records SET seq = ?2, match_keys = ?3, state = ?4 WHERE id = ?1")?
            .execute(params![record.id.as_str(), seq, keys, state])?;
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO records (id, entity, seq, living, match_keys, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET entity = excluded.entity, seq = excluded.seq, living = excluded.living,
                 match_keys = excluded.match_keys, state = excluded.state",
        )?
        .execute(params![record.id.as_str(), record.entity.as_str(), seq, living, keys, state])?;
    Ok(())
}
