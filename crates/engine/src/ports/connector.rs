//! The connector port: how one outside system is listed, followed, read and written.
//!
//! A connector speaks remote names and raw JSON values. It knows no policy, no belief and no other system.

use crate::ports::store::Cursor;
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::{Digest, Value};
use avowal_core::record::intent::Operation;
use avowal_core::record::observation::OrderToken;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The raw contents of a copy, by remote name. A name that is missing is absent; `Value::Null` is null.
pub type Fields = BTreeMap<String, Value>;

/// How many pages of a log may have been asked for beyond the last one that is durable, at most.
pub const PAGES_AHEAD_MAX: usize = 4;

/// One outside system.
///
/// The connector guarantees:
/// - `changes` never skips: every change committed in the system after the cursor's position appears on this
///   page or a later one, at least once. Entries of one copy come in the order of `order`, where it has one.
/// - `list` shows every copy that existed throughout the listing; copies that come and go meanwhile may be
///   missing or doubled. `feed_position` taken before the listing makes up for them.
/// - `write` answers once for each write, in order. It may be called twice with one key and must not have two
///   effects where `capabilities().idempotent` is set. It never answers `Confirmed` unless the system did.
/// - Nothing remote panics or grows without bound: pages hold at most `limit` changes, replies are cut at a cap.
/// - Dropping a call half-way leaves the connector usable; a write that was dropped has an unknown outcome.
///
/// The engine guarantees: at most one write in flight per copy; `limit` between 1 and 1000; only mapped,
/// writable fields are written; `entity` is one the connector was built with.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What this connector can prove for `entity`.
    fn capabilities(&self, entity: &EntityName) -> Capabilities;

    /// Reaches the system and compares its schema with the mapping. Findings are problems, each with its cure.
    async fn check(&self) -> Result<Vec<Finding>, ConnectorError>;

    /// Installs what the change feed needs in the system (tables, triggers). Safe to repeat.
    async fn install(&self) -> Result<Vec<String>, ConnectorError>;

    /// Removes everything `install` made. Safe to repeat.
    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError>;

    /// The position of the change feed now. Changes committed after this call come after it. Asked only where there is
    /// a feed, as `capabilities` says.
    async fn feed_position(&self, entity: &EntityName) -> Result<Cursor, ConnectorError>;

    /// The next page of a listing of all copies; `None` begins.
    async fn list(
        &self,
        entity: &EntityName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError>;

    /// The next page of the change feed after `cursor`. Of a log the engine may ask up to [`PAGES_AHEAD_MAX`] pages ahead
    /// of what is durable: a cursor that comes back proves nothing about the pages before it.
    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError>;

    /// As `changes`, for those who only look: nothing is changed in the system, so what was read is not pruned either.
    async fn peek(&self, entity: &EntityName, cursor: &Cursor, limit: usize) -> Result<Page, ConnectorError> {
        self.changes(entity, cursor, limit).await
    }

    /// Reads copies directly, in the order asked. A copy that provably does not exist is `RemoteState::Gone`, and one whose
    /// read fails although the system answers is `RemoteState::Unread`: it must not hold up the others.
    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError>;

    /// Finds the copies whose fields equal `fields`, at most 10. Empty where `searchable` is not declared.
    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError>;

    /// Carries out writes, at most 500, and answers each in order.
    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome>;

    /// Turns a verified delivery into changes. `RemoteState::Unknown` asks for a read of the copy.
    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError>;

    /// Resolves when the system reports that something may have changed; never, where it cannot report that.
    async fn wait(&self) {
        std::future::pending().await
    }

    /// What hampers the system now although it answers: a transaction that holds the feed back, rows that only a listing
    /// can find. Asked at the end of each sync, by `status`, and once a minute by the daemon.
    async fn notices(&self) -> Result<Vec<Finding>, ConnectorError> {
        Ok(Vec::new())
    }

    /// Takes the system for the one that `cursor` was given by, after a person has said that it is ([`ConnectorErrorKind::IdentityChanged`]
    /// came before). Every order token that it gives from now on comes after those that it gave before the cursor.
    async fn adopt(&self, _entity: &EntityName, _cursor: &Cursor) -> Result<(), ConnectorError> {
        Ok(())
    }
}

/// What a connector lets the engine prove. Where a proof is missing, the engine reads the copy or waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Capabilities {
    /// What orders the states of one copy in this system.
    pub order: OrderKind,
    /// Whether the feed names our own writes by their key.
    pub correlation: bool,
    /// Whether a write can be made to fail if the copy has changed since we saw it.
    pub precondition: bool,
    /// Whether a repeated write with the same key has one effect.
    pub idempotent: bool,
    /// Whether `find` works, so that a create of unknown outcome can be looked up.
    pub searchable: bool,
    /// Whether `write` answers with what the system stored.
    pub receipt: bool,
    /// Whether the change feed shows deletes.
    pub deletes_in_feed: bool,
    /// Whether the change feed shows the contents after each change, not the present ones. Without a true order such
    /// contents may be older than what a read has shown, so they only tell that the copy must be read.
    pub images: bool,
    /// Whether there is a change feed at all; without one every sync lists everything.
    pub feed: bool,
    /// How many writes may go out together.
    pub batch_writes_max: usize,
}

