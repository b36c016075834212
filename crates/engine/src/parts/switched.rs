//! The switch that stops everything: a system is asked nothing while it is thrown, and what is under way is broken off.

use crate::ports::clock::Clock;
use crate::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Fields, Finding, Page,
    Write, WriteOutcome,
};
use crate::ports::store::{Cursor, Stop, Store};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use futures::future::{Either, select};
use std::sync::Arc;

/// How often it is looked at the switch while a call is under way, in milliseconds.
const LOOK_MS: u64 = 250;

/// Another connector, which asks its system nothing while everything is stopped.
///
/// The engine asks no stopped system by itself. This is for the calls that are under way when the switch is thrown: they
/// are broken off within a quarter of a second, and the outcome of a write is unknown then, to be found out later.
pub struct Switched {
    inner: Arc<dyn Connector>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Switched {
    /// The connector under the switch that stands in this store.
    pub fn new(inner: Arc<dyn Connector>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, store, clock }
    }

    /// Whether everything is stopped. Where the store cannot say it, nothing is broken off: the engine asks it too.
    async fn is_thrown(&self) -> bool {
        Stop::is_everything_among(&self.store.stops().await.unwrap_or_default())
    }

    /// Resolves soon after everything is stopped.
    async fn thrown(&self) {
        loop {
            self.clock.sleep(LOOK_MS).await;
            if self.is_thrown().await {
                return;
            }
        }
    }

    /// The answer of a call that reads, unless everything is stopped.
    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, ConnectorError>> + Send,
    ) -> Result<T, ConnectorError> {
        if self.is_thrown().await {
            return Err(refusal());
        }
        match select(std::pin::pin!(call), std::pin::pin!(self.thrown())).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(refusal()),
        }
    }
}

/// What is said of a call that was not made or was broken off.
fn refusal() -> ConnectorError {
    ConnectorError::new(
        ConnectorErrorKind::Unreachable,
        "every system is stopped",
        Some("Run `avowal resume --all` to go on"),
    )
}

#[async_trait]
impl Connector for Switched {
    fn capabilities(&self, entity: &EntityName) -> Capabilities {
        self.inner.capabilities(entity)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.ask(self.inner.check()).await
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        self.ask(self.inner.install()).await
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        self.ask(self.inner.uninstall()).await
    }

    async fn adopt(&self, entity: &EntityName, cursor: &Cursor) -> Result<(), ConnectorError> {
        self.ask(self.inner.adopt(entity, cursor)).await
    }

    async fn feed_position(&self, entity: &EntityName) -> Result<Cursor, ConnectorError> {
        self.ask(self.inner.feed_position(entity)).await
    }

    async fn list(
        &self,
        entity: &EntityName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        self.ask(self.inner.list(entity, cursor, limit)).await
    }

    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        self.ask(self.inner.changes(entity, cursor, limit)).await
    }

    async fn peek(&self, entity: &EntityName, cursor: &Cursor, limit: usize) -> Result<Page, ConnectorError> {
        self.ask(self.inner.peek(entity, cursor, limit)).await
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        self.ask(self.inner.read(entity, ids)).await
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        self.ask(self.inner.find(entity, fields)).await
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        if self.is_thrown().await {
            let retry = || WriteOutcome::Retry { after_ms: None, reason: refusal().message };
            return writes.iter().map(|_| retry()).collect();
        }
        let call = self.inner.write(entity, writes);
        match select(std::pin::pin!(call), std::pin::pin!(self.thrown())).await {
            Either::Left((outcomes, _)) => outcomes,
            Either::Right(_) => {
                let unknown =
                    || WriteOutcome::Unknown { reason: "everything was stopped meanwhile".to_owned() };
                writes.iter().map(|_| unknown()).collect()
            }
        }
    }

    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        self.inner.decode(delivery)
    }

    async fn notices(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.ask(self.inner.notices()).await
    }

    async fn wait(&self) {
        if self.is_thrown().await {
            return std::future::pending().await;
        }
        select(std::pin::pin!(self.inner.wait()), std::pin::pin!(self.thrown())).await;
    }
}
