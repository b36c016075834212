//! Which systems have been listed once. Before its first listing we do not know which records a system lacks, so no
//! create is planned there.

use crate::parts::error::EngineError;
use crate::ports::store::{CursorKind, CursorName, Position, Store};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::policy::EntityPolicy;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Which systems and entities have been listed to the end.
pub(crate) struct Readiness {
    store: Arc<dyn Store>,
    /// Those known to be listed. They stay so while this process runs.
    ready: Mutex<BTreeSet<(SystemName, EntityName)>>,
}

impl Readiness {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, ready: Mutex::default() }
    }

    /// The rules of an entity as they hold now: no creates in systems that have not been listed yet.
    pub(crate) async fn rules(&self, policy: &Arc<EntityPolicy>) -> Result<Arc<EntityPolicy>, EngineError> {
        let mut unready = BTreeSet::new();
        for system in policy.mappings.keys() {
            if !self.is_ready(system, &policy.entity).await? {
                unready.insert(system.clone());
            }
        }
        if unready.is_empty() {
            return Ok(policy.clone());
        }
        let mut view = EntityPolicy::clone(policy);
        for (system, mapping) in &mut view.mappings {
            mapping.is_unlisted = unready.contains(system);
        }
        Ok(Arc::new(view))
    }

    async fn is_ready(&self, system: &SystemName, entity: &EntityName) -> Result<bool, EngineError> {
        let key = (system.clone(), entity.clone());
        if self.ready.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return Ok(true);
        }
        let name = CursorName { system: system.clone(), entity: entity.clone(), kind: CursorKind::Listing };
        let ready = self.store.cursor(&name).await?.as_ref().is_some_and(Position::is_read_to_the_end);
        if ready {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        Ok(ready)
    }

    /// Whether the first listing has been read to its end and the missing copies have been planned.
    pub(crate) async fn is_listed(
        &self,
        system: &SystemName,
        entity: &EntityName,
    ) -> Result<bool, EngineError> {
        let name = CursorName { system: system.clone(), entity: entity.clone(), kind: CursorKind::Listing };
        Ok(self.store.cursor(&name).await?.is_some_and(|position| position.is_complete()))
    }
}
