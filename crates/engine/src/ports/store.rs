//! The store port: where history, states, links, intents and cursors live together.

use crate::ports::bucket::Shares;
use crate::ports::lanes::{Claim, Lane};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use avowal_core::history::{Doubt, IntegrationEvent};
use avowal_core::record::{Record, Review, Subject};
use serde::{Deserialize, Serialize};

/// A durable home for everything the engine knows.
///
/// The store guarantees:
/// - `commit` is atomic: all of it is durable when `Committed` is answered, none of it after `Conflict` or
///   `Duplicate`. `Unknown` says that nobody can tell; the caller loads again and finds out.
/// - A record is written only if its stored sequence equals `expected_seq` (0 for a new one), a cursor only if
///   it still stands at `from`, a dedupe key only if it is new. Links are a partial bijection: a second record
///   for one (system, entity, remote id) is a `Conflict`.
/// - `load` gives back, field for field, what was committed.
/// - Methods may be called from many tasks at once; concurrent commits may share one flush (group commit).
/// - A claim is exclusive among all processes that use the store, and ends with its process.
///
/// The engine guarantees: events of a record continue its stored stream (dense sequence, chained hashes), the
/// state is their fold, and no batch is larger than [`BATCH_RECORDS_MAX`].
#[async_trait]
pub trait Store: Send + Sync {
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

    /// Whether each delivery id of `system` has been committed before; counts the repetition where it has.
    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError>;

    /// Makes everything in `commit` durable at once, or nothing of it.
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError>;

    /// Where a feed or listing stands; `None` before its first page.
    async fn cursor(&self, name: &CursorName) -> Result<Option<Cursor>, StoreError>;

    /// Up to `limit` intents to `system` that are due at `now`, of records in these shares, oldest first.
    async fn due_intents(
        &self,
        system: &SystemName,
        shares: Shares,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueIntent>, StoreError>;

    /// When the next intent or signal becomes due; `None` if none waits.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

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

    /// Takes the exclusive right to work on as many of these lanes as are free. May leave some to others that work
    /// on the same store, so that everybody gets a share. Never waits for a lane.
    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError>;

    /// What has to be asked where several processes may use the store at once; `None` where only this one does. It has
    /// no default: a store that wraps another one must pass it on.
    fn shared(&self) -> Option<&dyn SharedStore>;

    /// Forgets up to `limit` deliveries that came before `before`. Answers how many.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;

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

    /// Overwrites the stored state of a record, keeping its history: the end of `history rebuild`.
    async fn restate(&self, record: &Record, match_keys: &[String]) -> Result<(), StoreError>;

    /// The open reviews, oldest first, at most `limit`.
    async fn open_reviews(&self, limit: usize) -> Result<Vec<OpenReview>, StoreError>;

    /// The quarantined items that are still open, oldest first, at most `limit`.
    async fn quarantined(&self, limit: usize) -> Result<Vec<QuarantineItem>, StoreError>;

    /// How much is not done yet. Costs what is open, not what is stored: it is asked in every run.
    async fn open_counts(&self) -> Result<OpenCounts, StoreError>;

    /// Figures for `status`. May cost a walk through everything that is stored.
    async fn counts(&self) -> Result<Counts, StoreError>;
}

/// What a store that several processes use at once knows beside: what one of them remembers, another may have changed.
#[async_trait]
pub trait SharedStore: Send + Sync {
    /// Whether something that came from each copy stands in quarantine, in the order asked.
    async fn set_aside(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError>;

    /// Whether a signal waits for each copy, in the order asked.
    async fn awaited(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError>;

    /// Returns when another process may have left work for `system`. May return late or never: whoever waits for it
    /// asks now and then all the same.
    async fn work_available(&self, system: &SystemName);
}

/// The most records in one commit or load.
pub const BATCH_RECORDS_MAX: usize = 1000;

/// The address of one copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CopyKey {
    /// Which system.
    pub system: SystemName,
    /// What kind of record.
    pub entity: EntityName,
    /// The system's id.
    pub remote_id: RemoteId,
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
    /// Whether an intent to this copy has been sent and not settled.
    pub in_flight: bool,
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
    pub quarantine: Vec<QuarantineItem>,
    /// Copies that were understood now: their open incoming items (those without a record) close.
    pub quarantine_closed: Vec<CopyKey>,
    /// Items (by their `id`) that a person has released.
    pub quarantine_ids_closed: Vec<i64>,
    /// Copies to read, later or soon.
    pub signals: Vec<Signal>,
    /// Signals (by their `id`) that have been followed.
    pub signals_done: Vec<i64>,
    /// Intents whose next attempt waits, with the reason; applied after the states.
    pub delays: Vec<IntentDelay>,
    /// Keys that no record outside this commit may carry when it becomes durable: a [`CommitOutcome::Conflict`]
    /// otherwise. Two processes that begin a record for one key would make two records of one thing.
    pub sole_keys: Vec<MatchKey>,
}

impl Commit {
    /// Whether there is nothing to make durable.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.dedupe.is_empty()
            && self.cursors.is_empty()
            && self.quarantine.is_empty()
            && self.quarantine_closed.is_empty()
            && self.quarantine_ids_closed.is_empty()
            && self.signals.is_empty()
            && self.signals_done.is_empty()
            && self.delays.is_empty()
            && self.sole_keys.is_empty()
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

/// What may be due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Intents.
    Intents,
    /// Signals.
    Signals,
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

/// Which position is meant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CursorName {
    /// Of which system.
    pub system: SystemName,
    /// Of which entity.
    pub entity: EntityName,
    /// Of which road through it.
    pub kind: CursorKind,
}

/// The roads that keep a position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CursorKind {
    /// The change feed.
    Feed,
    /// The first complete listing; its cursor is [`Cursor::DONE`] afterwards.
    Listing,
}

impl CursorKind {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            CursorKind::Feed => "feed",
            CursorKind::Listing => "listing",
        }
    }
}

