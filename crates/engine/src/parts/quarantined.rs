//! The copies with open quarantine items, so that a fact that can be understood closes the items of its copy.

use crate::parts::awaited::chosen;
use crate::parts::error::EngineError;
use crate::ports::store::Store;
use avowal_core::record::CopyKey;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most open items that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// The copies with open quarantine items. Where several processes share the store, nothing is remembered here and the
/// store is asked instead.
pub(crate) struct QuarantinedCopies {
    store: Arc<dyn Store>,
    copies: Mutex<BTreeSet<CopyKey>>,
}

impl QuarantinedCopies {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, copies: Mutex::default() }
    }

    /// Learns which copies have open quarantine items.
    pub(crate) async fn load(&self) -> Result<(), EngineError> {
        if self.store.shared().is_some() {
            return Ok(());
        }
        let items = self.store.quarantined(REMEMBERED_MAX).await?;
        let keys = items.into_iter().filter_map(|item| {
            Some(CopyKey { system: item.system, entity: item.entity, remote_id: item.remote_id? })
        });
        *self.copies() = keys.collect();
        Ok(())
    }

    /// Takes note of items that were stored and of copies whose items were closed.
    pub(crate) fn note(&self, added: Vec<CopyKey>, closed: &[CopyKey]) {
        let mut known = self.copies();
        known.extend(added);
        closed.iter().for_each(|key| {
            known.remove(key);
        });
    }

    /// Which of these copies have open quarantine items, also those that another process has stored.
    pub(crate) async fn among(&self, copies: &[CopyKey]) -> Result<BTreeSet<CopyKey>, EngineError> {
        if let Some(shared) = self.store.shared().filter(|_| !copies.is_empty()) {
            return Ok(chosen(copies, &shared.set_aside(copies).await?));
        }
        let known = self.copies();
        Ok(copies.iter().filter(|copy| !known.is_empty() && known.contains(*copy)).cloned().collect())
    }

    fn copies(&self) -> MutexGuard<'_, BTreeSet<CopyKey>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