/// What orders the states of one copy, strongest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// A position in a commit log.
    CommitLog,
    /// A counter per copy.
    Counter,
    /// The source's clock, which proves no order.
    Time,
    /// Nothing.
    None,
}

/// One fact about one copy, in remote names.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Which copy.
    pub id: RemoteId,
    /// What is known of the copy.
    pub shown: RemoteState,
    /// The order token, where the system gives one.
    pub order: Option<OrderToken>,
    /// The opaque version (etag).
    pub version: Option<String>,
    /// The key of our write that made this state, where the system carries it.
    pub correlation: Option<String>,
    /// Who made the change, in the system's words.
    pub actor: Option<String>,
    /// When the change was made, as the system reports.
    pub occurred_at: Option<Timestamp>,
}

impl Change {
    /// A fact without order, version, key, actor or time.
    pub fn bare(id: RemoteId, shown: RemoteState) -> Self {
        Self { id, shown, order: None, version: None, correlation: None, actor: None, occurred_at: None }
    }
}

/// What is known of a copy.
#[derive(Clone, PartialEq, Debug)]
pub enum RemoteState {
    /// These fields with these raw contents; missing names are absent.
    Present(Fields),
    /// It does not exist, as the system reports.
    Gone,
    /// Something changed, and only a read can show what.
    Unknown,
    /// It could not be read; the reason and the payload are kept in quarantine.
    Unreadable {
        /// Why, with the place.
        reason: String,
        /// The received contents, shortened, as text.
        payload: String,
    },
    /// The system answers, and yet this one copy could not be read now: that says nothing about the copy. Only a read of
    /// copies by their ids answers so; it tells it from a system that cannot be used, which is an error.
    Unread {
        /// Why, in the system's words.
        reason: String,
    },
}

/// A page of a listing or feed.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// The facts, in the system's order.
    pub changes: Vec<Change>,
    /// Where the next page begins. The engine stores it in the same transaction as the facts. Of a listing's last page it
    /// says nothing.
    pub next: Cursor,
    /// Whether another page can be asked for at once.
    pub more: bool,
}

/// An outgoing change, in remote names.
#[derive(Clone, Debug)]
pub struct Write {
    /// The idempotency key.
    pub key: String,
    /// What to do.
    pub operation: Operation,
    /// Which copy; `None` for a create.
    pub id: Option<RemoteId>,
    /// Only the fields to set.
    pub fields: Fields,
    /// The opaque version that the copy must still have, where the system checks versions.
    pub version: Option<String>,
    /// The precondition that the copy's present contents must pass.
    pub expected: Expected,
    /// For a create: a copy with these contents already is that record; answer `Exists` instead of creating.
    pub lookup: Vec<Fields>,
}

/// A precondition: a test of a copy's present contents. Raw contents differ in spelling, so the engine judges equality.
#[derive(Clone)]
pub struct Expected(Arc<dyn Fn(&Fields) -> bool + Send + Sync>);

impl Expected {
    /// A precondition that every copy passes.
    pub fn anything() -> Self {
        Self(Arc::new(|_| true))
    }

    /// The copy must pass `test`.
    pub fn when(test: impl Fn(&Fields) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(test))
    }

    /// Whether the present contents pass.
    pub fn holds(&self, present: &Fields) -> bool {
        (self.0)(present)
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expected(..)")
    }
}

/// How a write ended.
#[derive(Clone, PartialEq, Debug)]
pub enum WriteOutcome {
    /// The system reports that it holds what was sent, or what it made of it.
    Confirmed {
        /// The copy's id.
        id: RemoteId,
        /// The complete copy afterwards, if the answer shows it; otherwise the engine reads it.
        after: Option<Change>,
    },
    /// Nothing was done: the copy is not what was expected.
    Conflict {
        /// In words.
        reason: String,
    },
    /// Nothing was done: a copy with the looked-up contents exists.
    Exists {
        /// That copy.
        copy: Change,
    },
    /// Nothing was done: the copy does not exist.
    Missing,
    /// Nothing was done: a constraint of the system (a reference, a unique value) forbids it as things stand there. Another
    /// write that waits may cure that, so it is tried again after those.
    Blocked {
        /// The system's words.
        reason: String,
    },
    /// Nothing was done, and repeating it with this content is useless.
    Rejected {
        /// The system's words.
        reason: String,
    },
    /// Nothing was done; try again.
    Retry {
        /// For how long the system asks not to be written to, in milliseconds.
        after_ms: Option<u64>,
        /// In words.
        reason: String,
    },
    /// Nothing was done: the system refuses our credentials, or they lack the right to write this. Nothing else can be
    /// written with them either until a person has acted.
    Unauthorised {
        /// The system's words.
        reason: String,
    },
    /// It may have been done or not.
    Unknown {
        /// In words.
        reason: String,
    },
}

