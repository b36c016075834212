//! A store in memory, for tests and simulation: the port's contract in ordered maps, with faults on demand.
//!
//! Never in here: anything that outlives the process.
//! Begin with [`MemoryStore`]; `tables.rs` holds what it keeps.

mod tables;

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::{CopyKey, Record};
use avowal_engine::ports::bucket::{Bucket, Shares};
use avowal_engine::ports::connector::Installation;
use avowal_engine::ports::lanes::{Claim, Lane, LocalLanes};
use avowal_engine::ports::store::{
    BATCH_RECORDS_MAX, Commit, CommitChanges, CommitOutcome, ControlStops, Counts, CursorName, Due,
    DueIntent, KeepLags, KeepReconciliations, KeepRuns, Located, NewRun, OpenCounts, OpenReview,
    PlannedCreates, PlannedDeletes, Position, QUIET_RUNS_KEPT, QuarantineItem, RECONCILIATIONS_KEPT,
    ReadHistory, ReadOverview, ReadRecords, Reconciliation, ReconciliationDifference, RecordCommit, Run,
    RunCounts, RunEnd, ScheduleWork, ShareStore, SharedStore, Signal, Stop, StopCause, StoreError,
    WaitingIntent,
};
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tables::{Schedule, Tables};

/// What shall happen to a commit instead of its plain success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitFault {
    /// The disk is full: nothing is written.
    Full,
    /// Something has moved on: nothing is written.
    Conflict,
    /// The answer is lost on the way: everything is written.
    UnknownApplied,
    /// The answer is lost on the way: nothing is written.
    UnknownNotApplied,
}

/// A store that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    faults: Mutex<VecDeque<CommitFault>>,
    lanes: LocalLanes,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one commit fail like this; several faults meet the following commits one by one.
    pub fn fail_next(&self, fault: CommitFault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Everything that is stored, as text: two stores with the same dump hold the same.
    pub fn dump(&self) -> String {
        format!("{:#?}", *self.tables())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // A test that panicked while it held the lock has failed already.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self) -> Option<CommitFault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

#[async_trait]
impl ReadRecords for MemoryStore {
    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        let tables = self.tables();
        Ok(keys.iter().map(|key| tables.locate(key)).collect())
    }

    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        let tables = self.tables();
        let find = |key: &String| {
            let from = (entity.clone(), key.clone(), RecordId::new(""));
            let carriers = tables.carriers.range(from..);
            carriers
                .take_while(|(of, carried, _)| of == entity && carried == key)
                .map(|(_, _, id)| id.clone())
                .collect()
        };
        Ok(keys.iter().map(find).collect())
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        let tables = self.tables();
        Ok(ids.iter().map(|id| tables.records.get(id).cloned()).collect())
    }

    async fn scan_records(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError> {
        let tables = self.tables();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = tables.records.range((from, Bound::Unbounded));
        Ok(records.take(limit).map(|(_, record)| record.clone()).collect())
    }
}

#[async_trait]
impl ReadHistory for MemoryStore {
    async fn events(
        &self,
        record: &RecordId,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        let tables = self.tables();
        let stream = tables.events.range((record.clone(), from_seq)..);
        let events = stream.take_while(|((id, _), _)| id == record).take(limit);
        Ok(events.map(|(_, event)| event.clone()).collect())
    }

    async fn scan_events(
        &self,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        let tables = self.tables();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let events = tables.events.range((from, Bound::Unbounded));
        Ok(events.take(limit).map(|(_, event)| event.clone()).collect())
    }
}

#[async_trait]
impl ReadOverview for MemoryStore {
    async fn open_reviews(&self, limit: usize) -> Result<Vec<OpenReview>, StoreError> {
        let tables = self.tables();
        let mut open: Vec<OpenReview> = tables
            .records
            .values()
            .flat_map(|record| record.reviews.iter().map(move |(subject, review)| (record, subject, review)))
            .map(|(record, subject, review)| OpenReview {
                entity: record.entity.clone(),
                record: record.id.clone(),
                subject: subject.clone(),
                review: review.clone(),
            })
            .collect();
        open.sort_by(|a, b| {
            (a.review.opened_at, &a.record, &a.subject).cmp(&(b.review.opened_at, &b.record, &b.subject))
        });
        open.truncate(limit);
        Ok(open)
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<QuarantineItem>, StoreError> {
        Ok(self.tables().quarantine.values().take(limit).map(|stored| stored.item.clone()).collect())
    }

    async fn waiting_intents(&self, limit: usize) -> Result<Vec<WaitingIntent>, StoreError> {
        Ok(self.tables().waiting(limit))
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        let Counts { intents, deletes, reviews, quarantine, signals, .. } = self.tables().counts();
        Ok(OpenCounts { intents, deletes, reviews, quarantine, signals })
    }

    async fn planned_deletes(&self, system: &SystemName) -> Result<Vec<PlannedDeletes>, StoreError> {
        Ok(self.tables().planned_deletes(system))
    }

    async fn planned_creates(&self, system: &SystemName) -> Result<Vec<PlannedCreates>, StoreError> {
        Ok(self.tables().planned_creates(system))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        Ok(self.tables().counts())
    }
}

#[async_trait]
impl CommitChanges for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        if commit.records.len() > BATCH_RECORDS_MAX {
            return Err(StoreError::Unavailable(format!(
                "a commit of {} records exceeds the bound of {BATCH_RECORDS_MAX}; commit in smaller batches",
                commit.records.len()
            )));
        }
        let lost = || CommitOutcome::Unknown { reason: "the answer was lost on purpose".to_owned() };
        let fault = self.next_fault();
        match fault {
            Some(CommitFault::Full) => return Err(StoreError::Full("on purpose".to_owned())),
            Some(CommitFault::Conflict) => {
                return Ok(CommitOutcome::Conflict { what: "something, on purpose".to_owned() });
            }
            Some(CommitFault::UnknownNotApplied) => return Ok(lost()),
            Some(CommitFault::UnknownApplied) | None => {}
        }
        let mut tables = self.tables();
        let refusal = tables.refusal(&commit);
        if refusal.is_none() {
            tables.apply(commit);
        }
        match (fault, refusal) {
            (Some(_), _) => Ok(lost()),
            (None, Some(outcome)) => Ok(outcome),
            (None, None) => Ok(CommitOutcome::Committed),
        }
    }

    async fn cursor(&self, name: &CursorName) -> Result<Option<Position>, StoreError> {
        Ok(self.tables().cursors.get(name).cloned())
    }

    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        let mut tables = self.tables();
        let mut seen = |key: &String| match tables.dedupe.get_mut(&(system.clone(), key.clone())) {
            Some(delivery) => {
                delivery.repeats += 1;
                true
            }
            None => false,
        };
        Ok(keys.iter().map(&mut seen).collect())
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let old: Vec<_> = tables
            .dedupe
            .iter()
            .filter(|(_, delivery)| delivery.received_at < before)
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect();
        old.iter().for_each(|key| {
            tables.dedupe.remove(key);
        });
        Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
    }

    async fn restate(&self, record: &Record, match_keys: &[String]) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let mut claims = Commit::default();
        claims.records.push(RecordCommit {
            expected_seq: record.seq,
            state: record.clone(),
            events: Vec::new(),
            match_keys: Vec::new(),
        });
        if let Some(what) = tables.taken_link(&claims) {
            return Err(StoreError::Corrupt { place: format!("links of record {}", record.id), what });
        }
        tables.put(record.clone(), match_keys.to_vec());
        Ok(())
    }
}

