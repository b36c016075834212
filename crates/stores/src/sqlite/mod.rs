//! The store in one SQLite file: a write-ahead log, full sync, one writer with group commit, readers beside it.
//!
//! Never in here: anything that only several processes need. Opening for writing takes a lock (`FILE.lock`), so two
//! processes never decide over the same records; reading needs none.
//! Begin with `apply.rs`, which says in which order a commit is tested and written; then one file for each table. Every
//! table can be read with the `sqlite3` shell.

mod admit;
mod apply;
mod column;
mod connection;
mod counts;
mod cursors;
mod deliveries;
mod due;
mod encode;
mod error;
mod events;
mod intents;
mod lags;
mod links;
mod lock;
mod match_keys;
mod migrate;
mod quarantine;
mod readers;
mod recent;
mod reconciliations;
mod records;
mod reviews;
mod runs;
mod signals;
mod stops;
mod writer;

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::{CopyKey, Record};
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::connector::Installation;
use avowal_engine::ports::lanes::{Claim, Lane, LocalLanes};
use avowal_engine::ports::store::{
    BATCH_RECORDS_MAX, Commit, CommitChanges, CommitOutcome, ControlStops, Counts, CursorName, Due,
    DueIntent, KeepLags, KeepReconciliations, KeepRuns, Located, NewRun, OpenCounts, OpenReview,
    PlannedCreates, PlannedDeletes, Position, QuarantineItem, ReadHistory, ReadOverview, ReadRecords,
    Reconciliation, ReconciliationDifference, Run, RunCounts, RunEnd, ScheduleWork, ShareStore, SharedStore,
    Signal, Stop, StopCause, StoreError, WaitingIntent,
};
use encode::Encoded;
use lock::WriteLock;
use readers::Readers;
use recent::Recent;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writer::{Task, Writer};

/// A store in one SQLite file. Dropping it finishes what is queued and closes the file.
///
/// Its fields are dropped in this order: readers first, so that the writer's connection is the last one and
/// folds the log into the file; the lock at the very end.
pub struct SqliteStore {
    readers: Readers,
    writer: Option<Writer>,
    recent: Arc<Recent>,
    path: PathBuf,
    lanes: LocalLanes,
    _lock: Option<WriteLock>,
}

impl SqliteStore {
    /// Opens the store at `path` for reading and writing, creating it or bringing its tables up to date.
    ///
    /// [`StoreError::Locked`] names the holder if another process has it open for writing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let lock = WriteLock::take(path)?;
        let mut connection = connection::open_writer(path)?;
        migrate::migrate(&mut connection, path)?;
        runs::close_killed(&connection).map_err(|fault| fault.into_store_error(path))?;
        let recent = Arc::new(Recent::default());
        let writer = Writer::start(connection, path, recent.clone())?;
        let readers = Readers::open(path)?;
        let lanes = LocalLanes::default();
        Ok(Self { readers, writer: Some(writer), recent, path: path.to_owned(), lanes, _lock: Some(lock) })
    }

    /// Opens an existing store for reading, also while another process writes. Its `commit` and `restate`
    /// answer [`StoreError::Unavailable`], and `seen_before` counts nothing.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(StoreError::Unavailable(format!(
                "there is no store at {} yet; `avowal sync` makes it",
                path.display()
            )));
        }
        let connection = connection::open_reader(path).map_err(|fault| fault.into_store_error(path))?;
        migrate::check(&connection, path)?;
        let readers = Readers::open(path)?;
        // Another process writes, so nothing that was read once may be taken for true later.
        let recent = Arc::default();
        let lanes = LocalLanes::default();
        Ok(Self { readers, writer: None, recent, path: path.to_owned(), lanes, _lock: None })
    }

    /// Copies the store at `from`, as it stands at one moment, into a new file, also while another process writes. The
    /// store itself is only read.
    pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), StoreError> {
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        let copied = tokio::task::spawn_blocking(move || {
            connection::copy_into(&from, &to).map_err(|fault| fault.into_store_error(&from))
        });
        copied
            .await
            .map_err(|error| StoreError::Unavailable(format!("the copy was not finished: {error}")))?
    }

    /// Bounds the file to `pages` pages of 4096 bytes (never below its present size): commits beyond it answer
    /// [`StoreError::Full`] until the bound is raised.
    pub async fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.write(Task::LimitPages(pages)).await.map(|_| ())
    }

    async fn write(&self, task: Task) -> Result<CommitOutcome, StoreError> {
        match &self.writer {
            Some(writer) => writer.ask(task).await,
            None => Err(StoreError::Unavailable(format!(
                "{} was opened for reading only; a command that changes something opens it for writing",
                self.path.display()
            ))),
        }
    }

    /// The records as the file holds them, all at one moment.
    async fn read_records(&self, ids: Vec<RecordId>) -> Result<Vec<Option<Arc<Record>>>, StoreError> {
        let read = move |connection: &_| {
            ids.iter().map(|id| Ok(records::record(connection, id)?.map(Arc::new))).collect()
        };
        let records: Vec<_> = self.readers.read(read).await?;
        if self.writer.is_some() {
            self.recent.note_read(&records);
        }
        Ok(records)
    }

    /// Counting a repetition is a courtesy to `status`: the answer must not depend on whether it succeeds.
    async fn count_repeats(&self, system: &SystemName, keys: Vec<String>) {
        if self.writer.is_none() || keys.is_empty() {
            return;
        }
        if let Err(error) = self.write(Task::CountRepeats { system: system.clone(), keys }).await {
            tracing::warn!(%system, %error, "repeated deliveries could not be counted");
        }
    }
}

