//! The parts that a caller hands in, and the parts as every piece of the engine holds them.

use crate::parts::awaited::AwaitedReads;
use crate::parts::doubles::Doubles;
use crate::parts::ending::Ending;
use crate::parts::error::EngineError;
use crate::parts::failing_reads::FailingReads;
use crate::parts::flapping::Flapping;
use crate::parts::lags::Lags;
use crate::parts::listings::Listings;
use crate::parts::match_keys::match_keys;
use crate::parts::quarantined::QuarantinedCopies;
use crate::parts::readiness::Readiness;
use crate::parts::recent_writes::RecentWrites;
use crate::parts::runs::Runs;
use crate::parts::sent_writes::SentWrites;
use crate::parts::settings::Settings;
use crate::parts::systems::{SystemPort, Systems};
use crate::parts::waiting::WaitingWrites;
use crate::ports::clock::Clock;
use crate::ports::connector::{Change, Connector};
use crate::ports::store::{BATCH_RECORDS_MAX, Commit, CommitOutcome, IntentDelay, RecordCommit, Store};
use avowal_core::data::ids::{EntityName, RemoteId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::Context;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::intent::{Intent, IntentStatus};
use avowal_core::record::{CopyKey, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an engine is made of, as a caller hands it in.
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
    /// The run that its events name; `None` for an engine that works without one.
    pub run: Option<RunId>,
}

/// The parts as the engine uses them, with what it remembers between two steps. What is remembered here is lost at a
/// restart and may be: it is loaded again, or counted anew.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) systems: Systems,
    pub(crate) policies: BTreeMap<EntityName, Arc<EntityPolicy>>,
    pub(crate) settings: Settings,
    /// The run that events name unless they are made in another one.
    pub(crate) run: Option<RunId>,
    /// How far the runs of this process have come.
    pub(crate) runs: Runs,
    /// When these parts were put together.
    pub(crate) began_at: Timestamp,
    /// Which record a new copy belongs to is decided by one task at a time for each entity. Otherwise two tasks would
    /// begin two records for copies of the same thing.
    pub(crate) identity: BTreeMap<EntityName, tokio::sync::Mutex<()>>,
    pub(crate) readiness: Readiness,
    pub(crate) lags: Lags,
    pub(crate) ending: Ending,
    pub(crate) awaited: AwaitedReads,
    pub(crate) quarantined: QuarantinedCopies,
    failing_reads: Mutex<FailingReads>,
    flapping: Mutex<Flapping>,
    waiting: Mutex<WaitingWrites>,
    listings: Mutex<Listings>,
    recent_deletes: Mutex<RecentWrites>,
    recent_creates: Mutex<RecentWrites>,
    sent: Mutex<SentWrites>,
    doubles: Mutex<Doubles>,
    asked_first: Mutex<BTreeSet<SystemName>>,
}

/// By how many times the quiet time a read may lag where the system's lag is neither declared nor learned.
const LAG_SETTLES: u64 = 15;

/// How long a delete counts beside those that follow, in milliseconds.
const DELETES_COUNT_MS: i64 = 60_000;

/// How long a copy that was made again counts beside those that follow, in milliseconds: a system that shows nothing is
/// found out edit by edit.
const CREATES_COUNT_MS: i64 = 60 * 60 * 1000;

/// By how many times the longest lag that was seen a read may lag.
const LAG_MARGIN: u64 = 2;

impl Parts {
    /// Puts the parts together.
    pub(crate) fn new(given: EngineParts) -> Self {
        let EngineParts { store, clock, systems, policies, mut settings, run } = given;
        settings.batch_records_max = settings.batch_records_max.clamp(1, BATCH_RECORDS_MAX);
        Self {
            systems: Systems::new(systems, &policies),
            run,
            runs: Runs::new(store.clone(), run, clock.now()),
            began_at: clock.now(),
            identity: policies.keys().map(|name| (name.clone(), tokio::sync::Mutex::default())).collect(),
            readiness: Readiness::new(store.clone()),
            lags: Lags::new(store.clone()),
            ending: Ending::new(),
            awaited: AwaitedReads::new(store.clone()),
            quarantined: QuarantinedCopies::new(store.clone()),
            failing_reads: Mutex::default(),
            flapping: Mutex::default(),
            waiting: Mutex::default(),
            listings: Mutex::default(),
            recent_deletes: Mutex::new(RecentWrites::within(DELETES_COUNT_MS)),
            recent_creates: Mutex::new(RecentWrites::within(CREATES_COUNT_MS)),
            sent: Mutex::default(),
            doubles: Mutex::default(),
            asked_first: Mutex::default(),
            store,
            clock,
            policies,
            settings,
        }
    }

