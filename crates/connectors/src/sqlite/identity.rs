//! Whose log a cursor was given by: the same file with its log going on, the same file as it was earlier, or another one.
//!
//! The file has a token, each feed an epoch, each log row a mark; all three are random. A cursor carries them. A backup that
//! is restored has lost the row that was read last, although the application may have written others under its number.

use super::catalogue::table;
use super::install::{begin_epoch, feed_number, has_tables, install_one};
use super::names::Mapped;
use super::session::Failure;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use avowal_engine::ports::store::Cursor;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::fmt;

/// How far the log's ids jump when a file is adopted: more than can have been given out after the cursor.
const ADOPTED_IDS: i64 = 1_000_000;

/// Where a reader stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    /// Which file.
    pub token: String,
    /// Which epoch of the feed.
    pub epoch: String,
    /// After which log row.
    pub id: i64,
    /// What that row is marked with.
    pub mark: i64,
}

impl Standing {
    pub fn read(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.split(':');
        let token = parts.next()?.to_owned();
        let epoch = parts.next()?.to_owned();
        let (id, mark) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { token, epoch, id, mark })
    }

    pub fn cursor(&self) -> Cursor {
        Cursor(self.to_string())
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.token, self.epoch, self.id, self.mark)
    }
}

/// A feed as it stands in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Feed {
    /// Its number.
    pub number: i64,
    /// The file's token.
    pub token: String,
    /// The present epoch.
    pub epoch: String,
    /// The log id before which rows have been removed.
    pub pruned: i64,
}

impl Feed {
    pub fn load(connection: &Connection, mapped: &Mapped, number: i64) -> Result<Self, Failure> {
        let names = &mapped.names;
        let sql = format!(
            "SELECT (SELECT token FROM {file}), mark, (SELECT pruned FROM {feeds} WHERE n = ?1) \
             FROM {epochs} WHERE feed = ?1 ORDER BY n DESC LIMIT 1",
            file = names.file(),
            feeds = names.feeds(),
            epochs = names.epochs(),
        );
        let feed = connection.prepare_cached(&sql)?.query_row([number], |row| {
            Ok(Self { number, token: row.get(0)?, epoch: row.get(1)?, pruned: row.get(2)? })
        })?;
        Ok(feed)
    }

    /// Where a reader stands who has read everything.
    pub fn end(&self, connection: &Connection, mapped: &Mapped) -> Result<Standing, Failure> {
        let sql = format!("SELECT id, mark FROM {} ORDER BY id DESC LIMIT 1", mapped.names.log(self.number));
        let (id, mark) =
            connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(self.at(id, mark))
    }

    /// Where a reader stands who has read up to a log row.
    pub fn at(&self, id: i64, mark: i64) -> Standing {
        Standing { token: self.token.clone(), epoch: self.epoch.clone(), id, mark }
    }

    /// The place of a cursor in this feed, or why it has none.
    pub fn recognise(
        &self,
        connection: &Connection,
        mapped: &Mapped,
        cursor: &Cursor,
    ) -> Result<Standing, Failure> {
        let names = &mapped.names;
        let Some(standing) = Standing::read(cursor) else { return Err(expired()) };
        let adopted: Option<Option<String>> = connection
            .prepare_cached(&format!(
                "SELECT adopted FROM {} WHERE feed = ?1 AND adopted = ?2",
                names.epochs()
            ))?
            .query_row((self.number, &cursor.0), |row| row.get(0))
            .optional()?;
        if adopted.is_some() {
            return Err(expired());
        }
        let is_known = connection
            .prepare_cached(&format!("SELECT 1 FROM {} WHERE feed = ?1 AND mark = ?2", names.epochs()))?
            .exists((self.number, &standing.epoch))?;
        if !is_known {
            return Err(match standing.token == self.token {
                true => restored(),
                false => another(),
            });
        }
        if standing.id < self.pruned {
            return Err(expired());
        }
        let mark: Option<i64> = connection
            .prepare_cached(&format!("SELECT mark FROM {} WHERE id = ?1", names.log(self.number)))?
            .query_row([standing.id], |row| row.get(0))
            .optional()?;
        if mark != Some(standing.mark) {
            return Err(restored());
        }
        // The triggers were made anew in this very file: what happened in between is found by a listing.
        if standing.epoch != self.epoch {
            return Err(expired());
        }
        Ok(standing)
    }
}

/// What is wrong where nothing of ours is in a file that was read before; `None` for a file that has our tables.
pub(super) fn emptied(connection: &Connection, mapped: &Mapped) -> Result<Option<Failure>, Failure> {
    if has_tables(connection, &mapped.names)? {
        return Ok(None);
    }
    Ok(Some(changed(
        "it holds no change log although it was read before: it is another file, one that was made anew, or one \
         that was restored from a backup",
    )))
}

/// Takes the file for the one that the cursor was given by: a new epoch begins, with log ids above the cursor's.
pub(super) fn adopt(connection: &mut Connection, mapped: &Mapped, cursor: &Cursor) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let names = &mapped.names;
    install_one(&transaction, mapped)?;
    let table = table(&transaction, &mapped.binding)?;
    let Some(feed) = feed_number(&transaction, mapped, &table)? else { return Err(expired()) };
    let given = Standing::read(cursor).map_or(0, |standing| standing.id);
    let log = names.log(feed);
    transaction.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?2) + ?3 WHERE name = ?1",
        (&log, given, ADOPTED_IDS),
    )?;
    begin_epoch(&transaction, names, feed)?;
    transaction.execute(
        &format!("UPDATE {0} SET adopted = ?1 WHERE n = (SELECT max(n) FROM {0})", names.epochs()),
        [&cursor.0],
    )?;
    transaction.commit()?;
    Ok(())
}

fn expired() -> Failure {
    ConnectorError::new(
        ConnectorErrorKind::CursorExpired,
        "the change log no longer reaches back to where it was read last",
        Some("Everything is listed again"),
    )
    .into()
}

fn restored() -> Failure {
    changed(
        "it has gone back in time: the change that was read last is not in it, so it was restored from a backup",
    )
}

fn another() -> Failure {
    changed("it is not the file that was read last: it is another one, or it was made anew")
}

fn changed(problem: &str) -> Failure {
    ConnectorError::new(
        ConnectorErrorKind::IdentityChanged,
        problem,
        Some("Nothing is written to it until a person has said which it is"),
    )
    .into()
}
