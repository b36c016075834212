//! The change log's tables and triggers: made and removed.

use super::catalogue::{Table, TableKind, table};
use super::names::{Mapped, Names};
use super::session::Failure;
use super::triggers::{NOW_SQL, triggers};
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The tables of an installation. `AUTOINCREMENT`, so that an id is never given twice, also after pruning.
fn tables(names: &Names) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {file} (one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT NOT NULL, key TEXT);
         INSERT OR IGNORE INTO {file} (one, token) VALUES (1, lower(hex(randomblob(8))));
         CREATE TABLE IF NOT EXISTS {feeds} (
             n INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT NOT NULL, object TEXT NOT NULL COLLATE NOCASE,
             pruned INTEGER NOT NULL DEFAULT 0, UNIQUE (entity, object));
         CREATE TABLE IF NOT EXISTS {epochs} (
             n INTEGER PRIMARY KEY, feed INTEGER NOT NULL, mark TEXT NOT NULL UNIQUE, adopted TEXT);
         CREATE TABLE IF NOT EXISTS {ops} (
             n INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, entity TEXT NOT NULL,
             remote_id TEXT NOT NULL, at INTEGER NOT NULL);",
        file = names.file(),
        feeds = names.feeds(),
        epochs = names.epochs(),
        ops = names.ops(),
    )
}

/// Whether the log of an entity works: its triggers must be exactly those that the mapping needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Installed {
    /// It works, as the feed of this number.
    Yes(i64),
    /// It was never installed here.
    No,
    /// It was, but triggers are missing, or were made for another mapping or another table.
    Outdated,
}

/// Makes what is missing. Feeds whose triggers had to be made begin a new epoch.
pub(super) fn install(connection: &mut Connection, mapped: &[Arc<Mapped>]) -> Result<Vec<String>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = Vec::new();
    if let Some(first) = mapped.first() {
        transaction.execute_batch(&tables(&first.names))?;
        done.extend(remove_unmapped(&transaction, &first.names, mapped)?);
    }
    for mapped in mapped {
        done.extend(install_one(&transaction, mapped)?);
    }
    transaction.commit()?;
    Ok(done)
}

/// Makes what one entity lacks, and says so if it lacked something.
pub(super) fn install_one(connection: &Connection, mapped: &Mapped) -> Result<Option<String>, Failure> {
    connection.execute_batch(&tables(&mapped.names))?;
    let table = usable(connection, mapped)?;
    if matches!(installed(connection, mapped, &table)?, Installed::Yes(_)) {
        return Ok(None);
    }
    install_feed(connection, mapped, &table)?;
    Ok(Some(format!("change log of table {} (entity {})", table.name, mapped.binding.entity)))
}

fn install_feed(connection: &Connection, mapped: &Mapped, table: &Table) -> Result<(), Failure> {
    let names = &mapped.names;
    let entity = mapped.binding.entity.as_str();
    connection.execute(
        &format!("INSERT OR IGNORE INTO {} (entity, object) VALUES (?1, ?2)", names.feeds()),
        [entity, &table.name],
    )?;
    let feed: i64 = connection.query_row(
        &format!("SELECT n FROM {} WHERE entity = ?1 AND object = ?2", names.feeds()),
        [entity, &table.name],
        |row| row.get(0),
    )?;
    let log = names.log(feed);
    // The columns of the mapping are added one by one: the log outlives every mapping, so that its ids go on upwards and
    // a reader of an older epoch is still recognised.
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {log} (
             id INTEGER PRIMARY KEY AUTOINCREMENT, remote_id, operation TEXT NOT NULL, origin TEXT,
             mark INTEGER NOT NULL, at INTEGER NOT NULL);
         CREATE INDEX IF NOT EXISTS {log}_ids ON {log} (remote_id);"
    ))?;
    let held: u32 = connection.query_row(
        "SELECT count(*) FROM pragma_table_info(?1) WHERE name GLOB 'c[0-9]*'",
        [&log],
        |row| row.get(0),
    )?;
    for n in held as usize..table.columns.len() {
        connection.execute_batch(&format!("ALTER TABLE {log} ADD COLUMN c{n}"))?;
    }
    drop_triggers(connection, &names.triggers(feed))?;
    for (_, sql) in triggers(names, feed, table) {
        connection.execute_batch(&sql)?;
    }
    begin_epoch(connection, names, feed)
}

/// Begins a new epoch of a feed with a log row of its own, so that every position in it has a row. Its id is the time or
/// more: a log that was removed and is made anew must give higher ids than before, or its changes count as old ones.
pub(super) fn begin_epoch(connection: &Connection, names: &Names, feed: i64) -> Result<(), Failure> {
    connection.execute_batch(&format!(
        "INSERT INTO {log} (id, operation, mark, at)
             SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{log}'), 0) + 1, {NOW_SQL}),
                    'begin', random(), {NOW_SQL};
         UPDATE {feeds} SET pruned = (SELECT max(id) FROM {log}) WHERE n = {feed} AND pruned = 0;
         INSERT INTO {epochs} (feed, mark) VALUES ({feed}, lower(hex(randomblob(6))));",
        log = names.log(feed),
        feeds = names.feeds(),
        epochs = names.epochs(),
    ))?;
    Ok(())
}

