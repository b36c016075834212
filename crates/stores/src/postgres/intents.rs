//! The schedule of what shall be written to each copy; its contents stand in the record's state.

use super::connection::Link;
use super::encode::{PreparedCommit, RecordRow, bucket_of};
use super::error::Fault;
use super::facts::Facts;
use super::statements::{Step, by_key, columns, remove_by_record};
use super::{column, due};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::intent::IntentStatus;
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::store::{DueIntent, WaitingIntent};
use std::collections::BTreeSet;

const DROP_INTENTS: &str = "DELETE FROM intents i
    USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, record_id, system)
    WHERE i.bucket = k.bucket AND i.record_id = k.record_id AND i.system = k.system";

/// An intent with the key that is stored keeps its schedule; any other one is due at once.
const PUT_INTENTS: &str =
    "INSERT INTO intents AS i (bucket, record_id, system, share, key, operation, status, not_before, effects, entity)
    SELECT bucket, record_id, system, share, key, operation, status, 0, effects, entity
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[]) AS k (bucket, record_id, system, share, key, operation, status, effects, entity)
    ON CONFLICT (bucket, record_id, system) DO UPDATE SET
        not_before = CASE WHEN i.key = excluded.key THEN i.not_before ELSE excluded.not_before END,
        failures   = CASE WHEN i.key = excluded.key THEN i.failures ELSE 0 END,
        last_error = CASE WHEN i.key = excluded.key THEN i.last_error END,
        effects    = CASE WHEN i.key = excluded.key THEN i.effects ELSE excluded.effects END,
        entity     = excluded.entity,
        key = excluded.key, operation = excluded.operation, status = excluded.status
    WHERE (i.key, i.operation, i.status) IS DISTINCT FROM (excluded.key, excluded.operation, excluded.status)";

const DELAY_INTENTS: &str =
    "UPDATE intents i SET not_before = k.not_before, failures = k.failures, last_error = k.reason
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
        AS k (bucket, record_id, system, not_before, failures, reason)
    WHERE i.bucket = k.bucket AND i.record_id = k.record_id AND i.system = k.system";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[DROP_INTENTS, PUT_INTENTS, DELAY_INTENTS];

/// The intents to `system` that are due, longest due first.
pub(super) async fn due(
    link: &Link,
    system: &SystemName,
    shares: Shares,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueIntent>, Fault> {
    const DUE: &str = "SELECT i.record_id, i.failures, i.last_error
        FROM unnest($2::smallint[]) AS k (share)
        CROSS JOIN LATERAL (SELECT * FROM intents i WHERE i.system = $1 AND i.share = k.share AND i.not_before <= $3
            ORDER BY i.not_before, i.position LIMIT $4) AS i
        ORDER BY i.not_before, i.position LIMIT $4";
    let shares = due::share_numbers(shares);
    let rows = link.query(DUE, &[&system.as_str(), &shares, &now.millis(), &column::limit(limit)]).await?;
    rows.iter()
        .map(|row| {
            let record: String = row.try_get(0)?;
            let failures =
                column::small(row.try_get(1)?, || format!("intents row {record}, {system}, failures"))?;
            let reason = row.try_get::<_, Option<String>>(2)?.map(column::from_text);
            Ok(DueIntent { record: RecordId::from(record), failures, reason })
        })
        .collect()
}

/// The delayed intents, longest planned first.
pub(super) async fn waiting(link: &Link, limit: usize) -> Result<Vec<WaitingIntent>, Fault> {
    const WAITING: &str = "SELECT record_id, system, status, failures, not_before, last_error FROM intents
        WHERE last_error IS NOT NULL ORDER BY position LIMIT $1";
    let rows = link.query(WAITING, &[&column::limit(limit)]).await?;
    rows.iter()
        .map(|row| {
            let (record, system): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let place = |name: &str| format!("intents row {record}, {system}, {name}");
            let status: String = row.try_get(2)?;
            let known =
                IntentStatus::parse(&status).ok_or_else(|| Fault::damaged(place("status"), &status))?;
            Ok(WaitingIntent {
                status: known,
                failures: column::small(row.try_get(3)?, || place("failures"))?,
                not_before: Timestamp::from_millis(row.try_get(4)?),
                reason: column::from_text(row.try_get(5)?),
                record: RecordId::from(record.clone()),
                system: SystemName::from(system.clone()),
            })
        })
        .collect()
}

pub(super) fn write(commits: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) -> Result<(), Fault> {
    type Gone<'a> = (&'a str, &'a str);
    type Row<'a> = (&'a str, &'a RecordRow, &'a str, &'a super::encode::IntentRow);
    let (mut gone, mut put): (Vec<Gone<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(commits, facts) {
        let before = stored.into_iter().flat_map(|stored| &stored.intents);
        let left = before.filter(|system| !row.intents.contains_key(*system));
        gone.extend(left.map(|system| (id, system.as_str())));
    }
    // In the order of the commits, which is that in which new ones are due. The records are locked.
    for prepared in commits {
        let mut done = BTreeSet::new();
        for (id, ..) in prepared.steps.iter().filter(|(id, ..)| done.insert(id)) {
            let Some(row) = prepared.records.get(id) else { continue };
            put.extend(row.intents.iter().map(|(system, intent)| (&**id, row, system.as_str(), intent)));
        }
    }
    remove_by_record(DROP_INTENTS, &gone, steps);
    if !put.is_empty() {
        let params = columns!(put;
            buckets: i16 = |row: &Row<'_>| i16::from(row.1.bucket.number()),
            records: String = |row: &Row<'_>| row.0.to_owned(),
            systems: String = |row: &Row<'_>| row.2.to_owned(),
            shares: i16 = |row: &Row<'_>| i16::from(row.1.bucket.share().number()),
            keys: String = |row: &Row<'_>| row.3.key.clone(),
            operations: String = |row: &Row<'_>| row.3.operation.clone(),
            statuses: &'static str = |row: &Row<'_>| row.3.status,
            effects: Option<String> = |row: &Row<'_>| row.3.effects.clone(),
            entities: String = |row: &Row<'_>| row.1.entity.as_str().to_owned(),
        );
        steps.push(Step::any(PUT_INTENTS, params));
    }
    let delays: Vec<_> = commits.iter().flat_map(|prepared| prepared.delays.values()).collect();
    if !delays.is_empty() {
        type Delay<'a> = &'a avowal_engine::ports::store::IntentDelay;
        let params = columns!(delays;
            buckets: i16 = |row: &Delay<'_>| bucket_of(row.record.as_str()),
            records: String = |row: &Delay<'_>| row.record.as_str().to_owned(),
            systems: String = |row: &Delay<'_>| row.system.as_str().to_owned(),
            times: i64 = |row: &Delay<'_>| row.not_before.millis(),
            failures: i64 = |row: &Delay<'_>| i64::from(row.failures),
            reasons: Option<String> = |row: &Delay<'_>| row.reason.as_deref().map(column::text),
        );
        steps.push(Step::any(DELAY_INTENTS, params));
    }
    Ok(())
}
