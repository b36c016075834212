//! The copies that a stored signal will have read soon: what a listing shows of them meanwhile can wait.

use crate::parts::error::EngineError;
use crate::ports::bucket::Shares;
use crate::ports::store::Store;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most copies that are remembered as about to be read.
const AWAITED_MAX: usize = 100_000;

/// How many signals wait for each copy. Where several processes share the store, another process may follow a signal
/// unnoticed, so nothing is remembered here and the store is asked instead.
pub(crate) struct AwaitedReads {
    store: Arc<dyn Store>,
    signals: Mutex<BTreeMap<CopyKey, u32>>,
}

impl AwaitedReads {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, signals: Mutex::default() }
    }

    /// Learns which copies have signals that wait to be followed.
    pub(crate) async fn load<'a>(
        &self,
        systems: impl Iterator<Item = &'a SystemName>,
    ) -> Result<(), EngineError> {
        if self.store.shared().is_some() {
            return Ok(());
        }
        for system in systems {
            let ever = Timestamp::from_millis(i64::MAX);
            let signals = self.store.due_signals(system, Shares::ALL, ever, AWAITED_MAX).await?;
            let copies: Vec<CopyKey> = signals.into_iter().map(|signal| signal.copy).collect();
            self.add(&copies);
        }
        Ok(())
    }

    /// Adds one signal for each of these copies.
    pub(crate) fn add(&self, copies: &[CopyKey]) {
        if self.store.shared().is_some() {
            return;
        }
        let mut signals = self.signals();
        for copy in copies.iter().take(AWAITED_MAX.saturating_sub(signals.len())) {
            *signals.entry(copy.clone()).or_default() += 1;
        }
    }

    /// Removes one signal of each of these copies, because it is followed now: what is shown of them from here on may
    /// be newer than the read.
    pub(crate) fn remove<'a>(&self, copies: impl Iterator<Item = &'a CopyKey>) {
        let mut signals = self.signals();
        for copy in copies {
            match signals.get_mut(copy) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => {
                    signals.remove(copy);
                }
            }
        }
    }

    /// Forgets all copies of a system that has no signals left.
    pub(crate) fn forget(&self, system: &SystemName) {
        self.signals().retain(|copy, _| copy.system != *system);
    }

    /// Whether this process remembers a signal for the copy.
    pub(crate) fn contains(&self, copy: &CopyKey) -> bool {
        self.signals().contains_key(copy)
    }

    /// Whether this process remembers a signal for any copy of the system.
    pub(crate) fn has_any_of(&self, system: &SystemName) -> bool {
        self.signals().keys().any(|copy| copy.system == *system)
    }

    /// Which of these copies a stored signal will have read, also one that another process has stored.
    pub(crate) async fn among(&self, copies: &[CopyKey]) -> Result<BTreeSet<CopyKey>, EngineError> {
        if let Some(shared) = self.store.shared().filter(|_| !copies.is_empty()) {
            return Ok(chosen(copies, &shared.awaited(copies).await?));
        }
        let signals = self.signals();
        // Asked for every row of a listing, and usually nothing waits.
        Ok(copies.iter().filter(|copy| !signals.is_empty() && signals.contains_key(*copy)).cloned().collect())
    }

    fn signals(&self) -> MutexGuard<'_, BTreeMap<CopyKey, u32>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The copies whose answer is true.
pub(crate) fn chosen(copies: &[CopyKey], is: &[bool]) -> BTreeSet<CopyKey> {
    copies.iter().zip(is).filter(|(_, is)| **is).map(|(copy, _)| copy.clone()).collect()
}
