//! Fake systems and a virtual clock: whole stories play in microseconds, with every fault on demand.
//!
//! A [`FakeSystem`] is a connector and, behind it, a system with rows, a change log, etags, lagging reads, a
//! normaliser and people who edit. What it lets the engine prove is its [`Profile`]; how a write fails is
//! scripted with [`Fault`]s. The truth behind the connector can be read without it, as an oracle.
//!
//! Never in here: a real system, real time, or a judgement about the engine.
//! Begin with [`FakeSystem`]; `port.rs` is the connector that it shows.

mod clock;
mod constraints;
mod hooks;
mod lies;
mod port;
mod profile;
mod rows;

pub use clock::{ManualClock, WorkerClock, pause};
pub use constraints::Constraint;
pub use hooks::{Call, Fate, Kind, Put, Witness};
pub use profile::{FeedKind, Profile};

use crate::fake::rows::Rows;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::clock::Clock;
use avowal_engine::ports::connector::{ConnectorError, Delivery, Fields, Write};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How one write ends instead of its plain success.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The answer is lost, and the write never arrived.
    TimeoutBefore,
    /// The answer is lost, but the write took effect.
    TimeoutAfter,
    /// Too many requests: nothing was done, ask again after so many milliseconds.
    Limited(u64),
    /// An error of the system's own: nothing was done, try again.
    Unavailable,
    /// The answer says that the write will be done; it is, and nothing shows it for so many milliseconds.
    ShownLate(i64),
    /// Our credentials are refused.
    Unauthorised,
    /// Refused for good.
    Reject(String),
    /// Somebody came between: nothing was done.
    Conflict,
    /// The process dies while the write is under way, after its effect: the call never returns.
    CrashAfter,
    /// The process dies while the write is under way, before its effect: the call never returns.
    CrashBefore,
}

/// What shall befall the writes that fit.
struct Script {
    fits: Box<dyn Fn(&Write) -> bool + Send + Sync>,
    /// How many writes to let pass first.
    pass: usize,
    faults: VecDeque<Fault>,
}

/// How often each call came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    /// Single writes, whatever became of them.
    pub writes: u64,
    /// Pages of listings.
    pub lists: u64,
    /// Pages of the change feed.
    pub changes: u64,
    /// Copies read.
    pub reads: u64,
    /// Searches.
    pub finds: u64,
}

/// The rows and the change log of a fake system at one moment.
#[derive(Clone, Debug)]
pub struct Backup(Rows);

/// What makes another text of a text before it is stored.
type Normaliser = Arc<dyn Fn(&str, &Value) -> Value + Send + Sync>;

#[derive(Default)]
struct State {
    rows: Rows,
    scripts: Vec<Script>,
    calls: Calls,
    /// When each write came, in virtual milliseconds.
    written_at: Vec<i64>,
    /// The answers by key, where keys are remembered.
    answers: BTreeMap<String, avowal_engine::ports::connector::WriteOutcome>,
    effects: BTreeMap<String, u64>,
    refused: Vec<(String, Value)>,
    constraints: Vec<Constraint>,
    /// How many writes a constraint has forbidden.
    blocked: u64,
    /// Whether it answers as if it held nothing.
    is_blind: bool,
    /// Since which time each of these rows is shown.
    shown_from: BTreeMap<RemoteId, i64>,
    /// Why the read of each of these rows fails.
    unread: BTreeMap<RemoteId, String>,
    /// Since which of its changes each of these rows cannot be read.
    unreadable: BTreeMap<RemoteId, u64>,
    down: Option<ConnectorError>,
    /// Whether it was restored from a backup, and nobody has said yet that it is the one that it was.
    is_restored: bool,
    lag_ms: i64,
    skew_ms: i64,
    normaliser: Option<Normaliser>,
    /// What an automation of the system makes of a row right after each write of ours.
    automation: Option<Normaliser>,
    /// Positions below this one have been forgotten.
    expired_below: u64,
    /// Set while the feed shows nothing newer than this.
    feed_end: Option<u64>,
    /// How the next pages of listings fail.
    list_errors: VecDeque<ConnectorError>,
    /// How many rows a listing shows at most before it claims to be complete.
    listing_max: Option<usize>,
    outbox: VecDeque<Delivery>,
    deliveries: u64,
    fate: Option<Arc<dyn Fate>>,
    witness: Option<Arc<dyn Witness>>,
}

