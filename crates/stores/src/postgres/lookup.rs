//! The questions that are answered from an index: states, links, keys, what is due.

use super::column;
use super::draft::{LinkKey, bucket_of, key_bucket, link_bucket, link_key};
use super::error::Fault;
use super::rest::copy_digest;
use super::session::Link;
use crate::codec;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::{Record, Subject};
use avowal_engine::ports::bucket::{Bucket, Share, Shares};
use avowal_engine::ports::store::{
    CopyKey, Cursor, CursorName, Due, DueIntent, Located, OpenReview, QuarantineItem, Signal, SignalReason,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

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

/// Where a feed or listing stands.
pub(super) async fn cursor(link: &Link, name: &CursorName) -> Result<Option<Cursor>, Fault> {
    const CURSOR: &str = "SELECT position FROM cursors WHERE system = $1 AND entity = $2 AND kind = $3";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&name.system.as_str(), &name.entity.as_str(), &name.kind.as_str()];
    let rows = link.query(CURSOR, &params).await?;
    rows.first().map(|row| Ok(Cursor(column::from_text(row.try_get(0)?)))).transpose()
}

/// The intents to `system` that are due, longest due first.
pub(super) async fn due_intents(
    link: &Link,
    system: &SystemName,
    shares: Shares,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueIntent>, Fault> {
    const DUE: &str = "SELECT i.record_id, i.failures
        FROM unnest($2::smallint[]) AS k (share)
        CROSS JOIN LATERAL (SELECT * FROM intents i WHERE i.system = $1 AND i.share = k.share AND i.not_before <= $3
            ORDER BY i.not_before, i.position LIMIT $4) AS i
        ORDER BY i.not_before, i.position LIMIT $4";
    let shares = share_numbers(shares);
    let rows = link.query(DUE, &[&system.as_str(), &shares, &now.millis(), &column::limit(limit)]).await?;
    rows.iter()
        .map(|row| {
            let record: String = row.try_get(0)?;
            let failures =
                column::small(row.try_get(1)?, || format!("intents row {record}, {system}, failures"))?;
            Ok(DueIntent { record: RecordId::from(record), failures })
        })
        .collect()
}

/// When the next intent or signal is due.
pub(super) async fn next_due(link: &Link) -> Result<Option<Timestamp>, Fault> {
    const NEXT: &str =
        "SELECT least((SELECT min(not_before) FROM intents), (SELECT min(not_before) FROM signals))";
    let rows = link.query(NEXT, &[]).await?;
    let next: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(next.map(Timestamp::from_millis))
}

/// The signals that are due, longest due first.
pub(super) async fn due_signals(
    link: &Link,
    system: &SystemName,
    shares: Shares,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Signal>, Fault> {
    const DUE: &str = "SELECT s.id, s.system, s.entity, s.remote_id, s.not_before, s.reason, s.received_at, s.attempts
        FROM unnest($2::smallint[]) AS k (share)
        CROSS JOIN LATERAL (SELECT * FROM signals s WHERE s.system = $1 AND s.share = k.share AND s.not_before <= $3
            ORDER BY s.not_before, s.id LIMIT $4) AS s
        ORDER BY s.not_before, s.id LIMIT $4";
    let shares = share_numbers(shares);
    let rows = link.query(DUE, &[&system.as_str(), &shares, &now.millis(), &column::limit(limit)]).await?;
    rows.iter().map(signal).collect()
}

/// The shares in which something is due: one look into the index for each.
pub(super) async fn due_shares(
    link: &Link,
    system: &SystemName,
    due: Due,
    now: Timestamp,
) -> Result<Shares, Fault> {
    const INTENTS: &str = "SELECT k.share FROM generate_series(0, 63) AS k (share) WHERE EXISTS (SELECT 1
        FROM intents i WHERE i.system = $1 AND i.share = k.share::smallint AND i.not_before <= $2)";
    const SIGNALS: &str = "SELECT k.share FROM generate_series(0, 63) AS k (share) WHERE EXISTS (SELECT 1
        FROM signals s WHERE s.system = $1 AND s.share = k.share::smallint AND s.not_before <= $2)";
    let sql = match due {
        Due::Intents => INTENTS,
        Due::Signals => SIGNALS,
    };
    let rows = link.query(sql, &[&system.as_str(), &now.millis()]).await?;
    rows.iter()
        .map(|row| {
            let share: i32 = row.try_get(0)?;
            Ok(Share::new(u8::try_from(share).map_err(|error| Fault::damaged("a share", error))?))
        })
        .collect()
}

fn share_numbers(shares: Shares) -> Vec<i16> {
    shares.iter().map(|share| i16::from(share.number())).collect()
}

