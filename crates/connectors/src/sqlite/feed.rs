//! The change log, read in commit order: SQLite has one writer at a time, so its ids are that order.
//!
//! The newest log row of a row is told as the row stands in the same transaction: a trigger of the application may have
//! changed the row again before our own trigger wrote its log row. Older ones are told as they were logged.

use super::catalogue::{Table, table};
use super::identity::{Feed, emptied};
use super::install::{Installed, installed};
use super::names::Mapped;
use super::read::{row_of, stands};
use super::row;
use super::session::Failure;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{Change, ConnectorError, ConnectorErrorKind, Page, RemoteState};
use avowal_engine::ports::store::Cursor;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row};

/// How many log ids behind the reader's cursor are kept, so that an older cursor still works.
const KEPT_ROWS: i64 = 100_000;

/// How far the cursor must have come since the last pruning before it is worth another.
const PRUNE_EVERY_ROWS: i64 = 10_000;

/// How many keys of writes are kept, so that a repeated write is still recognised.
const KEPT_KEYS: i64 = 500_000;

/// A changing number: another one means that another connection has committed something.
pub(super) fn data_version(connection: &Connection) -> Result<i64, Failure> {
    Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

/// Where the feed stands now.
pub(super) fn position(connection: &mut Connection, mapped: &Mapped) -> Result<Cursor, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, &mapped.binding)?;
    let feed = working(&transaction, mapped, &table)?;
    Ok(feed.end(&transaction, mapped)?.cursor())
}

/// The page after `cursor`. What lies far behind it is pruned.
pub(super) fn changes(
    connection: &mut Connection,
    mapped: &Mapped,
    cursor: &Cursor,
    limit: usize,
) -> Result<Page, Failure> {
    let (page, pruned) = page(connection, mapped, cursor, limit)?;
    if let Some((feed, before)) = pruned {
        // A busy file is pruned another time.
        let _ = prune(connection, mapped, feed, before);
    }
    Ok(page)
}

/// The page after `cursor`, and nothing is changed.
pub(super) fn peek(
    connection: &mut Connection,
    mapped: &Mapped,
    cursor: &Cursor,
    limit: usize,
) -> Result<Page, Failure> {
    page(connection, mapped, cursor, limit).map(|(page, _)| page)
}

/// The page after `cursor`, with the feed whose rows before an id may go, if that is worth it.
fn page(
    connection: &mut Connection,
    mapped: &Mapped,
    cursor: &Cursor,
    limit: usize,
) -> Result<(Page, Option<(i64, i64)>), Failure> {
    let transaction = connection.transaction()?;
    if let Some(failure) = emptied(&transaction, mapped)? {
        return Err(failure);
    }
    let table = table(&transaction, &mapped.binding)?;
    let feed = working(&transaction, mapped, &table)?;
    let from = feed.recognise(&transaction, mapped, cursor)?;
    let reader = Reader { connection: &transaction, mapped, table: &table, feed: &feed };
    let rows = reader.rows_after(from.id, limit)?;
    let more = rows.len() >= limit;
    let next = rows.last().map_or_else(|| from.clone(), |last| feed.at(last.id, last.mark));
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        changes.extend(reader.change(row)?);
    }
    let is_worth_it = from.id > feed.pruned + KEPT_ROWS + PRUNE_EVERY_ROWS;
    let pruned = is_worth_it.then_some((feed.number, from.id - KEPT_ROWS));
    Ok((Page { changes, next: next.cursor(), more }, pruned))
}

/// The feed of an entity, if its triggers are what the mapping needs.
fn working(connection: &Connection, mapped: &Mapped, table: &Table) -> Result<Feed, Failure> {
    let problem = match installed(connection, mapped, table)? {
        Installed::Yes(feed) => return Feed::load(connection, mapped, feed),
        Installed::No => "is not installed",
        Installed::Outdated => "is incomplete or was made for another table or mapping",
    };
    Err(ConnectorError::new(
        ConnectorErrorKind::SchemaDrift,
        format!("the change log of table {:?} {problem}", table.name),
        Some("`avowal run` and `avowal sync` install it again"),
    )
    .into())
}

/// The reader of one feed, in one transaction.
struct Reader<'a> {
    connection: &'a Connection,
    mapped: &'a Mapped,
    table: &'a Table,
    feed: &'a Feed,
}

struct LogRow {
    id: i64,
    mark: i64,
    /// The row's id as it is stored; null where the log row is about no row.
    remote: Sql,
    remote_id: Option<RemoteId>,
    operation: Operation,
    at: i64,
    key: Option<String>,
    logged: RemoteState,
}