impl State {
    fn is_readable(&self, id: &RemoteId, version: &rows::Version) -> bool {
        self.unreadable.get(id).is_none_or(|from| version.seq < *from)
    }
}

/// A system in memory, with the engine on one side and people on the other.
pub struct FakeSystem {
    name: String,
    profile: Profile,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
    wake: tokio::sync::Notify,
}

impl FakeSystem {
    /// An empty system.
    pub fn new(name: &str, profile: Profile, clock: Arc<ManualClock>) -> Self {
        let wake = tokio::sync::Notify::new();
        Self { name: name.to_owned(), profile, clock, state: Mutex::new(State::default()), wake }
    }

    /// What it lets the engine prove.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held the lock has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().millis()
    }

    /// Somebody else decides from here on what befalls each call.
    pub fn set_fate(&self, fate: Arc<dyn Fate>) {
        self.state().fate = Some(fate);
    }

    /// Somebody sees from here on what really happens.
    pub fn set_witness(&self, witness: Arc<dyn Witness>) {
        self.state().witness = Some(witness);
    }

    /// By how much the source's own clock is off, in milliseconds.
    pub fn set_skew_ms(&self, skew_ms: i64) {
        self.state().skew_ms = skew_ms;
    }

    // What people do.

    /// A person adds a row.
    pub fn insert(&self, entity: &str, fields: Fields) -> RemoteId {
        let mut state = self.state();
        let entity = EntityName::new(entity);
        let id = state.rows.next_id(&self.name);
        self.store(&mut state, &entity, &id, Some(fields), None);
        id
    }

    /// A person adds a row under an id of their own, which may have been another row's.
    pub fn insert_as(&self, entity: &str, id: &RemoteId, fields: Fields) {
        self.store(&mut self.state(), &EntityName::new(entity), id, Some(fields), None);
    }

    /// A person changes the given columns of a row.
    pub fn edit(&self, entity: &str, id: &RemoteId, fields: Fields) {
        let mut state = self.state();
        let entity = EntityName::new(entity);
        let Some(mut row) = state.rows.now(&entity, id) else { return };
        row.extend(fields);
        self.store(&mut state, &entity, id, Some(row), None);
    }

    /// A person removes a row.
    pub fn delete(&self, entity: &str, id: &RemoteId) {
        self.store(&mut self.state(), &EntityName::new(entity), id, None, None);
    }

    /// Every row gets a new version, and no row other contents: `update t set updated_at = now()`.
    pub fn touch_all(&self, entity: &str) {
        let entity = EntityName::new(entity);
        for (id, row) in self.rows(entity.as_str()) {
            self.store(&mut self.state(), &entity, &id, Some(row), None);
        }
    }

    /// Somebody removes a row without the system's change log noticing.
    pub fn delete_silently(&self, entity: &str, id: &RemoteId) {
        let now = self.now_ms();
        self.state().rows.alter(&EntityName::new(entity), id, None, now);
    }

    /// Somebody changes a row, or makes one under this id, without the system's change log noticing.
    pub fn edit_silently(&self, entity: &str, id: &RemoteId, fields: Fields) {
        let now = self.now_ms();
        let entity = EntityName::new(entity);
        let mut state = self.state();
        let mut row = state.rows.now(&entity, id).unwrap_or_default();
        row.extend(fields);
        state.rows.alter(&entity, id, Some(row), now);
    }

    /// What stands there now with its change log, as a backup keeps it.
    pub fn backup(&self) -> Backup {
        Backup(self.state().rows.clone())
    }

    /// Puts a backup in place of everything that stands there.
    pub fn restore(&self, backup: &Backup) {
        let mut state = self.state();
        state.rows = backup.0.clone();
        state.is_restored = true;
    }

    /// Everything that came before is taken out of the change log.
    pub fn expire_feed(&self) {
        let mut state = self.state();
        state.expired_below = state.rows.last_seq();
    }

    // What stands there, without the connector.

    /// The rows of an entity.
    pub fn rows(&self, entity: &str) -> BTreeMap<RemoteId, Fields> {
        self.state().rows.all(&EntityName::new(entity))
    }

    /// One row.
    pub fn row(&self, entity: &str, id: &RemoteId) -> Option<Fields> {
        self.state().rows.now(&EntityName::new(entity), id)
    }

    /// The only row with this content in one column.
    pub fn id_where(&self, entity: &str, column: &str, value: &Value) -> Option<RemoteId> {
        let rows = self.rows(entity);
        rows.into_iter().find(|(_, row)| row.get(column) == Some(value)).map(|(id, _)| id)
    }

    /// How often each call came.
    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    /// When each write came, in virtual milliseconds.
    pub fn written_at(&self) -> Vec<i64> {
        self.state().written_at.clone()
    }

    /// How many effects each key had.
    pub fn effects(&self) -> BTreeMap<String, u64> {
        self.state().effects.clone()
    }

    // What goes wrong.

    /// The next writes meet these faults, one by one.
    pub fn fail_writes(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script(0, |_| true, faults);
    }

    /// The next writes of this kind meet these faults, one by one.
    pub fn fail_operation(&self, operation: Operation, faults: impl IntoIterator<Item = Fault>) {
        self.script(0, move |write| write.operation == operation, faults);
    }

    /// After `pass` writes that fit, the next ones that fit meet these faults.
    pub fn script(
        &self,
        pass: usize,
        fits: impl Fn(&Write) -> bool + Send + Sync + 'static,
        faults: impl IntoIterator<Item = Fault>,
    ) {
        let script = Script { fits: Box::new(fits), pass, faults: faults.into_iter().collect() };
        self.state().scripts.push(script);
    }

    /// The system refuses every write that carries this content.
    pub fn refuse(&self, column: &str, value: Value) {
        self.state().refused.push((column.to_owned(), value));
    }

    /// The system enforces a constraint on the writes through its interface from now on.
    pub fn constrain(&self, constraint: Constraint) {
        self.state().constraints.push(constraint);
    }

    /// The system enforces no constraint any more.
    pub fn constrain_nothing(&self) {
        self.state().constraints.clear();
    }

    /// How many writes a constraint has forbidden.
    pub fn blocked(&self) -> u64 {
        self.state().blocked
    }

    /// The id after the greatest that a row has now is given to the next row, as SQLite does without AUTOINCREMENT.
    pub fn reuse_ids(&self) {
        self.state().rows.reuse_ids();
    }

    /// The system accepts everything again.
    pub fn refuse_nothing(&self) {
        self.state().refused.clear();
    }

    /// The row can, or cannot, be read from now on.
    pub fn set_unreadable(&self, entity: &str, id: &RemoteId, unreadable: bool) {
        let mut state = self.state();
        match unreadable {
            true => {
                let from = state.rows.last_seq() + 1;
                state.unreadable.insert(id.clone(), from)
            }
            false => state.unreadable.remove(id),
        };
        // Whoever repairs a row changes it.
        let entity = EntityName::new(entity);
        if let Some(row) = state.rows.now(&entity, id) {
            self.store(&mut state, &entity, id, Some(row), None);
        }
    }

    /// The rows that cannot be read.
    pub fn unreadable(&self) -> Vec<RemoteId> {
        self.state().unreadable.keys().cloned().collect()
    }

    /// The row can be read again, and nothing says so.
    pub fn repair_silently(&self, id: &RemoteId) {
        self.state().unreadable.remove(id);
    }

    /// Writes meet no faults any more.
    pub fn fail_nothing(&self) {
        self.state().scripts.clear();
    }

    /// While set, the change feed shows nothing that happens from now on; afterwards it shows everything.
    pub fn set_feed_stuck(&self, stuck: bool) {
        let mut state = self.state();
        state.feed_end = stuck.then(|| state.rows.last_seq());
    }

    /// The next pages of listings fail like this, one by one.
    pub fn fail_lists(&self, errors: impl IntoIterator<Item = ConnectorError>) {
        self.state().list_errors.extend(errors);
    }

    /// Listings show so many rows and claim to be complete: a truncated page.
    pub fn set_listing_max(&self, rows: Option<usize>) {
        self.state().listing_max = rows;
    }

    /// While set, the system answers every question as if it held nothing, and takes writes all the same.
    pub fn set_blind(&self, blind: bool) {
        self.state().is_blind = blind;
    }

    /// Reads of this one row fail like this until it is set to `None`; listings show it.
    pub fn fail_reads_of(&self, id: &RemoteId, reason: Option<&str>) {
        let mut state = self.state();
        match reason {
            Some(reason) => state.unread.insert(id.clone(), reason.to_owned()),
            None => state.unread.remove(id),
        };
    }

    /// Every call fails like this until it is set to `None`.
    pub fn set_down(&self, error: Option<ConnectorError>) {
        self.state().down = error;
    }

    /// Reads and searches show what stood there so many milliseconds ago.
    pub fn set_lag_ms(&self, lag_ms: i64) {
        self.state().lag_ms = lag_ms;
    }

    /// What the system makes of every content that is written through its interface.
    pub fn set_normaliser(&self, normalise: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) {
        self.state().normaliser = Some(Arc::new(normalise));
    }

    /// Right after every write through its interface the system changes the row once more, as an automation would.
    pub fn set_automation(&self, change: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) {
        self.state().automation = Some(Arc::new(change));
    }

    // Webhooks.

    /// The webhooks that wait to be delivered, oldest first; the caller may lose, repeat or reorder them.
    pub fn take_deliveries(&self) -> Vec<Delivery> {
        self.state().outbox.drain(..).collect()
    }

    /// A webhook that shows a copy with these contents, whatever stands there; `None` says that it is gone.
    pub fn delivery(&self, entity: &str, id: &RemoteId, fields: Option<Fields>) -> Delivery {
        let mut state = self.state();
        self.webhook(&mut state, &EntityName::new(entity), id, fields.as_ref(), None)
    }

    /// The system says that something may have changed.
    pub fn ring(&self) {
        self.wake.notify_one();
    }

    /// Puts a row, or its absence, in place: a log entry, a webhook, a version.
    fn store(
        &self,
        state: &mut State,
        entity: &EntityName,
        id: &RemoteId,
        row: Option<Fields>,
        key: Option<&str>,
    ) {
        let before = state.rows.now(entity, id);
        if before.is_none() && row.is_some() {
            // What could not be read was the row that had the id before.
            state.unreadable.remove(id);
        }
        state.rows.put(entity, id, row.clone(), key, self.now_ms());
        if let Some(witness) = &state.witness {
            let (seq, after) = (state.rows.last_seq(), row.as_ref());
            witness.put(&Put { system: &self.name, entity, id, seq, before: before.as_ref(), after, key });
        }
        if self.profile.webhooks {
            let delivery = self.webhook(state, entity, id, row.as_ref(), key);
            state.outbox.push_back(delivery);
        }
        self.wake.notify_one();
    }

    fn webhook(
        &self,
        state: &mut State,
        entity: &EntityName,
        id: &RemoteId,
        row: Option<&Fields>,
        key: Option<&str>,
    ) -> Delivery {
        state.deliveries += 1;
        let body = serde_json::json!({
            "entity": entity,
            "id": id,
            "fields": row,
            "seq": state.rows.last_seq(),
            "key": key.filter(|_| self.profile.capabilities.correlation),
        });
        Delivery {
            id: format!("{}-delivery-{}", self.name, state.deliveries),
            body: body.to_string().into_bytes(),
            received_at: self.clock.now(),
            signed: true,
        }
    }
}
