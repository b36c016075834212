//! Reading what is stored: records, their history, and what waits for a person.

use crate::ports::store::{
    Counts, OpenCounts, OpenReview, PlannedCreates, PlannedDeletes, QuarantineItem, StoreError, WaitingIntent,
};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::value::Digest;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::{CopyKey, Record};

/// Finding and reading the states of records.
#[async_trait]
pub trait ReadRecords: Send + Sync {
    /// Which record each copy belongs to; `None` for an unlinked one. Answers in the order asked.
    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError>;

    /// The records of `entity` that carry each match key, in the order asked.
    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError>;

    /// The states of the records, in the order asked; `None` for unknown ids.
    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError>;

    /// Up to `limit` states in order of record id, after the given one.
    async fn scan_records(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// Up to `limit` living copies of `entity` in `system` with their records, in order of record id, after the given
    /// one. Empty only at the end. A store that can tell them from its links need not load their states.
    async fn scan_copies(
        &self,
        system: &SystemName,
        entity: &EntityName,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, RemoteId)>, StoreError> {
        let mut after = after;
        loop {
            let records = self.scan_records(after, limit).await?;
            after = records.last().map(|record| record.id.clone());
            let living = |record: Record| {
                let copy = record.live_copy(system).filter(|_| record.entity == *entity)?;
                Some((record.id.clone(), copy.remote_id.clone()))
            };
            let found: Vec<_> = records.into_iter().filter_map(living).collect();
            if !found.is_empty() || after.is_none() {
                return Ok(found);
            }
        }
    }
}

/// Reading the history.
#[async_trait]
pub trait ReadHistory: Send + Sync {
    /// Up to `limit` events of one record from sequence `from_seq` on.
    async fn events(
        &self,
        record: &RecordId,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError>;

    /// Up to `limit` events of all records, in stream order: by record id, then sequence, after the given place.
    async fn scan_events(
        &self,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError>;
}

/// Reading what waits for a person, and the figures.
#[async_trait]
pub trait ReadOverview: Send + Sync {
    /// The open reviews, oldest first, at most `limit`.
    async fn open_reviews(&self, limit: usize) -> Result<Vec<OpenReview>, StoreError>;

    /// The quarantined items that are still open, oldest first, at most `limit`.
    async fn quarantined(&self, limit: usize) -> Result<Vec<QuarantineItem>, StoreError>;

    /// The delayed intents with their reasons, longest planned first, at most `limit`.
    async fn waiting_intents(&self, limit: usize) -> Result<Vec<WaitingIntent>, StoreError>;

    /// How much is not done yet. Its cost grows with what is open, not with what is stored: every run asks for it.
    async fn open_counts(&self) -> Result<OpenCounts, StoreError>;

    /// The entities of which deletes are planned in a system, in order.
    async fn planned_deletes(&self, system: &SystemName) -> Result<Vec<PlannedDeletes>, StoreError>;

    /// The entities of which creates are planned in a system, in order. May read through all that are planned.
    async fn planned_creates(&self, system: &SystemName) -> Result<Vec<PlannedCreates>, StoreError>;

    /// The figures for `status`. May read through everything that is stored.
    async fn counts(&self) -> Result<Counts, StoreError>;
}

/// What the link table tells of one copy, enough to skip an unchanged one without loading its record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// The record.
    pub record: RecordId,
    /// [`avowal_core::record::Copy::content_digest`] of the copy.
    pub content: Digest,
    /// Whether the copy exists, as far as proven.
    pub alive: bool,
    /// Whether an intent to this copy has been sent and its outcome is not known yet.
    pub in_flight: bool,
}