    /// The connector of a system.
    pub(crate) fn connector(&self, system: &SystemName) -> Option<&Arc<dyn Connector>> {
        self.systems.connector(system)
    }

    /// Reads copies directly, in the order asked.
    pub(crate) async fn read_copies(
        &self,
        system: &SystemName,
        entity: &EntityName,
        ids: &[RemoteId],
    ) -> Result<Vec<Change>, EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(Vec::new()) };
        connector.read(entity, ids).await.map_err(|error| EngineError::of_system(system, error))
    }

    /// The rules of an entity as they hold now: no creates in systems that have not been listed yet.
    pub(crate) async fn rules(&self, entity: &EntityName) -> Result<Option<Arc<EntityPolicy>>, EngineError> {
        let Some(policy) = self.policies.get(entity) else { return Ok(None) };
        self.readiness.rules(policy).await.map(Some)
    }

    /// The moment `ms` milliseconds from now.
    pub(crate) fn in_ms(&self, ms: u64) -> Timestamp {
        self.clock.now().plus_millis(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// Whether so much time lies between a change of a copy and a question that the answer shows the change. A change
    /// stamped later than the question gives no time that has passed; then only a second look is quiescent.
    pub(crate) fn was_quiescent(
        &self,
        changed_at: Timestamp,
        asked_at: Timestamp,
        is_second_look: bool,
    ) -> bool {
        let settle = i64::try_from(self.settings.settle_ms).unwrap_or(i64::MAX);
        let apart = asked_at.millis().saturating_sub(changed_at.millis());
        // The clock may have been set while we were not running, so a change from before counts as just made.
        let running = asked_at.millis().saturating_sub(self.began_at.millis());
        let is_from_before = changed_at < self.began_at && running < settle;
        let is_new = changed_at == Timestamp::default();
        is_new || if apart < 0 { is_second_look } else { apart >= settle && !is_from_before }
    }

    /// Whether a read may still show what stood in a copy before its last change: the system's lag may explain it.
    pub(crate) fn may_lag(&self, system: &SystemName, changed_at: Timestamp, asked_at: Timestamp) -> bool {
        let lag = self.longest_lag_ms(system);
        let apart = asked_at.millis().saturating_sub(changed_at.millis());
        changed_at != Timestamp::default() && (0..lag).contains(&apart)
    }

    /// By how much a read of a system may lag at most: as declared, or as learned with a margin, and not less than a
    /// multiple of the quiet time.
    pub(crate) fn longest_lag_ms(&self, system: &SystemName) -> i64 {
        let usual = self.settings.settle_ms.saturating_mul(LAG_SETTLES);
        let learned = self.lags.learned_ms(system).saturating_mul(LAG_MARGIN);
        i64::try_from(self.systems.lag_ms(system).unwrap_or(usual.max(learned))).unwrap_or(i64::MAX)
    }

    /// After which time the effect of a write of unknown outcome is looked for. A lag that is declared or was seen must be
    /// over; one that was never seen costs more waiting than a repeated write does harm.
    pub(crate) fn look_up_after_ms(&self, system: &SystemName) -> u64 {
        let learned = || self.lags.learned_ms(system).saturating_mul(LAG_MARGIN);
        self.systems.lag_ms(system).unwrap_or_else(learned).max(self.settings.settle_ms)
    }

    /// After which time a copy is read once more that may lag: each time twice as long.
    pub(crate) fn patience_ms(&self, system: &SystemName, attempts: u32) -> u64 {
        let settle = self.settings.settle_ms;
        let longest = self.longest_lag_ms(system).unsigned_abs().max(settle).max(1);
        settle.saturating_mul(1_u64 << attempts.saturating_sub(1).min(20)).min(longest)
    }

    /// Whether a system has asked for no more writes for now.
    pub(crate) fn is_paused(&self, system: &SystemName) -> bool {
        self.pause_left_ms(system).is_some()
    }

    /// For how many milliseconds a system must not be written to; `None` if it may be.
    pub(crate) fn pause_left_ms(&self, system: &SystemName) -> Option<u64> {
        let until = self.systems.paused_until(system)?;
        let left = until.millis().saturating_sub(self.clock.now().millis());
        u64::try_from(left).ok().filter(|left| *left > 0)
    }

    /// The copies that cannot be read by themselves.
    pub(crate) fn failing_reads(&self) -> MutexGuard<'_, FailingReads> {
        self.failing_reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recent corrections.
    pub(crate) fn flapping(&self) -> MutexGuard<'_, Flapping> {
        self.flapping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A system shows a write. A look that has missed it tells how late the system is.
    pub(crate) fn note_shown(&self, system: &SystemName, key: &str) {
        let missed_ms = self.sent().take_missed_ms(key);
        if let Some(ms) = missed_ms {
            self.lags.showed_late(system, ms);
        }
    }

    /// The writes that wait.
    pub(crate) fn waiting(&self) -> MutexGuard<'_, WaitingWrites> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The deletes that went out lately.
    pub(crate) fn recent_deletes(&self) -> MutexGuard<'_, RecentWrites> {
        self.recent_deletes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copies that were made again lately.
    pub(crate) fn recent_creates(&self) -> MutexGuard<'_, RecentWrites> {
        self.recent_creates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the writes were sent whose outcome is not known.
    pub(crate) fn sent(&self) -> MutexGuard<'_, SentWrites> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows that were found to carry the key of another.
    pub(crate) fn doubles(&self) -> MutexGuard<'_, Doubles> {
        self.doubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The systems of which it is settled whether their first write waits for a person.
    pub(crate) fn asked_first(&self) -> MutexGuard<'_, BTreeSet<SystemName>> {
        self.asked_first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When systems were listed last.
    pub(crate) fn listings(&self) -> MutexGuard<'_, Listings> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a commit durable. Its signals count as awaited from before the commit, so that no listing in between
    /// misses them.
    pub(crate) async fn commit(&self, mut commit: Commit) -> Result<CommitOutcome, EngineError> {
        let copies: Vec<CopyKey> = commit.signals.iter().map(|signal| signal.copy.clone()).collect();
        self.awaited.add(&copies);
        commit.quarantine_settled.extend(self.quarantined.settled_by(&commit.records));
        self.quarantined.note_writes(&commit);
        let outcome = self.commit_plainly(commit).await;
        match &outcome {
            // The commit may have failed. Copies without a stored signal are forgotten when the system has none left.
            Ok(CommitOutcome::Committed | CommitOutcome::Unknown { .. }) => {}
            Ok(CommitOutcome::Conflict { .. } | CommitOutcome::Duplicate { .. }) | Err(_) => {
                self.awaited.remove(copies.iter());
            }
        }
        outcome
    }

    /// Makes a commit durable that brings no signals and ends no writes, and counts its events to their runs.
    pub(crate) async fn commit_plainly(&self, commit: Commit) -> Result<CommitOutcome, EngineError> {
        let made = Runs::made_by(&commit.records);
        let outcome = self.store.commit(commit).await?;
        if outcome == CommitOutcome::Committed {
            self.runs.count(made);
        }
        self.runs.give_sign_of_life(self.clock.now()).await;
        Ok(outcome)
    }

    /// The metadata of events that no system's fact made, but a plan of ours.
    pub(crate) fn own_context(&self, policy: String, now: Timestamp) -> Context {
        Context { policy: Some(policy), run: self.run, received_at: now, ..Context::default() }
    }

    /// The delays of the record's waiting writes, over now: something else may have to be written instead.
    pub(crate) fn hastened_by_change(&self, record: &Record) -> Vec<IntentDelay> {
        let now = self.clock.now();
        let waiting = self.waiting();
        let is_waiting = |(_, intent): &(&SystemName, &Intent)| intent.status == IntentStatus::Waiting;
        let delays = record.intents.iter().filter(is_waiting);
        let delays = delays.filter_map(|(system, _)| waiting.delay_of(system, &record.id));
        delays.map(|delay| IntentDelay { not_before: delay.not_before.min(now), ..delay.clone() }).collect()
    }

    /// A record's part of a commit, with the keys by which unlinked copies find it.
    pub(crate) fn record_commit(&self, chronicle: Chronicle) -> RecordCommit {
        let (expected_seq, state, events) = chronicle.finish();
        let match_keys =
            self.policies.get(&state.entity).map(|policy| match_keys(policy, &state)).unwrap_or_default();
        RecordCommit { expected_seq, state, events, match_keys }
    }
}
