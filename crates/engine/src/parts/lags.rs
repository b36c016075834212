//! How late the reads of each system may be: declared, or learned from what they showed after the copy's last change.

use crate::parts::error::EngineError;
use crate::ports::store::Store;
use avowal_core::data::ids::SystemName;
use avowal_core::record::CopyKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// The most copies of which an older state is suspected at once. Others teach nothing, and are treated alike.
const SUSPECTED_MAX: usize = 10_000;

/// What is known of the lag of each system.
pub(crate) struct Lags {
    store: Arc<dyn Store>,
    loaded: OnceCell<()>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The longest lag of each system, in milliseconds.
    learned: BTreeMap<SystemName, u64>,
    /// The copies that seem to show an older state, and how long after their last change they still did.
    suspected: BTreeMap<CopyKey, u64>,
    /// The systems of which a longer lag was learned than the store knows.
    news: BTreeMap<SystemName, u64>,
}

impl Lags {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, loaded: OnceCell::new(), known: Mutex::default() }
    }

    /// Learns what earlier runs have learned, once.
    pub(crate) async fn load(&self) -> Result<(), EngineError> {
        let load = || async {
            let stored = self.store.lags().await?;
            self.known().learned.extend(stored);
            Ok::<(), EngineError>(())
        };
        self.loaded.get_or_try_init(load).await.map(|_| ())
    }

    /// The longest lag that was seen of a system, in milliseconds.
    pub(crate) fn learned_ms(&self, system: &SystemName) -> u64 {
        self.known().learned.get(system).copied().unwrap_or_default()
    }

    /// A copy seems to show what stood there before its last change, which was `age_ms` ago.
    pub(crate) fn suspect(&self, copy: &CopyKey, age_ms: u64) {
        let mut known = self.known();
        if known.suspected.len() < SUSPECTED_MAX || known.suspected.contains_key(copy) {
            let oldest = known.suspected.entry(copy.clone()).or_default();
            *oldest = age_ms.max(*oldest);
        }
    }

    /// A copy shows its newest known state. If an older one was suspected before, its system did lag.
    pub(crate) fn caught_up(&self, copy: &CopyKey) {
        let mut known = self.known();
        let Some(ms) = known.suspected.remove(copy) else { return };
        let longest = known.learned.entry(copy.system.clone()).or_default();
        if ms > *longest {
            *longest = ms;
            known.news.insert(copy.system.clone(), ms);
        }
    }

    /// A system showed something so late that an earlier look has missed it.
    pub(crate) fn showed_late(&self, system: &SystemName, ms: u64) {
        let mut known = self.known();
        let longest = known.learned.entry(system.clone()).or_default();
        if ms > *longest {
            *longest = ms;
            known.news.insert(system.clone(), ms);
        }
    }

    /// A copy has changed, so an older state that was suspected teaches nothing.
    pub(crate) fn changed(&self, copy: &CopyKey) {
        self.known().suspected.remove(copy);
    }

    /// Makes durable what was learned. What the store does not take now is kept for the next time: what was taken in before
    /// is durable already, and must not count as failed for this.
    pub(crate) async fn keep_news(&self) {
        let news = std::mem::take(&mut self.known().news);
        for (system, ms) in news {
            if self.store.keep_lag(&system, ms).await.is_err() {
                let mut known = self.known();
                let missed = known.news.entry(system).or_default();
                *missed = ms.max(*missed);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
