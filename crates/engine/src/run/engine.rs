//! The engine's parts and settings.

use crate::outbound::flapping::Flapping;
use crate::outbound::limiter::Limiter;
use crate::ports::bucket::Shares;
use crate::ports::clock::Clock;
use crate::ports::connector::{Connector, ConnectorError};
use crate::ports::store::{Commit, CommitOutcome, Store, StoreError};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::CopyKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Everything the engine is made of.
pub struct EngineParts {
    /// Where it keeps what it knows.
    pub store: Arc<dyn Store>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// The systems by name.
    pub systems: BTreeMap<SystemName, SystemPort>,
    /// The rules by entity.
    pub policies: BTreeMap<EntityName, Arc<EntityPolicy>>,
    /// The bounds and delays.
    pub settings: Settings,
}

/// One system as the engine uses it.
pub struct SystemPort {
    /// The way to it.
    pub connector: Arc<dyn Connector>,
    /// How often its feed is asked while the daemon runs, if it does not say by itself; milliseconds.
    pub poll_ms: u64,
    /// The most writes a second and at once; `None` for no limit of ours.
    pub rate: Option<WriteRate>,
}

/// A bound on writes to one system.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WriteRate {
    /// Writes a second, on average; at least 1.
    pub per_second: u32,
    /// Writes at once; at least 1.
    pub burst: u32,
}

/// Bounds and delays. The defaults suit a handful of systems with up to millions of records.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Facts per page and records per commit; 1 to 1000.
    pub batch_records_max: usize,
    /// How long a system gets before something surprising is looked at a second time, in milliseconds.
    pub settle_ms: u64,
    /// The first delay after a failure, in milliseconds; doubled each time.
    pub backoff_min_ms: u64,
    /// The longest delay after a failure, in milliseconds.
    pub backoff_max_ms: u64,
    /// How long `sync` waits for delayed work before it ends with the rest undone, in milliseconds.
    pub patience_ms: u64,
    /// How often a copy that cannot be read, or a reference that is not known, is tried before quarantine.
    pub attempts_max: u32,
    /// How long the ids of deliveries are remembered, in days: a sender must not repeat one later.
    pub deliveries_kept_days: u32,
    /// What stops a run that deletes too much.
    pub guards: Guards,
}

/// Bounds on what one run may destroy.
#[derive(Clone, PartialEq, Debug)]
pub struct Guards {
    /// Up to this many deletes in one system are always allowed.
    pub deletes_max: u64,
    /// More are allowed up to this share of the system's copies, 0 to 1.
    pub deletes_max_share: f64,
    /// The systems in which a person has allowed any number of deletes for this run.
    pub deletes_approved: BTreeSet<SystemName>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records_max: 500,
            settle_ms: 1_000,
            backoff_min_ms: 500,
            backoff_max_ms: 60_000,
            patience_ms: 20_000,
            attempts_max: 6,
            deliveries_kept_days: 30,
            guards: Guards::default(),
        }
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self { deletes_max: 25, deletes_max_share: 0.1, deletes_approved: BTreeSet::new() }
    }
}

/// Why a step could not be carried out. Nothing is lost: the step begins again from what is durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The store could not do its work: nothing can go on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A system could not be used: the others go on.
    #[error("{system}: {error}")]
    System {
        /// Which.
        system: SystemName,
        /// Why.
        error: ConnectorError,
    },
    /// A record kept changing under a decision.
    #[error("the records of {system} kept changing while they were decided; run again")]
    Contended {
        /// Whose facts were decided.
        system: SystemName,
    },
    /// A command named something that is not there, or answered a question that is not asked.
    #[error("{0}")]
    Usage(String),
}

/// The most copies that are remembered as about to be read.
const AWAITED_MAX: usize = 100_000;

/// Runs the cycle: ingest, decide, record, dispatch, confirm.
pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) systems: BTreeMap<SystemName, SystemPort>,
    pub(crate) policies: BTreeMap<EntityName, Arc<EntityPolicy>>,
    pub(crate) settings: Settings,
    /// When this engine was put together.
    pub(crate) began_at: Timestamp,
    /// One decision at a time about which record a new copy belongs to, or two systems would make two records of it.
    pub(crate) identity: BTreeMap<EntityName, tokio::sync::Mutex<()>>,
    /// One dispatcher a system: at most one write in flight per copy.
    pub(crate) dispatching: BTreeMap<SystemName, tokio::sync::Mutex<()>>,
    pub(crate) limiters: BTreeMap<SystemName, Mutex<Limiter>>,
    pub(crate) wakes: BTreeMap<SystemName, Notify>,
    /// The systems and entities whose first listing has been read to its end.
    pub(crate) ready: Mutex<BTreeSet<(SystemName, EntityName)>>,
    /// Until when each system has asked for no more writes.
    pauses: Mutex<BTreeMap<SystemName, Timestamp>>,
    flapping: Mutex<Flapping>,
    /// The copies that a durable signal will have read soon: what a listing shows of them meanwhile can wait.
    awaited: Mutex<BTreeMap<CopyKey, u32>>,
    /// The copies with open quarantine items, so that a healthy one can close its own.
    quarantined: Mutex<BTreeSet<CopyKey>>,
}

