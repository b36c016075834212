//! Which systems have been listed once. Before that nobody knows what a system lacks: nothing is planned to be
//! created there, and afterwards the records that it turned out to lack are planned in one sweep.

use crate::inbound::pull::Pulled;
use crate::ports::store::{Commit, CommitOutcome, CursorKind, CursorName, Position};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::history::Context;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::outgoing::plan::plan;
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

impl Engine {
    /// The rules of an entity as they hold now: no creates in systems that have not been listed yet.
    pub(crate) async fn rules(&self, entity: &EntityName) -> Result<Option<Arc<EntityPolicy>>, EngineError> {
        let Some(policy) = self.policies.get(entity) else { return Ok(None) };
        let mut unready = BTreeSet::new();
        for system in policy.mappings.keys() {
            if !self.is_ready(system, entity).await? {
                unready.insert(system.clone());
            }
        }
        if unready.is_empty() {
            return Ok(Some(policy.clone()));
        }
        let mut view = EntityPolicy::clone(policy);
        for (system, mapping) in &mut view.mappings {
            mapping.create &= !unready.contains(system);
        }
        Ok(Some(Arc::new(view)))
    }

    async fn is_ready(&self, system: &SystemName, entity: &EntityName) -> Result<bool, EngineError> {
        if planted(Mistake::CreateBeforeListing) {
            return Ok(true);
        }
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

    /// Plans the copies that a freshly listed system lacks. New facts plan theirs themselves meanwhile; a crash
    /// begins the sweep again, which finds those done already.
    pub(crate) async fn sweep(&self, entity: &EntityName) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let Some(rules) = self.rules(entity).await? else { return Ok(pulled) };
        let mut after = None;
        loop {
            let records = self.store.scan_records(after.clone(), self.settings.batch_records_max).await?;
            let Some(last) = records.last() else { return Ok(pulled) };
            let last = last.id.clone();
            let now = self.clock.now();
            let mut commit = Commit::default();
            let mut events = 0;
            for record in records.into_iter().filter(|record| record.entity == *entity) {
                let context =
                    Context { policy: Some(rules.short_digest()), received_at: now, ..Context::default() };
                let mut chronicle = Chronicle::new(record, context, now);
                plan(&rules, &mut chronicle, None);
                if !chronicle.is_quiet() {
                    events += chronicle.events().len() as u64;
                    commit.records.push(self.record_commit(chronicle));
                }
            }
            if !commit.is_empty() {
                match self.store.commit(commit).await? {
                    CommitOutcome::Committed | CommitOutcome::Duplicate { .. } => pulled.events += events,
                    // One of them was decided about meanwhile: the page is read again.
                    CommitOutcome::Conflict { .. } | CommitOutcome::Unknown { .. } => continue,
                }
            }
            after = Some(last);
        }
    }
}
