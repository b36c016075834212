//! A store on a bumpy road: every call may be dropped half-way, and the n-th commit fails as told.

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::Record;
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::lanes::{Claim, Lane};
use avowal_engine::ports::store::{
    Commit, CommitOutcome, CopyKey, Counts, Cursor, CursorName, Due, DueIntent, Located, OpenCounts,
    OpenReview, QuarantineItem, SharedStore, Signal, Store, StoreError,
};
use avowal_testkit::fake::pause;
use avowal_testkit::memory::{CommitFault, MemoryStore};
use std::sync::Mutex;

/// A memory store whose calls give way before and after their effect.
#[derive(Default)]
pub struct BumpyStore {
    pub inner: MemoryStore,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    commits: usize,
    fault: Option<(usize, CommitFault)>,
}

impl BumpyStore {
    /// The n-th commit from now on, counted from 1, fails like this.
    pub fn fail_commit(&self, n: usize, fault: CommitFault) {
        *self.plan.lock().unwrap() = Plan { commits: 0, fault: Some((n, fault)) };
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.plan.lock().unwrap().fault = None;
    }

    /// Whether the planned fault has not been met yet.
    pub fn is_unmet(&self) -> bool {
        self.plan.lock().unwrap().fault.is_some()
    }
}

#[async_trait]
impl Store for BumpyStore {
    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        pause().await;
        self.inner.locate(keys).await
    }

    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        pause().await;
        self.inner.match_records(entity, keys).await
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        pause().await;
        self.inner.load(ids).await
    }

    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        self.inner.seen_before(system, keys).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        pause().await;
        {
            let mut plan = self.plan.lock().unwrap();
            plan.commits += 1;
            if let Some((n, fault)) = plan.fault
                && plan.commits == n
            {
                plan.fault = None;
                self.inner.fail_next(fault);
            }
        }
        let outcome = self.inner.commit(commit).await;
        pause().await;
        outcome
    }

    async fn cursor(&self, name: &CursorName) -> Result<Option<Cursor>, StoreError> {
        self.inner.cursor(name).await
    }

    async fn due_intents(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueIntent>, StoreError> {
        self.inner.due_intents(system, shares, now, limit).await
    }

    async fn due_shares(&self, system: &SystemName, due: Due, now: Timestamp) -> Result<Shares, StoreError> {
        self.inner.due_shares(system, due, now).await
    }

    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError> {
        self.inner.claim(lanes).await
    }

    fn shared(&self) -> Option<&dyn SharedStore> {
        self.inner.shared()
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.inner.prune(before, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due().await
    }

    async fn due_signals(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError> {
        self.inner.due_signals(system, shares, now, limit).await
    }

    async fn events(
        &self,
        record: &RecordId,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        self.inner.events(record, from_seq, limit).await
    }

    async fn scan_events(
        &self,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError> {
        self.inner.scan_events(after, limit).await
    }

    async fn scan_records(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.scan_records(after, limit).await
    }

    async fn restate(&self, record: &Record, match_keys: &[String]) -> Result<(), StoreError> {
        self.inner.restate(record, match_keys).await
    }

    async fn open_reviews(&self, limit: usize) -> Result<Vec<OpenReview>, StoreError> {
        self.inner.open_reviews(limit).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<QuarantineItem>, StoreError> {
        self.inner.quarantined(limit).await
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        self.inner.open_counts().await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.inner.counts().await
    }
}
