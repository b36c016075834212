//! Writes the accepted commits of a group: a few statements for all of them, whatever their number.

use super::codec_list;
use super::column;
use super::draft::{
    EventRow, LinkKey, LinkRow, PreparedCommit, RecordRow, bucket_of, key_bucket, link_bucket,
};
use super::error::Fault;
use super::facts::{Facts, Stored};
use super::in_order::in_order;
use super::rest;
use super::session::{Link, Param};
use avowal_engine::ports::bucket::Bucket;
use avowal_engine::ports::store::CursorName;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::types::ToSql;

const ADD_DELIVERIES: &str = "INSERT INTO dedupe (bucket, system, key, received_at)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING";

const ADD_CURSORS: &str = "INSERT INTO cursors (system, entity, kind, position)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING";

const MOVE_CURSORS: &str = "UPDATE cursors c SET position = k.position
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (system, entity, kind, position)
    WHERE c.system = k.system AND c.entity = k.entity AND c.kind = k.kind";

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

const ADD_EVENTS: &str = "INSERT INTO events (bucket, record_id, seq, entity, type, source, actor, payload, vector,
        evidence, policy, correlation, cause, occurred_at, received_at, recorded_at, prev, hash)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[],
        $16::bigint[], $17::bytea[], $18::bytea[])
    ON CONFLICT DO NOTHING";

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

const DROP_KEYS: &str = "DELETE FROM match_keys m
    USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (bucket, entity, key, record_id)
    WHERE m.bucket = k.bucket AND m.entity = k.entity AND m.key = k.key AND m.record_id = k.record_id";

const ADD_KEYS: &str = "INSERT INTO match_keys (bucket, entity, key, record_id)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING";

const DROP_INTENTS: &str = "DELETE FROM intents i
    USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, record_id, system)
    WHERE i.bucket = k.bucket AND i.record_id = k.record_id AND i.system = k.system";

/// An intent with the key that is stored keeps its schedule; any other one is due at once.
const PUT_INTENTS: &str =
    "INSERT INTO intents AS i (bucket, record_id, system, share, key, operation, status, not_before)
    SELECT bucket, record_id, system, share, key, operation, status, 0
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[])
        AS k (bucket, record_id, system, share, key, operation, status)
    ON CONFLICT (bucket, record_id, system) DO UPDATE SET
        not_before = CASE WHEN i.key = excluded.key THEN i.not_before ELSE excluded.not_before END,
        failures   = CASE WHEN i.key = excluded.key THEN i.failures ELSE 0 END,
        last_error = CASE WHEN i.key = excluded.key THEN i.last_error END,
        key = excluded.key, operation = excluded.operation, status = excluded.status
    WHERE (i.key, i.operation, i.status) IS DISTINCT FROM (excluded.key, excluded.operation, excluded.status)";

const DELAY_INTENTS: &str =
    "UPDATE intents i SET not_before = k.not_before, failures = k.failures, last_error = k.reason
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
        AS k (bucket, record_id, system, not_before, failures, reason)
    WHERE i.bucket = k.bucket AND i.record_id = k.record_id AND i.system = k.system";

const DROP_REVIEWS: &str = "DELETE FROM reviews v
    USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, record_id, field)
    WHERE v.bucket = k.bucket AND v.record_id = k.record_id AND v.field = k.field";

const PUT_REVIEWS: &str = "INSERT INTO reviews AS v (bucket, record_id, field, entity, opened_at, review)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
    ON CONFLICT (bucket, record_id, field) DO UPDATE SET opened_at = excluded.opened_at, review = excluded.review
    WHERE v.review IS DISTINCT FROM excluded.review";

const COUNT_EVENTS: &str = "INSERT INTO tallies AS t (slot, events) VALUES ($1, $2)
    ON CONFLICT (slot) DO UPDATE SET events = t.events + excluded.events";

/// The statements above, to be prepared before they are sent together.
pub(super) const STATEMENTS: &[&str] = &[
    ADD_DELIVERIES,
    ADD_CURSORS,
    MOVE_CURSORS,
    ADD_RECORDS,
    CHANGE_RECORDS,
    ADD_EVENTS,
    DROP_LINKS,
    ADD_LINKS,
    CHANGE_LINKS,
    DROP_KEYS,
    ADD_KEYS,
    DROP_INTENTS,
    PUT_INTENTS,
    DELAY_INTENTS,
    DROP_REVIEWS,
    PUT_REVIEWS,
    COUNT_EVENTS,
];

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

    fn exact(sql: &'static str, params: Vec<Param>, rows: usize) -> Self {
        Self { sql, params, wanted: Some(rows as u64) }
    }
}