/// Removes the feeds of tables that are mapped under another entity's name now.
fn remove_unmapped(
    connection: &Connection,
    names: &Names,
    mapped: &[Arc<Mapped>],
) -> Result<Vec<String>, Failure> {
    let feeds = connection
        .prepare(&format!("SELECT n, entity, object FROM {} ORDER BY n", names.feeds()))?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(i64, String, String)>, _>>()?;
    let mut done = Vec::new();
    for (feed, entity, object) in feeds {
        let on_table = |mapped: &&Arc<Mapped>| mapped.binding.object.eq_ignore_ascii_case(&object);
        let mut here = mapped.iter().filter(on_table).peekable();
        if here.peek().is_none() || here.any(|mapped| mapped.binding.entity.as_str() == entity) {
            continue;
        }
        drop_triggers(connection, &names.triggers(feed))?;
        connection.execute_batch(&format!(
            "DROP TABLE IF EXISTS {log}; DELETE FROM {feeds} WHERE n = {feed}; DELETE FROM {epochs} WHERE feed = {feed};",
            log = names.log(feed),
            feeds = names.feeds(),
            epochs = names.epochs(),
        ))?;
        done.push(format!(
            "removed the change log of table {object} (entity {entity}), which is not mapped any more"
        ));
    }
    Ok(done)
}

/// Removes every trigger and table of this installation. Another one's stay.
pub(super) fn uninstall(connection: &mut Connection, names: &Names) -> Result<Vec<String>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let triggers = drop_triggers(&transaction, names.prefix())?;
    let mut done: Vec<_> = triggers.into_iter().map(|name| format!("trigger {name}")).collect();
    for name in named(&transaction, "table", names.prefix())? {
        transaction.execute_batch(&format!("DROP TABLE {name}"))?;
        done.push(format!("table {name}"));
    }
    transaction.commit()?;
    Ok(done)
}

fn drop_triggers(connection: &Connection, prefix: &str) -> Result<Vec<String>, Failure> {
    let triggers = named(connection, "trigger", prefix)?;
    for name in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    Ok(triggers)
}

/// The tables or triggers whose names begin so.
fn named(connection: &Connection, kind: &str, prefix: &str) -> Result<Vec<String>, Failure> {
    let names = connection
        .prepare_cached(
            "SELECT name FROM sqlite_master WHERE type = ?1 AND name GLOB ?2 || '*' ORDER BY name",
        )?
        .query_map([kind, prefix], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(names)
}

/// What the names of other installations' change logs in this file begin with.
pub(super) fn strangers(connection: &Connection, names: &Names) -> Result<BTreeSet<String>, Failure> {
    let all = named(connection, "table", "avowal_")?;
    let prefix =
        |name: &String| name.get(7..).and_then(|rest| rest.find('_')).map(|at| name[..=at + 7].to_owned());
    Ok(all.iter().filter_map(prefix).filter(|prefix| prefix != names.prefix()).collect())
}

/// Whether the file holds the tables of this installation.
pub(super) fn has_tables(connection: &Connection, names: &Names) -> Result<bool, Failure> {
    let wanted = [names.file(), names.feeds(), names.epochs(), names.ops()];
    let found: u32 = connection
        .prepare_cached(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN (?1, ?2, ?3, ?4)",
        )?
        .query_row(wanted, |row| row.get(0))?;
    Ok(found == 4)
}

/// The number of an entity's feed, whether or not its triggers work.
pub(super) fn feed_number(
    connection: &Connection,
    mapped: &Mapped,
    table: &Table,
) -> Result<Option<i64>, Failure> {
    let names = &mapped.names;
    if !has_tables(connection, names)? {
        return Ok(None);
    }
    let feed: Option<i64> = connection
        .prepare_cached(&format!("SELECT n FROM {} WHERE entity = ?1 AND object = ?2", names.feeds()))?
        .query_row([mapped.binding.entity.as_str(), &table.name], |row| row.get(0))
        .optional()?;
    let Some(feed) = feed else { return Ok(None) };
    let is_there = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?
        .exists([names.log(feed)])?;
    Ok(is_there.then_some(feed))
}

/// The newest log id: every change up to it is contained in what is read in the same transaction.
pub(super) fn newest(
    connection: &Connection,
    mapped: &Mapped,
    table: &Table,
) -> Result<Option<u64>, Failure> {
    let Some(feed) = feed_number(connection, mapped, table)? else { return Ok(None) };
    let newest: Option<i64> = connection
        .prepare_cached(&format!("SELECT max(id) FROM {}", mapped.names.log(feed)))?
        .query_row([], |row| row.get(0))?;
    Ok(Some(newest.unwrap_or(0).unsigned_abs()))
}

/// Whether the log of an entity works.
pub(super) fn installed(
    connection: &Connection,
    mapped: &Mapped,
    table: &Table,
) -> Result<Installed, Failure> {
    let Some(feed) = feed_number(connection, mapped, table)? else { return Ok(Installed::No) };
    let mut present: Vec<(String, String)> = connection
        .prepare_cached(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB ?1 || '*' \
             AND tbl_name = ?2 COLLATE NOCASE",
        )?
        .query_map([&mapped.names.triggers(feed), &table.name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut wanted = triggers(&mapped.names, feed, table);
    present.sort();
    wanted.sort();
    Ok(if present == wanted { Installed::Yes(feed) } else { Installed::Outdated })
}

fn usable(connection: &Connection, mapped: &Mapped) -> Result<Table, Failure> {
    let table = table(connection, &mapped.binding)?;
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
