//! What a plan needs of a store, copied to another one through the ports: for stores that cannot be copied as a file.

use crate::parts::error::EngineError;
use crate::parts::match_keys::match_keys;
use crate::ports::bucket::Shares;
use crate::ports::store::{
    BATCH_RECORDS_MAX, Commit, CommitOutcome, CursorKind, CursorMove, CursorName, IntentDelay, NewSignal,
    RecordCommit, Store, StoreError,
};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most signals, delayed intents and quarantined items that are copied, of each.
const OPEN_MAX: usize = 100_000;

/// Copies the states of all records, the positions, and what waits. Of the history only the last event of each record goes
/// along, so the copy is good for deciding what comes next and for nothing else.
///
/// The store that is copied may be written to meanwhile. Positions are read first: what comes in later is read again from
/// there, and facts may be taken twice.
pub async fn copy_store(
    from: &dyn Store,
    to: &dyn Store,
    policies: &BTreeMap<EntityName, Arc<EntityPolicy>>,
) -> Result<(), EngineError> {
    let mut rest = Commit { cursors: cursors(from, policies).await?, ..Commit::default() };
    for stop in from.stops().await? {
        to.set_stop(&stop).await?;
    }
    for (system, ms) in from.lags().await? {
        to.keep_lag(&system, ms).await?;
    }
    for system in policies.values().flat_map(|policy| policy.mappings.keys()).collect::<BTreeSet<_>>() {
        to.count_effects(&from.counted_effects(system, Timestamp::default()).await?).await?;
    }
    let mut after = None;
    loop {
        let records = from.scan_records(after, BATCH_RECORDS_MAX).await?;
        let Some(last) = records.last() else { break };
        after = Some(last.id.clone());
        let mut commit = Commit::default();
        for record in records {
            commit.records.push(copied(from, policies, record).await?);
        }
        store(to, commit).await?;
    }
    let ever = Timestamp::from_millis(i64::MAX);
    let systems: BTreeSet<&SystemName> =
        policies.values().flat_map(|policy| policy.mappings.keys()).collect();
    for system in systems {
        let signals = from.due_signals(system, Shares::ALL, ever, OPEN_MAX).await?;
        rest.signals.extend(signals.into_iter().map(NewSignal::from));
    }
    rest.quarantine = from.quarantined(OPEN_MAX).await?.into_iter().map(Into::into).collect();
    rest.delays = from
        .waiting_intents(OPEN_MAX)
        .await?
        .into_iter()
        .map(|waiting| IntentDelay {
            record: waiting.record,
            system: waiting.system,
            not_before: waiting.not_before,
            failures: waiting.failures,
            reason: Some(waiting.reason),
        })
        .collect();
    store(to, rest).await
}

/// A record with its last event.
async fn copied(
    from: &dyn Store,
    policies: &BTreeMap<EntityName, Arc<EntityPolicy>>,
    state: Record,
) -> Result<RecordCommit, EngineError> {
    let match_keys = policies.get(&state.entity).map(|policy| match_keys(policy, &state)).unwrap_or_default();
    // Only our own streams are asked for their last event later on.
    let events = match state.entity.as_str().starts_with('@') {
        true => from.events(&state.id, state.seq, 1).await?,
        false => Vec::new(),
    };
    Ok(RecordCommit { expected_seq: 0, state, events, match_keys })
}

async fn cursors(
    from: &dyn Store,
    policies: &BTreeMap<EntityName, Arc<EntityPolicy>>,
) -> Result<Vec<CursorMove>, EngineError> {
    let mut found = Vec::new();
    for policy in policies.values() {
        for system in policy.mappings.keys() {
            for kind in CursorKind::ALL {
                let (system, entity) = (system.clone(), policy.entity.clone());
                let name = CursorName { system, entity, kind };
                if let Some(to) = from.cursor(&name).await? {
                    found.push(CursorMove { name, from: None, to });
                }
            }
        }
    }
    Ok(found)
}

async fn store(to: &dyn Store, commit: Commit) -> Result<(), EngineError> {
    match to.commit(commit).await? {
        CommitOutcome::Committed => Ok(()),
        CommitOutcome::Conflict { what: why }
        | CommitOutcome::Duplicate { key: why }
        | CommitOutcome::Unknown { reason: why } => {
            Err(StoreError::Unavailable(format!("the store could not be copied for the plan: {why}")).into())
        }
    }
}
