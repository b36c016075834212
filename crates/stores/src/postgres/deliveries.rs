//! The deliveries that have been taken.

use super::column;
use super::connection::Link;
use super::encode::PreparedCommit;
use super::error::Fault;
use super::statements::{Step, columns};
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::bucket::Bucket;
use std::collections::BTreeSet;

const ADD_DELIVERIES: &str = "INSERT INTO dedupe (bucket, system, key, received_at)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[ADD_DELIVERIES];

/// Whether each delivery has been taken; counts the repetition where it has and `counts` says so.
pub(super) async fn taken(
    link: &Link,
    system: &SystemName,
    keys: &[String],
    counts: bool,
) -> Result<Vec<bool>, Fault> {
    const COUNT: &str = "UPDATE dedupe d SET repeats = repeats + 1
        FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, system, key)
        WHERE d.bucket = k.bucket AND d.system = k.system AND d.key = k.key RETURNING d.key";
    const TAKEN: &str = "SELECT d.key
        FROM dedupe d JOIN unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, system, key)
        ON d.bucket = k.bucket AND d.system = k.system AND d.key = k.key";
    let wanted: BTreeSet<&String> = keys.iter().collect();
    let buckets: Vec<i16> =
        wanted.iter().map(|key| i16::from(Bucket::of_delivery(system, key).number())).collect();
    let systems: Vec<&str> = wanted.iter().map(|_| system.as_str()).collect();
    let columns: Vec<String> = wanted.iter().map(|key| column::key(key)).collect();
    let sql = if counts { COUNT } else { TAKEN };
    let rows = link.query_if(!wanted.is_empty(), sql, &[&buckets, &systems, &columns]).await?;
    let found = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<BTreeSet<String>, Fault>>()?;
    Ok(keys.iter().map(|key| found.contains(&column::key(key))).collect())
}

/// Forgets deliveries that came before `before`; answers how many.
pub(super) async fn forget(link: &Link, before: Timestamp, limit: usize) -> Result<u64, Fault> {
    const FORGET: &str = "DELETE FROM dedupe d USING
        (SELECT bucket, system, key FROM dedupe WHERE received_at < $1 ORDER BY received_at LIMIT $2) AS k
        WHERE d.bucket = k.bucket AND d.system = k.system AND d.key = k.key";
    link.change(FORGET, &[&before.millis(), &column::limit(limit)]).await
}

pub(super) fn write(commits: &[&PreparedCommit], steps: &mut Vec<Step>) {
    let mut rows: Vec<(i16, &str, String, i64)> = commits
        .iter()
        .flat_map(|prepared| &prepared.deliveries)
        .map(|((system, key), at)| {
            let bucket = i16::from(Bucket::of_delivery(system, key).number());
            (bucket, system.as_str(), column::key(key), *at)
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    rows.sort();
    let params = columns!(rows;
        buckets: i16 = |row: &(i16, &str, String, i64)| row.0,
        systems: String = |row: &(i16, &str, String, i64)| row.1.to_owned(),
        keys: String = |row: &(i16, &str, String, i64)| row.2.clone(),
        times: i64 = |row: &(i16, &str, String, i64)| row.3,
    );
    steps.push(Step::exact(ADD_DELIVERIES, params, rows.len()));
}
