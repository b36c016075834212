//! What concerns no record and is rare: quarantine and signals, written in the order of the commits.

use super::apply::{Step, columns};
use super::column;
use super::draft::Rest;
use super::session::Param;
use avowal_core::data::value::Digest;
use avowal_engine::ports::bucket::Bucket;
use avowal_engine::ports::store::{CopyKey, QuarantineItem, Signal};

/// The same item again counts up instead of filling the disk.
const SET_ASIDE: &str =
    "INSERT INTO quarantine AS q (system, entity, remote_id, record_id, reason, payload, at, same, copy)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (same) WHERE status = 'open' DO UPDATE SET times = q.times + 1";

const CLOSE_COPIES: &str =
    "UPDATE quarantine SET status = 'closed' WHERE status = 'open' AND copy IS NOT NULL AND copy = ANY($1)";

const CLOSE_IDS: &str = "UPDATE quarantine SET status = 'closed' WHERE id = ANY($1)";

const ADD_SIGNALS: &str =
    "INSERT INTO signals (bucket, id, share, system, entity, remote_id, not_before, reason, received_at, attempts, copy)
    SELECT bucket, nextval('signal_numbers') * 256 + bucket, share, system, entity, remote_id, not_before, reason,
        received_at, attempts, copy
    FROM unnest($1::smallint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
        $8::bigint[], $9::bigint[], $10::bytea[])
        AS k (bucket, share, system, entity, remote_id, not_before, reason, received_at, attempts, copy)";

const DROP_SIGNALS: &str = "DELETE FROM signals s USING unnest($1::bigint[]) AS k (id)
    WHERE s.bucket = (k.id % 256)::smallint AND s.id = k.id";

/// The statements above, to be prepared before they are sent together.
pub(super) const STATEMENTS: &[&str] = &[SET_ASIDE, CLOSE_COPIES, CLOSE_IDS, ADD_SIGNALS, DROP_SIGNALS];

/// What one commit has of it.
pub(super) fn steps(rest: &Rest, steps: &mut Vec<Step>) {
    for item in &rest.quarantine {
        steps.push(Step::any(SET_ASIDE, columns_of(item)));
    }
    if !rest.closed.is_empty() {
        let copies: Vec<Vec<u8>> = rest.closed.iter().map(copy_digest).collect();
        steps.push(Step::any(CLOSE_COPIES, vec![Box::new(copies)]));
    }
    if !rest.ids_closed.is_empty() {
        steps.push(Step::any(CLOSE_IDS, vec![Box::new(rest.ids_closed.clone())]));
    }
    if !rest.signals.is_empty() {
        steps.push(Step::any(ADD_SIGNALS, signal_columns(&rest.signals)));
    }
    if !rest.signals_done.is_empty() {
        steps.push(Step::any(DROP_SIGNALS, vec![Box::new(rest.signals_done.clone())]));
    }
}

fn columns_of(item: &QuarantineItem) -> Vec<Param> {
    let remote_id = item.remote_id.as_ref().map(|id| column::text(id.as_str()));
    let record = item.record.as_ref().map(|id| column::text(id.as_str()));
    let parts = [
        Some(item.system.as_str()),
        Some(item.entity.as_str()),
        item.remote_id.as_ref().map(|id| id.as_str()),
        item.record.as_ref().map(|id| id.as_str()),
        Some(&item.reason),
        Some(&item.payload),
    ];
    // What could not go out has a record, and is not closed by what comes in.
    let copy = match (&item.record, &item.remote_id) {
        (None, Some(remote_id)) => {
            let (system, entity, remote_id) = (item.system.clone(), item.entity.clone(), remote_id.clone());
            Some(copy_digest(&CopyKey { system, entity, remote_id }))
        }
        (None, None) | (Some(_), _) => None,
    };
    vec![
        Box::new(item.system.as_str().to_owned()),
        Box::new(item.entity.as_str().to_owned()),
        Box::new(remote_id),
        Box::new(record),
        Box::new(column::text(&item.reason)),
        Box::new(column::text(&item.payload)),
        Box::new(item.at.millis()),
        Box::new(digest_of(&parts)),
        Box::new(copy),
    ]
}

/// The digest under which the quarantine knows a copy.
pub(super) fn copy_digest(copy: &CopyKey) -> Vec<u8> {
    digest_of(&[Some(copy.system.as_str()), Some(copy.entity.as_str()), Some(copy.remote_id.as_str())])
}

/// A digest that tells parts apart, wherever they begin and end.
fn digest_of(parts: &[Option<&str>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            None => bytes.push(0),
            Some(text) => {
                bytes.push(1);
                bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
    column::digest(&Digest::of(&bytes))
}

fn signal_columns(signals: &[Signal]) -> Vec<Param> {
    let rows: Vec<(&Signal, Bucket)> =
        signals.iter().map(|signal| (signal, Bucket::of_copy(&signal.copy))).collect();
    type Row<'a> = (&'a Signal, Bucket);
    columns!(rows;
        buckets: i16 = |row: &Row<'_>| i16::from(row.1.number()),
        shares: i16 = |row: &Row<'_>| i16::from(row.1.share().number()),
        systems: String = |row: &Row<'_>| row.0.copy.system.as_str().to_owned(),
        entities: String = |row: &Row<'_>| row.0.copy.entity.as_str().to_owned(),
        remote_ids: String = |row: &Row<'_>| column::text(row.0.copy.remote_id.as_str()),
        times: i64 = |row: &Row<'_>| row.0.not_before.millis(),
        reasons: &'static str = |row: &Row<'_>| row.0.reason.as_str(),
        received: i64 = |row: &Row<'_>| row.0.received_at.millis(),
        attempts: i64 = |row: &Row<'_>| i64::from(row.0.attempts),
        copies: Vec<u8> = |row: &Row<'_>| copy_digest(&row.0.copy),
    )
}
