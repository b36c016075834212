//! The change log's tables and triggers: made and removed.

use super::catalogue::{Table, TableKind, literal, quote, table};
use super::image::{id_sql, image_sql};
use super::session::Failure;
use avowal_engine::ports::connector::{Binding, ConnectorError, ConnectorErrorKind};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;

/// `AUTOINCREMENT`, so that an id is never given twice, also after pruning.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS avowal_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT NOT NULL, remote_id TEXT NOT NULL,
    operation TEXT NOT NULL, image TEXT, origin TEXT, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS avowal_log_entity ON avowal_log (entity, id);
CREATE TABLE IF NOT EXISTS avowal_ops (
    n INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, entity TEXT NOT NULL,
    remote_id TEXT NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS avowal_origin (one INTEGER PRIMARY KEY CHECK (one = 1), key TEXT);
INSERT OR IGNORE INTO avowal_origin (one, key) VALUES (1, NULL);
CREATE TABLE IF NOT EXISTS avowal_feeds (
    entity TEXT PRIMARY KEY, object TEXT NOT NULL, epoch TEXT NOT NULL, pruned INTEGER NOT NULL DEFAULT 0);
";

const NAMES: [&str; 4] = ["avowal_log", "avowal_ops", "avowal_origin", "avowal_feeds"];

/// Milliseconds since 1970.
pub(super) const NOW_SQL: &str = "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)";

/// Whether the log of an entity works: its triggers must be exactly those that the mapping needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Installed {
    /// It works.
    Yes,
    /// It was never installed here.
    No,
    /// It was, but triggers are missing, or were made for another mapping.
    Outdated,
}

/// Makes what is missing. Feeds whose triggers had to be made begin a new epoch.
pub(super) fn install(
    connection: &mut Connection,
    bindings: &[Arc<Binding>],
) -> Result<Vec<String>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = Vec::new();
    transaction.execute_batch(TABLES)?;
    for binding in bindings {
        let table = usable(&transaction, binding)?;
        if installed(&transaction, binding, &table)? == Installed::Yes {
            continue;
        }
        for (name, sql) in triggers(binding, &table) {
            transaction.execute_batch(&format!("DROP TRIGGER IF EXISTS {}; {sql};", quote(&name)))?;
        }
        transaction.execute(
            "INSERT INTO avowal_feeds (entity, object, epoch) VALUES (?1, ?2, lower(hex(randomblob(6)))) \
             ON CONFLICT (entity) DO UPDATE SET object = excluded.object, epoch = excluded.epoch, pruned = 0",
            [binding.entity.as_str(), &table.name],
        )?;
        done.push(format!("change log of table {} (entity {})", table.name, binding.entity));
    }
    transaction.commit()?;
    Ok(done)
}

/// Removes every trigger and table of ours.
pub(super) fn uninstall(connection: &mut Connection) -> Result<Vec<String>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = Vec::new();
    let triggers: Vec<String> = transaction
        .prepare(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'avowal\\_%' ESCAPE '\\' \
             AND sql LIKE '%avowal\\_log%' ESCAPE '\\' ORDER BY name",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for name in triggers {
        transaction.execute_batch(&format!("DROP TRIGGER {}", quote(&name)))?;
        done.push(format!("trigger {name}"));
    }
    for name in NAMES {
        if exists(&transaction, name)? {
            transaction.execute_batch(&format!("DROP TABLE {name}"))?;
            done.push(format!("table {name}"));
        }
    }
    transaction.commit()?;
    Ok(done)
}

/// Whether the log of an entity works.
pub(super) fn installed(
    connection: &Connection,
    binding: &Binding,
    table: &Table,
) -> Result<Installed, Failure> {
    for name in NAMES {
        if !exists(connection, name)? {
            return Ok(Installed::No);
        }
    }
    let feed = connection
        .prepare_cached("SELECT 1 FROM avowal_feeds WHERE entity = ?1")?
        .exists([binding.entity.as_str()])?;
    let mut find = connection.prepare_cached(
        "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?1 AND tbl_name = ?2 COLLATE NOCASE \
         AND sql = ?3",
    )?;
    let mut present = 0;
    let wanted = triggers(binding, table);
    for (name, sql) in &wanted {
        present += usize::from(find.exists([name, &table.name, sql])?);
    }
    match (feed, present == wanted.len()) {
        (true, true) => Ok(Installed::Yes),
        (false, _) => Ok(Installed::No),
        (true, false) => Ok(Installed::Outdated),
    }
}

fn exists(connection: &Connection, name: &str) -> Result<bool, Failure> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?
        .exists([name])?)
}

