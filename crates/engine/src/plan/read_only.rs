//! A system that can only be looked at: reads go through and are counted, and whatever would change something does not.

use crate::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Fields, Finding, Page,
    Write, WriteOutcome,
};
use crate::ports::store::Cursor;
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The place in a feed that is not installed. No connector gives it, and only this file understands it.
const NO_FEED_YET: &str = "avowal-plan";

/// The calls that were made of one system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Calls {
    /// Pages of listings.
    pub list_pages: u64,
    /// Listings that began.
    pub listings: u64,
    /// Pages of the change feed.
    pub feed_pages: u64,
    /// Copies read by their ids.
    pub copies_read: u64,
    /// Searches.
    pub searches: u64,
    /// Writes that were asked for. They were refused; a plan in which there are any is wrong.
    pub writes_refused: u64,
}

/// Another connector, of which only what reads is let through.
pub(super) struct ReadOnly {
    inner: Arc<dyn Connector>,
    calls: Mutex<Calls>,
}

impl ReadOnly {
    pub(super) fn new(inner: Arc<dyn Connector>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The calls so far.
    pub(super) fn calls(&self) -> Calls {
        *self.counting()
    }

    fn counting(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal() -> ConnectorError {
        ConnectorError::new(
            ConnectorErrorKind::Protocol,
            "a plan changes nothing in any system",
            Some("Run `avowal sync`"),
        )
    }
}

#[async_trait]
impl Connector for ReadOnly {
    fn capabilities(&self, entity: &EntityName) -> Capabilities {
        self.inner.capabilities(entity)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.inner.check().await
    }

    /// Nothing is installed: what a feed would show of the time before is nothing.
    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(Vec::new())
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        Err(Self::refusal())
    }

    async fn adopt(&self, _: &EntityName, _: &Cursor) -> Result<(), ConnectorError> {
        Err(Self::refusal())
    }

    /// Asked only where no place is known yet, so that the feed may not be installed. Nothing needs to be followed from
    /// here: everything is being listed.
    async fn feed_position(&self, _: &EntityName) -> Result<Cursor, ConnectorError> {
        Ok(Cursor(NO_FEED_YET.to_owned()))
    }

    async fn list(
        &self,
        entity: &EntityName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        {
            let mut calls = self.counting();
            calls.list_pages += 1;
            calls.listings += u64::from(cursor.is_none());
        }
        self.inner.list(entity, cursor, limit).await
    }

    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        if cursor.0 == NO_FEED_YET {
            return Ok(Page { changes: Vec::new(), next: cursor.clone(), more: false });
        }
        self.counting().feed_pages += 1;
        self.inner.peek(entity, cursor, limit).await
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        self.counting().copies_read += ids.len() as u64;
        self.inner.read(entity, ids).await
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        self.counting().searches += 1;
        self.inner.find(entity, fields).await
    }

    async fn write(&self, _: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        self.counting().writes_refused += writes.len() as u64;
        let reason = Self::refusal().to_string();
        writes.iter().map(|_| WriteOutcome::Retry { after_ms: None, reason: reason.clone() }).collect()
    }

    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        self.inner.decode(delivery)
    }

    async fn notices(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.inner.notices().await
    }
}