/// Writes the drafts into the open transaction. Answers whether all of it went in: somebody may have written a row
/// since it was looked for, which only the next look shows.
pub(super) async fn write(
    link: &Link,
    drafts: &[&PreparedCommit],
    facts: &Facts,
    slot: i16,
) -> Result<bool, Fault> {
    let mut steps = Vec::new();
    deliveries(drafts, &mut steps);
    cursors(drafts, facts, &mut steps);
    records(drafts, facts, &mut steps)?;
    events(drafts, slot, &mut steps);
    links(drafts, facts, &mut steps);
    match_keys(drafts, facts, &mut steps);
    intents(drafts, facts, &mut steps)?;
    reviews(drafts, facts, &mut steps);
    for draft in drafts {
        rest::steps(&draft.rest, &mut steps);
    }
    run(link, steps).await
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
        vec![$(Box::new($name) as Param),+]
    }};
}
pub(super) use columns;

fn deliveries(drafts: &[&PreparedCommit], steps: &mut Vec<Step>) {
    let mut rows: Vec<(i16, &str, String, i64)> = drafts
        .iter()
        .flat_map(|draft| &draft.deliveries)
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

fn cursors(drafts: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Row<'a> = (&'a CursorName, String);
    let moved: BTreeMap<&CursorName, String> = drafts
        .iter()
        .flat_map(|draft| &draft.cursors)
        .map(|step| (&step.name, column::text(&step.to.0)))
        .collect();
    let (old, new): (Vec<Row<'_>>, Vec<Row<'_>>) =
        moved.into_iter().partition(|(name, _)| facts.cursors.contains_key(*name));
    for (sql, rows) in [(ADD_CURSORS, new), (MOVE_CURSORS, old)] {
        if rows.is_empty() {
            continue;
        }
        let params = columns!(rows;
            systems: String = |row: &Row<'_>| row.0.system.as_str().to_owned(),
            entities: String = |row: &Row<'_>| row.0.entity.as_str().to_owned(),
            kinds: &'static str = |row: &Row<'_>| row.0.kind.as_str(),
            positions: String = |row: &Row<'_>| row.1.clone(),
        );
        steps.push(Step::exact(sql, params, rows.len()));
    }
}

/// The records of all drafts with what is stored of them, in the order of their key.
fn by_key<'a>(
    drafts: &[&'a PreparedCommit],
    facts: &'a Facts,
) -> Vec<(&'a str, &'a RecordRow, Option<&'a Stored>)> {
    let mut rows: Vec<_> = drafts
        .iter()
        .flat_map(|draft| &draft.records)
        .map(|(id, row)| (id.as_str(), row, facts.records.get(id)))
        .collect();
    rows.sort_by_key(|(id, row, _)| (row.bucket, *id));
    rows
}

