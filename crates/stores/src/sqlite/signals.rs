//! The copies that must be read.

use super::column;
use super::error::Fault;
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_engine::ports::bucket::{Bucket, Shares};
use avowal_engine::ports::store::{NewSignal, Signal, SignalReason};
use rusqlite::{Connection, params};

/// The signals that are due, longest due first.
pub(super) fn due(
    connection: &Connection,
    system: &SystemName,
    shares: Shares,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Signal>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT id, system, entity, remote_id, not_before, reason, received_at, attempts FROM signals
         WHERE system = ?1 AND not_before <= ?2 ORDER BY not_before, id",
    )?;
    let rows = select.query_map(params![system.as_str(), now.to_string()], SignalRow::read)?;
    let is_ours = |signal: &Result<Signal, Fault>| {
        signal.as_ref().map_or(true, |signal| shares.covers(Bucket::of_copy(&signal.copy)))
    };
    rows.map(|row| row?.into_signal()).filter(is_ours).take(limit).collect()
}

pub(super) fn add(connection: &Connection, signals: &[NewSignal]) -> Result<(), Fault> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO signals (system, entity, remote_id, not_before, reason, received_at, attempts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for signal in signals {
        insert.execute(params![
            signal.copy.system.as_str(),
            signal.copy.entity.as_str(),
            signal.copy.remote_id.as_str(),
            signal.not_before.to_string(),
            signal.reason.as_str(),
            signal.received_at.to_string(),
            signal.attempts,
        ])?;
    }
    Ok(())
}

pub(super) fn remove(connection: &Connection, ids: &[i64]) -> Result<(), Fault> {
    let mut delete = connection.prepare_cached("DELETE FROM signals WHERE id = ?1")?;
    for id in ids {
        delete.execute([id])?;
    }
    Ok(())
}

struct SignalRow {
    id: i64,
    system: String,
    entity: String,
    remote_id: String,
    not_before: String,
    reason: String,
    received_at: String,
    attempts: i64,
}

impl SignalRow {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            system: row.get(1)?,
            entity: row.get(2)?,
            remote_id: row.get(3)?,
            not_before: row.get(4)?,
            reason: row.get(5)?,
            received_at: row.get(6)?,
            attempts: row.get(7)?,
        })
    }

    fn into_signal(self) -> Result<Signal, Fault> {
        let place = |column: &str| format!("signals row {}, {column}", self.id);
        Ok(Signal {
            id: self.id,
            not_before: column::parsed(&self.not_before, || place("not_before"))?,
            reason: SignalReason::parse(&self.reason)
                .ok_or_else(|| Fault::damaged(place("reason"), &self.reason))?,
            received_at: column::parsed(&self.received_at, || place("received_at"))?,
            attempts: column::small_from_column(self.attempts, || place("attempts"))?,
            copy: CopyKey {
                system: SystemName::from(self.system),
                entity: EntityName::from(self.entity),
                remote_id: RemoteId::from(self.remote_id),
            },
        })
    }
}
