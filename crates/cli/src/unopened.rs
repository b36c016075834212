//! Stands in for a system that could not be opened, so that the others go on and every question is answered
//! with the reason and the cure.

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, Delivery, Fields, Finding, OrderKind, Page, Write,
    WriteOutcome,
};
use avowal_engine::ports::store::Cursor;

/// A system that could not be opened.
pub struct Unopened(pub ConnectorError);

impl Unopened {
    fn refuse<T>(&self) -> Result<T, ConnectorError> {
        Err(self.0.clone())
    }
}

#[async_trait]
impl Connector for Unopened {
    fn capabilities(&self, _: &EntityName) -> Capabilities {
        Capabilities {
            order: OrderKind::None,
            correlation: false,
            precondition: false,
            idempotent: false,
            searchable: false,
            receipt: false,
            deletes_in_feed: false,
            images: false,
            feed: false,
            batch_writes_max: 1,
        }
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.refuse()
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        self.refuse()
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        self.refuse()
    }

    async fn feed_position(&self, _: &EntityName) -> Result<Cursor, ConnectorError> {
        self.refuse()
    }

    async fn list(&self, _: &EntityName, _: Option<&Cursor>, _: usize) -> Result<Page, ConnectorError> {
        self.refuse()
    }

    async fn changes(&self, _: &EntityName, _: &Cursor, _: usize) -> Result<Page, ConnectorError> {
        self.refuse()
    }

    async fn read(&self, _: &EntityName, _: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        self.refuse()
    }

    async fn find(&self, _: &EntityName, _: &Fields) -> Result<Vec<Change>, ConnectorError> {
        self.refuse()
    }

    async fn write(&self, _: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        let reason = self.0.to_string();
        writes.iter().map(|_| WriteOutcome::Retry { after_ms: None, reason: reason.clone() }).collect()
    }

    fn decode(&self, _: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        self.refuse()
    }
}
