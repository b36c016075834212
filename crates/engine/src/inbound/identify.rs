//! Which record a copy belongs to: proven by the key of the write that made it, or matched by declared keys.

use crate::inbound::draft::CommitDraft;
use crate::inbound::facts::{Content, Fact};
use crate::inbound::quarantine::{no_key_words, payload};
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::match_keys::match_keys;
use crate::parts::translate::Aside;
use crate::ports::store::{MatchKey, SignalReason};
use avowal_core::data::ids::{FieldName, RecordId};
use avowal_core::decide::identity::{has_no_key, keys_of_copy};
use avowal_core::decide::lifecycle::link;
use avowal_core::history::LinkReason;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::policy::NoKey;
use avowal_core::record::intent::{Intent, Operation};
use avowal_core::record::observation::Channel;
use avowal_core::record::{Misread, Record};
use std::collections::BTreeSet;

/// The keys of one unlinked copy, each with the records that carry it.
pub(crate) type Matches = Vec<(String, Vec<RecordId>)>;

/// The records that carry the keys of each copy whose record is not proven, in the order of the facts; nothing for the
/// others.
pub(crate) async fn find_matches(
    parts: &Parts,
    facts: &[Fact<'_>],
    unproven: &[bool],
) -> Result<Vec<Matches>, EngineError> {
    let mut out: Vec<Matches> = facts.iter().map(|_| Vec::new()).collect();
    for entity in parts.policies.keys() {
        let mut places = Vec::new();
        let mut asked = Vec::new();
        for (at, fact) in facts.iter().enumerate() {
            let Content::Present { row, .. } = &fact.content else { continue };
            if !unproven[at] || fact.entity != *entity {
                continue;
            }
            for key in keys_of_copy(&fact.policy, &row.fields) {
                places.push(at);
                asked.push(key);
            }
        }
        if asked.is_empty() {
            continue;
        }
        let found = parts.store.match_records(entity, &asked).await?;
        for ((at, key), records) in places.into_iter().zip(asked).zip(found) {
            out[at].push((key, records));
        }
    }
    Ok(out)
}

/// Finds or begins the record of an unlinked copy. Without a candidate a record is begun, one candidate is linked,
/// and with several the copy is quarantined for a person. A copy that only a delivery shows is read first. `None`
/// where the copy has no record yet.
pub(crate) async fn identify<'a>(
    draft: &mut CommitDraft<'a>,
    fact: &Fact<'a>,
    matches: &Matches,
) -> Result<Option<RecordId>, EngineError> {
    if let Some(record) = creating_record(draft, fact).await? {
        return Ok(Some(record));
    }
    if draft.batch.channel == Channel::Webhook {
        // A delivery may be repeated long after its copy was deleted, and we hold nothing that proves the copy still
        // exists.
        draft.ask_for_read(&fact.copy, SignalReason::Webhook, 0);
        return Ok(None);
    }
    let mut candidates = candidates(draft, fact, matches).await?;
    if candidates.len() > 1 {
        let names: Vec<_> = candidates.iter().map(|(record, _)| record.as_str()).collect();
        let reason =
            format!("it matches several records: {}; merge them or change the key", names.join(", "));
        draft.quarantine(&fact.copy, reason, payload(fact.change));
        return Ok(None);
    }
    match candidates.pop() {
        Some((record, match_key)) => Ok(link_matched(draft, fact, record, match_key)),
        // Its key says something that nobody understands: a record of its own would be a second one of the same thing.
        None if no_record(draft, fact).is_some() => {
            let reason = no_record(draft, fact).unwrap_or_default();
            draft.quarantine(&fact.copy, reason, payload(fact.change));
            Ok(None)
        }
        None => {
            // Another process may begin a record for the same thing at the same time.
            let key_of = |(key, _): &(String, _)| MatchKey { entity: fact.entity.clone(), key: key.clone() };
            draft.sole_keys.extend(matches.iter().map(key_of));
            Ok(Some(begin(draft, fact)))
        }
    }
}

/// Why the copy begins no record; `None` if it does.
fn no_record(draft: &CommitDraft<'_>, fact: &Fact<'_>) -> Option<String> {
    let Content::Present { row, .. } = &fact.content else { return None };
    let is_for_a_person = fact.policy.no_key == NoKey::Review && has_no_key(&fact.policy, &row.fields);
    unreadable_key(draft, fact).or_else(|| is_for_a_person.then(|| no_key_words(&fact.policy)))
}

/// Why the fields by which the copy would be recognised cannot be understood; `None` if they can.
fn unreadable_key(draft: &CommitDraft<'_>, fact: &Fact<'_>) -> Option<String> {
    let Content::Present { row, .. } = &fact.content else { return None };
    let of_key =
        |(field, _): &(&FieldName, &Misread)| fact.policy.match_on.iter().flatten().any(|key| key == *field);
    let aside: Aside =
        row.aside.iter().filter(of_key).map(|(field, why)| (field.clone(), why.clone())).collect();
    let mapping = fact.policy.mappings.get(&draft.batch.system)?;
    (!aside.is_empty()).then(|| mapping.problems(&aside).join("; "))
}

