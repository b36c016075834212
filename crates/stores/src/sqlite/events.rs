//! The history's rows. An event that is read back is the event that was written, or its hash would not match.

use super::column;
use super::encode::EventTexts;
use super::error::{Fault, Refusal, is_taken};
use crate::codec;
use avowal_core::data::ids::{EntityName, RecordId, RunId, SystemName};
use avowal_core::history::IntegrationEvent;
use rusqlite::{Connection, params};

const SELECT: &str = "SELECT record_id, seq, entity, type, source, actor, payload, vector, evidence, policy, correlation, \
     cause, occurred_at, received_at, recorded_at, prev, hash, run FROM events";

/// Appends one event. Its place must be free: two writers cannot continue one stream.
pub(super) fn append(
    connection: &Connection,
    event: &IntegrationEvent,
    texts: &EventTexts,
) -> Result<(), Refusal> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (record_id, seq, entity, type, source, actor, payload, vector, evidence, policy,
             correlation, cause, occurred_at, received_at, recorded_at, prev, hash, run)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    let values = params![
        event.record.as_str(),
        column::to_column(event.seq)?,
        event.entity.as_str(),
        event.body.kind(),
        event.source.as_ref().map(SystemName::as_str),
        event.actor,
        texts.payload,
        texts.vector,
        texts.evidence,
        event.policy,
        event.correlation,
        event.cause.map(column::to_column).transpose()?,
        texts.occurred_at,
        texts.received_at,
        texts.recorded_at,
        texts.prev,
        texts.hash,
        event.run.map(|run| column::to_column(run.number())).transpose()?,
    ];
    match insert.execute(values) {
        Ok(_) => Ok(()),
        Err(error) if is_taken(&error) => {
            Err(Refusal::conflict(format!("event {} of record {} is already there", event.seq, event.record)))
        }
        Err(error) => Err(Refusal::from(error)),
    }
}

/// Up to `limit` events of one record from `from_seq` on.
pub(super) fn of_record(
    connection: &Connection,
    record: &RecordId,
    from_seq: u64,
    limit: usize,
) -> Result<Vec<IntegrationEvent>, Fault> {
    let mut select = connection
        .prepare_cached(&format!("{SELECT} WHERE record_id = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3"))?;
    let from_seq = i64::try_from(from_seq).unwrap_or(i64::MAX);
    let rows = select.query_map(params![record.as_str(), from_seq, column::limit(limit)], Row::read)?;
    rows.map(|row| row?.into_event()).collect()
}

/// Up to `limit` events of all records, by record and sequence, after the given place.
pub(super) fn scan(
    connection: &Connection,
    after: Option<&(RecordId, u64)>,
    limit: usize,
) -> Result<Vec<IntegrationEvent>, Fault> {
    let mut select = connection.prepare_cached(&format!(
        "{SELECT} WHERE (record_id, seq) > (?1, ?2) ORDER BY record_id, seq LIMIT ?3"
    ))?;
    let (record, seq) = after.map_or(("", 0), |(record, seq)| (record.as_str(), *seq));
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let rows = select.query_map(params![record, seq, column::limit(limit)], Row::read)?;
    rows.map(|row| row?.into_event()).collect()
}

/// Up to `limit` events that a run made, by record and sequence, after the given place.
pub(super) fn of_run(
    connection: &Connection,
    run: RunId,
    after: Option<&(RecordId, u64)>,
    limit: usize,
) -> Result<Vec<IntegrationEvent>, Fault> {
    let mut select = connection.prepare_cached(&format!(
        "{SELECT} WHERE run = ?1 AND (record_id, seq) > (?2, ?3) ORDER BY record_id, seq LIMIT ?4"
    ))?;
    let (record, seq) = after.map_or(("", 0), |(record, seq)| (record.as_str(), *seq));
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let run = i64::try_from(run.number()).unwrap_or(i64::MAX);
    let rows = select.query_map(params![run, record, seq, column::limit(limit)], Row::read)?;
    rows.map(|row| row?.into_event()).collect()
}

/// Visits the events of a record from which reviews are derived, in order.
pub(super) fn each_noted(
    connection: &Connection,
    record: &RecordId,
    mut visit: impl FnMut(&IntegrationEvent) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut select = connection.prepare_cached(&format!(
        "{SELECT} WHERE record_id = ?1 AND type IN ('manual_review_requested', 'review_decided') ORDER BY seq"
    ))?;
    for row in select.query_map([record.as_str()], Row::read)? {
        visit(&row?.into_event()?)?;
    }
    Ok(())
}

struct Row {
    record: String,
    seq: i64,
    entity: String,
    kind: String,
    source: Option<String>,
    actor: Option<String>,
    payload: String,
    vector: String,
    evidence: Option<String>,
    policy: Option<String>,
    correlation: Option<String>,
    cause: Option<i64>,
    occurred_at: Option<String>,
    received_at: String,
    recorded_at: String,
    prev: String,
    hash: String,
    run: Option<i64>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            record: row.get(0)?,
            seq: row.get(1)?,
            entity: row.get(2)?,
            kind: row.get(3)?,
            source: row.get(4)?,
            actor: row.get(5)?,
            payload: row.get(6)?,
            vector: row.get(7)?,
            evidence: row.get(8)?,
            policy: row.get(9)?,
            correlation: row.get(10)?,
            cause: row.get(11)?,
            occurred_at: row.get(12)?,
            received_at: row.get(13)?,
            recorded_at: row.get(14)?,
            prev: row.get(15)?,
            hash: row.get(16)?,
            run: row.get(17)?,
        })
    }

    fn into_event(self) -> Result<IntegrationEvent, Fault> {
        let place = |column: &str| format!("events row {}-{}, {column}", self.record, self.seq);
        let evidence =
            self.evidence.as_deref().map(|json| column::from_json(json, || place("evidence"))).transpose()?;
        let occurred_at =
            self.occurred_at.as_deref().map(|at| column::parsed(at, || place("occurred_at"))).transpose()?;
        let run = self.run.map(|run| column::from_column(run, || place("run"))).transpose()?;
        Ok(IntegrationEvent {
            run: run.map(RunId::new),
            seq: column::from_column(self.seq, || place("seq"))?,
            body: codec::body(&self.kind, &self.payload, || place("payload"))?,
            vector: column::from_json(&self.vector, || place("vector"))?,
            evidence,
            cause: self.cause.map(|cause| column::from_column(cause, || place("cause"))).transpose()?,
            occurred_at,
            received_at: column::parsed(&self.received_at, || place("received_at"))?,
            recorded_at: column::parsed(&self.recorded_at, || place("recorded_at"))?,
            prev: column::parsed(&self.prev, || place("prev"))?,
            hash: column::parsed(&self.hash, || place("hash"))?,
            entity: EntityName::from(self.entity),
            record: RecordId::from(self.record),
            source: self.source.map(SystemName::from),
            actor: self.actor,
            policy: self.policy,
            correlation: self.correlation,
        })
    }
}