impl Engine {
    /// Puts the parts together.
    pub fn new(parts: EngineParts) -> Self {
        let names = || parts.systems.keys().cloned();
        let limiters = parts
            .systems
            .iter()
            .filter_map(|(name, port)| Some((name.clone(), Mutex::new(Limiter::new(port.rate?)))))
            .collect();
        Self {
            identity: parts.policies.keys().map(|name| (name.clone(), tokio::sync::Mutex::new(()))).collect(),
            dispatching: names().map(|name| (name, tokio::sync::Mutex::new(()))).collect(),
            wakes: names().map(|name| (name, Notify::new())).collect(),
            limiters,
            began_at: parts.clock.now(),
            ready: Mutex::new(BTreeSet::new()),
            pauses: Mutex::new(BTreeMap::new()),
            flapping: Mutex::new(Flapping::default()),
            awaited: Mutex::new(BTreeMap::new()),
            quarantined: Mutex::new(BTreeSet::new()),
            store: parts.store,
            clock: parts.clock,
            systems: parts.systems,
            policies: parts.policies,
            settings: Settings {
                batch_records_max: parts
                    .settings
                    .batch_records_max
                    .clamp(1, crate::ports::store::BATCH_RECORDS_MAX),
                ..parts.settings
            },
        }
    }

    /// The store, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The rules of an entity.
    pub fn policy(&self, entity: &EntityName) -> Option<&Arc<EntityPolicy>> {
        self.policies.get(entity)
    }

    /// The way to a system.
    pub fn connector(&self, system: &SystemName) -> Option<&Arc<dyn Connector>> {
        self.systems.get(system).map(|port| &port.connector)
    }

    /// The entities that a system holds, those first that others refer to.
    pub(crate) fn entities_of(&self, system: &SystemName) -> Vec<EntityName> {
        let mut names: Vec<EntityName> = self
            .policies
            .values()
            .filter(|policy| policy.mappings.contains_key(system))
            .map(|policy| policy.entity.clone())
            .collect();
        names.sort_by_key(|name| self.reference_depth(name, 0));
        names
    }

    /// How many references lie below an entity; cycles end at the number of entities.
    fn reference_depth(&self, entity: &EntityName, depth: usize) -> usize {
        if depth > self.policies.len() {
            return depth;
        }
        let Some(policy) = self.policies.get(entity) else { return depth };
        policy
            .fields
            .values()
            .filter_map(|field| match &field.field_type {
                avowal_core::policy::schema::FieldType::Ref { entity: to } if to != entity => {
                    Some(self.reference_depth(to, depth + 1))
                }
                _ => None,
            })
            .max()
            .unwrap_or(depth)
    }

    /// The delay after so many failures, in milliseconds.
    pub(crate) fn backoff_ms(&self, failures: u32) -> u64 {
        let doubled = self.settings.backoff_min_ms.saturating_mul(1_u64 << failures.min(20));
        doubled.min(self.settings.backoff_max_ms)
    }

    pub(crate) fn failed(&self, system: &SystemName, error: ConnectorError) -> EngineError {
        EngineError::System { system: system.clone(), error }
    }

    pub(crate) fn wake(&self, system: &SystemName) {
        if let Some(wake) = self.wakes.get(system) {
            wake.notify_one();
        }
    }

