//! Copies that were found instead of being created: each waits while it may belong to another record.

use crate::outbound::outcome::Ending;
use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::turn::Target;
use crate::parts::error::EngineError;
use crate::parts::translate::Canonical;
use avowal_core::data::ids::{RecordId, RemoteId};
use avowal_core::decide::identity::keys_of_copy;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::translate::Understood;
use avowal_core::record::CopyKey;
use avowal_core::record::Record;
use avowal_core::record::intent::{Intent, Operation};
use avowal_core::record::reason::FailureReason;
use std::collections::{BTreeMap, BTreeSet};

/// The other record with which a copy is linked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Holder {
    pub(crate) record: RecordId,
    /// Whether its copy exists, as far as we know. If not, the system has given the id to another row since.
    pub(crate) is_alive: bool,
}

/// For each found or created copy, the other record with which it is linked already, if any.
pub(crate) async fn linked_elsewhere(
    target: Target<'_>,
    items: &[OutgoingWrite],
    endings: &[Ending],
) -> Result<Vec<Option<Holder>>, EngineError> {
    let mut out: Vec<Option<Holder>> = items.iter().map(|_| None).collect();
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
        let other = located.filter(|located| located.record != items[at].record);
        out[at] = other.map(|located| Holder { record: located.record, is_alive: located.alive });
    }
    Ok(out)
}

/// Makes a create wait that has met a copy of another record: the copy is about to be deleted, or it is gone already,
/// which the system's log will show, and its id has come again.
pub(crate) async fn wait_for_other_copies(
    target: Target<'_>,
    endings: Vec<Ending>,
    linked: &[Option<Holder>],
) -> Result<Vec<Ending>, EngineError> {
    let has_log = target.parts.systems.has_log(target.system, target.entity);
    let others: Vec<RecordId> = linked
        .iter()
        .flatten()
        .filter(|holder| holder.is_alive)
        .map(|holder| holder.record.clone())
        .collect();
    let states = target.parts.store.load(&others).await?;
    let is_leaving = |state: &Record| {
        let intent = state.intents.get(target.system);
        intent.is_some_and(|intent| intent.operation == Operation::Delete)
    };
    let leaving: BTreeSet<RecordId> =
        states.into_iter().flatten().filter(is_leaving).map(|state| state.id).collect();
    let wait = |(ending, linked): (Ending, &Option<Holder>)| match linked
        .as_ref()
        .filter(|holder| holder.is_alive)
    {
        Some(Holder { record, .. }) if ending.found().is_some() && leaving.contains(record) => {
            Ending::Blocked { reason: FailureReason::CopyIsLeaving { record: record.clone() } }
        }
        Some(Holder { record, .. }) if has_log && matches!(ending, Ending::Confirmed { .. }) => {
            Ending::StillUnknown { reason: FailureReason::MayBelongTo { record: record.clone() } }
        }
        Some(_) | None => ending,
    };
    Ok(endings.into_iter().zip(linked).map(wait).collect())
}

/// Makes a found copy wait that refers to a record that is not known yet. It is looked at again when that is known.
pub(crate) fn wait_for_referents(
    items: &[OutgoingWrite],
    endings: Vec<Ending>,
    waiting: &BTreeSet<usize>,
) -> Vec<Ending> {
    let wait = |(at, ending): (usize, Ending)| match ending.found().is_some() && waiting.contains(&at) {
        true => put_off(&items[at], &ending, FailureReason::ReferentUnknown),
        false => ending,
    };
    endings.into_iter().enumerate().map(wait).collect()
}

/// Makes a copy wait that may belong to another record with the same key: to one that has made or found it too, or to one
/// whose own create has an unknown outcome. That record is resolved first.
pub(crate) async fn wait_for_others(
    target: Target<'_>,
    policy: &EntityPolicy,
    items: &[OutgoingWrite],
    endings: Vec<Ending>,
    shown: &[Option<Understood>],
) -> Result<Vec<Ending>, EngineError> {
    let first = first_claims(items, &endings);
    // A record whose first attempt has just ended without a copy cannot have created the copy, so other records need
    // not wait for it.
    let made_nothing: BTreeSet<RecordId> = items
        .iter()
        .zip(&endings)
        .filter(|(item, ending)| !item.is_open() && ending.made_nothing())
        .map(|(item, _)| item.record.clone())
        .collect();
    let mut out = Vec::with_capacity(endings.len());
    for (at, ending) in endings.into_iter().enumerate() {
        let item = &items[at];
        let Some(id) = made(item, &ending).or(ending.found().map(|copy| &copy.id)) else {
            out.push(ending);
            continue;
        };
        let reason = if first.get(id).is_some_and(|first| *first != at) {
            Some(FailureReason::FoundByAnother)
        } else if ending.found().is_none() {
            None
        } else if let Some(row) = shown[at].as_ref().filter(|_| !item.is_open()) {
            let other = possible_creator(target, policy, &item.record, &row.fields, &made_nothing).await?;
            other.map(|record| FailureReason::MayBelongTo { record })
        } else {
            None
        };
        out.push(match reason {
            Some(reason) => put_off(item, &ending, reason),
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

/// The place of the item to which each copy belongs: the one whose create is confirmed with it; else the first that has
/// found it, and one whose own create may have made the copy comes before others.
fn first_claims(items: &[OutgoingWrite], endings: &[Ending]) -> BTreeMap<RemoteId, usize> {
    let mut first = BTreeMap::new();
    for (at, ending) in endings.iter().enumerate() {
        if let Some(id) = made(&items[at], ending) {
            first.entry(id.clone()).or_insert(at);
        }
    }
    for is_open in [true, false] {
        for (at, ending) in endings.iter().enumerate() {
            if items[at].is_open() == is_open
                && let Some(copy) = ending.found()
            {
                first.entry(copy.id.clone()).or_insert(at);
            }
        }
    }
    first
}

/// The copy that a create has made, as its system says.
fn made<'a>(item: &OutgoingWrite, ending: &'a Ending) -> Option<&'a RemoteId> {
    let is_made = matches!(ending, Ending::Confirmed { .. }) && item.write.operation == Operation::Create;
    ending.copy_id().filter(|_| is_made)
}

/// The ending of a write whose copy is not used yet: it is tried again, or its unknown outcome is resolved later.
fn put_off(item: &OutgoingWrite, ending: &Ending, reason: FailureReason) -> Ending {
    match item.is_open() || made(item, ending).is_some() {
        true => Ending::StillUnknown { reason },
        false => Ending::Retry { after_ms: None, reason },
    }
}
