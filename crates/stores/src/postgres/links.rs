//! The rows that say which record each copy belongs to.

use super::column;
use super::connection::Link;
use super::encode::{LinkKey, LinkRow, PreparedCommit, link_bucket, link_key};
use super::error::Fault;
use super::facts::Facts;
use super::statements::{Step, by_key, columns};
use avowal_core::data::ids::RecordId;
use avowal_core::record::CopyKey;
use avowal_engine::ports::store::Located;
use std::collections::{BTreeMap, BTreeSet};

const DROP_LINKS: &str = "DELETE FROM links l
    USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS k (bucket, system, entity, remote_id, record_id)
    WHERE l.bucket = k.bucket AND l.system = k.system AND l.entity = k.entity AND l.remote_id = k.remote_id
        AND l.record_id = k.record_id";

const ADD_LINKS: &str =
    "INSERT INTO links (bucket, system, entity, remote_id, record_id, content, alive, in_flight)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::boolean[],
        $8::boolean[])
    ON CONFLICT DO NOTHING";

const CHANGE_LINKS: &str = "UPDATE links l SET content = k.content, alive = k.alive, in_flight = k.in_flight
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::boolean[],
        $8::boolean[]) AS k (bucket, system, entity, remote_id, record_id, content, alive, in_flight)
    WHERE l.bucket = k.bucket AND l.system = k.system AND l.entity = k.entity AND l.remote_id = k.remote_id
        AND (l.content, l.alive, l.in_flight) IS DISTINCT FROM (k.content, k.alive, k.in_flight)";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[DROP_LINKS, ADD_LINKS, CHANGE_LINKS];

/// Which record each copy belongs to, in the order asked.
pub(super) async fn locate(link: &Link, copies: &[CopyKey]) -> Result<Vec<Option<Located>>, Fault> {
    const LOCATE: &str =
        "SELECT l.system, l.entity, l.remote_id, l.record_id, l.content, l.alive, l.in_flight
        FROM links l JOIN unnest($1::smallint[], $2::text[], $3::text[], $4::text[])
            AS k (bucket, system, entity, remote_id)
        ON l.bucket = k.bucket AND l.system = k.system AND l.entity = k.entity AND l.remote_id = k.remote_id";
    let keys: Vec<LinkKey> = copies.iter().map(link_key).collect();
    let wanted: BTreeSet<&LinkKey> = keys.iter().collect();
    let buckets: Vec<i16> = wanted.iter().map(|key| i16::from(link_bucket(key).number())).collect();
    let systems: Vec<&str> = wanted.iter().map(|key| key.0.as_str()).collect();
    let entities: Vec<&str> = wanted.iter().map(|key| key.1.as_str()).collect();
    let remote_ids: Vec<&str> = wanted.iter().map(|key| key.2.as_str()).collect();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&buckets, &systems, &entities, &remote_ids];
    let mut found: BTreeMap<LinkKey, Located> = BTreeMap::new();
    for row in link.query_if(!wanted.is_empty(), LOCATE, &params).await? {
        let record: String = row.try_get(3)?;
        let content = column::from_digest(row.try_get(4)?, || format!("links row of {record}, content"))?;
        let located = Located {
            record: RecordId::from(record),
            content,
            alive: row.try_get(5)?,
            in_flight: row.try_get(6)?,
        };
        found.insert((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), located);
    }
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

pub(super) fn write(commits: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Gone<'a> = (&'a LinkKey, &'a str);
    type Row<'a> = (&'a LinkKey, &'a str, &'a LinkRow);
    let (mut gone, mut new, mut old): (Vec<Gone<'_>>, Vec<Row<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(commits, facts) {
        let before = stored.map(|stored| &stored.links);
        let left = before.into_iter().flatten().filter(|key| !row.links.contains_key(*key));
        gone.extend(left.map(|key| (key, id)));
        for (key, link) in &row.links {
            let is_old = before.is_some_and(|before| before.contains(key));
            if is_old { &mut old } else { &mut new }.push((key, id, link));
        }
    }
    if !gone.is_empty() {
        let params = columns!(gone;
            buckets: i16 = |row: &Gone<'_>| i16::from(link_bucket(row.0).number()),
            systems: String = |row: &Gone<'_>| row.0.0.clone(),
            entities: String = |row: &Gone<'_>| row.0.1.clone(),
            remote_ids: String = |row: &Gone<'_>| row.0.2.clone(),
            records: String = |row: &Gone<'_>| row.1.to_owned(),
        );
        steps.push(Step::any(DROP_LINKS, params));
    }
    for (sql, mut rows, exact) in [(ADD_LINKS, new, true), (CHANGE_LINKS, old, false)] {
        if rows.is_empty() {
            continue;
        }
        rows.sort_by_key(|(key, _, row)| (row.bucket, *key));
        let params = columns!(rows;
            buckets: i16 = |row: &Row<'_>| i16::from(row.2.bucket.number()),
            systems: String = |row: &Row<'_>| row.0.0.clone(),
            entities: String = |row: &Row<'_>| row.0.1.clone(),
            remote_ids: String = |row: &Row<'_>| row.0.2.clone(),
            records: String = |row: &Row<'_>| row.1.to_owned(),
            contents: Vec<u8> = |row: &Row<'_>| row.2.content.clone(),
            alive: bool = |row: &Row<'_>| row.2.alive,
            in_flight: bool = |row: &Row<'_>| row.2.in_flight,
        );
        steps.push(if exact { Step::exact(sql, params, rows.len()) } else { Step::any(sql, params) });
    }
}
