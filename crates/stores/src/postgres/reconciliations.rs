//! What reconciliations have found. It is written beside the commits, in one transaction of its own.

use super::column;
use super::connection::Link;
use super::error::Fault;
use crate::codec;
use avowal_core::data::ids::RunId;
use avowal_engine::ports::store::{RECONCILIATIONS_KEPT, Reconciliation, ReconciliationDifference};

/// How many differences are written by one statement.
const AT_ONCE: usize = 1_000;

const FORGET_DIFFERENCES: &str = "DELETE FROM reconciliation_differences WHERE run <=
    (SELECT run FROM reconciliations ORDER BY run DESC LIMIT 1 OFFSET $1)";

const FORGET_REPORTS: &str = "DELETE FROM reconciliations WHERE run <=
    (SELECT run FROM reconciliations ORDER BY run DESC LIMIT 1 OFFSET $1)";

/// Keeps a report with its differences, and forgets old ones. What a broken connection leaves behind is written over when
/// it is tried again.
pub(super) async fn keep(
    link: &Link,
    report: &Reconciliation,
    differences: &[ReconciliationDifference],
) -> Result<(), Fault> {
    const ADD: &str = "INSERT INTO reconciliation_differences (run, number, difference)
        SELECT $1, * FROM unnest($2::bigint[], $3::text[]) ON CONFLICT DO NOTHING";
    const KEEP: &str = "INSERT INTO reconciliations (run, report) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let run = column::number(report.run.number())?;
    for page in differences.chunks(AT_ONCE) {
        let numbers = page.iter().map(|one| column::number(one.number)).collect::<Result<Vec<_>, _>>()?;
        let texts = page.iter().map(codec::to_json).collect::<Result<Vec<_>, _>>()?;
        link.change(ADD, &[&run, &numbers, &texts]).await?;
    }
    // The report comes last: without it nobody finds the differences.
    link.change(KEEP, &[&run, &codec::to_json(report)?]).await?;
    let kept = column::number(RECONCILIATIONS_KEPT)?;
    link.change(FORGET_DIFFERENCES, &[&kept]).await?;
    link.change(FORGET_REPORTS, &[&kept]).await?;
    Ok(())
}

/// Up to `limit` reports, the newest first.
pub(super) async fn newest(link: &Link, limit: usize) -> Result<Vec<Reconciliation>, Fault> {
    const NEWEST: &str = "SELECT run, report FROM reconciliations ORDER BY run DESC LIMIT $1";
    link.query(NEWEST, &[&column::limit(limit)]).await?.iter().map(read).collect()
}

/// The report of one run.
pub(super) async fn find(link: &Link, run: RunId) -> Result<Option<Reconciliation>, Fault> {
    const FIND: &str = "SELECT run, report FROM reconciliations WHERE run = $1";
    link.query(FIND, &[&id(run)]).await?.first().map(read).transpose()
}

/// Up to `limit` differences of one report with a higher number.
pub(super) async fn differences(
    link: &Link,
    run: RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<ReconciliationDifference>, Fault> {
    const DIFFERENCES: &str = "SELECT number, difference FROM reconciliation_differences
        WHERE run = $1 AND number > $2 ORDER BY number LIMIT $3";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = link.query(DIFFERENCES, &[&id(run), &after, &column::limit(limit)]).await?;
    rows.iter()
        .map(|row| {
            let number: i64 = row.try_get(0)?;
            let place = || format!("reconciliation_differences row {run}-{number}, difference");
            let json: &str = row.try_get(1)?;
            Ok(codec::from_json(json, place)?)
        })
        .collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Reconciliation, Fault> {
    let run: i64 = row.try_get(0)?;
    Ok(codec::from_json(row.try_get(1)?, || format!("reconciliations row {run}, report"))?)
}

fn id(run: RunId) -> i64 {
    i64::try_from(run.number()).unwrap_or(i64::MAX)
}
