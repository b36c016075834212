//! Which rules decided when: a change of an entity's policy is an event in a stream of its own.

use crate::ports::store::{Commit, CommitOutcome};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{EntityName, RecordId};
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, Context};
use avowal_core::record::Record;

/// The entity under which streams are kept that belong to no record. No configured name begins with `@`.
pub const OWN_ENTITY: &str = "@policy";

impl Engine {
    /// Records the policies that decide from here on, where they differ from those before.
    pub(crate) async fn note_policies(&self) -> Result<(), EngineError> {
        for policy in self.policies.values() {
            let stream = RecordId::new(format!("@policy.{}", policy.entity));
            let stored = self.store.load(std::slice::from_ref(&stream)).await?.pop().flatten();
            let to = policy.digest.to_string();
            let from = match &stored {
                None => None,
                Some(record) => {
                    let last = self.store.events(&stream, record.seq, 1).await?.pop();
                    last.and_then(|event| match event.body {
                        Body::PolicyChanged { to, .. } => Some(to),
                        _ => None,
                    })
                }
            };
            if from.as_ref() == Some(&to) {
                continue;
            }
            let now = self.clock.now();
            let context =
                Context { policy: Some(policy.short_digest()), received_at: now, ..Context::default() };
            let record = stored.unwrap_or_else(|| Record::new(stream, EntityName::new(OWN_ENTITY)));
            let mut chronicle = Chronicle::new(record, context, now);
            chronicle.push(Body::PolicyChanged { from, to });
            let commit = Commit { records: vec![self.record_commit(chronicle)], ..Commit::default() };
            match self.store.commit(commit).await? {
                // A conflict means that another process has recorded it.
                CommitOutcome::Committed
                | CommitOutcome::Conflict { .. }
                | CommitOutcome::Duplicate { .. }
                | CommitOutcome::Unknown { .. } => {}
            }
        }
        Ok(())
    }
}
