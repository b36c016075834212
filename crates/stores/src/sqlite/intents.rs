//! The schedule of what shall be written to each copy; its contents stand in the record's state.

use super::apply::Change;
use super::column;
use super::error::Fault;
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::outgoing::effects::effects_of;
use avowal_core::record::Record;
use avowal_core::record::intent::{Intent, IntentStatus};
use avowal_engine::ports::bucket::{Bucket, Shares};
use avowal_engine::ports::store::{DueIntent, IntentDelay, WaitingIntent};
use rusqlite::{Connection, params};

/// When an intent is due that nobody has delayed.
const AT_ONCE: &str = "1970-01-01T00:00:00.000Z";

/// The intents to `system` that are due, longest due first.
pub(super) fn due(
    connection: &Connection,
    system: &SystemName,
    shares: Shares,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueIntent>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, failures, last_error FROM intents WHERE system = ?1 AND not_before <= ?2
         ORDER BY not_before, position",
    )?;
    let rows = select.query_map(params![system.as_str(), now.to_string()], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
    })?;
    let due = rows.map(|row| {
        let (record, failures, reason) = row?;
        let failures =
            column::small_from_column(failures, || format!("intents row {record}, {system}, failures"))?;
        Ok(DueIntent { record: RecordId::from(record), failures, reason })
    });
    // Rows are computed as they are taken, so no more are looked at than needed.
    let is_ours = |due: &Result<DueIntent, Fault>| {
        due.as_ref().map_or(true, |due| shares.covers(Bucket::of_record(&due.record)))
    };
    due.filter(is_ours).take(limit).collect()
}

/// The delayed intents, longest planned first.
pub(super) fn waiting(connection: &Connection, limit: usize) -> Result<Vec<WaitingIntent>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, system, status, failures, not_before, last_error FROM intents
         WHERE last_error IS NOT NULL ORDER BY position LIMIT ?1",
    )?;
    let rows = select.query_map([column::limit(limit)], |row| {
        let names = (row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        let rest = (row.get::<_, String>(2)?, row.get(3)?, row.get::<_, String>(4)?, row.get(5)?);
        Ok((names, rest))
    })?;
    rows.map(|row| {
        let ((record, system), (status, failures, not_before, reason)) = row?;
        let place = |name: &str| format!("intents row {record}, {system}, {name}");
        let known = IntentStatus::parse(&status).ok_or_else(|| Fault::damaged(place("status"), &status))?;
        Ok(WaitingIntent {
            status: known,
            failures: column::small_from_column(failures, || place("failures"))?,
            not_before: column::parsed(&not_before, || place("not_before"))?,
            reason,
            record: RecordId::from(record.clone()),
            system: SystemName::from(system.clone()),
        })
    })
    .collect()
}

/// An intent with the key that is stored keeps its schedule; any other one is due at once.
pub(super) fn write(connection: &Connection, change: &Change<'_>) -> Result<(), Fault> {
    for (system, intent) in &change.state.intents {
        match change.before.and_then(|before| before.state.intents.get(system)) {
            Some(before) if before == intent => {}
            Some(before) if before.key == intent.key => move_on(connection, change.state, system, intent)?,
            Some(_) | None => schedule(connection, change.state, system, intent)?,
        }
    }
    let before = change.before.into_iter().flat_map(|before| before.state.intents.keys());
    for system in before.filter(|system| !change.state.intents.contains_key(*system)) {
        remove(connection, change.state, system.as_str())?;
    }
    Ok(())
}

pub(super) fn remove(connection: &Connection, record: &Record, system: &str) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM intents WHERE record_id = ?1 AND system = ?2")?
        .execute([record.id.as_str(), system])?;
    Ok(())
}

/// The same operation has come further.
fn move_on(
    connection: &Connection,
    record: &Record,
    system: &SystemName,
    intent: &Intent,
) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE intents SET status = ?3, attempt = ?4 WHERE record_id = ?1 AND system = ?2")?
        .execute(params![record.id.as_str(), system.as_str(), intent.status.as_str(), intent.attempt])?;
    Ok(())
}

fn schedule(
    connection: &Connection,
    record: &Record,
    system: &SystemName,
    intent: &Intent,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO intents (record_id, system, key, operation, status, attempt, not_before, effects, entity)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (record_id, system) DO UPDATE SET
                 not_before = CASE WHEN key = excluded.key THEN not_before ELSE excluded.not_before END,
                 failures   = CASE WHEN key = excluded.key THEN failures ELSE 0 END,
                 last_error = CASE WHEN key = excluded.key THEN last_error END,
                 effects    = CASE WHEN key = excluded.key THEN effects ELSE excluded.effects END,
                 entity     = excluded.entity,
                 key = excluded.key, operation = excluded.operation, status = excluded.status,
                 attempt = excluded.attempt",
        )?
        .execute(params![
            record.id.as_str(),
            system.as_str(),
            intent.key,
            intent.operation.to_string(),
            intent.status.as_str(),
            intent.attempt,
            AT_ONCE,
            effects_column(record, system)?,
            record.entity.as_str(),
        ])?;
    Ok(())
}

/// What the write would do, as a JSON array; `None` if guards have nothing to count.
fn effects_column(record: &Record, system: &SystemName) -> Result<Option<String>, Fault> {
    let effects: Vec<String> = effects_of(record, system).iter().map(ToString::to_string).collect();
    if effects.is_empty() { Ok(None) } else { column::to_json(&effects).map(Some) }
}

pub(super) fn delay(connection: &Connection, delays: &[IntentDelay]) -> Result<(), Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE intents SET not_before = ?3, failures = ?4, last_error = ?5 WHERE record_id = ?1 AND system = ?2",
    )?;
    for delay in delays {
        update.execute(params![
            delay.record.as_str(),
            delay.system.as_str(),
            delay.not_before.to_string(),
            delay.failures,
            delay.reason,
        ])?;
    }
    Ok(())
}
