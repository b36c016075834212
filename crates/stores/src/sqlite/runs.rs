//! The runs. They are written beside the writer's thread: a run is no part of a commit.

use super::column;
use super::connection::open_writer;
use super::error::Fault;
use avowal_core::data::ids::RunId;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::store::{NewRun, QUIET_RUNS_KEPT, Run, RunCounts, RunEnd, RunKind, StoreError};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;

const SELECT: &str =
    "SELECT id, kind, made_by, why, configuration, began_at, seen_at, ended_at, ended, counts FROM runs";

/// Keeps a run that begins, and forgets old ones that made nothing.
pub(super) fn begin(path: &Path, run: &NewRun) -> Result<RunId, StoreError> {
    change(path, |connection| {
        connection.execute(
            "INSERT INTO runs (kind, made_by, why, configuration, began_at, seen_at, counts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
            params![
                run.kind.as_str(),
                run.by,
                run.why,
                run.configuration,
                run.began_at.to_string(),
                column::to_json(&RunCounts::default())?
            ],
        )?;
        let id = connection.last_insert_rowid();
        let kept = i64::try_from(QUIET_RUNS_KEPT).unwrap_or(i64::MAX);
        connection.execute(
            "DELETE FROM runs WHERE events = 0 AND ended IS NOT NULL AND id <= ?1",
            [id.saturating_sub(kept)],
        )?;
        Ok(RunId::new(column::from_column(id, || "runs, id".to_owned())?))
    })
}

/// Keeps how far a run has come.
pub(super) fn note(path: &Path, run: RunId, counts: &RunCounts, at: Timestamp) -> Result<(), StoreError> {
    change(path, |connection| {
        connection.execute(
            "UPDATE runs SET counts = ?2, events = ?3, seen_at = ?4 WHERE id = ?1 AND ended IS NULL",
            params![
                column::to_column(run.number())?,
                column::to_json(counts)?,
                column::to_column(counts.events)?,
                at.to_string()
            ],
        )?;
        Ok(())
    })
}

/// Keeps how a run has ended.
pub(super) fn end(
    path: &Path,
    run: RunId,
    end: RunEnd,
    counts: &RunCounts,
    at: Timestamp,
) -> Result<(), StoreError> {
    change(path, |connection| {
        connection.execute(
            "UPDATE runs SET counts = ?2, events = ?3, seen_at = ?4, ended_at = ?4, ended = ?5
             WHERE id = ?1 AND ended IS NULL",
            params![
                column::to_column(run.number())?,
                column::to_json(counts)?,
                column::to_column(counts.events)?,
                at.to_string(),
                end.as_str()
            ],
        )?;
        Ok(())
    })
}

/// Only one process works with the file, so runs that have not ended when it is opened were killed.
pub(super) fn close_killed(connection: &Connection) -> Result<(), Fault> {
    connection.execute("UPDATE runs SET ended = ?1 WHERE ended IS NULL", [RunEnd::Killed.as_str()])?;
    Ok(())
}

/// Up to `limit` runs that began before the given one, the newest first.
pub(super) fn before(
    connection: &Connection,
    before: Option<RunId>,
    limit: usize,
) -> Result<Vec<Run>, Fault> {
    let mut select =
        connection.prepare_cached(&format!("{SELECT} WHERE id < ?1 ORDER BY id DESC LIMIT ?2"))?;
    let before = before.map_or(i64::MAX, |run| i64::try_from(run.number()).unwrap_or(i64::MAX));
    let rows = select.query_map(params![before, column::limit(limit)], Row::read)?;
    rows.map(|row| row?.into_run()).collect()
}

/// One run.
pub(super) fn find(connection: &Connection, run: RunId) -> Result<Option<Run>, Fault> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    let id = i64::try_from(run.number()).unwrap_or(i64::MAX);
    select.query_row([id], Row::read).optional()?.map(Row::into_run).transpose()
}

struct Row {
    id: i64,
    kind: String,
    by: String,
    why: String,
    configuration: String,
    began_at: String,
    seen_at: String,
    ended_at: Option<String>,
    ended: Option<String>,
    counts: String,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            by: row.get(2)?,
            why: row.get(3)?,
            configuration: row.get(4)?,
            began_at: row.get(5)?,
            seen_at: row.get(6)?,
            ended_at: row.get(7)?,
            ended: row.get(8)?,
            counts: row.get(9)?,
        })
    }

    fn into_run(self) -> Result<Run, Fault> {
        let place = |column: &str| format!("runs row {}, {column}", self.id);
        let end = |name: &String| RunEnd::parse(name).ok_or_else(|| Fault::damaged(place("ended"), name));
        let ended_at = self.ended_at.as_deref();
        Ok(Run {
            id: RunId::new(column::from_column(self.id, || place("id"))?),
            kind: RunKind::parse(&self.kind).ok_or_else(|| Fault::damaged(place("kind"), &self.kind))?,
            began_at: column::parsed(&self.began_at, || place("began_at"))?,
            seen_at: column::parsed(&self.seen_at, || place("seen_at"))?,
            ended_at: ended_at.map(|at| column::parsed(at, || place("ended_at"))).transpose()?,
            end: self.ended.as_ref().map(end).transpose()?,
            counts: column::from_json(&self.counts, || place("counts"))?,
            by: self.by,
            why: self.why,
            configuration: self.configuration,
        })
    }
}

/// Changes rows on a connection of its own.
fn change<T>(path: &Path, change: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
    let connection = open_writer(path)?;
    change(&connection).map_err(|fault| fault.into_store_error(path))
}