#[async_trait]
impl ScheduleWork for MemoryStore {
    async fn due_intents(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueIntent>, StoreError> {
        let tables = self.tables();
        let mut due: Vec<_> = tables
            .schedules
            .iter()
            .filter(|((record, to), schedule)| {
                to == system && schedule.not_before <= now && shares.covers(Bucket::of_record(record))
            })
            .collect();
        due.sort_by_key(|(_, schedule)| (schedule.not_before, schedule.position));
        let intent = |((record, _), schedule): (&(RecordId, SystemName), &Schedule)| DueIntent {
            record: record.clone(),
            failures: schedule.failures,
            reason: schedule.last_error.clone(),
        };
        Ok(due.into_iter().take(limit).map(intent).collect())
    }

    async fn due_signals(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError> {
        let tables = self.tables();
        let is_due = |signal: &&Signal| {
            signal.copy.system == *system
                && signal.not_before <= now
                && shares.covers(Bucket::of_copy(&signal.copy))
        };
        let mut due: Vec<_> = tables.signals.values().filter(is_due).cloned().collect();
        due.sort_by_key(|signal| (signal.not_before, signal.id));
        due.truncate(limit);
        Ok(due)
    }

    async fn due_shares(&self, system: &SystemName, due: Due, now: Timestamp) -> Result<Shares, StoreError> {
        let tables = self.tables();
        Ok(match due {
            Due::Intents => {
                let due =
                    tables.schedules.iter().filter(|((_, to), at)| to == system && at.not_before <= now);
                due.map(|((record, _), _)| Bucket::of_record(record).share()).collect()
            }
            Due::Signals => {
                let mine = tables.signals.values().filter(|signal| signal.copy.system == *system);
                let due = mine.filter(|signal| signal.not_before <= now);
                due.map(|signal| Bucket::of_copy(&signal.copy).share()).collect()
            }
        })
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.tables();
        let intents = tables.schedules.values().map(|schedule| schedule.not_before);
        Ok(intents.chain(tables.signals.values().map(|signal| signal.not_before)).min())
    }

    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError> {
        Ok(self.lanes.claim(lanes))
    }
}

#[async_trait]
impl ControlStops for MemoryStore {
    async fn installation(&self) -> Result<Installation, StoreError> {
        Installation::new("memory").ok_or_else(|| StoreError::Unavailable("it has no name".to_owned()))
    }

    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        Ok(self.tables().stops.clone())
    }

    async fn set_stop(&self, stop: &Stop) -> Result<bool, StoreError> {
        let stops = &mut self.tables().stops;
        let is_new = !stops.iter().any(|other| other.is_for_the_same(stop));
        if is_new {
            stops.push(stop.clone());
        }
        Ok(is_new)
    }

    async fn lift_stop(&self, stop: &Stop, _by: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let before = tables.stops.len();
        tables.stops.retain(|other| !other.is_for_the_same(stop));
        let stood = tables.stops.len() < before;
        if stood {
            tables.lifted.insert((stop.system.clone(), stop.cause.as_str()), at);
        }
        Ok(stood)
    }

    async fn last_lifted(
        &self,
        system: &SystemName,
        cause: StopCause,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.tables().lifted.get(&(system.clone(), cause.as_str())).copied())
    }
}