/// A position, opaque to everyone but the connector that made it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

impl Cursor {
    /// The position of a listing that has been read to its end.
    pub const DONE: &'static str = "(done)";

    /// The position of a listing that has been read to its end.
    pub fn done() -> Self {
        Self(Self::DONE.to_owned())
    }

    /// Whether a listing has been read to its end.
    pub fn is_done(&self) -> bool {
        self.0 == Self::DONE
    }
}

/// A position that moves by compare-and-set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CursorMove {
    /// Which.
    pub name: CursorName,
    /// Where it must stand.
    pub from: Option<Cursor>,
    /// Where it goes.
    pub to: Cursor,
}

/// Something that could not be understood or accepted, kept whole with its reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct QuarantineItem {
    /// The store's number; 0 before it is stored.
    pub id: i64,
    /// From or to which system.
    pub system: SystemName,
    /// Of which entity.
    pub entity: EntityName,
    /// Which copy, if that much could be read.
    pub remote_id: Option<RemoteId>,
    /// Which record, if it is an outgoing change that was refused.
    pub record: Option<RecordId>,
    /// Why, in words, with the place.
    pub reason: String,
    /// What came, or what should have gone out, as JSON text.
    pub payload: String,
    /// When.
    pub at: Timestamp,
}

/// A copy that shall be read because something hinted that it changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signal {
    /// The store's number; 0 before it is stored.
    pub id: i64,
    /// Which copy.
    pub copy: CopyKey,
    /// Not before this time.
    pub not_before: Timestamp,
    /// Why: shown in the history with what the read finds.
    pub reason: SignalReason,
    /// When the hint reached us.
    pub received_at: Timestamp,
    /// How often following it has failed.
    pub attempts: u32,
}

/// Why a copy shall be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalReason {
    /// A webhook named it.
    Webhook,
    /// What was shown of it is in doubt: look twice.
    SecondLook(Doubt),
    /// A write of ours is confirmed, and nothing has shown yet what the system made of it.
    UnseenWrite,
    /// It came before some system was listed: once that is done, what the system lacks is planned.
    BeforeListing,
    /// A write's outcome is unknown.
    UnknownOutcome,
    /// It was quarantined and shall be tried again.
    Replay,
}

impl SignalReason {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            SignalReason::Webhook => "webhook",
            SignalReason::SecondLook(doubt) => doubt.as_str(),
            SignalReason::UnseenWrite => "unseen_write",
            SignalReason::BeforeListing => "before_listing",
            SignalReason::UnknownOutcome => "unknown_outcome",
            SignalReason::Replay => "replay",
        }
    }

    /// The reason of a name in tables.
    pub fn parse(name: &str) -> Option<Self> {
        let plain =
            [Self::Webhook, Self::UnseenWrite, Self::BeforeListing, Self::UnknownOutcome, Self::Replay];
        let doubts = Doubt::ALL.into_iter().map(Self::SecondLook);
        plain.into_iter().chain(doubts).find(|reason| reason.as_str() == name)
    }
}

/// An intent that may be sent now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueIntent {
    /// Of which record.
    pub record: RecordId,
    /// How often it has failed without effect since it last made progress.
    pub failures: u32,
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
    /// The last failure, in words.
    pub reason: String,
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

/// An open review with its place.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OpenReview {
    /// Of which entity.
    pub entity: EntityName,
    /// Of which record.
    pub record: RecordId,
    /// About what.
    pub subject: Subject,
    /// The question.
    pub review: Review,
}

/// What is not done yet: the same figures as in [`Counts`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenCounts {
    /// Intents not yet confirmed, by system and status.
    pub intents: Vec<(SystemName, String, u64)>,
    /// Deletes not yet confirmed, by system.
    pub deletes: Vec<(SystemName, u64)>,
    /// Open reviews.
    pub reviews: u64,
    /// Copies waiting to be read.
    pub signals: u64,
}

/// Figures for `status`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    /// Records that are not deleted, by entity.
    pub records: Vec<(EntityName, u64)>,
    /// Linked, living copies, by system.
    pub copies: Vec<(SystemName, u64)>,
    /// Events in the history.
    pub events: u64,
    /// Intents not yet confirmed, by system and status.
    pub intents: Vec<(SystemName, String, u64)>,
    /// Deletes not yet confirmed, by system.
    pub deletes: Vec<(SystemName, u64)>,
    /// Open reviews.
    pub reviews: u64,
    /// Open quarantine items.
    pub quarantine: u64,
    /// Copies waiting to be read.
    pub signals: u64,
}

/// Why the store could not do its work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full or a quota is reached. Nothing was written; go on after making room.
    #[error("the store is full: {0}. Nothing was lost; free some space and run again")]
    Full(String),
    /// Another process holds the store.
    #[error("the store is in use by another process: {0}. Stop that process, or wait for it to end")]
    Locked(String),
    /// The store holds something it never wrote.
    #[error("the store is damaged at {place}: {what}. Run `avowal history verify`, then restore or rebuild")]
    Corrupt {
        /// Which table and row.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// It cannot be reached, opened or read.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}
