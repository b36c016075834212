//! Puts a record together again from its rows.

use super::error::Fault;
use super::{reviews, text};
use avowal_core::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::intent::{Intent, IntentStatus, Operation};
use avowal_core::record::{Copy, Record};
use avowal_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;

/// The state of one record; `None` if there is none.
pub(super) fn record(connection: &Connection, id: &RecordId) -> Result<Option<Record>, Fault> {
    let row = connection
        .prepare_cached("SELECT entity, seq, head, vector, fields, held, deleted FROM records WHERE id = ?1")?
        .query_row([id.as_str()], BeliefRow::read)
        .optional()?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut record = row.into_record(id)?;
    record.copies = copies(connection, id)?;
    record.intents = intents(connection, id)?;
    record.reviews = reviews::of_record(connection, id)?;
    Ok(Some(record))
}

/// The ids of up to `limit` records after the given one, in order.
pub(super) fn ids_after(
    connection: &Connection,
    after: Option<&RecordId>,
    limit: usize,
) -> Result<Vec<RecordId>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT id FROM records WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let after = after.map_or("", RecordId::as_str);
    let rows =
        select.query_map(rusqlite::params![after, text::limit(limit)], |row| row.get::<_, String>(0))?;
    rows.map(|id| Ok(RecordId::from(id?))).collect()
}

struct BeliefRow {
    entity: String,
    seq: i64,
    head: String,
    vector: String,
    fields: String,
    held: String,
    deleted: Option<String>,
}

impl BeliefRow {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            entity: row.get(0)?,
            seq: row.get(1)?,
            head: row.get(2)?,
            vector: row.get(3)?,
            fields: row.get(4)?,
            held: row.get(5)?,
            deleted: row.get(6)?,
        })
    }

    fn into_record(self, id: &RecordId) -> Result<Record, Fault> {
        let place = |column: &str| format!("records row {id}, {column}");
        Ok(Record {
            id: id.clone(),
            entity: EntityName::from(self.entity),
            seq: text::from_column(self.seq, || place("seq"))?,
            head: text::parsed(&self.head, || place("head"))?,
            vector: text::from_json(&self.vector, || place("vector"))?,
            fields: text::from_json(&self.fields, || place("fields"))?,
            copies: BTreeMap::new(),
            intents: BTreeMap::new(),
            held: text::from_json(&self.held, || place("held"))?,
            reviews: BTreeMap::new(),
            deleted: self
                .deleted
                .as_deref()
                .map(|json| text::from_json(json, || place("deleted")))
                .transpose()?,
        })
    }
}

struct CopyRow {
    system: String,
    remote_id: String,
    alive: bool,
    /// The shadow's columns; absent only where somebody deleted the row.
    fields: Option<String>,
    seen: Option<String>,
    sent: Option<String>,
    order_token: Option<String>,
    version: Option<String>,
    changed_at: Option<i64>,
    wanted: Option<bool>,
}

fn copies(connection: &Connection, id: &RecordId) -> Result<BTreeMap<SystemName, Copy>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT l.system, l.remote_id, l.alive, s.fields, s.seen, s.sent, s.order_token, s.version,
                s.changed_at, s.wanted
         FROM links AS l LEFT JOIN shadows AS s ON s.record_id = l.record_id AND s.system = l.system
         WHERE l.record_id = ?1",
    )?;
    let rows = select.query_map([id.as_str()], |row| {
        Ok(CopyRow {
            system: row.get(0)?,
            remote_id: row.get(1)?,
            alive: row.get(2)?,
            fields: row.get(3)?,
            seen: row.get(4)?,
            sent: row.get(5)?,
            order_token: row.get(6)?,
            version: row.get(7)?,
            changed_at: row.get(8)?,
            wanted: row.get(9)?,
        })
    })?;
    rows.map(|row| row?.into_copy(id)).collect()
}

impl CopyRow {
    fn into_copy(self, id: &RecordId) -> Result<(SystemName, Copy), Fault> {
        let place = |column: &str| format!("shadows row {id}, {}, {column}", self.system);
        let (Some(fields), Some(seen), Some(sent)) = (&self.fields, &self.seen, &self.sent) else {
            return Err(Fault::damaged(place("all columns"), "the link has no shadow"));
        };
        let copy = Copy {
            remote_id: RemoteId::from(self.remote_id),
            alive: self.alive,
            wanted: self.wanted.unwrap_or_default(),
            fields: text::from_json(fields, || place("fields"))?,
            seen: text::from_json(seen, || place("seen"))?,
            sent: text::from_json(sent, || place("sent"))?,
            changed_at: Timestamp::from_millis(self.changed_at.unwrap_or_default()),
            order: self
                .order_token
                .as_deref()
                .map(|json| text::from_json(json, || place("order_token")))
                .transpose()?,
            version: self.version,
        };
        Ok((SystemName::from(self.system), copy))
    }
}

struct IntentRow {
    system: String,
    key: String,
    operation: String,
    fields: String,
    vector: String,
    status: String,
    attempt: i64,
}

fn intents(connection: &Connection, id: &RecordId) -> Result<BTreeMap<SystemName, Intent>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT system, key, operation, fields, vector, status, attempt FROM intents WHERE record_id = ?1",
    )?;
    let rows = select.query_map([id.as_str()], |row| {
        Ok(IntentRow {
            system: row.get(0)?,
            key: row.get(1)?,
            operation: row.get(2)?,
            fields: row.get(3)?,
            vector: row.get(4)?,
            status: row.get(5)?,
            attempt: row.get(6)?,
        })
    })?;
    rows.map(|row| row?.into_intent(id)).collect()
}

impl IntentRow {
    fn into_intent(self, id: &RecordId) -> Result<(SystemName, Intent), Fault> {
        let place = |column: &str| format!("intents row {id}, {}, {column}", self.system);
        let intent = Intent {
            key: self.key,
            operation: operation(&self.operation)
                .ok_or_else(|| Fault::damaged(place("operation"), &self.operation))?,
            fields: text::from_json(&self.fields, || place("fields"))?,
            vector: text::from_json(&self.vector, || place("vector"))?,
            status: status(&self.status).ok_or_else(|| Fault::damaged(place("status"), &self.status))?,
            attempt: text::small_from_column(self.attempt, || place("attempt"))?,
        };
        Ok((SystemName::from(self.system), intent))
    }
}

fn operation(name: &str) -> Option<Operation> {
    [Operation::Create, Operation::Update, Operation::Delete]
        .into_iter()
        .find(|operation| operation.to_string() == name)
}

fn status(name: &str) -> Option<IntentStatus> {
    [IntentStatus::Planned, IntentStatus::Sent, IntentStatus::Unknown]
        .into_iter()
        .find(|status| super::project::status_name(*status) == name)
}
