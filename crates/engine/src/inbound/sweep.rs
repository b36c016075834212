//! Planning the copies that a freshly listed system turned out to lack.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::store::{Commit, CommitOutcome};
use avowal_core::data::ids::EntityName;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::outgoing::plan::plan;

/// Plans the copies that a freshly listed system lacks, and answers how many events that made. New facts plan their
/// own copies meanwhile. A crash begins the sweep again, which changes nothing where it was done already.
pub(crate) async fn sweep(parts: &Parts, entity: &EntityName) -> Result<u64, EngineError> {
    let mut planned = 0;
    let Some(rules) = parts.rules(entity).await? else { return Ok(planned) };
    let mut after = None;
    loop {
        let records = parts.store.scan_records(after.clone(), parts.settings.batch_records_max).await?;
        let Some(last) = records.last() else { return Ok(planned) };
        let last = last.id.clone();
        let now = parts.clock.now();
        let mut commit = Commit::default();
        let mut events = 0;
        for record in records.into_iter().filter(|record| record.entity == *entity) {
            let context = parts.own_context(rules.short_digest(), now);
            let mut chronicle = Chronicle::new(record, context, now);
            plan(&rules, &mut chronicle, None);
            if !chronicle.is_quiet() {
                events += chronicle.events().len() as u64;
                commit.records.push(parts.record_commit(chronicle));
            }
        }
        if !commit.is_empty() {
            match parts.commit_plainly(commit).await? {
                CommitOutcome::Committed | CommitOutcome::Duplicate { .. } => planned += events,
                // One of the records was decided about meanwhile, so the page is read again.
                CommitOutcome::Conflict { .. } | CommitOutcome::Unknown { .. } => continue,
            }
        }
        after = Some(last);
    }
}
