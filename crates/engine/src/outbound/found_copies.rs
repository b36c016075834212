//! Copies that were found instead of being created: each waits while it may belong to another record.

use crate::outbound::outcome::Ending;
use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::turn::Target;
use crate::parts::error::EngineError;
use crate::parts::translate::Canonical;
use avowal_core::data::ids::{RecordId, RemoteId};
use avowal_core::decide::identity::keys_of_copy;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::CopyKey;
use avowal_core::record::Record;
use avowal_core::record::intent::{Intent, IntentStatus, Operation};
use avowal_core::record::reason::FailureReason;
use std::collections::{BTreeMap, BTreeSet};

/// For each found or created copy, the other record with which it is linked already, if any.
pub(crate) async fn linked_elsewhere(
    target: Target<'_>,
    items: &[OutgoingWrite],
    endings: &[Ending],
) -> Result<Vec<Option<RecordId>>, EngineError> {
    let mut out: Vec<Option<RecordId>> = items.iter().map(|_| None).collect();
    let asked: Vec<(usize, CopyKey)> = endings
        .iter()
        .enumerate()
        .filter(|(at, _)| items[*at].write.operation == Operation::Create)
        .filter_map(|(at, ending)| {
            let remote_id = ending.copy_id()?.clone();
            let (system, entity) = (target.system.clone(), target.entity.clone());
            Some((at, CopyKey { system, entity, remote_id }))
        })
        .collect();
    let keys: Vec<CopyKey> = asked.iter().map(|(_, key)| key.clone()).collect();
    for ((at, _), located) in asked.into_iter().zip(target.parts.store.locate(&keys).await?) {
        out[at] = located.map(|located| located.record).filter(|record| *record != items[at].record);
    }
    Ok(out)
}

/// Makes a found copy wait that refers to a record that is not known yet. It is looked at again when that is known.
pub(crate) fn wait_for_referents(
    items: &[OutgoingWrite],
    endings: Vec<Ending>,
    waiting: &BTreeSet<usize>,
) -> Vec<Ending> {
    let wait = |(at, ending): (usize, Ending)| match ending.found().is_some() && waiting.contains(&at) {
        true => put_off(items[at].status, FailureReason::ReferentUnknown),
        false => ending,
    };
    endings.into_iter().enumerate().map(wait).collect()
}

/// Makes a found copy wait that may belong to another record with the same key: to one that has found it too, or to
/// one whose own create has an unknown outcome. That record is resolved first.
pub(crate) async fn wait_for_others(
    target: Target<'_>,
    policy: &EntityPolicy,
    items: &[OutgoingWrite],
    endings: Vec<Ending>,
    shown: &[Option<Canonical>],
) -> Result<Vec<Ending>, EngineError> {
    let first = first_finders(items, &endings);
    // A record whose first attempt has just ended without a copy cannot have created the copy, so other records need
    // not wait for it.
    let made_nothing: BTreeSet<RecordId> = items
        .iter()
        .zip(&endings)
        .filter(|(item, ending)| !item.status.is_open() && ending.made_nothing())
        .map(|(item, _)| item.record.clone())
        .collect();
    let mut out = Vec::with_capacity(endings.len());
    for (at, ending) in endings.into_iter().enumerate() {
        let item = &items[at];
        let Some(copy) = ending.found() else {
            out.push(ending);
            continue;
        };
        let reason = if first.get(&copy.id).is_some_and(|first| *first != at) {
            Some(FailureReason::FoundByAnother)
        } else if let Some(fields) = shown[at].as_ref().filter(|_| !item.status.is_open()) {
            let other = possible_creator(target, policy, &item.record, fields, &made_nothing).await?;
            other.map(|record| FailureReason::MayBelongTo { record })
        } else {
            None
        };
        out.push(match reason {
            Some(reason) => put_off(item.status, reason),
            None => ending,
        });
    }
    Ok(out)
}

/// Another record with the same key whose create in this system may have made the copy; none of the `made_nothing`
/// ones.
async fn possible_creator(
    target: Target<'_>,
    policy: &EntityPolicy,
    record: &RecordId,
    fields: &Canonical,
    made_nothing: &BTreeSet<RecordId>,
) -> Result<Option<RecordId>, EngineError> {
    let Target { parts, system, .. } = target;
    let keys = keys_of_copy(policy, fields);
    let found = parts.store.match_records(&policy.entity, &keys).await?;
    let may_have_made = |other: &RecordId| other != record && !made_nothing.contains(other);
    let others: Vec<RecordId> = found.into_iter().flatten().filter(may_have_made).collect();
    let states = parts.store.load(&others).await?;
    let in_doubt = |state: &Record| state.intents.get(system).is_some_and(Intent::is_open_create);
    Ok(states.into_iter().flatten().find(in_doubt).map(|state| state.id))
}

/// The place of the first item that has found each copy. One whose own create may have made the copy comes before
/// others.
fn first_finders(items: &[OutgoingWrite], endings: &[Ending]) -> BTreeMap<RemoteId, usize> {
    let mut first = BTreeMap::new();
    for is_open in [true, false] {
        for (at, ending) in endings.iter().enumerate() {
            if items[at].status.is_open() == is_open
                && let Some(copy) = ending.found()
            {
                first.entry(copy.id.clone()).or_insert(at);
            }
        }
    }
    first
}

/// The ending of a write whose found copy is not used yet: it is tried again, or its unknown outcome is resolved
/// later.
fn put_off(status: IntentStatus, reason: FailureReason) -> Ending {
    match status.is_open() {
        true => Ending::StillUnknown { reason },
        false => Ending::Retry { after_ms: None, reason },
    }
}
