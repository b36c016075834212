//! The one store that forwards: a test that changes what a store does writes down only what it changes.

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::{CopyKey, Record};
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::connector::Installation;
use avowal_engine::ports::lanes::{Claim, Lane};
use avowal_engine::ports::store::{
    Commit, CommitChanges, CommitOutcome, ControlStops, Counts, CursorName, Due, DueIntent, KeepLags,
    KeepReconciliations, KeepRuns, Located, NewRun, OpenCounts, OpenReview, PlannedCreates, PlannedDeletes,
    Position, QuarantineItem, ReadHistory, ReadOverview, ReadRecords, Reconciliation,
    ReconciliationDifference, Run, RunCounts, RunEnd, ScheduleWork, ShareStore, SharedStore, Signal, Stop,
    StopCause, Store, StoreError, WaitingIntent,
};
use std::collections::BTreeMap;
use std::ops::Deref;

/// What a layer over a store does differently. Every method forwards unless it is overridden; what no test has needed
/// to change yet cannot be overridden, and is forwarded by [`Layered`].
#[async_trait]
pub trait StoreLayer: Send + Sync {
    /// The store below.
    fn below(&self) -> &dyn Store;

    /// See [`ReadRecords::locate`].
    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        self.below().locate(keys).await
    }

    /// See [`ReadRecords::match_records`].
    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        self.below().match_records(entity, keys).await
    }

    /// See [`ReadRecords::load`].
    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        self.below().load(ids).await
    }

    /// See [`ControlStops::stops`].
    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        self.below().stops().await
    }

    /// See [`CommitChanges::seen_before`].
    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        self.below().seen_before(system, keys).await
    }

    /// See [`CommitChanges::commit`].
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.below().commit(commit).await
    }

    /// See [`ScheduleWork::claim`].
    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError> {
        self.below().claim(lanes).await
    }

    /// See [`ShareStore::shared`].
    fn shared(&self) -> Option<&dyn SharedStore> {
        self.below().shared()
    }
}

/// A store that is a layer over another one.
#[derive(Default)]
pub struct Layered<L>(pub L);

impl<L> Deref for Layered<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.0
    }
}

#[async_trait]
impl<L: StoreLayer> ReadRecords for Layered<L> {
    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        self.0.locate(keys).await
    }

    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        self.0.match_records(entity, keys).await
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        self.0.load(ids).await
    }

    async fn scan_records(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.0.below().scan_records(after, limit).await
    }

    async fn scan_copies(
        &self,
        system: &SystemName,
        entity: &EntityName,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, RemoteId)>, StoreError> {
        self.0.below().scan_copies(system, entity, after, limit).await
    }
}

#[async_trait]
impl<L: StoreLayer> ReadHistory for Layered<L> {
    async fn events(
        &self,
        record: &RecordId,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        self.0.below().events(record, from_seq, limit).await
    }

    async fn scan_events(
        &self,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        self.0.below().scan_events(after, limit).await
    }
}

#[async_trait]
impl<L: StoreLayer> ReadOverview for Layered<L> {
    async fn open_reviews(&self, limit: usize) -> Result<Vec<OpenReview>, StoreError> {
        self.0.below().open_reviews(limit).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<QuarantineItem>, StoreError> {
        self.0.below().quarantined(limit).await
    }

    async fn waiting_intents(&self, limit: usize) -> Result<Vec<WaitingIntent>, StoreError> {
        self.0.below().waiting_intents(limit).await
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        self.0.below().open_counts().await
    }

    async fn planned_deletes(&self, system: &SystemName) -> Result<Vec<PlannedDeletes>, StoreError> {
        self.0.below().planned_deletes(system).await
    }

    async fn planned_creates(&self, system: &SystemName) -> Result<Vec<PlannedCreates>, StoreError> {
        self.0.below().planned_creates(system).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.0.below().counts().await
    }
}

#[async_trait]
impl<L: StoreLayer> CommitChanges for Layered<L> {
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.0.commit(commit).await
    }

    async fn cursor(&self, name: &CursorName) -> Result<Option<Position>, StoreError> {
        self.0.below().cursor(name).await
    }

    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        self.0.seen_before(system, keys).await
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.0.below().prune(before, limit).await
    }

    async fn restate(&self, record: &Record, match_keys: &[String]) -> Result<(), StoreError> {
        self.0.below().restate(record, match_keys).await
    }
}

#[async_trait]
impl<L: StoreLayer> ScheduleWork for Layered<L> {
    async fn due_intents(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueIntent>, StoreError> {
        self.0.below().due_intents(system, shares, now, limit).await
    }

    async fn due_signals(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError> {
        self.0.below().due_signals(system, shares, now, limit).await
    }

    async fn due_shares(&self, system: &SystemName, due: Due, now: Timestamp) -> Result<Shares, StoreError> {
        self.0.below().due_shares(system, due, now).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.0.below().next_due().await
    }

    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError> {
        self.0.claim(lanes).await
    }
}

impl<L: StoreLayer> ShareStore for Layered<L> {
    fn shared(&self) -> Option<&dyn SharedStore> {
        self.0.shared()
    }
}

#[async_trait]
impl<L: StoreLayer> ControlStops for Layered<L> {
    async fn installation(&self) -> Result<Installation, StoreError> {
        self.0.below().installation().await
    }

    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        self.0.stops().await
    }

    async fn set_stop(&self, stop: &Stop) -> Result<bool, StoreError> {
        self.0.below().set_stop(stop).await
    }

    async fn lift_stop(&self, stop: &Stop, by: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.0.below().lift_stop(stop, by, at).await
    }

    async fn last_lifted(
        &self,
        system: &SystemName,
        cause: StopCause,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.0.below().last_lifted(system, cause).await
    }
}

#[async_trait]
impl<L: StoreLayer> KeepLags for Layered<L> {
    async fn lags(&self) -> Result<BTreeMap<SystemName, u64>, StoreError> {
        self.0.below().lags().await
    }

    async fn keep_lag(&self, system: &SystemName, ms: u64) -> Result<(), StoreError> {
        self.0.below().keep_lag(system, ms).await
    }
}

#[async_trait]
impl<L: StoreLayer> KeepRuns for Layered<L> {
    async fn begin_run(&self, run: &NewRun) -> Result<RunId, StoreError> {
        self.0.below().begin_run(run).await
    }

    async fn note_run(&self, run: RunId, counts: &RunCounts, at: Timestamp) -> Result<(), StoreError> {
        self.0.below().note_run(run, counts, at).await
    }

    async fn end_run(
        &self,
        run: RunId,
        end: RunEnd,
        counts: &RunCounts,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.below().end_run(run, end, counts, at).await
    }

    async fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.0.below().runs(before, limit).await
    }

    async fn find_run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        self.0.below().find_run(run).await
    }

    async fn run_events(
        &self,
        run: RunId,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        self.0.below().run_events(run, after, limit).await
    }
}

#[async_trait]
impl<L: StoreLayer> KeepReconciliations for Layered<L> {
    async fn keep_reconciliation(
        &self,
        report: &Reconciliation,
        differences: &[ReconciliationDifference],
    ) -> Result<(), StoreError> {
        self.0.below().keep_reconciliation(report, differences).await
    }

    async fn reconciliations(&self, limit: usize) -> Result<Vec<Reconciliation>, StoreError> {
        self.0.below().reconciliations(limit).await
    }

    async fn reconciliation(&self, run: RunId) -> Result<Option<Reconciliation>, StoreError> {
        self.0.below().reconciliation(run).await
    }

    async fn differences(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ReconciliationDifference>, StoreError> {
        self.0.below().differences(run, after, limit).await
    }
}
