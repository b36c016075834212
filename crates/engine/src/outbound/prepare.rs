//! The intents that are due for a system are loaded, translated to its names, and passed on; or put off, with a
//! reason.

use crate::outbound::outgoing::{Due, OutgoingWrite};
use crate::outbound::plan_guard::held_by_plan;
use crate::outbound::spell::{Spelled, spell};
use crate::outbound::turn::{Dispatched, Target, Turn};
use crate::parts::error::EngineError;
use crate::parts::waiting::Waiting;
use crate::ports::store::{Commit, DueIntent};
use avowal_core::data::ids::{FieldName, RecordId};
use avowal_core::history::Failure;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::outgoing::confirm::fail;
use avowal_core::outgoing::plan::{is_still_wanted, plan, plan_without};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::CopyKey;
use avowal_core::record::Record;
use avowal_core::record::intent::{Intent, Operation};
use avowal_core::record::reason::FailureReason;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A record with a due intent, and what the schedule says of that.
pub(crate) type DueRecord = (Due, Record);

/// An intent that is put off.
pub(crate) struct PutOff {
    pub(crate) record: RecordId,
    /// The intent's key.
    pub(crate) key: String,
    pub(crate) failures: u32,
    /// Why it waits, in words.
    pub(crate) reason: String,
    /// Whether another write to the same system may be what it waits for.
    pub(crate) waits_for_write: bool,
}

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
    let schedule = |due: &DueIntent| Due { failures: due.failures, is_delayed: due.reason.is_some() };
    Ok(due.iter().zip(records).filter_map(|(due, record)| Some((schedule(due), record?))).collect())
}

/// What may not be sent to a target for now.
struct Holds {
    /// Whether the first listing has been read, before which nothing may be created.
    is_listed: bool,
    /// What guards hold.
    held: Held,
}

/// What guards hold.
#[derive(Clone, Copy, Default)]
pub(crate) struct Held {
    pub(crate) deletes: bool,
    pub(crate) creates: bool,
}

/// The due intents of one entity as writes. What has to wait is put off.
pub(crate) async fn prepare_writes(
    target: Target<'_>,
    due: Vec<DueRecord>,
    held: Held,
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
    let holds = Holds { is_listed, held };
    let is_repeated = target.capabilities().idempotent;
    let mut out = Vec::new();
    let mut waiting = Vec::new();
    let mut outdated = Vec::new();
    let mut circles = Vec::new();
    for (due, record) in due {
        let Some(intent) = record.intents.get(system) else { continue };
        let is_waiting = due.is_waiting(intent);
        if (is_repeated || is_waiting || !intent.is_open()) && awaited.contains(&record.id) {
            // The copy may have changed. Without a precondition the write, or its repetition, would overwrite that
            // change unseen; with one it would be refused.
            continue;
        }
        if is_waiting && !is_still_wanted(policy, &record, system) {
            outdated.push(record);
            continue;
        }
        let prepared = match held_by_plan(target, policy, &record, intent, done).await? {
            Some(reason) => Spelled::waits(reason),
            None => prepare(target, policy, &record, intent, &holds).await?,
        };
        match prepared {
            Spelled::InCircle(left_out) => circles.push((record, left_out)),
            Spelled::Write(write) => {
                out.push(OutgoingWrite::new(target, &record, intent, &due, *write));
            }
            Spelled::Waits { reason, waits_for_write } => waiting.push(PutOff {
                record: record.id.clone(),
                key: intent.key.clone(),
                failures: due.failures,
                reason,
                waits_for_write,
            }),
        }
    }
    plan_anew(target, policy, outdated, done).await?;
    plan_creates_without(target, policy, circles, done).await?;
    put_off_intents(target.turn, waiting, done).await?;
    Ok(out)
}

/// Plans creates without the references that lead in a circle; they are sent in the next turn.
async fn plan_creates_without(
    target: Target<'_>,
    policy: &EntityPolicy,
    circles: Vec<(Record, Vec<FieldName>)>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let Target { parts, system, .. } = target;
    let mut commit = Commit::default();
    for (record, left_out) in circles {
        let now = parts.clock.now();
        let context = parts.own_context(policy.short_digest(), now);
        let mut chronicle = Chronicle::new(record, context, now);
        plan_without(&mut chronicle, system, &left_out);
        done.events += chronicle.events().len() as u64;
        done.tried += 1;
        commit.records.push(parts.record_commit(chronicle));
    }
    if !commit.is_empty() {
        parts.commit(commit).await?;
    }
    Ok(())
}

/// Plans what replaces the writes that have waited until something else is to be written.
async fn plan_anew(
    target: Target<'_>,
    policy: &EntityPolicy,
    outdated: Vec<Record>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let Target { parts, system, .. } = target;
    let Some(rules) = parts.rules(&policy.entity).await?.filter(|_| !outdated.is_empty()) else {
        return Ok(());
    };
    let mut commit = Commit::default();
    for record in outdated {
        let Some(key) = record.intents.get(system).map(|intent| intent.key.clone()) else { continue };
        let now = parts.clock.now();
        let context = parts.own_context(policy.short_digest(), now);
        let mut chronicle = Chronicle::new(record, context, now);
        fail(&mut chronicle, system, &key, Failure::Retry, FailureReason::Outdated);
        plan(&rules, &mut chronicle, None);
        parts.waiting().forget(system, &chronicle.record().id);
        done.events += chronicle.events().len() as u64;
        commit.records.push(parts.record_commit(chronicle));
    }
    done.tried += commit.records.len() as u64;
    // Where it is not stored, because a record has changed meanwhile, the next turn finds them again.
    parts.commit(commit).await?;
    Ok(())
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
        Ok(Spelled::waits(format!("nothing is created in {system} before it has been listed once")))
    } else if intent.operation == Operation::Delete && holds.held.deletes {
        Ok(Spelled::waits("held by the guard on deletes".to_owned()))
    } else if holds.held.creates && intent.is_fresh_create() {
        Ok(Spelled::waits("held by the guard on creates".to_owned()))
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
    waiting: Vec<PutOff>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let mut delays = Vec::with_capacity(waiting.len());
    for PutOff { record, key, failures, reason, waits_for_write } in waiting {
        let delay = turn.delay(&record, failures, None, reason);
        delays.push(delay.clone());
        let mut known = turn.parts.waiting();
        let confirmed_before = waits_for_write.then(|| known.confirmed(turn.system));
        known.wait(Waiting::new(key, delay, confirmed_before));
        done.put_off.push(record);
    }
    // If the delays are not stored, the intents are only looked at again sooner.
    turn.parts.store.commit(Commit { delays, ..Commit::default() }).await?;
    Ok(())
}
