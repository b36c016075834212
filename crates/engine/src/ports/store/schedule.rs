//! What is due, and who works on it.

use crate::ports::bucket::Shares;
use crate::ports::lanes::{Claim, Lane};
use crate::ports::store::{Signal, StoreError};
use async_trait::async_trait;
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::intent::IntentStatus;
use serde::{Serialize, Serializer};

/// Finding what is due and claiming the right to do it.
#[async_trait]
pub trait ScheduleWork: Send + Sync {
    /// Up to `limit` intents to `system` that are due at `now`, of records in these shares, oldest first.
    async fn due_intents(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueIntent>, StoreError>;

    /// Up to `limit` signals of `system` that are due at `now`, of copies in these shares, oldest first.
    async fn due_signals(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError>;

    /// The shares in which something of this kind is due at `now`. May name more, never fewer.
    async fn due_shares(&self, system: &SystemName, due: Due, now: Timestamp) -> Result<Shares, StoreError>;

    /// When the next intent or signal becomes due; `None` if none waits.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Takes the exclusive right to work on as many of these lanes as are free. May leave some to others that work
    /// on the same store, so that everybody gets a share. Never waits for a lane.
    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError>;
}

/// What may be due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Intents.
    Intents,
    /// Signals.
    Signals,
}

/// An intent that may be sent now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueIntent {
    /// Of which record.
    pub record: RecordId,
    /// How often it has failed without effect since it last made progress.
    pub failures: u32,
    /// Why it was delayed, in words; `None` if nothing has delayed it, or a try without an event is under way.
    pub reason: Option<String>,
}

/// An intent that was delayed, as people ask for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WaitingIntent {
    /// Of which record.
    pub record: RecordId,
    /// To which system.
    pub system: SystemName,
    /// How far it has come.
    #[serde(serialize_with = "status_word")]
    pub status: IntentStatus,
    /// How often it has failed without effect.
    pub failures: u32,
    /// Not before this time.
    pub not_before: Timestamp,
    /// The last failure, in words.
    pub reason: String,
}

fn status_word<S: Serializer>(status: &IntentStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

/// An intent whose next attempt waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntentDelay {
    /// Of which record.
    pub record: RecordId,
    /// To which system.
    pub system: SystemName,
    /// Not before this time.
    pub not_before: Timestamp,
    /// How often it has failed without effect.
    pub failures: u32,
    /// The last failure, in words; `None` marks a try without an event as under way.
    pub reason: Option<String>,
}
