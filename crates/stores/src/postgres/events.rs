//! The history's rows. An event that is read back is the event that was written, or its hash would not match.

use super::column;
use super::connection::Link;
use super::encode::{EventRow, PreparedCommit, bucket_of};
use super::error::Fault;
use super::statements::{Step, columns};
use crate::codec;
use avowal_core::data::ids::{EntityName, RecordId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use tokio_postgres::Row;

const OF_RECORD: &str =
    "SELECT record_id, seq, entity, type, source, actor, payload, vector, evidence, policy,
        correlation, cause, occurred_at, received_at, recorded_at, prev, hash, run
    FROM events WHERE bucket = $1 AND record_id = $2 AND seq >= $3 ORDER BY seq LIMIT $4";

/// Which records come next, and how many events each has.
const STREAMS: &str = "SELECT id, seq FROM records WHERE id >= $1 ORDER BY id LIMIT $2";

const OF_RECORDS: &str =
    "SELECT e.record_id, e.seq, e.entity, e.type, e.source, e.actor, e.payload, e.vector, e.evidence,
        e.policy, e.correlation, e.cause, e.occurred_at, e.received_at, e.recorded_at, e.prev, e.hash, e.run
    FROM unnest($1::smallint[], $2::text[], $3::bigint[]) AS k (bucket, record_id, after)
    CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.bucket = k.bucket AND e.record_id = k.record_id
        AND e.seq > k.after ORDER BY e.seq LIMIT $4) AS e
    ORDER BY e.record_id, e.seq LIMIT $4";

const OF_RUN: &str = "SELECT record_id, seq, entity, type, source, actor, payload, vector, evidence, policy,
        correlation, cause, occurred_at, received_at, recorded_at, prev, hash, run
    FROM events WHERE run = $1 AND (record_id, seq) > ($2, $3) ORDER BY record_id, seq LIMIT $4";

const ADD_EVENTS: &str = "INSERT INTO events (bucket, record_id, seq, entity, type, source, actor, payload, vector,
        evidence, policy, correlation, cause, occurred_at, received_at, recorded_at, prev, hash, run)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[],
        $16::bigint[], $17::bytea[], $18::bytea[], $19::bigint[])
    ON CONFLICT DO NOTHING";

const COUNT_EVENTS: &str = "INSERT INTO tallies AS t (slot, events) VALUES ($1, $2)
    ON CONFLICT (slot) DO UPDATE SET events = t.events + excluded.events";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[ADD_EVENTS, COUNT_EVENTS];

/// Up to `limit` events of one record from `from_seq` on.
pub(super) async fn of_record(
    link: &Link,
    record: &RecordId,
    from_seq: u64,
    limit: usize,
) -> Result<Vec<IntegrationEvent>, Fault> {
    let from_seq = i64::try_from(from_seq).unwrap_or(i64::MAX);
    let (id, limit) = (record.as_str(), column::limit(limit));
    let rows = link.query(OF_RECORD, &[&bucket_of(id), &id, &from_seq, &limit]).await?;
    rows.iter().map(event).collect()
}

/// Up to `limit` events of all records, by record and sequence, after the given place. The streams are found by the
/// records that they belong to; so many as hold `limit` events are asked.
pub(super) async fn scan(
    link: &Link,
    after: Option<&(RecordId, u64)>,
    limit: usize,
) -> Result<Vec<IntegrationEvent>, Fault> {
    let mut from = after.map_or_else(String::new, |(record, _)| record.as_str().to_owned());
    let mut passed = after.map(|(record, seq)| (record.as_str().to_owned(), *seq));
    let mut events = Vec::new();
    while events.len() < limit {
        let wanted = limit - events.len();
        let rows = link.query(STREAMS, &[&from, &column::limit(wanted.saturating_add(2))]).await?;
        let streams = rows
            .iter()
            .map(|row| {
                let (id, seq): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
                let seq = column::from_number(seq, || format!("records row {id}, seq"))?;
                let after = passed.as_ref().filter(|(passed, _)| *passed == id).map_or(0, |(_, seq)| *seq);
                Ok((id, after, seq.saturating_sub(after)))
            })
            .collect::<Result<Vec<_>, Fault>>()?;
        let Some((last, ..)) = streams.last().cloned() else { break };
        let asked = prefix(&streams, wanted);
        events.extend(of_streams(link, asked, wanted).await?);
        if asked.len() == streams.len() && streams.len() < wanted.saturating_add(2) {
            break;
        }
        // Everything of the streams that were asked has been read, or the page is full.
        let (reached, _, _) = asked.last().cloned().unwrap_or((last, 0, 0));
        passed = Some((reached.clone(), u64::MAX));
        from = reached;
    }
    Ok(events)
}