/// The ids whose places are empty, in order.
fn missing(ids: &[RecordId], found: &[Option<Arc<Record>>]) -> Vec<RecordId> {
    ids.iter().zip(found).filter(|(_, record)| record.is_none()).map(|(id, _)| id.clone()).collect()
}

/// Fills the empty places, in order.
fn fill(found: &mut [Option<Arc<Record>>], read: Vec<Option<Arc<Record>>>) {
    for (place, record) in found.iter_mut().filter(|place| place.is_none()).zip(read) {
        *place = record;
    }
}

#[async_trait]
impl ReadRecords for SqliteStore {
    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        let keys = keys.to_vec();
        self.readers.read(move |connection| links::locate(connection, &keys)).await
    }

    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        let (entity, keys) = (entity.clone(), keys.to_vec());
        self.readers.read(move |connection| match_keys::matching(connection, &entity, &keys)).await
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut found = self.recent.get(ids);
        if found.iter().any(Option::is_none) {
            let read = self.read_records(missing(ids, &found)).await?;
            if self.recent.still_holds(&found) {
                fill(&mut found, read);
            } else {
                // A commit came between: only the file shows all of them at one moment.
                found = self.read_records(ids.to_vec()).await?;
            }
        }
        Ok(found.into_iter().map(|record| record.map(|record| Record::clone(&record))).collect())
    }

    async fn scan_records(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.readers.read(move |connection| records::after(connection, after.as_ref(), limit)).await
    }

    async fn scan_copies(
        &self,
        system: &SystemName,
        entity: &EntityName,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, RemoteId)>, StoreError> {
        let (system, entity) = (system.clone(), entity.clone());
        self.readers
            .read(move |connection| links::copies(connection, &system, &entity, after.as_ref(), limit))
            .await
    }
}

#[async_trait]
impl ReadHistory for SqliteStore {
    async fn events(
        &self,
        record: &RecordId,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        let record = record.clone();
        self.readers.read(move |connection| events::of_record(connection, &record, from_seq, limit)).await
    }

    async fn scan_events(
        &self,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        self.readers.read(move |connection| events::scan(connection, after.as_ref(), limit)).await
    }
}

#[async_trait]
impl ReadOverview for SqliteStore {
    async fn open_reviews(&self, limit: usize) -> Result<Vec<OpenReview>, StoreError> {
        self.readers.read(move |connection| reviews::all_open(connection, limit)).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<QuarantineItem>, StoreError> {
        self.readers.read(move |connection| quarantine::open(connection, limit)).await
    }

    async fn waiting_intents(&self, limit: usize) -> Result<Vec<WaitingIntent>, StoreError> {
        self.readers.read(move |connection| intents::waiting(connection, limit)).await
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        self.readers.read(counts::open_counts).await
    }

    async fn planned_deletes(&self, system: &SystemName) -> Result<Vec<PlannedDeletes>, StoreError> {
        let system = system.clone();
        self.readers.read(move |connection| counts::planned_deletes(connection, &system)).await
    }

    async fn planned_creates(&self, system: &SystemName) -> Result<Vec<PlannedCreates>, StoreError> {
        let system = system.clone();
        self.readers.read(move |connection| counts::planned_creates(connection, &system)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.readers.read(counts::counts).await
    }
}

#[async_trait]
impl CommitChanges for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        if commit.records.len() > BATCH_RECORDS_MAX {
            return Err(StoreError::Unavailable(format!(
                "a commit of {} records exceeds the bound of {BATCH_RECORDS_MAX}; commit in smaller batches",
                commit.records.len()
            )));
        }
        if commit.is_empty() {
            return Ok(CommitOutcome::Committed);
        }
        let encoded = Encoded::new(commit).map_err(|fault| fault.into_store_error(&self.path))?;
        self.write(Task::Commit(Box::new(encoded))).await
    }

    async fn cursor(&self, name: &CursorName) -> Result<Option<Position>, StoreError> {
        let name = name.clone();
        self.readers.read(move |connection| cursors::position(connection, &name)).await
    }

    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        let (from, asked) = (system.clone(), keys.to_vec());
        let seen = self.readers.read(move |connection| deliveries::taken(connection, &from, &asked)).await?;
        let repeated = keys.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(key, _)| key.clone());
        self.count_repeats(system, repeated.collect()).await;
        Ok(seen)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let old = self.readers.read(move |connection| deliveries::old(connection, before, limit)).await?;
        let forgotten = u64::try_from(old.len()).unwrap_or(u64::MAX);
        if !old.is_empty() {
            self.write(Task::Forget(old)).await?;
        }
        Ok(forgotten)
    }

    async fn restate(&self, record: &Record, match_keys: &[String]) -> Result<(), StoreError> {
        let task = Task::Restate { record: Box::new(record.clone()), match_keys: match_keys.to_vec() };
        match self.write(task).await? {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Conflict { what: reason }
            | CommitOutcome::Duplicate { key: reason }
            | CommitOutcome::Unknown { reason } => Err(StoreError::Unavailable(format!(
                "whether record {} was restated is not known ({reason}); run the rebuild again",
                record.id
            ))),
        }
    }
}

