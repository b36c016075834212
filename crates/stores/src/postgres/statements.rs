//! Statements that are sent together, each for all rows of a group: one array a column.

use super::connection::{Link, Param};
use super::encode::{PreparedCommit, RecordRow, bucket_of};
use super::error::Fault;
use super::facts::{Facts, Stored};
use super::in_order::in_order;
use tokio_postgres::types::ToSql;

/// One statement to be sent, and how many rows it must change.
pub(super) struct Step {
    sql: &'static str,
    params: Vec<Param>,
    wanted: Option<u64>,
}

impl Step {
    /// A statement that may change any number of rows.
    pub(super) fn any(sql: &'static str, params: Vec<Param>) -> Self {
        Self { sql, params, wanted: None }
    }

    /// A statement that must change exactly so many rows.
    pub(super) fn exact(sql: &'static str, params: Vec<Param>, rows: usize) -> Self {
        Self { sql, params, wanted: Some(rows as u64) }
    }
}

/// Sends the statements together. Answers whether each changed as many rows as it must.
pub(super) async fn run(link: &Link, steps: Vec<Step>) -> Result<bool, Fault> {
    let params: Vec<Vec<&(dyn ToSql + Sync)>> = steps
        .iter()
        .map(|step| step.params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect())
        .collect();
    let sent = steps.iter().zip(&params).map(|(step, params)| link.change(step.sql, params)).collect();
    let mut all = true;
    for (step, changed) in steps.iter().zip(in_order(sent).await) {
        let changed = changed?;
        all &= step.wanted.is_none_or(|wanted| wanted == changed);
    }
    Ok(all)
}

/// Collects rows into one array a column.
macro_rules! columns {
    ($rows:expr; $($name:ident : $ty:ty = $value:expr),+ $(,)?) => {{
        $(let mut $name: Vec<$ty> = Vec::with_capacity($rows.len());)+
        for row in $rows.iter() {
            $($name.push($value(row));)+
        }
        vec![$(Box::new($name) as $crate::postgres::connection::Param),+]
    }};
}
pub(super) use columns;

/// The records of all commits with what is stored of them, in the order of their key.
pub(super) fn by_key<'a>(
    commits: &[&'a PreparedCommit],
    facts: &'a Facts,
) -> Vec<(&'a str, &'a RecordRow, Option<&'a Stored>)> {
    let mut rows: Vec<_> = commits
        .iter()
        .flat_map(|prepared| &prepared.records)
        .map(|(id, row)| (id.as_str(), row, facts.records.get(id)))
        .collect();
    rows.sort_by_key(|(id, row, _)| (row.bucket, *id));
    rows
}

/// Removes rows that are named by a record and one more name.
pub(super) fn remove_by_record(sql: &'static str, gone: &[(&str, &str)], steps: &mut Vec<Step>) {
    if gone.is_empty() {
        return;
    }
    let params = columns!(gone;
        buckets: i16 = |row: &(&str, &str)| bucket_of(row.0),
        records: String = |row: &(&str, &str)| row.0.to_owned(),
        names: String = |row: &(&str, &str)| row.1.to_owned(),
    );
    steps.push(Step::any(sql, params));
}
