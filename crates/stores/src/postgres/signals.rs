//! The copies that must be read.

use super::connection::{Link, Param};
use super::encode::Rest;
use super::error::Fault;
use super::quarantine::{among, copy_digest};
use super::statements::{Step, columns};
use super::{column, due};
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_engine::ports::bucket::{Bucket, Shares};
use avowal_engine::ports::store::{NewSignal, Signal, SignalReason};
use tokio_postgres::Row;

const ADD_SIGNALS: &str =
    "INSERT INTO signals (bucket, id, share, system, entity, remote_id, not_before, reason, received_at, attempts, copy)
    SELECT bucket, nextval('signal_numbers') * 256 + bucket, share, system, entity, remote_id, not_before, reason,
        received_at, attempts, copy
    FROM unnest($1::smallint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
        $8::bigint[], $9::bigint[], $10::bytea[])
        AS k (bucket, share, system, entity, remote_id, not_before, reason, received_at, attempts, copy)";

const DROP_SIGNALS: &str = "DELETE FROM signals s USING unnest($1::bigint[]) AS k (id)
    WHERE s.bucket = (k.id % 256)::smallint AND s.id = k.id";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[ADD_SIGNALS, DROP_SIGNALS];

/// The signals that are due, longest due first.
pub(super) async fn due(
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
    let shares = due::share_numbers(shares);
    let rows = link.query(DUE, &[&system.as_str(), &shares, &now.millis(), &column::limit(limit)]).await?;
    rows.iter().map(signal).collect()
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

/// Whether a signal waits for each copy.
pub(super) async fn awaited(link: &Link, copies: &[CopyKey]) -> Result<Vec<bool>, Fault> {
    const AWAITED: &str = "SELECT DISTINCT copy FROM signals WHERE copy = ANY($1)";
    among(link, AWAITED, copies).await
}

/// Adds and removes what one commit says.
pub(super) fn write(rest: &Rest, steps: &mut Vec<Step>) {
    if !rest.signals.is_empty() {
        steps.push(Step::any(ADD_SIGNALS, signal_columns(&rest.signals)));
    }
    if !rest.signals_done.is_empty() {
        steps.push(Step::any(DROP_SIGNALS, vec![Box::new(rest.signals_done.clone())]));
    }
}

fn signal_columns(signals: &[NewSignal]) -> Vec<Param> {
    let rows: Vec<(&NewSignal, Bucket)> =
        signals.iter().map(|signal| (signal, Bucket::of_copy(&signal.copy))).collect();
    type Row<'a> = (&'a NewSignal, Bucket);
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