    /// A system has asked for a pause; a longer one that it asked for before stands.
    pub(crate) fn pause(&self, system: &SystemName, until: Timestamp) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = pauses.entry(system.clone()).or_insert(until);
        *stands = until.max(*stands);
    }

    pub(crate) fn is_paused(&self, system: &SystemName) -> bool {
        self.pause_left_ms(system).is_some()
    }

    /// For how many milliseconds a system must not be written to; `None` if it may.
    pub(crate) fn pause_left_ms(&self, system: &SystemName) -> Option<u64> {
        if planted(Mistake::IgnoreRetryAfter) {
            return None;
        }
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let left = pauses.get(system)?.millis().saturating_sub(self.clock.now().millis());
        u64::try_from(left).ok().filter(|left| *left > 0)
    }

    /// The corrections of late.
    pub(crate) fn flapping(&self) -> MutexGuard<'_, Flapping> {
        self.flapping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a commit durable. Its signals count as awaited from before it is, so that none is missed in between.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<CommitOutcome, EngineError> {
        let copies: Vec<CopyKey> = commit.signals.iter().map(|signal| signal.copy.clone()).collect();
        self.await_read(&copies);
        let outcome = self.store.commit(commit).await;
        match &outcome {
            // Nobody can tell: what is not there after all is forgotten when the system has no signals left.
            Ok(CommitOutcome::Committed | CommitOutcome::Unknown { .. }) => {}
            Ok(CommitOutcome::Conflict { .. } | CommitOutcome::Duplicate { .. }) | Err(_) => {
                self.begin_read(copies.iter());
            }
        }
        Ok(outcome?)
    }

    /// Signals will have these copies read.
    fn await_read(&self, copies: &[CopyKey]) {
        if self.store.shared().is_some() {
            // Another process may follow the signals without telling us; the store is asked instead.
            return;
        }
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        for copy in copies.iter().take(AWAITED_MAX.saturating_sub(awaited.len())) {
            *awaited.entry(copy.clone()).or_default() += 1;
        }
    }

    pub(crate) fn awaits_read(&self, copy: &CopyKey) -> bool {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).contains_key(copy)
    }

    /// One signal of each of these copies is being followed: whatever is shown of them from here on may be newer
    /// than that.
    pub(crate) fn begin_read<'a>(&self, copies: impl Iterator<Item = &'a CopyKey>) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        for copy in copies {
            match awaited.get_mut(copy) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => {
                    awaited.remove(copy);
                }
            }
        }
    }

    /// No signal of the system waits any more.
    pub(crate) fn forget_awaited(&self, system: &SystemName) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.retain(|copy, _| copy.system != *system);
    }

    pub(crate) fn awaits_any(&self, system: &SystemName) -> bool {
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.keys().any(|copy| copy.system == *system)
    }

    /// Held while a system that checks no precondition is asked and its answer taken in: a write of ours in between
    /// would cover what the answer shows before it has been judged.
    pub(crate) async fn hold_writes(&self, system: &SystemName) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.dispatching.get(system).filter(|_| !self.checks_preconditions(system)) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }

    /// Whether a system refuses every write to a copy that has changed since we saw it.
    pub(crate) fn checks_preconditions(&self, system: &SystemName) -> bool {
        self.entities_of(system).iter().all(|entity| self.checks_precondition(system, entity))
    }

    /// Whether it does so for the copies of one entity.
    pub(crate) fn checks_precondition(&self, system: &SystemName, entity: &EntityName) -> bool {
        self.connector(system).is_none_or(|connector| connector.capabilities(entity).precondition)
    }

    /// Learns which copies have signals that wait to be followed.
    pub(crate) async fn load_awaited(&self) -> Result<(), EngineError> {
        if self.store.shared().is_some() {
            return Ok(());
        }
        for system in self.systems.keys() {
            let ever = Timestamp::from_millis(i64::MAX);
            let signals = self.store.due_signals(system, Shares::ALL, ever, AWAITED_MAX).await?;
            let copies: Vec<CopyKey> = signals.into_iter().map(|signal| signal.copy).collect();
            self.await_read(&copies);
        }
        Ok(())
    }

    /// Which of these copies a durable signal will have read, also one that another process has left.
    pub(crate) async fn await_reads(&self, copies: &[CopyKey]) -> Result<BTreeSet<CopyKey>, EngineError> {
        if let Some(shared) = self.store.shared().filter(|_| !copies.is_empty()) {
            return Ok(chosen(copies, &shared.awaited(copies).await?));
        }
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked of every row of a listing: most of the time nothing waits.
        Ok(copies.iter().filter(|copy| !awaited.is_empty() && awaited.contains_key(*copy)).cloned().collect())
    }

    /// Which of these copies have open quarantine items, also those that another process has set aside.
    pub(crate) async fn set_aside_of(&self, copies: &[CopyKey]) -> Result<BTreeSet<CopyKey>, EngineError> {
        if let Some(shared) = self.store.shared().filter(|_| !copies.is_empty()) {
            return Ok(chosen(copies, &shared.set_aside(copies).await?));
        }
        let aside = self.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(copies.iter().filter(|copy| !aside.is_empty() && aside.contains(*copy)).cloned().collect())
    }

    /// Waits until another process may have left work for a system.
    pub(crate) async fn work_available(&self, system: &SystemName) {
        match self.store.shared() {
            Some(shared) => shared.work_available(system).await,
            None => std::future::pending().await,
        }
    }

    /// Learns which copies have open quarantine items.
    pub(crate) async fn load_quarantined(&self) -> Result<(), EngineError> {
        if self.store.shared().is_some() {
            return Ok(());
        }
        const REMEMBERED_MAX: usize = 10_000;
        let items = self.store.quarantined(REMEMBERED_MAX).await?;
        let keys = items.into_iter().filter_map(|item| {
            Some(CopyKey { system: item.system, entity: item.entity, remote_id: item.remote_id? })
        });
        *self.quarantined.lock().unwrap_or_else(PoisonError::into_inner) = keys.collect();
        Ok(())
    }

    pub(crate) fn note_quarantined(&self, added: Vec<CopyKey>, closed: &[CopyKey]) {
        let mut known = self.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(added);
        closed.iter().for_each(|key| {
            known.remove(key);
        });
    }
}

/// The copies of which it is true.
fn chosen(copies: &[CopyKey], is: &[bool]) -> BTreeSet<CopyKey> {
    copies.iter().zip(is).filter(|(_, is)| **is).map(|(copy, _)| copy.clone()).collect()
}
