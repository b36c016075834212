//! The store in a Postgres database, for many processes at once: one writer a process with group commit, readers
//! beside it, and every decision between processes made by row locks and compare-and-set.
//!
//! Never in here: a lease with a time in it, or anything that a distributed Postgres lacks.
//! Begin with `writer.rs`: it locks and reads what a group of commits touches (`facts.rs`), tests each (`admit.rs`) and
//! writes them together (`apply.rs`); then one file for each table. All tables stand in a schema of their own,
//! `avowal_store`; `docs/scaling.md` describes the layout.

mod admit;
mod apply;
mod claim;
mod codec_list;
mod column;
mod connection;
mod counts;
mod cursors;
mod deliveries;
mod due;
mod encode;
mod error;
mod events;
mod facts;
mod in_order;
mod intents;
mod lags;
mod links;
mod match_keys;
mod migrate;
mod quarantine;
mod readers;
mod reconciliations;
mod records;
mod reviews;
mod runs;
mod signals;
mod statements;
mod stops;
mod wakes;
mod workers;
mod writer;

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::{CopyKey, Record};
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::connector::Installation;
use avowal_engine::ports::lanes::{Claim, Lane};
use avowal_engine::ports::store::{
    BATCH_RECORDS_MAX, Commit, CommitChanges, CommitOutcome, ControlStops, Counts, CursorName, Due,
    DueIntent, KeepLags, KeepReconciliations, KeepRuns, Located, NewRun, OpenCounts, OpenReview,
    PlannedCreates, PlannedDeletes, Position, QuarantineItem, ReadHistory, ReadOverview, ReadRecords,
    Reconciliation, ReconciliationDifference, RecordCommit, Run, RunCounts, RunEnd, ScheduleWork, ShareStore,
    SharedStore, Signal, Stop, StopCause, StoreError, WaitingIntent,
};
use claim::Claims;
use connection::{Link, Server};
use encode::PreparedCommit;
use error::Fault;
use readers::{Patience, Pool};
use std::collections::BTreeMap;
use std::sync::Arc;
use wakes::Wakes;
use workers::Workers;
use writer::Writer;

/// A store in a Postgres database. Dropping it lets what is queued be done, as long as the runtime lives.
pub struct PostgresStore {
    server: Arc<Server>,
    pool: Pool,
    claims: Claims,
    workers: Arc<Workers>,
    wakes: Wakes,
    writer: Option<Writer>,
}

impl PostgresStore {
    /// Opens the store for reading and writing, making its tables or bringing them up to date. Any number of
    /// processes may have it open.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let server = Arc::new(Server::new(url, false)?);
        let fault = |fault: Fault| fault.into_store_error(server.place());
        migrate::migrate(&server.connect().await.map_err(fault)?, &server).await?;
        let link = writer::connect(&server).await.map_err(fault)?;
        let writer = Some(Writer::start(Arc::clone(&server), link));
        Ok(Self::of(server, writer))
    }

    fn of(server: Arc<Server>, writer: Option<Writer>) -> Self {
        let claims = Claims::new(Arc::clone(&server));
        let pool = Pool::new(Arc::clone(&server));
        let workers = Arc::new(Workers::new());
        let wakes = Wakes::new(Arc::clone(&server), pool.clone(), Arc::clone(&workers));
        Self { pool, claims, workers, wakes, writer, server }
    }

    /// Opens the store for reading, if there is one.
    pub async fn open_if_there(url: &str) -> Result<Option<Self>, StoreError> {
        let server = Arc::new(Server::new(url, true)?);
        let link = server.connect().await.map_err(|fault| fault.into_store_error(server.place()))?;
        if !migrate::exists(&link, &server).await? {
            return Ok(None);
        }
        migrate::check(&link, &server).await?;
        Ok(Some(Self::of(server, None)))
    }

    /// Opens an existing store for reading. Its `commit` and `restate` answer [`StoreError::Unavailable`], and
    /// `seen_before` counts nothing.
    pub async fn open_read_only(url: &str) -> Result<Self, StoreError> {
        let server = Arc::new(Server::new(url, true)?);
        let link = server.connect().await.map_err(|fault| fault.into_store_error(server.place()))?;
        migrate::check(&link, &server).await?;
        Ok(Self::of(server, None))
    }

    fn refuse_if_read_only(&self) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| {
            StoreError::Unavailable(format!(
                "{} was opened for reading only; a command that changes something opens it for writing",
                self.server.place()
            ))
        })
    }

    async fn write(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let writer = self.refuse_if_read_only()?;
        let prepared =
            PreparedCommit::new(commit).map_err(|fault| fault.into_store_error(self.server.place()))?;
        let woken = prepared.systems_with_work();
        let outcome = writer.commit(prepared).await?;
        match outcome {
            CommitOutcome::Committed | CommitOutcome::Unknown { .. } => self.wakes.tell(woken),
            CommitOutcome::Conflict { .. } | CommitOutcome::Duplicate { .. } => {}
        }
        Ok(outcome)
    }
}