/// What a log row tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// An epoch begins.
    Begin,
    /// The row was made, also under an id that was another row's.
    Insert,
    /// The row was changed.
    Update,
    /// The row was removed.
    Delete,
    /// A statement may have removed the row without a trigger.
    Probe,
}

impl Operation {
    fn of(word: &str) -> Self {
        match word {
            "insert" => Self::Insert,
            "update" => Self::Update,
            "delete" => Self::Delete,
            "probe" => Self::Probe,
            _ => Self::Begin,
        }
    }
}

impl Reader<'_> {
    fn rows_after(&self, after: i64, limit: usize) -> Result<Vec<LogRow>, Failure> {
        let columns: Vec<_> = (0..self.table.columns.len()).map(|n| format!(", l.c{n}")).collect();
        let sql = format!(
            "SELECT l.id, l.mark, l.operation, l.at, o.key, o.entity, o.remote_id, l.remote_id{} \
             FROM {} l LEFT JOIN {} o ON o.key = l.origin WHERE l.id > ?1 ORDER BY l.id LIMIT ?2",
            columns.concat(),
            self.mapped.names.log(self.feed.number),
            self.mapped.names.ops(),
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self
            .connection
            .prepare_cached(&sql)?
            .query_map((after, limit), |row| self.log_row(row))?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    fn log_row(&self, row: &Row<'_>) -> rusqlite::Result<LogRow> {
        let remote_id = row::id_text(row.get_ref(7)?);
        let (key, entity, written): (Option<String>, Option<String>, Option<String>) =
            (row.get(4)?, row.get(5)?, row.get(6)?);
        // What a trigger does to another row during our write is not our write.
        let is_ours = entity.as_deref() == Some(self.mapped.binding.entity.as_str())
            && written.as_deref() == remote_id.as_ref().map(RemoteId::as_str);
        Ok(LogRow {
            id: row.get(0)?,
            mark: row.get(1)?,
            operation: Operation::of(&row.get::<_, String>(2)?),
            at: row.get(3)?,
            key: key.filter(|_| is_ours),
            remote: row::stored_id(row, 7)?,
            remote_id,
            logged: row::state(self.table, row, 8)?,
        })
    }

    /// The change that a log row tells; `None` where it tells none.
    fn change(&self, row: LogRow) -> Result<Option<Change>, Failure> {
        let Some(id) = row.remote_id.clone() else { return Ok(None) };
        let next = self.next_operation(&row)?;
        let shown = match (row.operation, next) {
            (Operation::Begin, _) => return Ok(None),
            (Operation::Probe, None) if stands(self.connection, self.table, &row.remote)? => return Ok(None),
            (Operation::Probe, None | Some(Operation::Insert)) => RemoteState::Gone,
            (Operation::Probe, Some(_)) => return Ok(None),
            (Operation::Insert | Operation::Update | Operation::Delete, None) => {
                row_of(self.connection, self.table, &row.remote)?.unwrap_or(RemoteState::Gone)
            }
            (Operation::Insert | Operation::Update, Some(_)) => row.logged,
            (Operation::Delete, Some(_)) => RemoteState::Gone,
        };
        Ok(Some(Change {
            correlation: row.key,
            occurred_at: Some(Timestamp::from_millis(row.at)),
            ..row::change(id, shown, Some(row.id.unsigned_abs()))
        }))
    }

    /// What the log tells next about the same row.
    fn next_operation(&self, row: &LogRow) -> Result<Option<Operation>, Failure> {
        let log = self.mapped.names.log(self.feed.number);
        let next: Option<String> = self
            .connection
            .prepare_cached(&format!(
                "SELECT operation FROM {log} WHERE remote_id = ?1 AND id > ?2 ORDER BY id LIMIT 1"
            ))?
            .query_row((&row.remote, row.id), |row| row.get(0))
            .optional()?;
        Ok(next.as_deref().map(Operation::of))
    }
}

fn prune(connection: &mut Connection, mapped: &Mapped, feed: i64, before: i64) -> Result<(), Failure> {
    let names = &mapped.names;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute(&format!("DELETE FROM {} WHERE id < ?1", names.log(feed)), [before])?;
    transaction.execute(
        &format!("UPDATE {} SET pruned = ?2 WHERE n = ?1 AND pruned < ?2", names.feeds()),
        (feed, before),
    )?;
    transaction.execute(
        &format!("DELETE FROM {0} WHERE n <= (SELECT max(n) FROM {0}) - ?1", names.ops()),
        [KEPT_KEYS],
    )?;
    transaction.commit()?;
    Ok(())
}
