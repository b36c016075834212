//! The change log, read in commit order: SQLite has one writer at a time, so its ids are that order.

use super::catalogue::{Table, quote, table};
use super::image::{self, id_param};
use super::install::{Installed, installed};
use super::session::Failure;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{
    Binding, Change, ConnectorError, ConnectorErrorKind, Page, RemoteState,
};
use avowal_engine::ports::store::Cursor;
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

/// The newest log id: every change up to it is contained in what is read in the same transaction.
pub(super) fn newest(connection: &Connection) -> Result<Option<u64>, Failure> {
    let known = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'avowal_log'")?
        .exists([])?;
    if !known {
        return Ok(None);
    }
    let newest: Option<i64> = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'avowal_log'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(Some(newest.unwrap_or(0).unsigned_abs()))
}

/// Where the feed stands now.
pub(super) fn position(connection: &mut Connection, binding: &Binding) -> Result<Cursor, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, binding)?;
    let feed = Feed::load(&transaction, binding, &table)?;
    let newest = newest(&transaction)?.unwrap_or(0);
    Ok(Cursor(format!("{}:{newest}", feed.epoch)))
}

/// The page after `cursor`.
pub(super) fn changes(
    connection: &mut Connection,
    binding: &Binding,
    cursor: &Cursor,
    limit: usize,
) -> Result<Page, Failure> {
    let transaction = connection.transaction()?;
    let table = table(&transaction, binding)?;
    let feed = Feed::load(&transaction, binding, &table)?;
    let after = feed.after(cursor)?;
    let rows = transaction
        .prepare_cached(
            "SELECT l.id, l.remote_id, l.operation, l.image, l.at, o.key FROM avowal_log l \
             LEFT JOIN avowal_ops o ON o.key = l.origin AND o.entity = l.entity AND o.remote_id = l.remote_id \
             WHERE l.entity = ?1 AND l.id > ?2 ORDER BY l.id LIMIT ?3",
        )?
        .query_map((binding.entity.as_str(), after, i64::try_from(limit).unwrap_or(i64::MAX)), log_row)?
        .collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() >= limit;
    let next = match rows.last() {
        Some(last) if more => last.id,
        // Everything has been read: rows of other entities need not be passed again.
        Some(_) | None => newest(&transaction)?.and_then(|id| i64::try_from(id).ok()).unwrap_or(after),
    };
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        if row.operation != "probe" || was_replaced(&transaction, binding, &table, &row)? {
            changes.push(row.change());
        }
    }
    drop(transaction);
    if after > feed.pruned + KEPT_ROWS + PRUNE_EVERY_ROWS {
        // A busy file is pruned another time.
        let _ = prune(connection, binding, after - KEPT_ROWS);
    }
    Ok(Page { changes, next: Cursor(format!("{}:{next}", feed.epoch)), more })
}

struct Feed {
    epoch: String,
    pruned: i64,
}

impl Feed {
    fn load(connection: &Connection, binding: &Binding, table: &Table) -> Result<Self, Failure> {
        let problem = match installed(connection, binding, table)? {
            Installed::Yes => {
                return Ok(connection
                    .prepare_cached("SELECT epoch, pruned FROM avowal_feeds WHERE entity = ?1")?
                    .query_row([binding.entity.as_str()], |row| {
                        Ok(Self { epoch: row.get(0)?, pruned: row.get(1)? })
                    })?);
            }
            Installed::No => "is not installed",
            Installed::Outdated => "is incomplete or was made for another mapping",
        };
        Err(ConnectorError::new(
            ConnectorErrorKind::SchemaDrift,
            format!("the change log of table {:?} {problem}", table.name),
            Some("Run `avowal sync`, which installs it"),
        )
        .into())
    }

    fn after(&self, cursor: &Cursor) -> Result<i64, Failure> {
        let position =
            cursor.0.split_once(':').and_then(|(epoch, id)| Some((epoch, id.parse::<i64>().ok()?)));
        match position {
            Some((epoch, after)) if epoch == self.epoch && after >= self.pruned => Ok(after),
            Some(_) | None => Err(ConnectorError::new(
                ConnectorErrorKind::CursorExpired,
                "the change log no longer reaches back to where it was read last",
                Some("Everything is listed again"),
            )
            .into()),
        }
    }
}

struct LogRow {
    id: i64,
    remote_id: String,
    operation: String,
    image: Option<Vec<u8>>,
    at: i64,
    key: Option<String>,
}

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    // The image as bytes: an application may have stored text that is no UTF-8.
    let image = match row.get_ref(3)? {
        rusqlite::types::ValueRef::Null => None,
        other => Some(other.as_bytes().unwrap_or_default().to_vec()),
    };
    Ok(LogRow {
        id: row.get(0)?,
        remote_id: String::from_utf8_lossy(row.get_ref(1)?.as_bytes().unwrap_or_default()).into_owned(),
        operation: row.get(2)?,
        image,
        at: row.get(4)?,
        key: row.get(5)?,
    })
}

impl LogRow {
    fn change(self) -> Change {
        let shown = self.image.as_deref().map_or(RemoteState::Gone, image::shown);
        Change {
            correlation: self.key,
            occurred_at: Some(Timestamp::from_millis(self.at)),
            ..image::change(RemoteId::from(self.remote_id), shown, Some(self.id.unsigned_abs()))
        }
    }
}

/// Whether a row that may have been replaced is gone, and no later log row tells about it.
fn was_replaced(
    connection: &Connection,
    binding: &Binding,
    table: &Table,
    probe: &LogRow,
) -> Result<bool, Failure> {
    let stands = connection
        .prepare_cached(&format!(
            "SELECT 1 FROM {} AS t WHERE t.{} = ?1",
            quote(&table.name),
            quote(&table.id.name)
        ))?
        .exists([id_param(&table.id, &probe.remote_id)])?;
    let later = connection
        .prepare_cached("SELECT 1 FROM avowal_log WHERE entity = ?1 AND id > ?2 AND remote_id = ?3")?
        .exists((binding.entity.as_str(), probe.id, &probe.remote_id))?;
    Ok(!stands && !later)
}

fn prune(connection: &mut Connection, binding: &Binding, up_to: i64) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction
        .execute("DELETE FROM avowal_log WHERE entity = ?1 AND id <= ?2", (binding.entity.as_str(), up_to))?;
    transaction.execute(
        "UPDATE avowal_feeds SET pruned = ?2 WHERE entity = ?1 AND pruned < ?2",
        (binding.entity.as_str(), up_to),
    )?;
    transaction
        .execute("DELETE FROM avowal_ops WHERE n <= (SELECT max(n) FROM avowal_ops) - ?1", [KEPT_KEYS])?;
    transaction.commit()?;
    Ok(())
}