/// Asks on a connection of the pool, and again for a while where the server cannot be reached.
macro_rules! read {
    ($self:ident, $link:ident => $query:expr) => {{
        let mut patience = Patience::default();
        loop {
            let asked = async {
                let lease = $self.pool.lease().await?;
                let $link: &Link = &lease;
                $query.await
            };
            let fault = match asked.await {
                Ok(answer) => break Ok(answer),
                Err(fault) => fault,
            };
            if let Err(fault) = patience.bear(fault).await {
                break Err(fault.into_store_error($self.server.place()));
            }
        }
    }};
}

#[async_trait]
impl ReadRecords for PostgresStore {
    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        read!(self, link => links::locate(link, keys))
    }

    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        read!(self, link => match_keys::matching(link, entity, keys))
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        read!(self, link => records::load(link, ids))
    }

    async fn scan_records(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError> {
        read!(self, link => records::scan(link, after.as_ref(), limit))
    }
}

#[async_trait]
impl ReadHistory for PostgresStore {
    async fn events(
        &self,
        record: &RecordId,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        read!(self, link => events::of_record(link, record, from_seq, limit))
    }

    async fn scan_events(
        &self,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        read!(self, link => events::scan(link, after.as_ref(), limit))
    }
}

#[async_trait]
impl ReadOverview for PostgresStore {
    async fn open_reviews(&self, limit: usize) -> Result<Vec<OpenReview>, StoreError> {
        read!(self, link => reviews::all_open(link, limit))
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<QuarantineItem>, StoreError> {
        read!(self, link => quarantine::open(link, limit))
    }

    async fn waiting_intents(&self, limit: usize) -> Result<Vec<WaitingIntent>, StoreError> {
        read!(self, link => intents::waiting(link, limit))
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        read!(self, link => counts::open_counts(link))
    }

    async fn planned_deletes(&self, system: &SystemName) -> Result<Vec<PlannedDeletes>, StoreError> {
        read!(self, link => counts::planned_deletes(link, system))
    }

    async fn planned_creates(&self, system: &SystemName) -> Result<Vec<PlannedCreates>, StoreError> {
        read!(self, link => counts::planned_creates(link, system))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        read!(self, link => counts::counts(link))
    }
}

#[async_trait]
impl CommitChanges for PostgresStore {
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
        self.write(commit).await
    }

    async fn cursor(&self, name: &CursorName) -> Result<Option<Position>, StoreError> {
        read!(self, link => cursors::position(link, name))
    }

    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        let counts = self.writer.is_some();
        read!(self, link => deliveries::taken(link, system, keys, counts))
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => deliveries::forget(link, before, limit))
    }

    /// Others may be at work meanwhile: a record that has moved on since it was rebuilt is left alone.
    async fn restate(&self, record: &Record, match_keys: &[String]) -> Result<(), StoreError> {
        let restated = RecordCommit {
            expected_seq: record.seq,
            state: record.clone(),
            events: Vec::new(),
            match_keys: match_keys.to_vec(),
        };
        match self.write(Commit { records: vec![restated], ..Commit::default() }).await? {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Conflict { what: reason }
            | CommitOutcome::Duplicate { key: reason }
            | CommitOutcome::Unknown { reason } => Err(StoreError::Unavailable(format!(
                "record {} was not restated for certain ({reason}); run the rebuild again",
                record.id
            ))),
        }
    }
}