#[async_trait]
impl ScheduleWork for SqliteStore {
    async fn due_intents(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueIntent>, StoreError> {
        let system = system.clone();
        self.readers.read(move |connection| intents::due(connection, &system, shares, now, limit)).await
    }

    async fn due_signals(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError> {
        let system = system.clone();
        self.readers.read(move |connection| signals::due(connection, &system, shares, now, limit)).await
    }

    /// One process does everything, so the shares are not distinguished.
    async fn due_shares(&self, system: &SystemName, due: Due, now: Timestamp) -> Result<Shares, StoreError> {
        let system = system.clone();
        let is_due = self.readers.read(move |connection| due::is_due(connection, &system, due, now)).await?;
        Ok(if is_due { Shares::ALL } else { Shares::NONE })
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(due::next_due).await
    }

    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError> {
        Ok(self.lanes.claim(lanes))
    }
}

impl ShareStore for SqliteStore {
    fn shared(&self) -> Option<&dyn SharedStore> {
        None
    }
}

#[async_trait]
impl ControlStops for SqliteStore {
    async fn installation(&self) -> Result<Installation, StoreError> {
        self.readers.read(stops::installation).await
    }

    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        self.readers.read(stops::standing).await
    }

    async fn set_stop(&self, stop: &Stop) -> Result<bool, StoreError> {
        let (path, stop) = (self.path.clone(), stop.clone());
        beside(move || stops::set(&path, &stop)).await
    }

    async fn lift_stop(&self, stop: &Stop, by: &str, at: Timestamp) -> Result<bool, StoreError> {
        let (path, stop, by) = (self.path.clone(), stop.clone(), by.to_owned());
        beside(move || stops::lift(&path, &stop, &by, at)).await
    }

    async fn last_lifted(
        &self,
        system: &SystemName,
        cause: StopCause,
    ) -> Result<Option<Timestamp>, StoreError> {
        let system = system.clone();
        self.readers.read(move |connection| stops::last_lifted(connection, &system, cause)).await
    }
}

#[async_trait]
impl KeepLags for SqliteStore {
    async fn lags(&self) -> Result<BTreeMap<SystemName, u64>, StoreError> {
        self.readers.read(lags::known).await
    }

    async fn keep_lag(&self, system: &SystemName, ms: u64) -> Result<(), StoreError> {
        let (path, system) = (self.path.clone(), system.clone());
        beside(move || lags::keep(&path, &system, ms)).await.map(|_| ())
    }
}

#[async_trait]
impl KeepRuns for SqliteStore {
    async fn begin_run(&self, run: &NewRun) -> Result<RunId, StoreError> {
        let (path, run) = (self.path.clone(), run.clone());
        beside(move || runs::begin(&path, &run)).await
    }

    async fn note_run(&self, run: RunId, counts: &RunCounts, at: Timestamp) -> Result<(), StoreError> {
        let (path, counts) = (self.path.clone(), *counts);
        beside(move || runs::note(&path, run, &counts, at)).await
    }

    async fn end_run(
        &self,
        run: RunId,
        end: RunEnd,
        counts: &RunCounts,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (path, counts) = (self.path.clone(), *counts);
        beside(move || runs::end(&path, run, end, &counts, at)).await
    }

    async fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.readers.read(move |connection| runs::before(connection, before, limit)).await
    }

    async fn find_run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        self.readers.read(move |connection| runs::find(connection, run)).await
    }

    async fn run_events(
        &self,
        run: RunId,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        self.readers.read(move |connection| events::of_run(connection, run, after.as_ref(), limit)).await
    }
}

#[async_trait]
impl KeepReconciliations for SqliteStore {
    async fn keep_reconciliation(
        &self,
        report: &Reconciliation,
        differences: &[ReconciliationDifference],
    ) -> Result<(), StoreError> {
        let (path, report, differences) = (self.path.clone(), report.clone(), differences.to_vec());
        beside(move || reconciliations::keep(&path, &report, &differences)).await
    }

    async fn reconciliations(&self, limit: usize) -> Result<Vec<Reconciliation>, StoreError> {
        self.readers.read(move |connection| reconciliations::newest(connection, limit)).await
    }

    async fn reconciliation(&self, run: RunId) -> Result<Option<Reconciliation>, StoreError> {
        self.readers.read(move |connection| reconciliations::find(connection, run)).await
    }

    async fn differences(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ReconciliationDifference>, StoreError> {
        self.readers.read(move |connection| reconciliations::differences(connection, run, after, limit)).await
    }
}

/// Does something with the file on a thread of its own.
async fn beside<T: Send + 'static>(
    change: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(change).await;
    done.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the change was broken off: {error}"))))
}
