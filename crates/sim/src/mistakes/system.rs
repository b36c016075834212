//! Mistakes that a connector makes in the engine's place.

use super::Mistake;
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Expected, Fields, Finding,
    Page, RemoteState, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A connector with a mistake in it.
pub struct MistakenSystem {
    inner: Arc<dyn Connector>,
    mistake: Mistake,
    /// The remote names that are mapped, by entity.
    columns: BTreeMap<EntityName, Vec<String>>,
}

impl MistakenSystem {
    /// Makes the mistake in front of `inner`, whose mapped names are `columns`.
    pub fn new(
        inner: Arc<dyn Connector>,
        mistake: Mistake,
        columns: BTreeMap<EntityName, Vec<String>>,
    ) -> Self {
        Self { inner, mistake, columns }
    }

    fn fields(&self, entity: &EntityName, mut fields: Fields) -> Fields {
        if self.mistake == Mistake::NullAsAbsent {
            fields.retain(|_, value| !value.is_null());
        }
        if self.mistake == Mistake::AbsentAsNull {
            for column in self.columns.get(entity).into_iter().flatten() {
                fields.entry(column.clone()).or_insert(Value::Null);
            }
        }
        fields
    }

    fn change(&self, entity: &EntityName, change: Change) -> Option<Change> {
        let shown = match change.shown {
            RemoteState::Present(fields) => RemoteState::Present(self.fields(entity, fields)),
            RemoteState::Unreadable { .. } if self.mistake == Mistake::DropUnreadable => return None,
            shown @ (RemoteState::Gone
            | RemoteState::Unknown
            | RemoteState::Unreadable { .. }
            | RemoteState::Unread { .. }) => shown,
        };
        Some(Change { shown, ..change })
    }

    fn changed(&self, entity: &EntityName, changes: Vec<Change>) -> Vec<Change> {
        changes.into_iter().filter_map(|change| self.change(entity, change)).collect()
    }

    fn page(&self, entity: &EntityName, page: Page) -> Page {
        Page { changes: self.changed(entity, page.changes), ..page }
    }

    fn write_of(&self, write: &Write) -> Write {
        let mut write = write.clone();
        if self.mistake == Mistake::SkipPrecondition {
            write.version = None;
            write.expected = Expected::anything();
        }
        write
    }

    fn outcome(&self, entity: &EntityName, write: &Write, outcome: WriteOutcome) -> WriteOutcome {
        let assumes = self.mistake == Mistake::AssumeConfirmed;
        let hurries = self.mistake == Mistake::IgnoreRetryAfter;
        match outcome {
            WriteOutcome::Unknown { reason } => match write.id.clone().filter(|_| assumes) {
                Some(id) => WriteOutcome::Confirmed { id, after: None },
                None => WriteOutcome::Unknown { reason },
            },
            WriteOutcome::Retry { after_ms, reason } => {
                WriteOutcome::Retry { after_ms: after_ms.filter(|_| !hurries), reason }
            }
            WriteOutcome::Confirmed { id, after } => {
                WriteOutcome::Confirmed { id, after: after.and_then(|change| self.change(entity, change)) }
            }
            outcome @ (WriteOutcome::Conflict { .. }
            | WriteOutcome::Exists { .. }
            | WriteOutcome::Missing
            | WriteOutcome::Blocked { .. }
            | WriteOutcome::Unauthorised { .. }
            | WriteOutcome::Rejected { .. }) => outcome,
        }
    }

    fn failed(&self, mut error: ConnectorError) -> ConnectorError {
        if let (Mistake::IgnoreRetryAfter, ConnectorErrorKind::RateLimited { after_ms }) =
            (self.mistake, &mut error.kind)
        {
            *after_ms = None;
        }
        error
    }
}

#[async_trait]
impl Connector for MistakenSystem {
    fn capabilities(&self, entity: &EntityName) -> Capabilities {
        let mut declared = self.inner.capabilities(entity);
        declared.idempotent |= self.mistake == Mistake::ResendWithoutLook;
        declared.searchable |= self.mistake == Mistake::DoubleCreateAfterTimeout;
        declared
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.inner.check().await
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        self.inner.install().await
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
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        let page = self.inner.list(entity, cursor, limit).await;
        page.map(|page| self.page(entity, page)).map_err(|error| self.failed(error))
    }

    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        let page = self.inner.changes(entity, cursor, limit).await;
        page.map(|page| self.page(entity, page)).map_err(|error| self.failed(error))
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        let changes = self.inner.read(entity, ids).await;
        changes.map(|changes| self.changed(entity, changes)).map_err(|error| self.failed(error))
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        if self.mistake == Mistake::DoubleCreateAfterTimeout {
            return Ok(Vec::new());
        }
        let changes = self.inner.find(entity, fields).await;
        changes.map(|changes| self.changed(entity, changes)).map_err(|error| self.failed(error))
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        let altered: Vec<Write> = writes.iter().map(|write| self.write_of(write)).collect();
        let outcomes = self.inner.write(entity, &altered).await;
        writes.iter().zip(outcomes).map(|(write, outcome)| self.outcome(entity, write, outcome)).collect()
    }

    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        let changes = self.inner.decode(delivery)?;
        let altered = |(entity, change)| self.change(&entity, change).map(|change| (entity, change));
        Ok(changes.into_iter().filter_map(altered).collect())
    }

    async fn notices(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.inner.notices().await
    }

    async fn adopt(&self, entity: &EntityName, cursor: &Cursor) -> Result<(), ConnectorError> {
        self.inner.adopt(entity, cursor).await
    }

    async fn wait(&self) {
        self.inner.wait().await;
    }
}
