//! The store of a simulation: the memory store, seen by one worker, with crashes and lost answers around each commit.

use crate::fault::{Fault, Faults};
use crate::mistakes::{self, Mistake};
use crate::oracle::Oracle;
use async_trait::async_trait;
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::record::Record;
use avowal_engine::ports::lanes::{Claim, Hold, Lane};
use avowal_engine::ports::store::{Commit, CommitOutcome, Position, SharedStore, Stop, Store, StoreError};
use avowal_fakes::fake::pause;
use avowal_fakes::layer::StoreLayer;
use avowal_fakes::memory::MemoryStore;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Somebody who is told of every durable commit, and of the store as it is after it.
pub type Follower = Arc<dyn Fn(&Commit, &MemoryStore) + Send + Sync>;

/// The claims of one worker, which are taken from it when it stands still for too long.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<Vec<Slot>>>);

/// A claim, until it is taken away.
type Slot = Arc<Mutex<Option<Claim>>>;

impl Held {
    /// Gives the worker's lanes to whoever asks: it finds out when it goes on.
    pub fn revoke(&self) {
        for claim in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            claim.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    fn keep(&self, claim: Claim) -> Claim {
        if claim.is_empty() {
            return claim;
        }
        let lanes = claim.lanes().clone();
        let held = Arc::new(Mutex::new(Some(claim)));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|held| held.lock().unwrap_or_else(PoisonError::into_inner).is_some());
        all.push(held.clone());
        Claim::of(lanes, Box::new(Hand(held)))
    }
}

struct Hand(Slot);

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[async_trait]
impl Hold for Hand {
    fn is_firm(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    async fn release(self: Box<Self>) {
        pause().await;
    }
}

/// One worker's way to the store.
pub struct SimStore {
    inner: Arc<MemoryStore>,
    faults: Arc<Faults>,
    oracle: Arc<Oracle>,
    follower: Option<Follower>,
    /// What it has claimed.
    held: Held,
    /// Whether other workers use the same store.
    is_shared: bool,
    /// Set when the worker has died at a commit: whatever it was about to do is never done.
    dead: Arc<AtomicBool>,
    /// The mistake that is made here, in the engine's place.
    mistake: Option<Mistake>,
}

impl SimStore {
    /// A way for one worker, who is dead once `dead` is set.
    pub fn new(
        inner: Arc<MemoryStore>,
        faults: Arc<Faults>,
        oracle: Arc<Oracle>,
        follower: Option<Follower>,
        held: Held,
        is_shared: bool,
        dead: Arc<AtomicBool>,
    ) -> Self {
        Self { inner, faults, oracle, follower, held, is_shared, dead, mistake: None }
    }

    /// Makes a mistake from now on.
    pub fn set_mistake(&mut self, mistake: Option<Mistake>) {
        self.mistake = mistake;
    }

    async fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    }

    /// One commit with all that may befall it.
    async fn make_durable(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        pause().await;
        let name = name_of(&commit);
        let unknown = |what: &str| Ok(CommitOutcome::Unknown { reason: what.to_owned() });
        if self.faults.strikes(Fault::CrashBeforeCommit, &name) {
            self.die().await;
        }
        self.reach(&name)?;
        if self.faults.strikes(Fault::DiskFull, &name) {
            return Err(StoreError::Full("no space left on device".to_owned()));
        }
        let lost = self.faults.strikes(Fault::CommitUnknown, &name);
        if lost && self.faults.amount(&name, 2) == 0 {
            return unknown("the connection broke before the answer");
        }
        let copy = commit.clone();
        let outcome = self.below().commit(commit).await?;
        if outcome == CommitOutcome::Committed {
            self.oracle.committed(&copy);
            if let Some(follower) = &self.follower {
                follower(&copy, &self.inner);
            }
        }
        if self.faults.strikes(Fault::CrashAfterCommit, &name) {
            self.die().await;
        }
        pause().await;
        if lost { unknown("the connection broke before the answer") } else { Ok(outcome) }
    }

    fn reach(&self, what: &str) -> Result<(), StoreError> {
        if self.faults.is_possible(Fault::StoreLost) && self.faults.strikes(Fault::StoreLost, what) {
            return Err(StoreError::Unavailable("the connection was lost".to_owned()));
        }
        Ok(())
    }
}

/// A name for a commit that does not change when other steps of the trace are left out.
fn name_of(commit: &Commit) -> String {
    if let Some(record) = commit.records.first() {
        return format!("{}@{}", record.state.id, record.state.seq);
    }
    if let Some(cursor) = commit.cursors.first() {
        return format!("{} {}", cursor.name.system, place_of(&cursor.to));
    }
    match (commit.dedupe.first(), commit.delays.first(), commit.signals.first()) {
        (Some(delivery), _, _) => delivery.key.clone(),
        (_, Some(delay), _) => format!("{} {} {}", delay.record, delay.system, delay.failures),
        (_, _, Some(signal)) => format!("{} {}", signal.copy.remote_id, signal.attempts),
        (None, None, None) => "nothing".to_owned(),
    }
}

/// The word for a position in the name of a commit. The dice are thrown by names, so another word is another trace.
fn place_of(position: &Position) -> &str {
    match position {
        Position::Again => "",
        Position::After(cursor) => &cursor.0,
        Position::Planning => "(sweeping)",
        Position::Complete => "(done)",
    }
}

#[async_trait]
impl StoreLayer for SimStore {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        pause().await;
        if let Some(id) = ids.first() {
            self.reach(id.as_str())?;
        }
        self.below().load(ids).await
    }

    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        let stops = self.below().stops().await?;
        Ok(if self.mistake == Some(Mistake::IgnoreStop) { Vec::new() } else { stops })
    }

    async fn seen_before(&self, system: &SystemName, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        let seen = self.below().seen_before(system, keys).await?;
        Ok(seen.into_iter().map(|seen| seen && self.mistake != Some(Mistake::MissDedupeKey)).collect())
    }

    async fn commit(&self, mut commit: Commit) -> Result<CommitOutcome, StoreError> {
        if let Some(early) = mistakes::store::early(self.mistake, &mut commit) {
            let outcome = self.make_durable(early).await?;
            if outcome != CommitOutcome::Committed || commit.is_empty() {
                return Ok(outcome);
            }
        }
        let outcome = self.make_durable(mistakes::store::altered(self.mistake, commit)).await?;
        Ok(mistakes::store::told(self.mistake, outcome))
    }

    async fn claim(&self, lanes: &[Lane]) -> Result<Claim, StoreError> {
        pause().await;
        Ok(self.held.keep(self.below().claim(lanes).await?))
    }

    fn shared(&self) -> Option<&dyn SharedStore> {
        self.is_shared.then_some(&*self.inner)
    }
}
