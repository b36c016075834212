//! The named points: around every commit, every write call and every page.

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, Delivery, Fields, Finding, Page, Write, WriteOutcome,
};
use avowal_engine::ports::store::{Commit, CommitOutcome, Cursor, Store, StoreError};
use avowal_testkit::layer::StoreLayer;
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
impl StoreLayer for PointedStore {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.points.pass("before commit");
        let outcome = self.inner.commit(commit).await;
        self.points.pass("after commit");
        outcome
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

    async fn notices(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.inner.notices().await
    }

    async fn adopt(&self, entity: &EntityName, cursor: &Cursor) -> Result<(), ConnectorError> {
        self.inner.adopt(entity, cursor).await
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
