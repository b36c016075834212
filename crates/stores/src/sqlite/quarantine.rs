//! What could not be understood or accepted.

use super::column;
use super::error::Fault;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_engine::ports::store::{NewQuarantineItem, QuarantineItem};
use rusqlite::{Connection, params};

/// The open quarantine items, oldest first.
pub(super) fn open(connection: &Connection, limit: usize) -> Result<Vec<QuarantineItem>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT id, system, entity, remote_id, record_id, reason, payload, at FROM quarantine
         WHERE status = 'open' ORDER BY id LIMIT ?1",
    )?;
    let rows = select.query_map([column::limit(limit)], |row| {
        let item = QuarantineItem {
            id: row.get(0)?,
            system: SystemName::from(row.get::<_, String>(1)?),
            entity: EntityName::from(row.get::<_, String>(2)?),
            remote_id: row.get::<_, Option<String>>(3)?.map(RemoteId::from),
            record: row.get::<_, Option<String>>(4)?.map(RecordId::from),
            reason: row.get(5)?,
            payload: row.get(6)?,
            at: Timestamp::default(),
        };
        Ok((item, row.get::<_, String>(7)?))
    })?;
    rows.map(|row| {
        let (item, at) = row?;
        let at = column::parsed(&at, || format!("quarantine row {}, at", item.id))?;
        Ok(QuarantineItem { at, ..item })
    })
    .collect()
}

/// Stores what could not be understood. The same item again counts up instead of filling the disk.
pub(super) fn add(connection: &Connection, items: &[NewQuarantineItem]) -> Result<(), Fault> {
    let mut again = connection.prepare_cached(
        "UPDATE quarantine SET times = times + 1
         WHERE status = 'open' AND system = ?1 AND entity = ?2 AND remote_id IS ?3 AND record_id IS ?4
           AND reason = ?5 AND payload = ?6",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO quarantine (system, entity, remote_id, record_id, reason, payload, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for item in items {
        let (system, entity) = (item.system.as_str(), item.entity.as_str());
        let remote_id = item.remote_id.as_ref().map(|id| id.as_str());
        let record = item.record.as_ref().map(|id| id.as_str());
        if again.execute(params![system, entity, remote_id, record, item.reason, item.payload])? == 0 {
            let at = item.at.to_string();
            insert.execute(params![system, entity, remote_id, record, item.reason, item.payload, at])?;
        }
    }
    Ok(())
}

/// Closes what came from copies that are understood now; what could not go out stays.
pub(super) fn close(connection: &Connection, copies: &[CopyKey]) -> Result<(), Fault> {
    let mut close = connection.prepare_cached(
        "UPDATE quarantine SET status = 'closed'
         WHERE status = 'open' AND system = ?1 AND entity = ?2 AND remote_id = ?3 AND record_id IS NULL",
    )?;
    for copy in copies {
        close.execute([copy.system.as_str(), copy.entity.as_str(), copy.remote_id.as_str()])?;
    }
    Ok(())
}

/// Closes the writes that have got through, or have nothing left to do.
pub(super) fn settle(connection: &Connection, settled: &[(RecordId, SystemName)]) -> Result<(), Fault> {
    let mut close = connection.prepare_cached(
        "UPDATE quarantine SET status = 'closed' WHERE status = 'open' AND record_id = ?1 AND system = ?2",
    )?;
    for (record, system) in settled {
        close.execute([record.as_str(), system.as_str()])?;
    }
    Ok(())
}

pub(super) fn release(connection: &Connection, ids: &[i64]) -> Result<(), Fault> {
    let mut close = connection.prepare_cached("UPDATE quarantine SET status = 'closed' WHERE id = ?1")?;
    for id in ids {
        close.execute([id])?;
    }
    Ok(())
}