fn usable(connection: &Connection, binding: &Binding) -> Result<Table, Failure> {
    let table = table(connection, binding)?;
    let problem = match (table.kind, table.id_unique) {
        (TableKind::View | TableKind::Virtual, _) => {
            "is not an ordinary table, so its changes cannot be seen"
        }
        (TableKind::Table, false) => "has an id column that does not identify its rows",
        (TableKind::Table, true) => return Ok(table),
    };
    Err(ConnectorError::new(
        ConnectorErrorKind::SchemaDrift,
        format!("table {:?} {problem}", table.name),
        Some("Map an ordinary table by its primary key or a unique column"),
    )
    .into())
}

/// The triggers of one entity, by name. SQLite keeps their text as it is written here, so it can be compared.
fn triggers(binding: &Binding, table: &Table) -> Vec<(String, String)> {
    let on = quote(&table.name);
    let id = quote(&table.id.name);
    let moved = format!("old.{id} IS NOT new.{id} COLLATE BINARY");
    // Texts that the column's collation takes for equal are still different contents.
    let mut changed: Vec<_> = table
        .columns
        .iter()
        .map(|column| format!("old.{0} IS NOT new.{0} COLLATE BINARY", quote(&column.name)))
        .collect();
    changed.push("0".to_owned());
    let changed = changed.join(" OR ");
    let gone = log_gone(binding, table);
    let mut all = vec![
        ("insert", format!("AFTER INSERT ON {on} BEGIN {} END", log_row(binding, table, "insert"))),
        (
            "update",
            format!(
                "AFTER UPDATE ON {on} WHEN NOT ({moved}) AND ({changed}) BEGIN {} END",
                log_row(binding, table, "update")
            ),
        ),
        (
            "move",
            format!(
                "AFTER UPDATE ON {on} WHEN {moved} BEGIN {gone} {} END",
                log_row(binding, table, "insert")
            ),
        ),
        ("delete", format!("AFTER DELETE ON {on} BEGIN {gone} END")),
    ];
    if !table.unique_keys.is_empty() {
        let probe = |but: &str| log_probe(binding, table, but);
        all.push(("replace", format!("BEFORE INSERT ON {on} BEGIN {} END", probe("new"))));
        let keys: Vec<_> = table.unique_keys.iter().flatten().map(|column| quote(column)).collect();
        let key_changed: Vec<_> =
            keys.iter().map(|column| format!("old.{column} IS NOT new.{column}")).collect();
        all.push((
            "replace_by_update",
            format!("BEFORE UPDATE ON {on} WHEN {} BEGIN {} END", key_changed.join(" OR "), probe("old")),
        ));
    }
    all.into_iter()
        .map(|(event, body)| {
            let name = format!("avowal_{}_{event}", binding.entity);
            let sql = format!("CREATE TRIGGER {} {body}", quote(&name));
            (name, sql)
        })
        .collect()
}

/// Logs the row as it stands now. Not `new`: a trigger of the application may have changed the row again
/// already, and its log row would then come before this one.
fn log_row(binding: &Binding, table: &Table, operation: &str) -> String {
    let id = quote(&table.id.name);
    format!(
        "{} '{operation}', {}, (SELECT key FROM avowal_origin), {NOW_SQL} FROM {} AS t WHERE t.{id} = new.{id};",
        log_into(binding, &id_sql(table, "t")),
        image_sql(table, "t"),
        quote(&table.name),
    )
}

/// Logs that the old row is gone, unless a trigger of the application has put it back.
fn log_gone(binding: &Binding, table: &Table) -> String {
    let id = quote(&table.id.name);
    format!(
        "{} 'delete', NULL, (SELECT key FROM avowal_origin), {NOW_SQL} WHERE old.{id} IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{id} = old.{id});",
        log_into(binding, &id_sql(table, "old")),
        quote(&table.name),
    )
}

/// Logs which other rows `INSERT OR REPLACE` may be about to remove: SQLite fires no delete trigger for them.
/// Whether they are gone is looked up when the log is read.
fn log_probe(binding: &Binding, table: &Table, but: &str) -> String {
    let id = quote(&table.id.name);
    let same: Vec<_> = table
        .unique_keys
        .iter()
        .map(|key| {
            let parts: Vec<_> = key.iter().map(|column| format!("t.{0} = new.{0}", quote(column))).collect();
            format!("({})", parts.join(" AND "))
        })
        .collect();
    format!(
        "{} 'probe', NULL, (SELECT key FROM avowal_origin), {NOW_SQL} FROM {} AS t \
         WHERE ({}) AND t.{id} IS NOT {but}.{id} AND t.{id} IS NOT NULL;",
        log_into(binding, &id_sql(table, "t")),
        quote(&table.name),
        same.join(" OR "),
    )
}

fn log_into(binding: &Binding, remote_id: &str) -> String {
    format!(
        "INSERT INTO avowal_log (entity, remote_id, operation, image, origin, at) SELECT {}, {remote_id},",
        literal(binding.entity.as_str())
    )
}
