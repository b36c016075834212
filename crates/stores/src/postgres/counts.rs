//! Figures about what is stored.

use super::column;
use super::connection::Link;
use super::error::Fault;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::record::intent::IntentStatus;
use avowal_engine::OWN_ENTITY;
use avowal_engine::ports::store::{Counts, OpenCounts, PlannedCreates, PlannedDeletes};

/// What is not done yet.
pub(super) async fn open_counts(link: &Link) -> Result<OpenCounts, Fault> {
    Ok(OpenCounts {
        intents: intents(link).await?,
        deletes: by_name(
            link,
            "SELECT system, count(*) FROM intents WHERE operation = 'delete' GROUP BY system ORDER BY system",
        )
        .await?,
        reviews: one(link, "SELECT count(*) FROM reviews").await?,
        quarantine: one(link, "SELECT count(*) FROM quarantine WHERE status = 'open'").await?,
        signals: one(link, "SELECT count(*) FROM signals").await?,
    })
}

/// Counts what there is. Living records and copies cost a walk through an index; the rest is small or kept.
pub(super) async fn counts(link: &Link) -> Result<Counts, Fault> {
    let OpenCounts { intents, deletes, reviews, quarantine, signals } = open_counts(link).await?;
    let mut records: Vec<(EntityName, u64)> = by_name(
        link,
        "SELECT entity, count(*) FROM records WHERE living GROUP BY entity ORDER BY entity COLLATE \"C\"",
    )
    .await?;
    records.retain(|(entity, _)| entity.as_str() != OWN_ENTITY);
    Ok(Counts {
        records,
        copies: by_name(
            link,
            "SELECT system, count(*) FROM links WHERE alive GROUP BY system ORDER BY system",
        )
        .await?,
        events: one(link, "SELECT coalesce(sum(events), 0)::bigint FROM tallies").await?,
        intents,
        deletes,
        reviews,
        quarantine,
        signals,
    })
}

/// The entities of which deletes are planned in a system.
pub(super) async fn planned_deletes(link: &Link, system: &SystemName) -> Result<Vec<PlannedDeletes>, Fault> {
    const PLANNED: &str = "SELECT r.entity, count(*), (SELECT count(*) FROM links l
            WHERE l.system = $1 AND l.entity = r.entity AND l.alive)
        FROM intents i JOIN records r ON r.bucket = i.bucket AND r.id = i.record_id
        WHERE i.system = $1 AND i.operation = 'delete' GROUP BY r.entity ORDER BY r.entity COLLATE \"C\"";
    let rows = link.query(PLANNED, &[&system.as_str()]).await?;
    rows.iter()
        .map(|row| {
            let entity = EntityName::from(row.try_get::<_, String>(0)?);
            let (planned, copies) = (figure(row.try_get(1)?)?, figure(row.try_get(2)?)?);
            Ok(PlannedDeletes { entity, planned, copies })
        })
        .collect()
}

/// The entities of which creates are planned in a system.
pub(super) async fn planned_creates(link: &Link, system: &SystemName) -> Result<Vec<PlannedCreates>, Fault> {
    const PLANNED: &str = "SELECT r.entity, count(*), count(gone.record_id), (SELECT count(*) FROM links l
            WHERE l.system = $1 AND l.entity = r.entity AND l.alive),
            (SELECT count(*) FROM links l
            WHERE l.system = $1 AND l.entity = r.entity AND NOT l.alive)
        FROM intents i JOIN records r ON r.bucket = i.bucket AND r.id = i.record_id
        LEFT JOIN links gone ON gone.record_id = i.record_id AND gone.system = i.system AND NOT gone.alive
        WHERE i.system = $1 AND i.operation = 'create' GROUP BY r.entity ORDER BY r.entity COLLATE \"C\"";
    let rows = link.query(PLANNED, &[&system.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(PlannedCreates {
                entity: EntityName::from(row.try_get::<_, String>(0)?),
                planned: figure(row.try_get(1)?)?,
                again: figure(row.try_get(2)?)?,
                copies: figure(row.try_get(3)?)?,
                gone: figure(row.try_get(4)?)?,
            })
        })
        .collect()
}

async fn by_name<N: From<String>>(link: &Link, sql: &'static str) -> Result<Vec<(N, u64)>, Fault> {
    let rows = link.query(sql, &[]).await?;
    rows.iter().map(|row| Ok((N::from(row.try_get::<_, String>(0)?), figure(row.try_get(1)?)?))).collect()
}

async fn intents(link: &Link) -> Result<Vec<(SystemName, IntentStatus, u64)>, Fault> {
    const INTENTS: &str = "SELECT system, status, count(*) FROM intents GROUP BY system, status
        ORDER BY system, status COLLATE \"C\"";
    let rows = link.query(INTENTS, &[]).await?;
    rows.iter()
        .map(|row| {
            let (system, status): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let damaged = || Fault::damaged(format!("intents of {system}, status"), &status);
            let status = IntentStatus::parse(&status).ok_or_else(damaged)?;
            Ok((SystemName::from(system), status, figure(row.try_get(2)?)?))
        })
        .collect()
}

async fn one(link: &Link, sql: &'static str) -> Result<u64, Fault> {
    let rows = link.query(sql, &[]).await?;
    rows.first().map_or(Ok(0), |row| figure(row.try_get(0)?))
}

fn figure(number: i64) -> Result<u64, Fault> {
    column::from_number(number, || "a count".to_owned())
}
