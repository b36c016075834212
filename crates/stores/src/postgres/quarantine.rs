//! What could not be understood or accepted.

use super::column;
use super::connection::{Link, Param};
use super::encode::Rest;
use super::error::Fault;
use super::statements::Step;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use avowal_core::record::CopyKey;
use avowal_engine::ports::store::{NewQuarantineItem, QuarantineItem};
use std::collections::BTreeSet;

/// The same item again counts up instead of filling the disk.
const SET_ASIDE: &str =
    "INSERT INTO quarantine AS q (system, entity, remote_id, record_id, reason, payload, at, same, copy)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (same) WHERE status = 'open' DO UPDATE SET times = q.times + 1";

const CLOSE_COPIES: &str =
    "UPDATE quarantine SET status = 'closed' WHERE status = 'open' AND copy IS NOT NULL AND copy = ANY($1)";

const CLOSE_SETTLED: &str = "UPDATE quarantine q SET status = 'closed'
    FROM unnest($1::text[], $2::text[]) AS k (record_id, system)
    WHERE q.status = 'open' AND q.record_id = k.record_id AND q.system = k.system";

const CLOSE_IDS: &str = "UPDATE quarantine SET status = 'closed' WHERE id = ANY($1)";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[SET_ASIDE, CLOSE_COPIES, CLOSE_SETTLED, CLOSE_IDS];

/// The open quarantine items, oldest first.
pub(super) async fn open(link: &Link, limit: usize) -> Result<Vec<QuarantineItem>, Fault> {
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

/// Whether something that came from each copy stands in quarantine.
pub(super) async fn set_aside(link: &Link, copies: &[CopyKey]) -> Result<Vec<bool>, Fault> {
    const ASIDE: &str =
        "SELECT DISTINCT copy FROM quarantine WHERE status = 'open' AND copy IS NOT NULL AND copy = ANY($1)";
    among(link, ASIDE, copies).await
}

pub(super) async fn among(link: &Link, sql: &'static str, copies: &[CopyKey]) -> Result<Vec<bool>, Fault> {
    let digests: Vec<Vec<u8>> = copies.iter().map(copy_digest).collect();
    let rows = link.query_if(!digests.is_empty(), sql, &[&digests]).await?;
    let found = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<BTreeSet<Vec<u8>>, Fault>>()?;
    Ok(digests.iter().map(|digest| found.contains(digest)).collect())
}

/// Adds and closes what one commit says.
pub(super) fn write(rest: &Rest, steps: &mut Vec<Step>) {
    for item in &rest.quarantine {
        steps.push(Step::any(SET_ASIDE, columns_of(item)));
    }
    if !rest.closed.is_empty() {
        let copies: Vec<Vec<u8>> = rest.closed.iter().map(copy_digest).collect();
        steps.push(Step::any(CLOSE_COPIES, vec![Box::new(copies)]));
    }
    if !rest.settled.is_empty() {
        let records: Vec<String> =
            rest.settled.iter().map(|(record, _)| column::text(record.as_str())).collect();
        let systems: Vec<String> =
            rest.settled.iter().map(|(_, system)| system.as_str().to_owned()).collect();
        steps.push(Step::any(CLOSE_SETTLED, vec![Box::new(records), Box::new(systems)]));
    }
    if !rest.ids_closed.is_empty() {
        steps.push(Step::any(CLOSE_IDS, vec![Box::new(rest.ids_closed.clone())]));
    }
}

fn columns_of(item: &NewQuarantineItem) -> Vec<Param> {
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
