//! Figures about what is stored.

use super::column;
use super::error::Fault;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::record::intent::IntentStatus;
use avowal_engine::OWN_ENTITY;
use avowal_engine::ports::store::{Counts, OpenCounts, PlannedCreates, PlannedDeletes};
use rusqlite::Connection;

/// What is not done yet.
pub(super) fn open_counts(connection: &Connection) -> Result<OpenCounts, Fault> {
    Ok(OpenCounts {
        intents: intents_by_status(connection)?,
        deletes: by_name(
            connection,
            "SELECT system, count(*) FROM intents WHERE operation = 'delete' GROUP BY system ORDER BY system",
        )?,
        reviews: one(connection, "SELECT count(*) FROM reviews WHERE status = 'open'")?,
        quarantine: one(connection, "SELECT count(*) FROM quarantine WHERE status = 'open'")?,
        signals: one(connection, "SELECT count(*) FROM signals")?,
    })
}

/// Figures for `status`, from indexes but for the open intents, which are read.
pub(super) fn counts(connection: &Connection) -> Result<Counts, Fault> {
    let OpenCounts { intents, deletes, reviews, quarantine, signals } = open_counts(connection)?;
    let mut records: Vec<(EntityName, u64)> = by_name(
        connection,
        "SELECT entity, count(*) FROM records WHERE living = 1 GROUP BY entity ORDER BY entity",
    )?;
    records.retain(|(entity, _)| entity.as_str() != OWN_ENTITY);
    Ok(Counts {
        records,
        copies: by_name(
            connection,
            "SELECT system, count(*) FROM links WHERE alive = 1 GROUP BY system ORDER BY system",
        )?,
        // Positions are given densely and no event is ever deleted, so the last one is their number.
        events: one(connection, "SELECT coalesce(max(position), 0) FROM events")?,
        intents,
        deletes,
        reviews,
        quarantine,
        signals,
    })
}

/// The entities of which deletes are planned in a system.
pub(super) fn planned_deletes(
    connection: &Connection,
    system: &SystemName,
) -> Result<Vec<PlannedDeletes>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT r.entity, count(*), (SELECT count(*) FROM links l
             WHERE l.system = ?1 AND l.entity = r.entity AND l.alive = 1)
         FROM intents i JOIN records r ON r.id = i.record_id
         WHERE i.system = ?1 AND i.operation = 'delete' GROUP BY r.entity ORDER BY r.entity",
    )?;
    let rows = select
        .query_map([system.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (entity, planned, copies) = row?;
        Ok(PlannedDeletes {
            entity: EntityName::from(entity),
            planned: figure(planned)?,
            copies: figure(copies)?,
        })
    })
    .collect()
}

/// The entities of which creates are planned in a system.
pub(super) fn planned_creates(
    connection: &Connection,
    system: &SystemName,
) -> Result<Vec<PlannedCreates>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT r.entity, count(*), count(gone.record_id), (SELECT count(*) FROM links l
             WHERE l.system = ?1 AND l.entity = r.entity AND l.alive = 1),
            (SELECT count(*) FROM links l
             WHERE l.system = ?1 AND l.entity = r.entity AND l.alive = 0)
         FROM intents i JOIN records r ON r.id = i.record_id
         LEFT JOIN links gone ON gone.record_id = i.record_id AND gone.system = i.system AND gone.alive = 0
         WHERE i.system = ?1 AND i.operation = 'create' GROUP BY r.entity ORDER BY r.entity",
    )?;
    let rows = select.query_map([system.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.map(|row| {
        let (entity, planned, again, copies, gone) = row?;
        Ok(PlannedCreates {
            entity: EntityName::from(entity),
            planned: figure(planned)?,
            again: figure(again)?,
            copies: figure(copies)?,
            gone: figure(gone)?,
        })
    })
    .collect()
}

fn by_name<N: From<String>>(connection: &Connection, sql: &str) -> Result<Vec<(N, u64)>, Fault> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (name, number) = row?;
        Ok((N::from(name), figure(number)?))
    })
    .collect()
}

fn intents_by_status(connection: &Connection) -> Result<Vec<(SystemName, IntentStatus, u64)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT system, status, count(*) FROM intents GROUP BY system, status ORDER BY system, status",
    )?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (system, status, number): (_, String, _) = row?;
        let damaged = || Fault::damaged(format!("intents of {system}, status"), &status);
        let status = IntentStatus::parse(&status).ok_or_else(damaged)?;
        Ok((SystemName::from(system), status, figure(number)?))
    })
    .collect()
}

fn one(connection: &Connection, sql: &str) -> Result<u64, Fault> {
    figure(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn figure(number: i64) -> Result<u64, Fault> {
    column::from_column(number, || "a count".to_owned())
}
