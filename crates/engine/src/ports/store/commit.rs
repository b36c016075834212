//! Changing what is stored: what becomes durable together, and how a commit ends.

use crate::ports::store::{
    CursorMove, CursorName, EffectCount, IntentDelay, NewQuarantineItem, NewSignal, Position, StoreError,
};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::{CopyKey, Record};

/// The most records in one commit or load.
pub const BATCH_RECORDS_MAX: usize = 1000;

/// Committing, and reading what a commit is compared with.
#[async_trait]
pub trait CommitChanges: Send + Sync {
    /// Makes everything in `commit` durable at once, or nothing of it.
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError>;

    /// Where a feed or listing stands; `None` before its first page.
    async fn cursor(&self, name: &CursorName) -> Result<Option<Position>, StoreError>;

    /// Whether each delivery id of `system` has been committed before; counts the repetition where it has.
    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError>;

    /// Forgets up to `limit` deliveries that came before `before`. Answers how many.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// Overwrites the stored state of a record, keeping its history: the end of `history rebuild`.
    async fn restate(&self, record: &Record, match_keys: &[String]) -> Result<(), StoreError>;
}

/// Everything that one step makes durable together.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// New states with the events that led there.
    pub records: Vec<RecordCommit>,
    /// Delivery ids that must be new.
    pub dedupe: Vec<DedupeKey>,
    /// Feeds and listings that move on.
    pub cursors: Vec<CursorMove>,
    /// Items that could not be understood.
    pub quarantine: Vec<NewQuarantineItem>,
    /// Copies that were understood now: their open incoming items (those without a record) close.
    pub quarantine_closed: Vec<CopyKey>,
    /// Writes that have got through, or have nothing left to do: the open outgoing items of that record and system close.
    pub quarantine_settled: Vec<(RecordId, SystemName)>,
    /// Items (by their `id`) that a person has released.
    pub quarantine_ids_closed: Vec<i64>,
    /// Copies to read, later or soon.
    pub signals: Vec<NewSignal>,
    /// Signals (by their `id`) that have been followed.
    pub signals_done: Vec<i64>,
    /// Intents whose next attempt waits, with the reason; applied after the states.
    pub delays: Vec<IntentDelay>,
    /// Keys that no record outside this commit may carry when it becomes durable: a [`CommitOutcome::Conflict`]
    /// otherwise. Two processes that begin a record for one key would make two records of one thing.
    pub sole_keys: Vec<MatchKey>,
    /// What writes did, for guards and budgets.
    pub effects: Vec<EffectCount>,
}

impl Commit {
    /// Whether there is nothing to make durable.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.dedupe.is_empty()
            && self.cursors.is_empty()
            && self.quarantine.is_empty()
            && self.quarantine_closed.is_empty()
            && self.quarantine_settled.is_empty()
            && self.quarantine_ids_closed.is_empty()
            && self.signals.is_empty()
            && self.signals_done.is_empty()
            && self.delays.is_empty()
            && self.sole_keys.is_empty()
            && self.effects.is_empty()
    }
}

/// One record's part of a commit.
#[derive(Clone, Debug)]
pub struct RecordCommit {
    /// The sequence the stored record must stand at; 0 for a new one.
    pub expected_seq: u64,
    /// The state after the events. Links, shadows, intents and reviews are part of it.
    pub state: Record,
    /// The events, in order; the last one's sequence is `state.seq`.
    pub events: Vec<IntegrationEvent>,
    /// The keys under which unlinked copies find it; replaces the earlier ones. A tombstone has only those of a
    /// create that may still turn out to have made a copy.
    pub match_keys: Vec<String>,
}

/// A key by which records of an entity are matched.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MatchKey {
    /// Of which entity.
    pub entity: EntityName,
    /// The key, as in [`RecordCommit::match_keys`].
    pub key: String,
}

/// A delivery that must be taken once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DedupeKey {
    /// From which system.
    pub system: SystemName,
    /// The delivery's id, stable over the sender's retries.
    pub key: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// How a commit ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommitOutcome {
    /// Durable.
    Committed,
    /// Nothing was written: a record, link or cursor has moved on. Load again and decide again.
    Conflict {
        /// What had moved, in words.
        what: String,
    },
    /// Nothing was written: a delivery id was committed before.
    Duplicate {
        /// Which.
        key: String,
    },
    /// Nobody can tell; loading again shows.
    Unknown {
        /// What happened, in words.
        reason: String,
    },
}