/// Up to `limit` events that a run made, by record and sequence, after the given place.
pub(super) async fn of_run(
    link: &Link,
    run: RunId,
    after: Option<&(RecordId, u64)>,
    limit: usize,
) -> Result<Vec<IntegrationEvent>, Fault> {
    let (record, seq) = after.map_or(("", 0), |(record, seq)| (record.as_str(), *seq));
    let (run, seq) =
        (i64::try_from(run.number()).unwrap_or(i64::MAX), i64::try_from(seq).unwrap_or(i64::MAX));
    let rows = link.query(OF_RUN, &[&run, &record, &seq, &column::limit(limit)]).await?;
    rows.iter().map(event).collect()
}

/// The first streams that together hold as many events as are wanted.
fn prefix(streams: &[(String, u64, u64)], wanted: usize) -> &[(String, u64, u64)] {
    let mut held: u64 = 0;
    let enough = streams.iter().position(|(_, _, left)| {
        held = held.saturating_add(*left);
        held >= wanted as u64
    });
    &streams[..enough.map_or(streams.len(), |at| at + 1)]
}

async fn of_streams(
    link: &Link,
    streams: &[(String, u64, u64)],
    limit: usize,
) -> Result<Vec<IntegrationEvent>, Fault> {
    let buckets: Vec<i16> = streams.iter().map(|(id, ..)| bucket_of(id)).collect();
    let ids: Vec<&str> = streams.iter().map(|(id, ..)| id.as_str()).collect();
    let after: Vec<i64> =
        streams.iter().map(|(_, after, _)| i64::try_from(*after).unwrap_or(i64::MAX)).collect();
    let rows = link.query(OF_RECORDS, &[&buckets, &ids, &after, &column::limit(limit)]).await?;
    rows.iter().map(event).collect()
}

fn event(row: &Row) -> Result<IntegrationEvent, Fault> {
    let record: String = row.try_get(0)?;
    let seq: i64 = row.try_get(1)?;
    let place = |column: &str| format!("events row {record}-{seq}, {column}");
    let text = |at: usize| -> Result<Option<String>, Fault> {
        Ok(row.try_get::<_, Option<String>>(at)?.map(column::from_text))
    };
    let kind: String = row.try_get(3)?;
    let payload: String = row.try_get(6)?;
    let evidence: Option<String> = row.try_get(8)?;
    let cause: Option<i64> = row.try_get(11)?;
    let run: Option<i64> = row.try_get(17)?;
    let run = run.map(|run| column::from_number(run, || place("run"))).transpose()?;
    Ok(IntegrationEvent {
        entity: EntityName::from(row.try_get::<_, String>(2)?),
        seq: column::from_number(seq, || place("seq"))?,
        source: row.try_get::<_, Option<String>>(4)?.map(SystemName::from),
        actor: text(5)?,
        body: codec::body(&kind, &payload, || place("payload"))?,
        vector: codec::from_json(row.try_get(7)?, || place("vector"))?,
        evidence: evidence.as_deref().map(|json| codec::from_json(json, || place("evidence"))).transpose()?,
        policy: text(9)?,
        correlation: text(10)?,
        run: run.map(RunId::new),
        cause: cause.map(|cause| column::from_number(cause, || place("cause"))).transpose()?,
        occurred_at: row.try_get::<_, Option<i64>>(12)?.map(Timestamp::from_millis),
        received_at: Timestamp::from_millis(row.try_get(13)?),
        recorded_at: Timestamp::from_millis(row.try_get(14)?),
        prev: column::from_digest(row.try_get(15)?, || place("prev"))?,
        hash: column::from_digest(row.try_get(16)?, || place("hash"))?,
        record: RecordId::from(record),
    })
}

pub(super) fn write(commits: &[&PreparedCommit], slot: i16, steps: &mut Vec<Step>) {
    let rows: Vec<&EventRow> = commits.iter().flat_map(|prepared| &prepared.events).collect();
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
        runs: Option<i64> = |row: &&EventRow| row.run,
    );
    steps.push(Step::exact(ADD_EVENTS, params, rows.len()));
    let number = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    steps.push(Step::any(COUNT_EVENTS, vec![Box::new(slot), Box::new(number)]));
}
