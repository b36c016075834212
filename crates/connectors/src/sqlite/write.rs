//! Writes: one transaction a call, one savepoint a row.

use super::catalogue::{Table, TableColumn, table};
use super::example::example;
use super::install::{feed_number, newest};
use super::names::{Mapped, quote};
use super::read::{Found, find_in, find_row};
use super::row;
use super::session::Failure;
use super::triggers::NOW_SQL;
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Change, RemoteState, Write, WriteOutcome};
use rusqlite::ffi::{
    SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID,
    SQLITE_CONSTRAINT_UNIQUE,
};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params_from_iter};

/// The constraints that depend on other rows.
const CURABLE: [i32; 4] = [
    SQLITE_CONSTRAINT_FOREIGNKEY,
    SQLITE_CONSTRAINT_PRIMARYKEY,
    SQLITE_CONSTRAINT_ROWID,
    SQLITE_CONSTRAINT_UNIQUE,
];

/// Why a row, or the whole transaction, did not go through.
#[derive(Debug)]
enum Trouble {
    /// The database refuses this row, for ever.
    Row(String),
    /// A reference or a unique value forbids this row as things stand: another write may cure that.
    Blocked(String),
    /// Nothing can be written now.
    Transaction(String),
    /// The transaction was lost with all its rows, by something that one of them did.
    RolledBack(String),
    /// The disk failed while the transaction was made durable.
    Uncertain(String),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        if extended.is_some_and(|code| CURABLE.contains(&code)) {
            return Trouble::Blocked(error.to_string());
        }
        match error.sqlite_error_code() {
            // `Unknown` is SQLITE_ERROR: a trigger or generated column that will not work a second time either.
            Some(
                ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::Unknown,
            ) => Trouble::Row(error.to_string()),
            Some(_) | None => Trouble::Transaction(error.to_string()),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => error.into(),
            Failure::Port(error) => Trouble::Row(error.to_string()),
        }
    }
}

/// Carries out the writes and answers each in order.
pub(super) fn write(connection: &mut Connection, mapped: &Mapped, writes: &[Write]) -> Vec<WriteOutcome> {
    // References are checked at the end first, so that rows of one call may refer to each other in any order.
    let trouble = match transact(connection, mapped, writes, References::AtTheEnd) {
        Err(Trouble::Blocked(_)) => transact(connection, mapped, writes, References::AtOnce),
        other => other,
    };
    let trouble = match trouble {
        Ok(outcomes) => return outcomes,
        Err(trouble) => trouble,
    };
    match trouble {
        // One of the rows caused it. Each row is written by itself, so that only that row fails.
        Trouble::RolledBack(_) | Trouble::Row(_) | Trouble::Blocked(_) if writes.len() > 1 => {
            writes.iter().flat_map(|one| write(connection, mapped, std::slice::from_ref(one))).collect()
        }
        Trouble::RolledBack(reason) | Trouble::Row(reason) => {
            vec![WriteOutcome::Rejected { reason }; writes.len()]
        }
        Trouble::Blocked(reason) => vec![WriteOutcome::Blocked { reason }; writes.len()],
        Trouble::Transaction(reason) => vec![WriteOutcome::Retry { after_ms: None, reason }; writes.len()],
        Trouble::Uncertain(reason) => vec![WriteOutcome::Unknown { reason }; writes.len()],
    }
}

/// When references between rows are checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum References {
    AtTheEnd,
    AtOnce,
}

fn transact(
    connection: &mut Connection,
    mapped: &Mapped,
    writes: &[Write],
    references: References,
) -> Result<Vec<WriteOutcome>, Trouble> {
    // A table that cannot be used is no fault of a row: nothing is written, and no row is refused for ever.
    let stop = |failure| match failure {
        Failure::Sqlite(error) => Trouble::Transaction(error.to_string()),
        Failure::Port(error) => Trouble::Transaction(error.to_string()),
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| stop(error.into()))?;
    let table = table(&transaction, &mapped.binding).map_err(stop)?;
    let Some(feed) = feed_number(&transaction, mapped, &table).map_err(stop)? else {
        let reason =
            "the change log is not installed. `avowal run` and `avowal sync` install it again".to_owned();
        return Err(Trouble::Transaction(reason));
    };
    if references == References::AtTheEnd {
        // SQLite takes it back when the transaction ends.
        transaction.pragma_update(None, "defer_foreign_keys", true)?;
    }
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        let job = Job { connection: &transaction, mapped, table: &table, feed, write };
        outcomes.push(job.run()?);
    }
    mark(&transaction, mapped, None)?;
    transaction.commit().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => Trouble::Uncertain(error.to_string()),
        Some(_) | None => error.into(),
    })?;
    Ok(outcomes)
}

