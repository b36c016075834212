//! The copies with open quarantine items, so that a fact that can be understood closes the items of its copy.

use crate::parts::awaited::chosen;
use crate::parts::error::EngineError;
use crate::ports::store::{Commit, RecordCommit, Store};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::history::Body;
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
    /// The writes with open items, by record and system.
    writes: Mutex<BTreeSet<(RecordId, SystemName)>>,
}

impl QuarantinedCopies {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, copies: Mutex::default(), writes: Mutex::default() }
    }

    /// Learns which copies have open quarantine items.
    pub(crate) async fn load(&self) -> Result<(), EngineError> {
        let items = self.store.quarantined(REMEMBERED_MAX).await?;
        let writes = items.iter().filter_map(|item| Some((item.record.clone()?, item.system.clone())));
        *self.writes() = writes.collect();
        if self.store.shared().is_some() {
            return Ok(());
        }
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

    /// The writes with open items that these commits end: they were confirmed, or nothing is left for them to do.
    pub(crate) fn settled_by(&self, records: &[RecordCommit]) -> Vec<(RecordId, SystemName)> {
        let writes = self.writes();
        let mut settled = BTreeSet::new();
        for record in records {
            for event in &record.events {
                let (Body::IntentConfirmed { system, .. }
                | Body::IntentWithdrawn { system, .. }
                | Body::Released { system }) = &event.body
                else {
                    continue;
                };
                let write = (record.state.id.clone(), system.clone());
                // Another process may have set it aside. Then the history tells, or the state.
                if matches!(event.body, Body::Released { .. })
                    || writes.contains(&write)
                    || record.state.held.contains_key(system)
                {
                    settled.insert(write);
                }
            }
        }
        settled.into_iter().collect()
    }

    /// Takes note of the writes that a commit sets aside or settles. If the commit fails, an item may be looked for in
    /// vain, or is closed by the next write.
    pub(crate) fn note_writes(&self, commit: &Commit) {
        let mut writes = self.writes();
        for settled in &commit.quarantine_settled {
            writes.remove(settled);
        }
        for item in commit.quarantine.iter().take(REMEMBERED_MAX.saturating_sub(writes.len())) {
            writes.extend(item.record.clone().map(|record| (record, item.system.clone())));
        }
    }

    fn writes(&self) -> MutexGuard<'_, BTreeSet<(RecordId, SystemName)>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
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
