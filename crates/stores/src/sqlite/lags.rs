//! The longest lag of each system. It is written beside the writer's thread: it is no part of a commit.

use super::connection::open_writer;
use super::error::Fault;
use avowal_core::data::ids::SystemName;
use avowal_engine::ports::store::StoreError;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::path::Path;

/// The longest lag that was seen of each system.
pub(super) fn known(connection: &Connection) -> Result<BTreeMap<SystemName, u64>, Fault> {
    let mut find = connection.prepare_cached("SELECT system, ms FROM lags")?;
    let mut rows = find.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let ms: i64 = row.get(1)?;
        found.insert(SystemName::from(row.get::<_, String>(0)?), u64::try_from(ms).unwrap_or_default());
    }
    Ok(found)
}

/// Remembers a lag, unless a longer one is known.
pub(super) fn keep(path: &Path, system: &SystemName, ms: u64) -> Result<bool, StoreError> {
    const KEEP: &str =
        "INSERT INTO lags VALUES (?1, ?2) ON CONFLICT (system) DO UPDATE SET ms = max(ms, excluded.ms)";
    let connection = open_writer(path)?;
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let kept = connection.execute(KEEP, params![system.as_str(), ms]);
    kept.map(|rows| rows > 0).map_err(|error| Fault::from(error).into_store_error(path))
}