/// Sets, or clears, the key that the triggers copy into the log.
fn mark(connection: &Connection, mapped: &Mapped, key: Option<&str>) -> Result<(), Trouble> {
    connection.prepare_cached(&format!("UPDATE {} SET key = ?1", mapped.names.file()))?.execute([key])?;
    Ok(())
}

/// One write in an open transaction.
struct Job<'a> {
    connection: &'a Connection,
    mapped: &'a Mapped,
    table: &'a Table,
    feed: i64,
    write: &'a Write,
}

impl Job<'_> {
    fn run(&self) -> Result<WriteOutcome, Trouble> {
        let connection = self.connection;
        if let Some(id) = self.done_before()? {
            return self.repeated(id);
        }
        connection.prepare_cached("SAVEPOINT avowal_row")?.execute([])?;
        let result = match self.write.operation {
            Operation::Create => self.create(),
            Operation::Update => self.update(),
            Operation::Delete => self.delete(),
        };
        if connection.is_autocommit() {
            let reason = result.err().map_or_else(String::new, |trouble| format!("{trouble:?}"));
            return Err(Trouble::RolledBack(format!("the database rolled everything back: {reason}")));
        }
        let refused = match result {
            Ok(outcome) => {
                connection.prepare_cached("RELEASE avowal_row")?.execute([])?;
                return Ok(outcome);
            }
            Err(Trouble::Row(reason)) => WriteOutcome::Rejected { reason },
            Err(Trouble::Blocked(reason)) => WriteOutcome::Blocked { reason },
            Err(other) => return Err(other),
        };
        connection.prepare_cached("ROLLBACK TO avowal_row")?.execute([])?;
        connection.prepare_cached("RELEASE avowal_row")?.execute([])?;
        Ok(refused)
    }

    fn done_before(&self) -> Result<Option<RemoteId>, Trouble> {
        let id: Option<String> = self
            .connection
            .prepare_cached(&format!("SELECT remote_id FROM {} WHERE key = ?1", self.mapped.names.ops()))?
            .query_row([&self.write.key], |row| row.get(0))
            .optional()?;
        Ok(id.map(RemoteId::from))
    }

    /// Answers a write that was done before, with the row as it is now.
    fn repeated(&self, id: RemoteId) -> Result<WriteOutcome, Trouble> {
        let shown = match (find_row(self.connection, self.table, &id)?, self.write.operation) {
            (Some(found), _) => found.shown,
            (None, Operation::Delete) => RemoteState::Gone,
            (None, Operation::Create | Operation::Update) => return Ok(WriteOutcome::Missing),
        };
        let after = row::change(id.clone(), shown, newest(self.connection, self.mapped, self.table)?);
        Ok(WriteOutcome::Confirmed { id, after: Some(after) })
    }

    fn create(&self) -> Result<WriteOutcome, Trouble> {
        for lookup in &self.write.lookup {
            let found = find_in(self.connection, self.mapped, self.table, lookup)?;
            if let Some(copy) = found.into_iter().next() {
                return Ok(WriteOutcome::Exists { copy });
            }
        }
        let before = self.begin()?;
        let (columns, params) = self.assignments(None)?;
        let values: Vec<_> = (1..=params.len()).map(|n| format!("?{n}")).collect();
        let content = match columns.is_empty() {
            true => "DEFAULT VALUES".to_owned(),
            false => format!("({}) VALUES ({})", columns.join(", "), values.join(", ")),
        };
        let on = quote(&self.table.name);
        let sql = format!("INSERT INTO {on} {content} RETURNING {on}.{}", quote(&self.table.id.name));
        let id: Option<Option<RemoteId>> = self
            .connection
            .prepare_cached(&sql)?
            .query_map(params_from_iter(params), |row| Ok(row::id_text(row.get_ref(0)?)))?
            // To the end: a statement that is left half-way does not fire its triggers.
            .collect::<Result<Vec<_>, _>>()?
            .pop();
        let id = match id {
            Some(Some(id)) => id,
            Some(None) => {
                return Err(Trouble::Row(format!(
                    "table {:?} gave the new row no id; give column {:?} a default, or declare it INTEGER PRIMARY KEY",
                    self.table.name, self.table.id.name
                )));
            }
            None => return Err(Trouble::Row("a trigger of the database dropped the new row".to_owned())),
        };
        let row = find_row(self.connection, self.table, &id)?
            .ok_or_else(|| Trouble::Row("the database removed the new row at once".to_owned()))?;
        self.finish(row, before)
    }

    fn update(&self) -> Result<WriteOutcome, Trouble> {
        let found = match self.expected()? {
            Ok(found) => found,
            Err(outcome) => return Ok(outcome),
        };
        let before = self.begin()?;
        let (columns, mut params) = self.assignments(Some(&found.stored))?;
        if !columns.is_empty() {
            let sets: Vec<_> =
                columns.iter().enumerate().map(|(at, column)| format!("{column} = ?{}", at + 1)).collect();
            params.push(found.stored);
            let sql = format!(
                "UPDATE {} SET {} WHERE {} = ?{}",
                quote(&self.table.name),
                sets.join(", "),
                quote(&self.table.id.name),
                params.len()
            );
            self.connection.prepare_cached(&sql)?.execute(params_from_iter(params))?;
        }
        let row = find_row(self.connection, self.table, &found.id)?
            .ok_or_else(|| Trouble::Row("the database removed the row or changed its id".to_owned()))?;
        self.finish(row, before)
    }

    fn delete(&self) -> Result<WriteOutcome, Trouble> {
        let found = match self.expected()? {
            Ok(found) => found,
            Err(outcome) => return Ok(outcome),
        };
        let before = self.begin()?;
        let sql =
            format!("DELETE FROM {} WHERE {} = ?1", quote(&self.table.name), quote(&self.table.id.name));
        self.connection.prepare_cached(&sql)?.execute([&found.stored])?;
        if find_row(self.connection, self.table, &found.id)?.is_some() {
            return Err(Trouble::Row("a trigger of the database kept the row".to_owned()));
        }
        self.finish(Found { shown: RemoteState::Gone, ..found }, before)
    }

    /// The row that is written, or why it cannot be written as it stands.
    fn expected(&self) -> Result<Result<Found, WriteOutcome>, Trouble> {
        let id = self.write.id.as_ref().ok_or_else(|| Trouble::Row("the write names no row".to_owned()))?;
        let Some(found) = find_row(self.connection, self.table, id)? else {
            return Ok(Err(WriteOutcome::Missing));
        };
        if self.write.expected.holds(&row::fields(&found.shown)) {
            return Ok(Ok(found));
        }
        Ok(Err(WriteOutcome::Conflict { reason: "the row has changed since it was read".to_owned() }))
    }

    /// Marks what follows as this write's, and returns the newest log id before it.
    fn begin(&self) -> Result<u64, Trouble> {
        mark(self.connection, self.mapped, Some(&self.write.key))?;
        Ok(newest(self.connection, self.mapped, self.table)?.unwrap_or(0))
    }

    /// Remembers the key and tells what stands now. Its order is that of the row's own newest log row.
    fn finish(&self, row: Found, before: u64) -> Result<WriteOutcome, Trouble> {
        let Found { id, stored, shown } = row;
        let names = &self.mapped.names;
        self.connection
            .prepare_cached(&format!(
                "INSERT INTO {} (key, entity, remote_id, at) VALUES (?1, ?2, ?3, {NOW_SQL})",
                names.ops()
            ))?
            .execute([&self.write.key, self.mapped.binding.entity.as_str(), id.as_str()])?;
        let own: Option<i64> = self
            .connection
            .prepare_cached(&format!(
                "SELECT max(id) FROM {} WHERE id > ?1 AND remote_id = ?2",
                names.log(self.feed)
            ))?
            .query_row((i64::try_from(before).unwrap_or(i64::MAX), &stored), |row| row.get(0))?;
        let order = own.map_or(before, i64::unsigned_abs);
        let after = Change {
            correlation: Some(self.write.key.clone()),
            ..row::change(id.clone(), shown, Some(order))
        };
        Ok(WriteOutcome::Confirmed { id, after: Some(after) })
    }

    /// The quoted columns to set and their values, spelled as what stands in the row or, for a new row, in the column.
    fn assignments(&self, row: Option<&Sql>) -> Result<(Vec<String>, Vec<Sql>), Trouble> {
        let (mut columns, mut params) = (Vec::new(), Vec::new());
        for (name, value) in &self.write.fields {
            let column = self.writable(name)?;
            // A new row gets what the column is declared to hold in place of null.
            if row.is_none() && value.is_null() && column.not_null && column.default.is_some() {
                continue;
            }
            let spelled = match value.is_null() {
                true => None,
                false => example(self.connection, self.table, column, row)?,
            };
            columns.push(quote(&column.name));
            params.push(row::stored(column, value, spelled.as_ref()).map_err(Trouble::Row)?);
        }
        Ok((columns, params))
    }

    fn writable(&self, name: &str) -> Result<&TableColumn, Trouble> {
        let mapped = self.mapped.binding.columns.iter().any(|column| column.name == name && column.writable);
        self.table
            .columns
            .iter()
            .find(|column| mapped && column.remote == name)
            .ok_or_else(|| Trouble::Row(format!("column {name:?} is not mapped for writing")))
    }
}
