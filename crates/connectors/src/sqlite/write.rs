//! Writes: one transaction a call, one savepoint a row.

use super::catalogue::{Table, TableColumn, quote, table};
use super::feed::newest;
use super::image::{self, id_param, id_sql, value_param};
use super::install::NOW_SQL;
use super::read::{find_in, row};
use super::session::Failure;
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Binding, Change, Fields, RemoteState, Write, WriteOutcome};
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
pub(super) fn write(connection: &mut Connection, binding: &Binding, writes: &[Write]) -> Vec<WriteOutcome> {
    let trouble = match transact(connection, binding, writes) {
        Ok(outcomes) => return outcomes,
        Err(trouble) => trouble,
    };
    match trouble {
        // One of the rows caused it. Each row is written by itself, so that only that row fails.
        Trouble::RolledBack(_) | Trouble::Row(_) | Trouble::Blocked(_) if writes.len() > 1 => {
            writes.iter().flat_map(|one| write(connection, binding, std::slice::from_ref(one))).collect()
        }
        Trouble::RolledBack(reason) | Trouble::Row(reason) => {
            vec![WriteOutcome::Rejected { reason }; writes.len()]
        }
        Trouble::Blocked(reason) => vec![WriteOutcome::Blocked { reason }; writes.len()],
        Trouble::Transaction(reason) => vec![WriteOutcome::Retry { after_ms: None, reason }; writes.len()],
        Trouble::Uncertain(reason) => vec![WriteOutcome::Unknown { reason }; writes.len()],
    }
}

fn transact(
    connection: &mut Connection,
    binding: &Binding,
    writes: &[Write],
) -> Result<Vec<WriteOutcome>, Trouble> {
    // A table that cannot be used is no fault of a row: nothing is written, and no row is refused for ever.
    let stop = |failure| match failure {
        Failure::Sqlite(error) => Trouble::Transaction(error.to_string()),
        Failure::Port(error) => Trouble::Transaction(error.to_string()),
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| stop(error.into()))?;
    let table = table(&transaction, binding).map_err(stop)?;
    if newest(&transaction).map_err(stop)?.is_none() {
        let reason = "the change log is not installed. Run `avowal sync`, which installs it".to_owned();
        return Err(Trouble::Transaction(reason));
    }
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        outcomes.push(one(&transaction, binding, &table, write)?);
    }
    mark(&transaction, None)?;
    transaction.commit().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => Trouble::Uncertain(error.to_string()),
        Some(_) | None => error.into(),
    })?;
    Ok(outcomes)
}

fn one(
    connection: &Connection,
    binding: &Binding,
    table: &Table,
    write: &Write,
) -> Result<WriteOutcome, Trouble> {
    if let Some(id) = done_before(connection, &write.key)? {
        return repeated(connection, table, write.operation, id);
    }
    connection.prepare_cached("SAVEPOINT avowal_row")?.execute([])?;
    let job = Job { connection, binding, table, write };
    let result = match write.operation {
        Operation::Create => job.create(),
        Operation::Update => job.update(),
        Operation::Delete => job.delete(),
    };
    if connection.is_autocommit() {
        let reason = result.err().map_or_else(String::new, |trouble| format!("{trouble:?}"));
        return Err(Trouble::RolledBack(format!("the database rolled everything back: {reason}")));
    }
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(Trouble::Row(reason)) => {
            connection.prepare_cached("ROLLBACK TO avowal_row")?.execute([])?;
            WriteOutcome::Rejected { reason }
        }
        Err(Trouble::Blocked(reason)) => {
            connection.prepare_cached("ROLLBACK TO avowal_row")?.execute([])?;
            WriteOutcome::Blocked { reason }
        }
        Err(other) => return Err(other),
    };
    connection.prepare_cached("RELEASE avowal_row")?.execute([])?;
    Ok(outcome)
}

/// Sets, or clears, the marker that the triggers copy into the log.
fn mark(connection: &Connection, key: Option<&str>) -> Result<(), Trouble> {
    connection.prepare_cached("UPDATE avowal_origin SET key = ?1")?.execute([key])?;
    Ok(())
}

fn done_before(connection: &Connection, key: &str) -> Result<Option<RemoteId>, Trouble> {
    let id: Option<String> = connection
        .prepare_cached("SELECT remote_id FROM avowal_ops WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(id.map(RemoteId::from))
}

/// Answers a write that was done before, with the row as it is now.
fn repeated(
    connection: &Connection,
    table: &Table,
    operation: Operation,
    id: RemoteId,
) -> Result<WriteOutcome, Trouble> {
    let shown = match (row(connection, table, &id)?, operation) {
        (Some(shown), _) => shown,
        (None, Operation::Delete) => RemoteState::Gone,
        (None, Operation::Create | Operation::Update) => return Ok(WriteOutcome::Missing),
    };
    let after = image::change(id.clone(), shown, newest(connection)?);
    Ok(WriteOutcome::Confirmed { id, after: Some(after) })
}

struct Job<'a> {
    connection: &'a Connection,
    binding: &'a Binding,
    table: &'a Table,
    write: &'a Write,
}