fn records(drafts: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) -> Result<(), Fault> {
    type Row<'a> = (&'a str, &'a RecordRow, [Option<String>; 4]);
    let (mut new, mut old): (Vec<Row<'_>>, Vec<Row<'_>>) = (Vec::new(), Vec::new());
    for (id, row, stored) in by_key(drafts, facts) {
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

fn events(drafts: &[&PreparedCommit], slot: i16, steps: &mut Vec<Step>) {
    let rows: Vec<&EventRow> = drafts.iter().flat_map(|draft| &draft.events).collect();
    if rows.is_empty() {
        return;
    }
    let params = columns!(rows;
        buckets: i16 = |row: &&EventRow| i16::from(row.bucket.number()),
        records: String = |row: &&EventRow| row.record.clone(),
        seqs: i64 = |row: &&EventRow| row.seq,
        entities: String = |row: &&EventRow| row.entity.clone(),
        kinds: &'static str = |row: &&EventRow| row.kind,
        sources: Option<String> = |row: &&EventRow| row.source.clone(),
        actors: Option<String> = |row: &&EventRow| row.actor.clone(),
        payloads: String = |row: &&EventRow| row.payload.clone(),
        vectors: String = |row: &&EventRow| row.vector.clone(),
        evidence: Option<String> = |row: &&EventRow| row.evidence.clone(),
        policies: Option<String> = |row: &&EventRow| row.policy.clone(),
        correlations: Option<String> = |row: &&EventRow| row.correlation.clone(),
        causes: Option<i64> = |row: &&EventRow| row.cause,
        occurred_at: Option<i64> = |row: &&EventRow| row.occurred_at,
        received_at: i64 = |row: &&EventRow| row.received_at,
        recorded_at: i64 = |row: &&EventRow| row.recorded_at,
        prevs: Vec<u8> = |row: &&EventRow| row.prev.clone(),
        hashes: Vec<u8> = |row: &&EventRow| row.hash.clone(),
    );
    steps.push(Step::exact(ADD_EVENTS, params, rows.len()));
    let number = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    steps.push(Step::any(COUNT_EVENTS, vec![Box::new(slot), Box::new(number)]));
}

fn links(drafts: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Gone<'a> = (&'a LinkKey, &'a str);
    type Row<'a> = (&'a LinkKey, &'a str, &'a LinkRow);
    let (mut gone, mut new, mut old): (Vec<Gone<'_>>, Vec<Row<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(drafts, facts) {
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

fn match_keys(drafts: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Row<'a> = (i16, &'a str, &'a str, &'a str);
    let (mut gone, mut new): (Vec<Row<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(drafts, facts) {
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

fn intents(drafts: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) -> Result<(), Fault> {
    type Gone<'a> = (&'a str, &'a str);
    type Row<'a> = (&'a str, &'a RecordRow, &'a str, &'a super::draft::IntentRow);
    let (mut gone, mut put): (Vec<Gone<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(drafts, facts) {
        let before = stored.into_iter().flat_map(|stored| &stored.intents);
        let left = before.filter(|system| !row.intents.contains_key(*system));
        gone.extend(left.map(|system| (id, system.as_str())));
    }
    // In the order of the commits, which is that in which new ones are due. The records are locked.
    for draft in drafts {
        let mut done = BTreeSet::new();
        for (id, ..) in draft.steps.iter().filter(|(id, ..)| done.insert(id)) {
            let Some(row) = draft.records.get(id) else { continue };
            put.extend(row.intents.iter().map(|(system, intent)| (&**id, row, system.as_str(), intent)));
        }
    }
    drop_by_record(DROP_INTENTS, &gone, steps);
    if !put.is_empty() {
        let params = columns!(put;
            buckets: i16 = |row: &Row<'_>| i16::from(row.1.bucket.number()),
            records: String = |row: &Row<'_>| row.0.to_owned(),
            systems: String = |row: &Row<'_>| row.2.to_owned(),
            shares: i16 = |row: &Row<'_>| i16::from(row.1.bucket.share().number()),
            keys: String = |row: &Row<'_>| row.3.key.clone(),
            operations: String = |row: &Row<'_>| row.3.operation.clone(),
            statuses: &'static str = |row: &Row<'_>| row.3.status,
        );
        steps.push(Step::any(PUT_INTENTS, params));
    }
    let delays: Vec<_> = drafts.iter().flat_map(|draft| draft.delays.values()).collect();
    if !delays.is_empty() {
        type Delay<'a> = &'a avowal_engine::ports::store::IntentDelay;
        let params = columns!(delays;
            buckets: i16 = |row: &Delay<'_>| bucket_of(row.record.as_str()),
            records: String = |row: &Delay<'_>| row.record.as_str().to_owned(),
            systems: String = |row: &Delay<'_>| row.system.as_str().to_owned(),
            times: i64 = |row: &Delay<'_>| row.not_before.millis(),
            failures: i64 = |row: &Delay<'_>| i64::from(row.failures),
            reasons: String = |row: &Delay<'_>| column::text(&row.reason),
        );
        steps.push(Step::any(DELAY_INTENTS, params));
    }
    Ok(())
}

fn reviews(drafts: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Gone<'a> = (&'a str, &'a str);
    type Row<'a> = (&'a str, &'a RecordRow, &'a str, &'a super::draft::ReviewRow);
    let (mut gone, mut put): (Vec<Gone<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(drafts, facts) {
        let before = stored.into_iter().flat_map(|stored| &stored.reviews);
        let left = before.filter(|field| !row.reviews.contains_key(*field));
        gone.extend(left.map(|field| (id, field.as_str())));
        put.extend(row.reviews.iter().map(|(field, review)| (id, row, field.as_str(), review)));
    }
    drop_by_record(DROP_REVIEWS, &gone, steps);
    if !put.is_empty() {
        let params = columns!(put;
            buckets: i16 = |row: &Row<'_>| i16::from(row.1.bucket.number()),
            records: String = |row: &Row<'_>| row.0.to_owned(),
            fields: String = |row: &Row<'_>| row.2.to_owned(),
            entities: String = |row: &Row<'_>| row.1.entity.as_str().to_owned(),
            times: i64 = |row: &Row<'_>| row.3.opened_at,
            reviews: String = |row: &Row<'_>| row.3.review.clone(),
        );
        steps.push(Step::any(PUT_REVIEWS, params));
    }
}

fn drop_by_record(sql: &'static str, gone: &[(&str, &str)], steps: &mut Vec<Step>) {
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
