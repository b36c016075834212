//! What reconciliations have found. It is written beside the writer's thread: it is no part of a commit.

use super::column;
use super::connection::open_writer;
use super::error::Fault;
use avowal_core::data::ids::RunId;
use avowal_engine::ports::store::{
    RECONCILIATIONS_KEPT, Reconciliation, ReconciliationDifference, StoreError,
};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use std::path::Path;

/// Keeps a report with its differences, and forgets old ones.
pub(super) fn keep(
    path: &Path,
    report: &Reconciliation,
    differences: &[ReconciliationDifference],
) -> Result<(), StoreError> {
    let mut connection = open_writer(path)?;
    keep_in(&mut connection, report, differences).map_err(|fault| fault.into_store_error(path))
}

fn keep_in(
    connection: &mut Connection,
    report: &Reconciliation,
    differences: &[ReconciliationDifference],
) -> Result<(), Fault> {
    let run = column::to_column(report.run.number())?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction
        .execute("INSERT INTO reconciliations VALUES (?1, ?2)", params![run, column::to_json(report)?])?;
    {
        let mut insert = transaction.prepare("INSERT INTO reconciliation_differences VALUES (?1, ?2, ?3)")?;
        for difference in differences {
            let number = column::to_column(difference.number)?;
            insert.execute(params![run, number, column::to_json(difference)?])?;
        }
    }
    for table in ["reconciliation_differences", "reconciliations"] {
        transaction.execute(
            &format!(
                "DELETE FROM {table} WHERE run <= (SELECT run FROM reconciliations ORDER BY run DESC LIMIT 1 OFFSET ?1)"
            ),
            [column::to_column(RECONCILIATIONS_KEPT)?],
        )?;
    }
    transaction.commit()?;
    Ok(())
}

/// Up to `limit` reports, the newest first.
pub(super) fn newest(connection: &Connection, limit: usize) -> Result<Vec<Reconciliation>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT run, report FROM reconciliations ORDER BY run DESC LIMIT ?1")?;
    let rows = select.query_map([column::limit(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| row.map_err(Fault::from).and_then(report)).collect()
}

/// The report of one run.
pub(super) fn find(connection: &Connection, run: RunId) -> Result<Option<Reconciliation>, Fault> {
    let mut select = connection.prepare_cached("SELECT run, report FROM reconciliations WHERE run = ?1")?;
    let found = select.query_row([id(run)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    found.map(report).transpose()
}

/// Up to `limit` differences of one report with a higher number.
pub(super) fn differences(
    connection: &Connection,
    run: RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<ReconciliationDifference>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT number, difference FROM reconciliation_differences WHERE run = ?1 AND number > ?2
         ORDER BY number LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = select.query_map(params![id(run), after, column::limit(limit)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    rows.map(|row| {
        let (number, json) = row?;
        column::from_json(&json, || format!("reconciliation_differences row {run}-{number}, difference"))
    })
    .collect()
}

fn report((run, json): (i64, String)) -> Result<Reconciliation, Fault> {
    column::from_json(&json, || format!("reconciliations row {run}, report"))
}

fn id(run: RunId) -> i64 {
    i64::try_from(run.number()).unwrap_or(i64::MAX)
}
