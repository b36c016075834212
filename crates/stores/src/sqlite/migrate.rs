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
    Migration { number: 2, name: "stops", sql: include_str!("migrations/0002_stops.sql") },
    Migration { number: 3, name: "lags", sql: include_str!("migrations/0003_lags.sql") },
    Migration { number: 4, name: "runs", sql: include_str!("migrations/0004_runs.sql") },
    Migration {
        number: 5,
        name: "reconciliations",
        sql: include_str!("migrations/0005_reconciliations.sql"),
    },
];

/// Marks the file as ours: "Avow" in ASCII.
const APPLICATION_ID: i32 = 0x4176_6F77;

/// Brings the tables up to date, in one transaction, or refuses the file.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    bring_up(connection, path, MIGRATIONS)
}

fn bring_up(connection: &mut Connection, path: &Path, migrations: &[Migration]) -> Result<(), StoreError> {
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
    refuse_divergent(&applied, path, migrations)?;
    for migration in migrations.iter().filter(|migration| !applied.contains_key(&migration.number)) {
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
    refuse_other(connection, path, MIGRATIONS)
}

fn refuse_other(connection: &Connection, path: &Path, migrations: &[Migration]) -> Result<(), StoreError> {
    let fault = |error: rusqlite::Error| Fault::from(error).into_store_error(path);
    refuse_foreign(connection, path)?;
    let applied = if has_table(connection, "migrations").map_err(fault)? {
        applied(connection).map_err(fault)?
    } else {
        BTreeMap::new()
    };
    refuse_divergent(&applied, path, migrations)?;
    if applied.len() < migrations.len() {
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

fn refuse_divergent(
    applied: &BTreeMap<i64, String>,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    for (number, checksum) in applied {
        let Some(known) = migrations.iter().find(|migration| migration.number == *number) else {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FIRST: Migration =
        Migration { number: 1, name: "first", sql: "CREATE TABLE names (name TEXT) STRICT" };
    const SECOND: Migration =
        Migration { number: 2, name: "second", sql: "ALTER TABLE names ADD COLUMN age INTEGER" };
    const BROKEN: Migration = Migration {
        number: 3,
        name: "broken",
        sql: "ALTER TABLE names ADD COLUMN height INTEGER; INSERT INTO nowhere VALUES (1)",
    };

    fn file() -> (Connection, &'static Path) {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("file.db");
        bring_up(&mut connection, path, &[FIRST]).unwrap();
        connection.execute("INSERT INTO names VALUES ('Ann')", []).unwrap();
        (connection, path)
    }

    fn columns(connection: &Connection) -> Vec<String> {
        let mut select = connection.prepare("SELECT name FROM pragma_table_info('names')").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn only_what_is_missing_is_applied_and_rows_stay() {
        let (mut connection, path) = file();
        for _ in 0..2 {
            bring_up(&mut connection, path, &[FIRST, SECOND]).unwrap();
            assert_eq!(columns(&connection), ["name", "age"]);
        }
        assert_eq!(applied(&connection).unwrap().into_keys().collect::<Vec<_>>(), [1, 2]);
        let name: String = connection.query_row("SELECT name FROM names", [], |row| row.get(0)).unwrap();
        assert_eq!(name, "Ann");
    }

    #[test]
    fn a_migration_that_fails_leaves_none_of_its_group() {
        let (mut connection, path) = file();
        bring_up(&mut connection, path, &[FIRST, SECOND, BROKEN]).unwrap_err();
        assert_eq!(columns(&connection), ["name"]);
        assert_eq!(applied(&connection).unwrap().len(), 1);
    }

    #[test]
    fn a_file_of_fewer_migrations_is_not_read_and_one_of_more_is_refused() {
        let (mut connection, path) = file();
        let why = refuse_other(&connection, path, &[FIRST, SECOND]).unwrap_err().to_string();
        assert!(why.contains("older version"), "{why}");
        bring_up(&mut connection, path, &[FIRST, SECOND]).unwrap();
        let why = bring_up(&mut connection, path, &[FIRST]).unwrap_err().to_string();
        assert!(why.contains("newer version of avowal (migration 2)"), "{why}");
    }

    /// A store of before runs is brought up to date: its events name none, and its views still work.
    #[test]
    fn a_store_from_before_runs_keeps_its_history() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("file.db");
        bring_up(&mut connection, path, &MIGRATIONS[..3]).unwrap();
        connection
            .execute(
                "INSERT INTO events (record_id, seq, entity, type, payload, vector, received_at, recorded_at, prev, hash)
                 VALUES ('r1', 1, 'customer', 'released', '{\"system\":\"crm\"}', '{}', ?1, ?1, ?2, ?2)",
                params!["2026-01-01T00:00:00.000Z", Digest::ZERO.to_string()],
            )
            .unwrap();
        migrate(&mut connection, path).unwrap();
        let events = super::super::events::scan(&connection, None, 10).unwrap();
        assert_eq!(events.iter().map(|event| (event.seq, event.run)).collect::<Vec<_>>(), [(1, None)]);
        assert!(check(&connection, path).is_ok());
    }
}
