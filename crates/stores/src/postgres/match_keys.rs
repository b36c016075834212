//! The rows by which an unlinked copy finds its record.

use super::column;
use super::connection::Link;
use super::encode::{PreparedCommit, key_bucket};
use super::error::Fault;
use super::facts::Facts;
use super::statements::{Step, by_key, columns};
use avowal_core::data::ids::{EntityName, RecordId};
use std::collections::{BTreeMap, BTreeSet};

const DROP_KEYS: &str = "DELETE FROM match_keys m
    USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (bucket, entity, key, record_id)
    WHERE m.bucket = k.bucket AND m.entity = k.entity AND m.key = k.key AND m.record_id = k.record_id";

const ADD_KEYS: &str = "INSERT INTO match_keys (bucket, entity, key, record_id)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[DROP_KEYS, ADD_KEYS];

/// The records that carry each match key, in order of their ids.
pub(super) async fn matching(
    link: &Link,
    entity: &EntityName,
    keys: &[String],
) -> Result<Vec<Vec<RecordId>>, Fault> {
    const MATCHING: &str = "SELECT m.key, m.record_id
        FROM match_keys m JOIN unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, entity, key)
        ON m.bucket = k.bucket AND m.entity = k.entity AND m.key = k.key ORDER BY m.record_id";
    let keys: Vec<String> = keys.iter().map(|key| column::key(key)).collect();
    let wanted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let buckets: Vec<i16> = wanted.iter().map(|key| key_bucket(entity.as_str(), key)).collect();
    let entities: Vec<&str> = wanted.iter().map(|_| entity.as_str()).collect();
    let mut found: BTreeMap<String, Vec<RecordId>> = BTreeMap::new();
    for row in link.query_if(!wanted.is_empty(), MATCHING, &[&buckets, &entities, &wanted]).await? {
        let record = RecordId::from(row.try_get::<_, String>(1)?);
        found.entry(row.try_get(0)?).or_default().push(record);
    }
    Ok(keys.iter().map(|key| found.get(key).cloned().unwrap_or_default()).collect())
}

pub(super) fn write(commits: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Row<'a> = (i16, &'a str, &'a str, &'a str);
    let (mut gone, mut new): (Vec<Row<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(commits, facts) {
        let before = stored.map(|stored| &stored.match_keys);
        let entity = row.entity.as_str();
        let line = |key: &'_ str| key_bucket(entity, key);
        let left = before.into_iter().flatten().filter(|key| !row.match_keys.contains(*key));
        gone.extend(left.map(|key| (line(key), entity, key.as_str(), id)));
        let come = row.match_keys.iter().filter(|key| before.is_none_or(|before| !before.contains(*key)));
        new.extend(come.map(|key| (line(key), entity, key.as_str(), id)));
    }
    for (sql, mut rows) in [(DROP_KEYS, gone), (ADD_KEYS, new)] {
        if rows.is_empty() {
            continue;
        }
        rows.sort();
        let params = columns!(rows;
            buckets: i16 = |row: &Row<'_>| row.0,
            entities: String = |row: &Row<'_>| row.1.to_owned(),
            keys: String = |row: &Row<'_>| row.2.to_owned(),
            records: String = |row: &Row<'_>| row.3.to_owned(),
        );
        steps.push(Step::any(sql, params));
    }
}