/// A webhook delivery whose signature has been verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The sender's id of it, stable over retries.
    pub id: String,
    /// The body, at most the server's cap.
    pub body: Vec<u8>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Whether its sender has signed it. Of one that is not signed only this is believed: that something may have changed.
    pub signed: bool,
}

/// Something that `check` found, or that hampers a system now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Whether the system can be used all the same.
    pub severity: Severity,
    /// Where: a table, a column, a URL.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
}

impl Finding {
    /// Something that must be mended before the system can be used.
    pub fn problem(place: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        let (place, problem, cure) = (place.into(), problem.into(), cure.into());
        Self { severity: Severity::Problem, place, problem, cure }
    }

    /// Something to know; the system can be used.
    pub fn note(place: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::problem(place, problem, cure) }
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The system works as mapped; this is worth knowing.
    Note,
    /// The system cannot be used as mapped.
    Problem,
}

/// Why a system could not be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}{}", .cure.as_deref().map(|cure| format!(". {cure}")).unwrap_or_default())]
pub struct ConnectorError {
    /// What kind.
    pub kind: ConnectorErrorKind,
    /// What happened, without secrets or payloads.
    pub message: String,
    /// What to do.
    pub cure: Option<String>,
}

/// Kinds of connector errors; [`ConnectorErrorKind::advice`] maps each to what the engine does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorErrorKind {
    /// No connection, a time-out, a 5xx.
    Unreachable,
    /// Credentials are missing, wrong or revoked.
    Unauthorised,
    /// Too many requests.
    RateLimited {
        /// For how long the system asks not to be called, in milliseconds.
        after_ms: Option<u64>,
    },
    /// A table, column, endpoint or field that the mapping names is not there.
    SchemaDrift,
    /// The cursor has expired or is not known, so everything is listed again.
    CursorExpired,
    /// The system is not the one that the cursor was given by, or it has gone back in time: another file, another database,
    /// a backup that was restored. A person must say which of them it is.
    IdentityChanged,
    /// The system answered something that cannot be understood.
    Protocol,
}

/// What the engine does after an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Try again, not before so many milliseconds if the system said so.
    RetryLater(Option<u64>),
    /// Stop using the system until a person has acted.
    NeedsPerson,
    /// List everything again.
    ListAgain,
}

impl ConnectorErrorKind {
    /// What the engine does after an error of this kind.
    pub fn advice(self) -> Advice {
        match self {
            ConnectorErrorKind::Unreachable => Advice::RetryLater(None),
            ConnectorErrorKind::RateLimited { after_ms } => Advice::RetryLater(after_ms),
            ConnectorErrorKind::Unauthorised
            | ConnectorErrorKind::SchemaDrift
            | ConnectorErrorKind::IdentityChanged
            | ConnectorErrorKind::Protocol => Advice::NeedsPerson,
            ConnectorErrorKind::CursorExpired => Advice::ListAgain,
        }
    }
}

impl ConnectorError {
    /// An error with its cure.
    pub fn new(kind: ConnectorErrorKind, message: impl Into<String>, cure: Option<&str>) -> Self {
        Self { kind, message: message.into(), cure: cure.map(str::to_owned) }
    }
}

/// Who we are to a system: the name that our tables and triggers carry there, so that two configurations on one table do
/// not take each other's. A store makes it once and keeps it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Installation(String);

/// The longest name of an installation.
const INSTALLATION_BYTES_MAX: usize = 16;

/// How much of it stands for the system.
const SYSTEM_BYTES: usize = 4;

impl Installation {
    /// The installation of this name; `None` unless it is made of 1 to 16 lower-case letters and digits.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let fits = (1..=INSTALLATION_BYTES_MAX).contains(&name.len());
        (plain && fits).then_some(Self(name))
    }

    /// The installation of a configuration that has no store yet: nothing of it is anywhere.
    pub fn none() -> Self {
        Self("none".to_owned())
    }

    /// The name that it has in one of its systems: two systems may be two schemas of one database.
    pub fn in_system(&self, system: &SystemName) -> Self {
        match *self == Self::none() {
            true => self.clone(),
            false => {
                let digest = Digest::of(system.as_str().as_bytes()).to_string();
                let name = self.0.chars().take(INSTALLATION_BYTES_MAX - SYSTEM_BYTES);
                Self(name.chain(digest.chars().take(SYSTEM_BYTES)).collect())
            }
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a connector must know of an entity: the remote side of its mapping.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    /// The entity.
    pub entity: EntityName,
    /// The table, collection or path.
    pub object: String,
    /// The remote name of the id.
    pub id: String,
    /// The mapped remote names with their types.
    pub columns: Vec<Column>,
}

/// One mapped remote name.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// Its remote name.
    pub name: String,
    /// The canonical type of the field it carries.
    pub field_type: avowal_core::policy::schema::FieldType,
    /// Whether it may be written.
    pub writable: bool,
}
