//! The intents that are due for a system are loaded, translated to its names, and passed on; or put off, with a
//! reason.

use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::spell::{Spelled, spell};
use crate::outbound::turn::{Dispatched, Target, Turn};
use crate::parts::error::EngineError;
use crate::ports::store::{Commit, DueIntent};
use avowal_core::data::ids::RecordId;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::CopyKey;
use avowal_core::record::Record;
use avowal_core::record::intent::{Intent, Operation};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A record with a due intent, and how often that has failed without effect.
pub(crate) type DueRecord = (u32, Record);

/// An intent that waits: how often it has failed, its record, and why it waits.
pub(crate) type Waiting = (u32, RecordId, String);

/// A batch of the records with due intents; none of the `known` ones.
pub(crate) async fn due_records(
    turn: &Turn<'_>,
    known: &BTreeSet<RecordId>,
) -> Result<Vec<DueRecord>, EngineError> {
    let parts = turn.parts;
    let limit = parts.settings.batch_records_max;
    let now = parts.clock.now();
    let due = parts.store.due_intents(turn.system, turn.shares, now, limit + known.len()).await?;
    let due: Vec<DueIntent> =
        due.into_iter().filter(|due| !known.contains(&due.record)).take(limit).collect();
    let ids: Vec<RecordId> = due.iter().map(|due| due.record.clone()).collect();
    let records = parts.store.load(&ids).await?;
    Ok(due.into_iter().zip(records).filter_map(|(due, record)| Some((due.failures, record?))).collect())
}

/// What may not be sent to a target for now.
struct Holds {
    /// Whether the first listing has been read, before which nothing may be created.
    is_listed: bool,
    /// Whether a guard holds the deletes.
    deletes_held: bool,
}

/// The due intents of one entity as writes. What has to wait is put off.
pub(crate) async fn prepare_writes(
    target: Target<'_>,
    due: Vec<DueRecord>,
    deletes_held: bool,
    done: &mut Dispatched,
) -> Result<Vec<OutgoingWrite>, EngineError> {
    let Target { parts, system, entity, .. } = target;
    let Some(policy) = parts.policies.get(entity).filter(|_| !due.is_empty()) else {
        return Ok(Vec::new());
    };
    let is_listed = parts.readiness.is_listed(system, entity).await?;
    let awaited = match parts.systems.has_log(system, entity) {
        true => BTreeSet::new(),
        false => about_to_be_read(target, &due).await?,
    };
    let holds = Holds { is_listed, deletes_held };
    let is_repeated = target.capabilities().idempotent;
    let mut out = Vec::new();
    let mut waiting = Vec::new();
    for (failures, record) in due {
        let Some(intent) = record.intents.get(system) else { continue };
        if (is_repeated || !intent.is_open()) && awaited.contains(&record.id) {
            // The copy may have changed. Without a precondition the write, or its repetition, would overwrite that
            // change unseen; with one it would be refused.
            continue;
        }
        match prepare(target, policy, &record, intent, &holds).await? {
            Spelled::Write(write) => {
                out.push(OutgoingWrite::new(target, &record, intent, failures, *write));
            }
            Spelled::Waits(reason) => waiting.push((failures, record.id.clone(), reason)),
        }
    }
    put_off_intents(target.turn, waiting, done).await?;
    Ok(out)
}

async fn prepare(
    target: Target<'_>,
    policy: &Arc<EntityPolicy>,
    record: &Record,
    intent: &Intent,
    holds: &Holds,
) -> Result<Spelled, EngineError> {
    let system = target.system;
    if intent.operation == Operation::Create && !holds.is_listed {
        Ok(Spelled::Waits(format!("nothing is created in {system} before it has been listed once")))
    } else if intent.operation == Operation::Delete && holds.deletes_held {
        Ok(Spelled::Waits("held by the guard on deletes".to_owned()))
    } else {
        spell(target, policy, record, intent).await
    }
}

/// The records whose copies in this system a signal will have read.
async fn about_to_be_read(target: Target<'_>, due: &[DueRecord]) -> Result<BTreeSet<RecordId>, EngineError> {
    let copies: Vec<(&RecordId, CopyKey)> = due
        .iter()
        .filter_map(|(_, record)| {
            let remote_id = record.copies.get(target.system)?.remote_id.clone();
            let (system, entity) = (target.system.clone(), record.entity.clone());
            Some((&record.id, CopyKey { system, entity, remote_id }))
        })
        .collect();
    let keys: Vec<CopyKey> = copies.iter().map(|(_, key)| key.clone()).collect();
    let awaited = target.parts.awaited.among(&keys).await?;
    let due = copies.into_iter().filter(|(_, key)| awaited.contains(key));
    Ok(due.map(|(id, _)| id.clone()).collect())
}

/// Puts off intents that wait for something that no retry brings about.
pub(crate) async fn put_off_intents(
    turn: &Turn<'_>,
    waiting: Vec<Waiting>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let mut delays = Vec::with_capacity(waiting.len());
    for (failures, record, reason) in waiting {
        delays.push(turn.delay(&record, failures, None, reason));
        done.put_off.push(record);
    }
    // If the delays are not stored, the intents are only looked at again sooner.
    turn.parts.store.commit(Commit { delays, ..Commit::default() }).await?;
    Ok(())
}