#[async_trait]
impl KeepLags for MemoryStore {
    async fn lags(&self) -> Result<BTreeMap<SystemName, u64>, StoreError> {
        Ok(self.tables().lags.clone())
    }

    async fn keep_lag(&self, system: &SystemName, ms: u64) -> Result<(), StoreError> {
        let lags = &mut self.tables().lags;
        let known = lags.entry(system.clone()).or_default();
        *known = ms.max(*known);
        Ok(())
    }
}

#[async_trait]
impl KeepRuns for MemoryStore {
    async fn begin_run(&self, run: &NewRun) -> Result<RunId, StoreError> {
        let runs = &mut self.tables().runs;
        let id = RunId::new(runs.keys().next_back().map_or(0, |last| last.number()) + 1);
        runs.insert(id, Run::begun(id, run));
        let is_old = |run: &Run| run.id.number() + QUIET_RUNS_KEPT <= id.number();
        runs.retain(|_, run| run.counts.events > 0 || run.end.is_none() || !is_old(run));
        Ok(id)
    }

    async fn note_run(&self, run: RunId, counts: &RunCounts, at: Timestamp) -> Result<(), StoreError> {
        if let Some(run) = self.tables().runs.get_mut(&run).filter(|run| run.end.is_none()) {
            (run.counts, run.seen_at) = (*counts, at);
        }
        Ok(())
    }

    async fn end_run(
        &self,
        run: RunId,
        end: RunEnd,
        counts: &RunCounts,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(run) = self.tables().runs.get_mut(&run).filter(|run| run.end.is_none()) {
            (run.counts, run.seen_at, run.ended_at, run.end) = (*counts, at, Some(at), Some(end));
        }
        Ok(())
    }

    async fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        let tables = self.tables();
        let to = before.map_or(Bound::Unbounded, Bound::Excluded);
        let runs = tables.runs.range((Bound::Unbounded, to)).rev();
        Ok(runs.take(limit).map(|(_, run)| run.clone()).collect())
    }

    async fn find_run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.tables().runs.get(&run).cloned())
    }

    async fn run_events(
        &self,
        run: RunId,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        let tables = self.tables();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let events = tables.events.range((from, Bound::Unbounded)).map(|(_, event)| event);
        Ok(events.filter(|event| event.run == Some(run)).take(limit).cloned().collect())
    }
}

#[async_trait]
impl KeepReconciliations for MemoryStore {
    async fn keep_reconciliation(
        &self,
        report: &Reconciliation,
        differences: &[ReconciliationDifference],
    ) -> Result<(), StoreError> {
        let kept = &mut self.tables().reconciliations;
        kept.insert(report.run, (report.clone(), differences.to_vec()));
        while kept.len() as u64 > RECONCILIATIONS_KEPT {
            kept.pop_first();
        }
        Ok(())
    }

    async fn reconciliations(&self, limit: usize) -> Result<Vec<Reconciliation>, StoreError> {
        let tables = self.tables();
        Ok(tables.reconciliations.values().rev().take(limit).map(|(report, _)| report.clone()).collect())
    }

    async fn reconciliation(&self, run: RunId) -> Result<Option<Reconciliation>, StoreError> {
        Ok(self.tables().reconciliations.get(&run).map(|(report, _)| report.clone()))
    }

    async fn differences(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ReconciliationDifference>, StoreError> {
        let tables = self.tables();
        let kept = tables.reconciliations.get(&run).map(|(_, differences)| differences.as_slice());
        let later = kept.unwrap_or_default().iter().filter(|difference| difference.number > after);
        Ok(later.take(limit).cloned().collect())
    }
}

impl ShareStore for MemoryStore {
    fn shared(&self) -> Option<&dyn SharedStore> {
        None
    }
}

/// Asked by the workers that share it in one world.
#[async_trait]
impl SharedStore for MemoryStore {
    async fn set_aside(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError> {
        let tables = self.tables();
        let is_of = |item: &QuarantineItem, copy: &CopyKey| {
            item.system == copy.system
                && item.entity == copy.entity
                && item.remote_id.as_ref() == Some(&copy.remote_id)
        };
        let any = |copy| tables.quarantine.values().any(|stored| is_of(&stored.item, copy));
        Ok(copies.iter().map(any).collect())
    }

    async fn awaited(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError> {
        let tables = self.tables();
        Ok(copies.iter().map(|copy| tables.signals.values().any(|signal| signal.copy == *copy)).collect())
    }

    async fn work_available(&self, _system: &SystemName) {
        std::future::pending().await
    }
}
