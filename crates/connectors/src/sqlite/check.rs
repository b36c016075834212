//! What is wrong between the mapping and the file.

use super::catalogue::{Affinity, Table, TableColumn, TableKind, table};
use super::install::{Installed, installed};
use super::session::Failure;
use avowal_core::policy::schema::FieldType;
use avowal_engine::ports::connector::{Binding, Column, Finding};
use rusqlite::Connection;
use std::sync::Arc;

/// Compares every binding with its table.
pub(super) fn check(
    connection: &mut Connection,
    bindings: &[Arc<Binding>],
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
    for binding in bindings {
        let table = match table(&transaction, binding) {
            Ok(table) => table,
            Err(Failure::Port(error)) => {
                let cure = error.cure.unwrap_or_default();
                findings.push(finding(&format!("{place}, table {}", binding.object), &error.message, &cure));
                continue;
            }
            Err(error @ Failure::Sqlite(_)) => return Err(error),
        };
        findings.extend(of_table(&transaction, binding, &table, place)?);
    }
    Ok(findings)
}

fn of_table(
    connection: &Connection,
    binding: &Binding,
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
    for (mapped, column) in binding.columns.iter().zip(&table.columns) {
        if let Some((problem, cure)) = unsuitable(mapped, column) {
            findings.push(finding(&format!("{here}, column {}", column.name), &problem, cure));
        }
    }
    match installed(connection, binding, table)? {
        Installed::Yes => {}
        Installed::No => {
            let problem = "the change log is not installed";
            findings.push(finding(&here, problem, "Run `avowal sync`, which installs it"));
        }
        Installed::Outdated => {
            let problem = "the change log's triggers are missing or were made for another mapping";
            findings.push(finding(&here, problem, "Run `avowal sync`, which installs them"));
        }
    }
    Ok(findings)
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
        // "STRING" is no text type to SQLite: '0012' becomes 12.
        (FieldType::String, Affinity::Numeric) if declared.contains("STR") => Some((
            format!("type {declared} is numeric to SQLite, so that '0012' becomes 12"),
            "Declare the column TEXT",
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
