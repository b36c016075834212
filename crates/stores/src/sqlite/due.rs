//! Whether anything is due, and when the next thing will be.

use super::column;
use super::error::Fault;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::store::Due;
use rusqlite::{Connection, OptionalExtension};

/// Whether anything of this kind is due.
pub(super) fn is_due(
    connection: &Connection,
    system: &SystemName,
    due: Due,
    now: Timestamp,
) -> Result<bool, Fault> {
    let sql = match due {
        Due::Intents => "SELECT 1 FROM intents WHERE system = ?1 AND not_before <= ?2 LIMIT 1",
        Due::Signals => "SELECT 1 FROM signals WHERE system = ?1 AND not_before <= ?2 LIMIT 1",
    };
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_row([system.as_str(), &now.to_string()], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// The earliest of each system's earliest: their index begins with the system, of which there are few.
const NEXT_INTENT: &str = "
    WITH RECURSIVE systems (name) AS (
        SELECT min(system) FROM intents
        UNION ALL
        SELECT (SELECT min(system) FROM intents WHERE system > name) FROM systems WHERE name IS NOT NULL)
    SELECT min((SELECT min(not_before) FROM intents WHERE system = name)) FROM systems WHERE name IS NOT NULL";

/// When the next intent or signal is due.
pub(super) fn next_due(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let mut earliest = None;
    for sql in [NEXT_INTENT, "SELECT min(not_before) FROM signals"] {
        let at: Option<String> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        let at: Option<Timestamp> =
            at.map(|at| column::parsed(&at, || "not_before of intents or signals".to_owned())).transpose()?;
        earliest = earliest.into_iter().chain(at).min();
    }
    Ok(earliest)
}
