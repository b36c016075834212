//! Numbered changes of the tables, applied once and remembered with their checksum.

use super::error::Fault;
use avowal_core::data::value::Digest;
use avowal_engine::ports::store::StoreError;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::path::Path;

/// A change of the tables. Once released it never changes again; a later number corrects it.
pub(super) struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

/// All changes, in order.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "initial", sql: include_str!("migrations/0001_initial.sql") },
    Migration { number: 2, name: "changed_at", sql: include_str!("migrations/0002_changed_at.sql") },
    Migration { number: 3, name: "due", sql: include_str!("migrations/0003_due.sql") },
    Migration { number: 4, name: "state", sql: include_str!("migrations/0004_state.sql") },
];

/// Marks the file as ours: "Avow" in ASCII.
const APPLICATION_ID: i32 = 0x4176_6F77;

/// Brings the tables up to date, in one transaction, or refuses the file.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let fault = |error: rusqlite::Error| Fault::from(error).into_store_error(path);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    refuse_foreign(&transaction, path)?;
    transaction
        .execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID};
             CREATE TABLE IF NOT EXISTS migrations (
                 number     INTEGER NOT NULL PRIMARY KEY,
                 name       TEXT    NOT NULL,
                 checksum   TEXT    NOT NULL,
                 applied_at TEXT    NOT NULL
             ) STRICT;"
        ))
        .map_err(fault)?;
    let applied = applied(&transaction).map_err(fault)?;
    refuse_divergent(&applied, path)?;
    for migration in MIGRATIONS.iter().filter(|migration| !applied.contains_key(&migration.number)) {
        transaction.execute_batch(migration.sql).map_err(fault)?;
        transaction
            .execute(
                "INSERT INTO migrations VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
                params![migration.number, migration.name, migration.checksum()],
            )
            .map_err(fault)?;
    }
    transaction.commit().map_err(fault)
}

/// Refuses a file whose tables are not the ones this program reads, changing nothing.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let fault = |error: rusqlite::Error| Fault::from(error).into_store_error(path);
    refuse_foreign(connection, path)?;
    let applied = if has_table(connection, "migrations").map_err(fault)? {
        applied(connection).map_err(fault)?
    } else {
        BTreeMap::new()
    };
    refuse_divergent(&applied, path)?;
    if applied.len() < MIGRATIONS.len() {
        return Err(StoreError::Unavailable(format!(
            "{} was made by an older version of avowal; run `avowal sync` once to bring it up to date",
            path.display()
        )));
    }
    Ok(())
}

impl Migration {
    fn checksum(&self) -> String {
        Digest::of(self.sql.as_bytes()).to_string()
    }
}

fn applied(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, String>> {
    connection
        .prepare("SELECT number, checksum FROM migrations")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// A file full of somebody else's tables is a slip in the configuration, not a place to write to.
fn refuse_foreign(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let fault = |error: rusqlite::Error| Fault::from(error).into_store_error(path);
    if has_table(connection, "migrations").map_err(fault)? {
        return Ok(());
    }
    let other: Option<String> = connection
        .query_row("SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1", [], |row| row.get(0))
        .optional()
        .map_err(fault)?;
    match other {
        None => Ok(()),
        Some(table) => Err(StoreError::Unavailable(format!(
            "{} is not a store of avowal (it has a table {table:?}); give [store] url a file of its own",
            path.display()
        ))),
    }
}

fn refuse_divergent(applied: &BTreeMap<i64, String>, path: &Path) -> Result<(), StoreError> {
    for (number, checksum) in applied {
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.number == *number) else {
            return Err(StoreError::Unavailable(format!(
                "{} was written by a newer version of avowal (migration {number}); use that version",
                path.display()
            )));
        };
        if known.checksum() != *checksum {
            return Err(StoreError::Unavailable(format!(
                "{}: migration {number} ({}) differs from the one this program knows; \
                 use the version of avowal that wrote the file, or restore it from a backup",
                path.display(),
                known.name
            )));
        }
    }
    Ok(())
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1", [name], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}