/// The records that carry the first of the copy's keys that any record carries.
async fn candidates(
    draft: &mut CommitDraft<'_>,
    fact: &Fact<'_>,
    matches: &Matches,
) -> Result<Vec<(RecordId, String)>, EngineError> {
    let mut candidates = Vec::new();
    for (match_key, records) in matches {
        let fresh = draft.keys.get(&(fact.entity.clone(), match_key.clone()));
        let all: BTreeSet<RecordId> = records.iter().chain(fresh).cloned().collect();
        for record in all {
            if carries(draft, fact, &record, match_key).await? {
                candidates.push((record, match_key.clone()));
            }
        }
        if !candidates.is_empty() {
            break;
        }
    }
    Ok(candidates)
}

/// Links a copy with the one record that it matches, unless that record has another copy in the system already.
fn link_matched<'a>(
    draft: &mut CommitDraft<'a>,
    fact: &Fact<'a>,
    record: RecordId,
    match_key: String,
) -> Option<RecordId> {
    let context = draft.context(Some(fact.change), &fact.entity);
    let system = &draft.batch.system;
    let chronicle = draft.chronicles.get_mut(&record)?;
    if let Some(other) = chronicle.record().live_copy(system) {
        if other.is_found_by(&fact.copy.remote_id) {
            // The links were asked before the record was loaded, and its create was confirmed in between.
            draft.linked.insert(fact.copy.clone(), record.clone());
            return Some(record);
        }
        if !draft.is_last_look {
            draft.second_copies.push(fact.change);
            return None;
        }
        draft.parts.doubles().note(&fact.copy, &match_key, &other.remote_id);
        let reason = format!(
            "a second copy in {system} carries {match_key}; {} is linked already. Merge or delete one of the two there",
            other.remote_id
        );
        draft.quarantine(&fact.copy, reason, payload(fact.change));
        return None;
    }
    chronicle.set_context(context);
    link(chronicle, system, &fact.copy.remote_id, LinkReason::Matched { key: match_key });
    draft.linked.insert(fact.copy.clone(), record.clone());
    Some(record)
}

/// Whether a record still carries a key after what this batch has done to it: an earlier fact may have deleted it.
async fn carries(
    draft: &mut CommitDraft<'_>,
    fact: &Fact<'_>,
    record: &RecordId,
    key: &String,
) -> Result<bool, EngineError> {
    if !draft.chronicles.contains_key(record) {
        draft.load(std::slice::from_ref(record)).await?;
    }
    let Some(record) = draft.chronicles.get(record).map(Chronicle::record) else { return Ok(false) };
    // A deleted record is matched only while its own create has an unknown outcome.
    let may_be_ours = record.intents.get(&draft.batch.system).is_some_and(Intent::is_open_create);
    Ok((record.deleted.is_none() || may_be_ours) && match_keys(&fact.policy, record).contains(key))
}

/// The record whose create made this copy, proven by the key that the system carries.
async fn creating_record(
    draft: &mut CommitDraft<'_>,
    fact: &Fact<'_>,
) -> Result<Option<RecordId>, EngineError> {
    let Some(write) = &fact.change.correlation else { return Ok(None) };
    let named = write.strip_prefix(fact.entity.as_str()).and_then(|rest| rest.strip_prefix('.'));
    let Some(id) = named.and_then(|rest| rest.split('.').next()).map(RecordId::new) else {
        return Ok(None);
    };
    if !draft.chronicles.contains_key(&id) {
        draft.load(std::slice::from_ref(&id)).await?;
    }
    let context = draft.context(Some(fact.change), &fact.entity);
    let system = &draft.batch.system;
    let Some(chronicle) = draft.chronicles.get_mut(&id) else { return Ok(None) };
    let record = chronicle.record();
    let is_ours = record
        .intents
        .get(system)
        .is_some_and(|intent| intent.key == *write && intent.operation == Operation::Create);
    if !is_ours || record.copies.contains_key(system) {
        return Ok(None);
    }
    chronicle.set_context(context);
    link(chronicle, system, &fact.copy.remote_id, LinkReason::Created);
    draft.linked.insert(fact.copy.clone(), id.clone());
    Ok(Some(id))
}

/// Begins a record for a copy that matches none.
fn begin(draft: &mut CommitDraft<'_>, fact: &Fact<'_>) -> RecordId {
    let id = draft.parts.clock.new_record_id();
    let context = draft.context(Some(fact.change), &fact.entity);
    let record = Record::new(id.clone(), fact.entity.clone());
    let mut chronicle = Chronicle::new(record, context, draft.parts.clock.now());
    link(&mut chronicle, &draft.batch.system, &fact.copy.remote_id, LinkReason::FirstSeen);
    draft.chronicles.insert(id.clone(), chronicle);
    draft.linked.insert(fact.copy.clone(), id.clone());
    id
}
