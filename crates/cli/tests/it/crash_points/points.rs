//! The named points: around every commit, every write call and every page.

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::Record;
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, Delivery, Fields, Finding, Page, Write, WriteOutcome,
};
use avowal_engine::ports::lanes::{Claim, Lane};
use avowal_engine::ports::store::{
    Commit, CommitOutcome, CopyKey, Counts, Cursor, CursorName, Due, DueIntent, Located, OpenCounts,
    OpenReview, QuarantineItem, SharedStore, Signal, Store, StoreError,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the points that are passed, and dies at one of them.
pub struct Points {
    at: u64,
    passed: AtomicU64,
    note: PathBuf,
}

impl Points {
    /// Dies at the `at`-th point; never for 0.
    pub fn new(folder: &Path, at: u64) -> Arc<Self> {
        Arc::new(Self { at, passed: AtomicU64::new(0), note: folder.join("point") })
    }

    /// A point is reached.
    pub fn pass(&self, name: &str) {
        if self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            let _ = std::fs::write(&self.note, format!("{} {name}", self.at));
            std::process::abort();
        }
    }
}

/// A store with points around its commits.
pub struct PointedStore {
    pub inner: Arc<dyn Store>,
    pub points: Arc<Points>,
}

#[async_trait]
impl Store for PointedStore {
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.points.pass("before commit");
        let outcome = self.inner.commit(commit).await;
        self.points.pass("after commit");
        outcome
    }

    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        self.inner.locate(keys).await
    }

    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        self.inner.match_records(entity, keys).await
    }

    async fn scan_copies(
        &self,
        system: &SystemName,
        entity: &EntityName,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, RemoteId)>, StoreError> {
        self.inner.scan_copies(system, entity, after, limit).await
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        self.inner.load(ids).await
    }

    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        self.inner.seen_before(system, keys).await
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

/// A system with points around its pages and writes.
pub struct PointedConnector {
    pub inner: Arc<dyn Connector>,
    pub points: Arc<Points>,
}

#[async_trait]
impl Connector for PointedConnector {
    fn capabilities(&self, entity: &EntityName) -> Capabilities {
        self.inner.capabilities(entity)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.inner.check().await
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        self.points.pass("before install");
        let installed = self.inner.install().await;
        self.points.pass("after install");
        installed
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        self.inner.uninstall().await
    }

    async fn feed_position(&self, entity: &EntityName) -> Result<Cursor, ConnectorError> {
        self.inner.feed_position(entity).await
    }

    async fn list(
        &self,
        entity: &EntityName,
        at: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        self.points.pass("before a page of a listing");
        let page = self.inner.list(entity, at, limit).await;
        self.points.pass("after a page of a listing");
        page
    }

    async fn changes(&self, entity: &EntityName, at: &Cursor, limit: usize) -> Result<Page, ConnectorError> {
        let page = self.inner.changes(entity, at, limit).await;
        // Most pages are empty, and dying over nothing shows nothing.
        if page.as_ref().is_ok_and(|page| !page.changes.is_empty()) {
            self.points.pass("after a page of changes");
        }
        page
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        let read = self.inner.read(entity, ids).await;
        self.points.pass("after a read");
        read
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        let found = self.inner.find(entity, fields).await;
        self.points.pass("after a search");
        found
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        self.points.pass("before a write");
        let outcomes = self.inner.write(entity, writes).await;
        self.points.pass("after a write");
        outcomes
    }

    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        self.inner.decode(delivery)
    }
}