impl Job<'_> {
    fn create(&self) -> Result<WriteOutcome, Trouble> {
        for lookup in &self.write.lookup {
            if let Some(copy) = find_in(self.connection, self.table, lookup)?.into_iter().next() {
                return Ok(WriteOutcome::Exists { copy });
            }
        }
        let before = self.begin()?;
        let (columns, params) = self.assignments()?;
        let values: Vec<_> = (1..=params.len()).map(|n| format!("?{n}")).collect();
        let content = match columns.is_empty() {
            true => "DEFAULT VALUES".to_owned(),
            false => format!("({}) VALUES ({})", columns.join(", "), values.join(", ")),
        };
        let on = quote(&self.table.name);
        let sql = format!("INSERT INTO {on} {content} RETURNING {}", id_sql(self.table, &on));
        let id: Option<Option<String>> = self
            .connection
            .prepare_cached(&sql)?
            .query_map(params_from_iter(params), |row| row.get(0))?
            // To the end: a statement that is left half-way does not fire its triggers.
            .collect::<Result<Vec<_>, _>>()?
            .pop();
        let id = match id {
            Some(Some(id)) => RemoteId::from(id),
            Some(None) => {
                return Err(Trouble::Row(format!(
                    "table {:?} gave the new row no id; give column {:?} a default, or declare it INTEGER PRIMARY KEY",
                    self.table.name, self.table.id.name
                )));
            }
            None => return Err(Trouble::Row("a trigger of the database dropped the new row".to_owned())),
        };
        let shown = row(self.connection, self.table, &id)?
            .ok_or_else(|| Trouble::Row("the database removed the new row at once".to_owned()))?;
        self.finish(id, shown, before)
    }

    fn update(&self) -> Result<WriteOutcome, Trouble> {
        let id = self.target()?;
        if let Some(outcome) = self.unexpected(id)? {
            return Ok(outcome);
        }
        let before = self.begin()?;
        let (columns, mut params) = self.assignments()?;
        if !columns.is_empty() {
            let sets: Vec<_> =
                columns.iter().enumerate().map(|(at, column)| format!("{column} = ?{}", at + 1)).collect();
            params.push(id_param(&self.table.id, id.as_str()));
            let sql = format!(
                "UPDATE {} SET {} WHERE {} = ?{}",
                quote(&self.table.name),
                sets.join(", "),
                quote(&self.table.id.name),
                params.len()
            );
            self.connection.prepare_cached(&sql)?.execute(params_from_iter(params))?;
        }
        let shown = row(self.connection, self.table, id)?
            .ok_or_else(|| Trouble::Row("the database removed the row or changed its id".to_owned()))?;
        self.finish(id.clone(), shown, before)
    }

    fn delete(&self) -> Result<WriteOutcome, Trouble> {
        let id = self.target()?;
        if let Some(outcome) = self.unexpected(id)? {
            return Ok(outcome);
        }
        let before = self.begin()?;
        let sql =
            format!("DELETE FROM {} WHERE {} = ?1", quote(&self.table.name), quote(&self.table.id.name));
        self.connection.prepare_cached(&sql)?.execute([id_param(&self.table.id, id.as_str())])?;
        if row(self.connection, self.table, id)?.is_some() {
            return Err(Trouble::Row("a trigger of the database kept the row".to_owned()));
        }
        self.finish(id.clone(), RemoteState::Gone, before)
    }

    fn target(&self) -> Result<&RemoteId, Trouble> {
        self.write.id.as_ref().ok_or_else(|| Trouble::Row("the write names no row".to_owned()))
    }

    /// Why the row cannot be written as it stands, if so.
    fn unexpected(&self, id: &RemoteId) -> Result<Option<WriteOutcome>, Trouble> {
        let Some(shown) = row(self.connection, self.table, id)? else {
            return Ok(Some(WriteOutcome::Missing));
        };
        if self.write.expected.holds(&image::fields(&shown)) {
            return Ok(None);
        }
        Ok(Some(WriteOutcome::Conflict { reason: "the row has changed since it was read".to_owned() }))
    }

    /// Marks what follows as this write's, and returns the newest log id before it.
    fn begin(&self) -> Result<u64, Trouble> {
        mark(self.connection, Some(&self.write.key))?;
        Ok(newest(self.connection)?.unwrap_or(0))
    }

    /// Remembers the key and tells what stands now. Its order is that of the row's own newest log row.
    fn finish(&self, id: RemoteId, shown: RemoteState, before: u64) -> Result<WriteOutcome, Trouble> {
        let entity = self.binding.entity.as_str();
        self.connection
            .prepare_cached(&format!(
                "INSERT INTO avowal_ops (key, entity, remote_id, at) VALUES (?1, ?2, ?3, {NOW_SQL})"
            ))?
            .execute([&self.write.key, entity, id.as_str()])?;
        let own: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT max(id) FROM avowal_log WHERE entity = ?1 AND id > ?2 AND remote_id = ?3",
            )?
            .query_row((entity, i64::try_from(before).unwrap_or(i64::MAX), id.as_str()), |row| row.get(0))?;
        let order = own.map_or(before, i64::unsigned_abs);
        let after = Change {
            correlation: Some(self.write.key.clone()),
            ..image::change(id.clone(), shown, Some(order))
        };
        Ok(WriteOutcome::Confirmed { id, after: Some(after) })
    }

    fn assignments(&self) -> Result<(Vec<String>, Vec<Sql>), Trouble> {
        assignments(self.table, self.binding, &self.write.fields)
    }
}

/// The quoted columns to set and their values.
fn assignments(
    table: &Table,
    binding: &Binding,
    fields: &Fields,
) -> Result<(Vec<String>, Vec<Sql>), Trouble> {
    let (mut columns, mut params) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        let column = writable(table, binding, name)?;
        columns.push(quote(&column.name));
        params.push(value_param(column, value).map_err(Trouble::Row)?);
    }
    Ok((columns, params))
}

fn writable<'a>(table: &'a Table, binding: &Binding, name: &str) -> Result<&'a TableColumn, Trouble> {
    let mapped = binding.columns.iter().any(|column| column.name == name && column.writable);
    table
        .columns
        .iter()
        .find(|column| mapped && column.remote == name)
        .ok_or_else(|| Trouble::Row(format!("column {name:?} is not mapped for writing")))
}