#[async_trait]
impl ScheduleWork for PostgresStore {
    async fn due_intents(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueIntent>, StoreError> {
        read!(self, link => intents::due(link, system, shares, now, limit))
    }

    async fn due_signals(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError> {
        read!(self, link => signals::due(link, system, shares, now, limit))
    }

    async fn due_shares(&self, system: &SystemName, due: Due, now: Timestamp) -> Result<Shares, StoreError> {
        read!(self, link => due::shares(link, system, due, now))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        read!(self, link => due::next_due(link))
    }

    /// Who works beside us is counted, and gets an equal part of what can be divided.
    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError> {
        self.refuse_if_read_only()?;
        let most = self.workers.part_of(&self.pool, lanes.len()).await;
        self.claims.claim(lanes, most).await.map_err(|fault| fault.into_store_error(self.server.place()))
    }
}

impl ShareStore for PostgresStore {
    fn shared(&self) -> Option<&dyn SharedStore> {
        Some(self)
    }
}

#[async_trait]
impl SharedStore for PostgresStore {
    async fn set_aside(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError> {
        read!(self, link => quarantine::set_aside(link, copies))
    }

    async fn awaited(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError> {
        read!(self, link => signals::awaited(link, copies))
    }

    async fn work_available(&self, system: &SystemName) {
        self.wakes.work_available(system.as_str()).await;
    }
}

#[async_trait]
impl ControlStops for PostgresStore {
    async fn installation(&self) -> Result<Installation, StoreError> {
        read!(self, link => stops::installation(link))
    }

    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        read!(self, link => stops::standing(link))
    }

    async fn set_stop(&self, stop: &Stop) -> Result<bool, StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => stops::set(link, stop))
    }

    async fn lift_stop(&self, stop: &Stop, by: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => stops::lift(link, stop, by, at))
    }

    async fn last_lifted(
        &self,
        system: &SystemName,
        cause: StopCause,
    ) -> Result<Option<Timestamp>, StoreError> {
        read!(self, link => stops::last_lifted(link, system, cause))
    }
}

#[async_trait]
impl KeepLags for PostgresStore {
    async fn lags(&self) -> Result<BTreeMap<SystemName, u64>, StoreError> {
        read!(self, link => lags::known(link))
    }

    async fn keep_lag(&self, system: &SystemName, ms: u64) -> Result<(), StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => lags::keep(link, system, ms))
    }
}

#[async_trait]
impl KeepRuns for PostgresStore {
    async fn begin_run(&self, run: &NewRun) -> Result<RunId, StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => runs::begin(link, run))
    }

    async fn note_run(&self, run: RunId, counts: &RunCounts, at: Timestamp) -> Result<(), StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => runs::note(link, run, counts, at))
    }

    async fn end_run(
        &self,
        run: RunId,
        end: RunEnd,
        counts: &RunCounts,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => runs::end(link, run, end, counts, at))
    }

    async fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        read!(self, link => runs::before(link, before, limit))
    }

    async fn find_run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        read!(self, link => runs::find(link, run))
    }

    async fn run_events(
        &self,
        run: RunId,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        read!(self, link => events::of_run(link, run, after.as_ref(), limit))
    }
}

#[async_trait]
impl KeepReconciliations for PostgresStore {
    async fn keep_reconciliation(
        &self,
        report: &Reconciliation,
        differences: &[ReconciliationDifference],
    ) -> Result<(), StoreError> {
        self.refuse_if_read_only()?;
        read!(self, link => reconciliations::keep(link, report, differences))
    }

    async fn reconciliations(&self, limit: usize) -> Result<Vec<Reconciliation>, StoreError> {
        read!(self, link => reconciliations::newest(link, limit))
    }

    async fn reconciliation(&self, run: RunId) -> Result<Option<Reconciliation>, StoreError> {
        read!(self, link => reconciliations::find(link, run))
    }

    async fn differences(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ReconciliationDifference>, StoreError> {
        read!(self, link => reconciliations::differences(link, run, after, limit))
    }
}
