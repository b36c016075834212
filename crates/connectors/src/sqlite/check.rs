//! What is wrong between the mapping and the file.

use super::catalogue::{Affinity, Table, TableColumn, TableKind, table};
use super::install::{Installed, installed, strangers};
use super::names::{Mapped, Names, quote};
use super::session::Failure;
use avowal_core::policy::schema::FieldType;
use avowal_engine::ports::connector::{Column, Finding};
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;

/// Compares every binding with its table.
pub(super) fn check(
    connection: &mut Connection,
    mapped: &[Arc<Mapped>],
    names: &Names,
    place: &str,
) -> Result<Vec<Finding>, Failure> {
    let transaction = connection.transaction()?;
    let mut findings = Vec::new();
    if transaction.is_readonly("main")? {
        findings.push(finding(
            place,
            "the file is read-only",
            "Give this user the right to write the file and its folder",
        ));
    }
    for mapped in mapped {
        let table = match table(&transaction, &mapped.binding) {
            Ok(table) => table,
            Err(Failure::Port(error)) => {
                let cure = error.cure.unwrap_or_default();
                findings.push(finding(
                    &format!("{place}, table {}", mapped.binding.object),
                    &error.message,
                    &cure,
                ));
                continue;
            }
            Err(error @ Failure::Sqlite(_)) => return Err(error),
        };
        findings.extend(of_table(&transaction, mapped, &table, place)?);
    }
    for stranger in strangers(&transaction, names)? {
        findings.push(Finding::note(
            place,
            format!("another configuration has a change log here, in tables and triggers named {stranger}…"),
            "If it is not used any more, run `avowal uninstall` there, or drop them",
        ));
    }
    Ok(findings)
}

fn of_table(
    connection: &Connection,
    mapped: &Mapped,
    table: &Table,
    place: &str,
) -> Result<Vec<Finding>, Failure> {
    let here = format!("{place}, table {}", table.name);
    let mut findings = Vec::new();
    match table.kind {
        TableKind::Table => {}
        TableKind::View | TableKind::Virtual => {
            let problem = "it is a view or a virtual table, so its changes cannot be seen";
            findings.push(finding(&here, problem, "Map the table behind it"));
            return Ok(findings);
        }
    }
    if !table.id_unique {
        let problem = format!("column {} does not identify a row", table.id.name);
        findings.push(finding(
            &here,
            &problem,
            "Map the primary key, or create a unique index on the column",
        ));
        return Ok(findings);
    }
    if let Some(id) = ambiguous_id(connection, table)? {
        let problem = format!("column {} holds {id} twice, as a number and as a text", table.id.name);
        findings.push(finding(&here, &problem, "Give the column a type, such as INTEGER or TEXT"));
    }
    findings.extend(repeated_ids(connection, table, &here)?);
    for index in &table.unknown_keys {
        findings.push(Finding::note(
            &here,
            format!(
                "rows that INSERT OR REPLACE removes through index {index} are not seen in the change log"
            ),
            "Run `avowal sync --full` after such statements, or write the index in a plainer way",
        ));
    }
    for (column, found) in mapped.binding.columns.iter().zip(&table.columns) {
        if let Some((problem, cure)) = unsuitable(column, found) {
            findings.push(finding(&format!("{here}, column {}", found.name), &problem, cure));
        }
    }
    findings.extend(of_log(connection, mapped, table, &here)?);
    Ok(findings)
}

/// Says that the table gives the id of a deleted row to a new one, if it does.
fn repeated_ids(connection: &Connection, table: &Table, here: &str) -> Result<Option<Finding>, Failure> {
    if !(table.id.primary && table.id.declared == "INTEGER") {
        return Ok(None);
    }
    let sql = "SELECT upper(sql) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let made: Option<String> = connection.query_row(sql, [&table.name], |row| row.get(0)).optional()?;
    let says = |word: &str| made.as_deref().is_some_and(|made| made.contains(word));
    if says("AUTOINCREMENT") || says("WITHOUT ROWID") {
        return Ok(None);
    }
    let problem =
        format!("once the last row is deleted, the next one may get its id (column {})", table.id.name);
    let cure = "The change log tells the two apart; to other readers of the table they are one. \
                `INTEGER PRIMARY KEY AUTOINCREMENT` never gives an id again";
    Ok(Some(Finding::note(here, problem, cure)))
}

/// What is to be known of the change log of a table.
fn of_log(
    connection: &Connection,
    mapped: &Mapped,
    table: &Table,
    here: &str,
) -> Result<Option<Finding>, Failure> {
    Ok(match installed(connection, mapped, table)? {
        Installed::Yes(_) => None,
        Installed::No => Some(Finding::note(
            here,
            "the change log is not installed yet. While it is, SQLite refuses DROP COLUMN of a mapped column",
            "Run `avowal sync`, which installs it; `avowal uninstall` makes way for such a migration",
        )),
        Installed::Outdated => Some(Finding::note(
            here,
            "the change log's triggers are missing or were made for another table or mapping",
            "Run `avowal sync`, which installs them",
        )),
    })
}

/// An id that two rows have, which only a column without a type allows.
fn ambiguous_id(connection: &Connection, table: &Table) -> Result<Option<String>, Failure> {
    if table.id.affinity != Affinity::Blob {
        return Ok(None);
    }
    let (on, id) = (quote(&table.name), quote(&table.id.name));
    let sql = format!("SELECT CAST({id} AS TEXT) AS i FROM {on} GROUP BY i HAVING count(*) > 1 LIMIT 1");
    let found: Option<Option<String>> = connection.query_row(&sql, [], |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

/// What a column does to values of its field, if it does them harm.
fn unsuitable(mapped: &Column, column: &TableColumn) -> Option<(String, &'static str)> {
    if mapped.writable && column.generated {
        let problem = "it is generated from other columns and cannot be written".to_owned();
        return Some((problem, "Declare the field read-only for this system"));
    }
    let declared = &column.declared;
    match (&mapped.field_type, column.affinity) {
        (FieldType::Integer, Affinity::Real) => Some((
            format!("type {declared} loses digits of integers beyond 2^53"),
            "Declare the column INTEGER, or map it as a decimal",
        )),
        // "UUID", "PHONE" and "STRING" are no text types to SQLite: '0012' becomes 12, '123e4567' a number.
        (
            FieldType::String | FieldType::Enum { .. },
            Affinity::Numeric | Affinity::Integer | Affinity::Real,
        ) if mapped.writable => Some((
            format!("type {declared} is numeric to SQLite, so that '0012' becomes 12 and '12e3' a number"),
            "Declare the column TEXT, map it as an integer or a decimal, or declare the field read-only here",
        )),
        (
            FieldType::String
            | FieldType::Integer
            | FieldType::Decimal
            | FieldType::Boolean
            | FieldType::Date
            | FieldType::Timestamp
            | FieldType::Enum { .. }
            | FieldType::Set
            | FieldType::List
            | FieldType::Object
            | FieldType::Ref { .. },
            _,
        ) => None,
    }
}

fn finding(place: &str, problem: &str, cure: &str) -> Finding {
    Finding::problem(place, problem, cure)
}
