//! The runs. Each change is one statement beside the commits.

use super::column;
use super::connection::Link;
use super::error::Fault;
use crate::codec;
use avowal_core::data::ids::RunId;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::store::{NewRun, QUIET_RUNS_KEPT, Run, RunCounts, RunEnd, RunKind};
use tokio_postgres::types::ToSql;

/// Keeps a run that begins, and forgets old ones that made nothing.
pub(super) async fn begin(link: &Link, run: &NewRun) -> Result<RunId, Fault> {
    const BEGIN: &str = "INSERT INTO runs (kind, made_by, why, configuration, began_at, seen_at, counts)
        VALUES ($1, $2, $3, $4, $5, $5, $6) RETURNING id";
    const FORGET: &str = "DELETE FROM runs WHERE events = 0 AND ended IS NOT NULL AND id <= $1";
    let counts = codec::to_json(&RunCounts::default())?;
    let (by, why) = (column::text(&run.by), column::text(&run.why));
    let params: [&(dyn ToSql + Sync); 6] =
        [&run.kind.as_str(), &by, &why, &run.configuration, &run.began_at.millis(), &counts];
    let rows = link.query(BEGIN, &params).await?;
    let id: i64 = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    let kept = i64::try_from(QUIET_RUNS_KEPT).unwrap_or(i64::MAX);
    link.change(FORGET, &[&id.saturating_sub(kept)]).await?;
    Ok(RunId::new(column::from_number(id, || "runs, id".to_owned())?))
}

/// Keeps how far a run has come.
pub(super) async fn note(link: &Link, run: RunId, counts: &RunCounts, at: Timestamp) -> Result<(), Fault> {
    const NOTE: &str =
        "UPDATE runs SET counts = $2, events = $3, seen_at = $4 WHERE id = $1 AND ended IS NULL";
    let (id, events) = (column::number(run.number())?, column::number(counts.events)?);
    link.change(NOTE, &[&id, &codec::to_json(counts)?, &events, &at.millis()]).await?;
    Ok(())
}

/// Keeps how a run has ended.
pub(super) async fn end(
    link: &Link,
    run: RunId,
    end: RunEnd,
    counts: &RunCounts,
    at: Timestamp,
) -> Result<(), Fault> {
    const END: &str = "UPDATE runs SET counts = $2, events = $3, seen_at = $4, ended_at = $4, ended = $5
        WHERE id = $1 AND ended IS NULL";
    let (id, events) = (column::number(run.number())?, column::number(counts.events)?);
    link.change(END, &[&id, &codec::to_json(counts)?, &events, &at.millis(), &end.as_str()]).await?;
    Ok(())
}

/// Up to `limit` runs that began before the given one, the newest first.
pub(super) async fn before(link: &Link, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, Fault> {
    const BEFORE: &str =
        "SELECT id, kind, made_by, why, configuration, began_at, seen_at, ended_at, ended, counts
        FROM runs WHERE id < $1 ORDER BY id DESC LIMIT $2";
    let before = before.map_or(i64::MAX, |run| i64::try_from(run.number()).unwrap_or(i64::MAX));
    link.query(BEFORE, &[&before, &column::limit(limit)]).await?.iter().map(read).collect()
}

/// One run.
pub(super) async fn find(link: &Link, run: RunId) -> Result<Option<Run>, Fault> {
    const FIND: &str =
        "SELECT id, kind, made_by, why, configuration, began_at, seen_at, ended_at, ended, counts
        FROM runs WHERE id = $1";
    let id = i64::try_from(run.number()).unwrap_or(i64::MAX);
    link.query(FIND, &[&id]).await?.first().map(read).transpose()
}

fn read(row: &tokio_postgres::Row) -> Result<Run, Fault> {
    let id: i64 = row.try_get(0)?;
    let place = |column: &str| format!("runs row {id}, {column}");
    let kind: String = row.try_get(1)?;
    let ended: Option<String> = row.try_get(8)?;
    let end = |name: &String| RunEnd::parse(name).ok_or_else(|| Fault::damaged(place("ended"), name));
    Ok(Run {
        id: RunId::new(column::from_number(id, || place("id"))?),
        kind: RunKind::parse(&kind).ok_or_else(|| Fault::damaged(place("kind"), &kind))?,
        by: column::from_text(row.try_get(2)?),
        why: column::from_text(row.try_get(3)?),
        configuration: row.try_get(4)?,
        began_at: Timestamp::from_millis(row.try_get(5)?),
        seen_at: Timestamp::from_millis(row.try_get(6)?),
        ended_at: row.try_get::<_, Option<i64>>(7)?.map(Timestamp::from_millis),
        end: ended.as_ref().map(end).transpose()?,
        counts: codec::from_json(row.try_get(9)?, || place("counts"))?,
    })
}
