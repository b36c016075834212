//! The rows of records: each holds a state whole, as JSON.

use super::connection::Link;
use super::encode::{PreparedCommit, RecordRow, bucket_of};
use super::error::Fault;
use super::facts::Facts;
use super::statements::{Step, by_key, columns};
use super::{codec_list, column};
use crate::codec;
use avowal_core::data::ids::RecordId;
use avowal_core::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

const ADD_RECORDS: &str =
    "INSERT INTO records (bucket, id, entity, seq, living, state, links, match_keys, intents, reviews)
    SELECT bucket, id, entity, seq, living, state, links, match_keys, intents, reviews
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::bigint[])
        AS k (bucket, id, entity, seq, living, state, links, match_keys, intents, reviews, expected)
    ON CONFLICT DO NOTHING";

const CHANGE_RECORDS: &str =
    "UPDATE records r SET entity = k.entity, seq = k.seq, living = k.living, state = k.state,
        links = k.links, match_keys = k.match_keys, intents = k.intents, reviews = k.reviews
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::bigint[])
        AS k (bucket, id, entity, seq, living, state, links, match_keys, intents, reviews, expected)
    WHERE r.bucket = k.bucket AND r.id = k.id AND r.seq = k.expected";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[ADD_RECORDS, CHANGE_RECORDS];

/// The states of records, in the order asked. One statement, so one moment.
pub(super) async fn load(link: &Link, ids: &[RecordId]) -> Result<Vec<Option<Record>>, Fault> {
    const LOAD: &str = "SELECT r.id, r.state FROM records r
        JOIN unnest($1::smallint[], $2::text[]) AS k (bucket, id) ON r.bucket = k.bucket AND r.id = k.id";
    let wanted: BTreeSet<&str> = ids.iter().map(RecordId::as_str).collect();
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let buckets: Vec<i16> = wanted.iter().map(|id| bucket_of(id)).collect();
    let mut found: BTreeMap<String, Record> = BTreeMap::new();
    for row in link.query_if(!wanted.is_empty(), LOAD, &[&buckets, &wanted]).await? {
        let record = record(&row)?;
        found.insert(record.id.as_str().to_owned(), record);
    }
    Ok(ids.iter().map(|id| found.get(id.as_str()).cloned()).collect())
}

/// Up to `limit` states in order of record id, after the given one.
pub(super) async fn scan(link: &Link, after: Option<&RecordId>, limit: usize) -> Result<Vec<Record>, Fault> {
    const SCAN: &str = "SELECT id, state FROM records WHERE id > $1 ORDER BY id LIMIT $2";
    let after = after.map_or("", RecordId::as_str);
    let rows = link.query(SCAN, &[&after, &column::limit(limit)]).await?;
    rows.iter().map(record).collect()
}

fn record(row: &Row) -> Result<Record, Fault> {
    let (id, state): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    let place = || format!("records row {id}, state");
    let record: Record = codec::from_json(state, place)?;
    if record.id.as_str() != id {
        return Err(Fault::damaged(place(), format!("it is the state of record {}", record.id)));
    }
    Ok(record)
}

pub(super) fn write(commits: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) -> Result<(), Fault> {
    type Row<'a> = (&'a str, &'a RecordRow, [Option<String>; 4]);
    let (mut new, mut old): (Vec<Row<'_>>, Vec<Row<'_>>) = (Vec::new(), Vec::new());
    for (id, row, stored) in by_key(commits, facts) {
        let links = row.links.keys().flat_map(|key| [&*key.0, &*key.1, &*key.2]);
        let lists = [
            codec_list::write(links)?,
            codec_list::write(row.match_keys.iter().map(String::as_str))?,
            codec_list::write(row.intents.keys().map(String::as_str))?,
            codec_list::write(row.reviews.keys().map(String::as_str))?,
        ];
        if stored.is_some() { &mut old } else { &mut new }.push((id, row, lists));
    }
    for (sql, rows) in [(ADD_RECORDS, new), (CHANGE_RECORDS, old)] {
        if rows.is_empty() {
            continue;
        }
        let params = columns!(rows;
            buckets: i16 = |row: &Row<'_>| i16::from(row.1.bucket.number()),
            ids: String = |row: &Row<'_>| row.0.to_owned(),
            entities: String = |row: &Row<'_>| row.1.entity.as_str().to_owned(),
            seqs: i64 = |row: &Row<'_>| row.1.seq,
            living: bool = |row: &Row<'_>| row.1.living,
            states: String = |row: &Row<'_>| row.1.state.clone(),
            links: Option<String> = |row: &Row<'_>| row.2[0].clone(),
            match_keys: Option<String> = |row: &Row<'_>| row.2[1].clone(),
            intents: Option<String> = |row: &Row<'_>| row.2[2].clone(),
            reviews: Option<String> = |row: &Row<'_>| row.2[3].clone(),
            expected: i64 = |row: &Row<'_>| i64::try_from(row.1.expected_seq).unwrap_or(i64::MAX),
        );
        steps.push(Step::exact(sql, params, rows.len()));
    }
    Ok(())
}