/// Whether something that came from each copy stands in quarantine.
pub(super) async fn set_aside(link: &Link, copies: &[CopyKey]) -> Result<Vec<bool>, Fault> {
    const ASIDE: &str =
        "SELECT DISTINCT copy FROM quarantine WHERE status = 'open' AND copy IS NOT NULL AND copy = ANY($1)";
    among(link, ASIDE, copies).await
}

/// Whether a signal waits for each copy.
pub(super) async fn awaited(link: &Link, copies: &[CopyKey]) -> Result<Vec<bool>, Fault> {
    const AWAITED: &str = "SELECT DISTINCT copy FROM signals WHERE copy = ANY($1)";
    among(link, AWAITED, copies).await
}

async fn among(link: &Link, sql: &'static str, copies: &[CopyKey]) -> Result<Vec<bool>, Fault> {
    let digests: Vec<Vec<u8>> = copies.iter().map(copy_digest).collect();
    let rows = link.query_if(!digests.is_empty(), sql, &[&digests]).await?;
    let found = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<BTreeSet<Vec<u8>>, Fault>>()?;
    Ok(digests.iter().map(|digest| found.contains(digest)).collect())
}

/// Forgets deliveries that came before `before`; answers how many.
pub(super) async fn forget(link: &Link, before: Timestamp, limit: usize) -> Result<u64, Fault> {
    const FORGET: &str = "DELETE FROM dedupe d USING
        (SELECT bucket, system, key FROM dedupe WHERE received_at < $1 ORDER BY received_at LIMIT $2) AS k
        WHERE d.bucket = k.bucket AND d.system = k.system AND d.key = k.key";
    link.change(FORGET, &[&before.millis(), &column::limit(limit)]).await
}

fn signal(row: &Row) -> Result<Signal, Fault> {
    let id: i64 = row.try_get(0)?;
    let place = |column: &str| format!("signals row {id}, {column}");
    let reason: String = row.try_get(5)?;
    Ok(Signal {
        id,
        copy: CopyKey {
            system: SystemName::from(row.try_get::<_, String>(1)?),
            entity: EntityName::from(row.try_get::<_, String>(2)?),
            remote_id: RemoteId::from(column::from_text(row.try_get(3)?)),
        },
        not_before: Timestamp::from_millis(row.try_get(4)?),
        reason: SignalReason::parse(&reason).ok_or_else(|| Fault::damaged(place("reason"), &reason))?,
        received_at: Timestamp::from_millis(row.try_get(6)?),
        attempts: column::small(row.try_get(7)?, || place("attempts"))?,
    })
}

/// The open questions, oldest first.
pub(super) async fn open_reviews(link: &Link, limit: usize) -> Result<Vec<OpenReview>, Fault> {
    const OPEN: &str = "SELECT v.entity, v.record_id, v.field, v.review FROM reviews v
        ORDER BY v.opened_at, v.record_id, v.field LIMIT $1";
    let rows = link.query(OPEN, &[&column::limit(limit)]).await?;
    rows.iter()
        .map(|row| {
            let record: String = row.try_get(1)?;
            let field = column::from_text(row.try_get(2)?);
            let review =
                codec::from_json(row.try_get(3)?, || format!("reviews row {record}, {field}, review"))?;
            Ok(OpenReview {
                entity: EntityName::from(row.try_get::<_, String>(0)?),
                record: RecordId::from(record),
                subject: Subject::from(field),
                review,
            })
        })
        .collect()
}

/// The open quarantine items, oldest first.
pub(super) async fn quarantined(link: &Link, limit: usize) -> Result<Vec<QuarantineItem>, Fault> {
    const OPEN: &str = "SELECT id, system, entity, remote_id, record_id, reason, payload, at FROM quarantine
        WHERE status = 'open' ORDER BY id LIMIT $1";
    let rows = link.query(OPEN, &[&column::limit(limit)]).await?;
    rows.iter()
        .map(|row| {
            let text = |at: usize| -> Result<Option<String>, Fault> {
                Ok(row.try_get::<_, Option<String>>(at)?.map(column::from_text))
            };
            Ok(QuarantineItem {
                id: row.try_get(0)?,
                system: SystemName::from(row.try_get::<_, String>(1)?),
                entity: EntityName::from(row.try_get::<_, String>(2)?),
                remote_id: text(3)?.map(RemoteId::from),
                record: text(4)?.map(RecordId::from),
                reason: text(5)?.unwrap_or_default(),
                payload: text(6)?.unwrap_or_default(),
                at: Timestamp::from_millis(row.try_get(7)?),
            })
        })
        .collect()
}
