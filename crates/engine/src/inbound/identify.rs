//! Which record a copy belongs to: proven by the key of the write that made it, or matched by declared keys.

use crate::inbound::batch::Batch;
use crate::inbound::commit_draft::{CommitDraft, Content, Fact};
use crate::inbound::ingest::payload;
use crate::ports::store::{Located, MatchKey, SignalReason};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{FieldName, RecordId};
use avowal_core::data::value::Value;
use avowal_core::decide::identity::{keys_of_copy, keys_of_record};
use avowal_core::decide::lifecycle::link;
use avowal_core::history::LinkReason;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::intent::{Intent, Operation};
use avowal_core::record::observation::Channel;
use avowal_core::record::{CopyKey, Record};
use std::collections::{BTreeMap, BTreeSet};

/// The keys by which copies find a record. A field of which nobody has spoken yet who may is known by what the
/// copies show, or a copy of the owner that comes later would not find its record.
pub fn match_keys(policy: &EntityPolicy, record: &Record) -> Vec<String> {
    let mut keys = keys_of_record(policy, record);
    let mut known: BTreeMap<FieldName, Value> = BTreeMap::new();
    let is_alive = record.deleted.is_none();
    for field in policy.match_on.iter().flatten().filter(|_| is_alive) {
        let shown = record.copies.values().filter(|copy| copy.alive).find_map(|copy| copy.fields.get(field));
        let value = match record.fields.get(field) {
            Some(belief) => Some(&belief.value),
            None => shown.map(|shadow| &shadow.content),
        };
        known.extend(value.map(|value| (field.clone(), value.clone())));
    }
    keys.extend(keys_of_copy(policy, &known));
    // A create of unknown outcome may have made a copy with what was believed then.
    for intent in record.intents.values().filter(|intent| intent.is_open_create()) {
        let sent = intent.fields.iter().map(|(field, outgoing)| (field.clone(), outgoing.value.clone()));
        keys.extend(keys_of_copy(policy, &sent.collect()));
    }
    keys.sort();
    keys.dedup();
    keys
}

impl Engine {
    /// The records that carry the keys of each unlinked copy.
    pub(crate) async fn find_matches(
        &self,
        facts: &[Fact<'_>],
        located: &[Option<Located>],
    ) -> Result<Vec<Vec<(String, Vec<RecordId>)>>, EngineError> {
        let mut out: Vec<Vec<(String, Vec<RecordId>)>> = facts.iter().map(|_| Vec::new()).collect();
        for entity in self.policies.keys() {
            let mut places = Vec::new();
            let mut asked = Vec::new();
            for (at, fact) in facts.iter().enumerate() {
                let Content::Present(fields) = &fact.content else { continue };
                if located[at].is_some() || fact.entity != *entity {
                    continue;
                }
                for key in keys_of_copy(&fact.policy, fields) {
                    places.push(at);
                    asked.push(key);
                }
            }
            if asked.is_empty() {
                continue;
            }
            let found = self.store.match_records(entity, &asked).await?;
            for ((at, key), records) in places.into_iter().zip(asked).zip(found) {
                out[at].push((key, records));
            }
        }
        Ok(out)
    }

    /// Finds or makes the record of an unlinked copy. No candidate: new. One: linked. Several: a person decides. A copy
    /// that only a delivery shows is read first.
    pub(crate) async fn identify(
        &self,
        batch: &Batch,
        fact: &Fact<'_>,
        key: &CopyKey,
        matches: &[(String, Vec<RecordId>)],
        draft: &mut CommitDraft,
    ) -> Result<Option<RecordId>, EngineError> {
        if let Some(record) = self.creating_record(batch, fact, key, draft).await? {
            return Ok(Some(record));
        }
        if batch.channel == Channel::Webhook && !planted(Mistake::BelieveOldDelivery) {
            // A delivery may come again long after its copy has gone, and nothing that we hold of this one tells.
            draft.signals.push(self.signal(batch, key, SignalReason::Webhook, 0));
            return Ok(None);
        }
        let mut candidates: Vec<(RecordId, String)> = Vec::new();
        for (match_key, records) in matches {
            let fresh = draft.keys.get(&(fact.entity.clone(), match_key.clone()));
            let all: BTreeSet<RecordId> = records.iter().chain(fresh).cloned().collect();
            for record in all {
                if self.carries(batch, fact, &record, match_key, draft).await? {
                    candidates.push((record, match_key.clone()));
                }
            }
            if !candidates.is_empty() {
                break;
            }
        }
        if candidates.len() > 1 {
            let names: Vec<_> = candidates.iter().map(|(record, _)| record.as_str()).collect();
            let reason =
                format!("it matches several records: {}; merge them or change the key", names.join(", "));
            draft.add_quarantine(key, self.set_aside(batch, fact, reason, payload(fact.change)));
            return Ok(None);
        }
        let Some((record, match_key)) = candidates.pop() else {
            // Another process may be about to begin a record for the same thing.
            let entity = &fact.entity;
            let keys = matches.iter().map(|(key, _)| MatchKey { entity: entity.clone(), key: key.clone() });
            draft.sole_keys.extend(keys);
            return Ok(Some(self.begin(batch, fact, key, draft)));
        };
        let Some(chronicle) = draft.chronicles.get_mut(&record) else { return Ok(None) };
        let linked_copy = chronicle.record().live_copy(&batch.system);
        if let Some(other) = linked_copy.filter(|_| !planted(Mistake::LinkTwice)) {
            let reason = format!(
                "a second copy in {} matches record {record} by {match_key}; {} is linked already. Merge or delete one of the two there",
                batch.system, other.remote_id
            );
            draft.add_quarantine(key, self.set_aside(batch, fact, reason, payload(fact.change)));
            return Ok(None);
        }
        chronicle.set_context(self.context(batch, Some(fact.change), &fact.entity));
        link(chronicle, &batch.system, &key.remote_id, LinkReason::Matched { key: match_key });
        draft.linked.insert(key.clone(), record.clone());
        Ok(Some(record))
    }

    /// Whether a record carries a key still, after what this batch has done to it so far: an earlier fact may have
    /// deleted it.
    async fn carries(
        &self,
        batch: &Batch,
        fact: &Fact<'_>,
        record: &RecordId,
        key: &String,
        draft: &mut CommitDraft,
    ) -> Result<bool, EngineError> {
        if !draft.chronicles.contains_key(record) {
            self.load_into(batch, vec![record.clone()], draft).await?;
        }
        let Some(record) = draft.chronicles.get(record).map(Chronicle::record) else { return Ok(false) };
        // A deleted one is met again only where its own create may still turn out to have made this copy.
        let may_be_ours = record.intents.get(&batch.system).is_some_and(Intent::is_open_create);
        Ok((record.deleted.is_none() || may_be_ours) && match_keys(&fact.policy, record).contains(key))
    }

    /// The record whose create made this copy, proven by the key that the system carries.
    async fn creating_record(
        &self,
        batch: &Batch,
        fact: &Fact<'_>,
        key: &CopyKey,
        draft: &mut CommitDraft,
    ) -> Result<Option<RecordId>, EngineError> {
        let Some(write) = &fact.change.correlation else { return Ok(None) };
        let named = write.strip_prefix(fact.entity.as_str()).and_then(|rest| rest.strip_prefix('.'));
        let Some(id) = named.and_then(|rest| rest.split('.').next()).map(RecordId::new) else {
            return Ok(None);
        };
        if !draft.chronicles.contains_key(&id) {
            self.load_into(batch, vec![id.clone()], draft).await?;
        }
        let Some(chronicle) = draft.chronicles.get_mut(&id) else { return Ok(None) };
        let record = chronicle.record();
        let is_ours = record
            .intents
            .get(&batch.system)
            .is_some_and(|intent| intent.key == *write && intent.operation == Operation::Create);
        if !is_ours || record.copies.contains_key(&batch.system) {
            return Ok(None);
        }
        chronicle.set_context(self.context(batch, Some(fact.change), &fact.entity));
        link(chronicle, &batch.system, &key.remote_id, LinkReason::Created);
        draft.linked.insert(key.clone(), id.clone());
        Ok(Some(id))
    }

    fn begin(&self, batch: &Batch, fact: &Fact<'_>, key: &CopyKey, draft: &mut CommitDraft) -> RecordId {
        let id = self.clock.new_record_id();
        let context = self.context(batch, Some(fact.change), &fact.entity);
        let record = Record::new(id.clone(), fact.entity.clone());
        let mut chronicle = Chronicle::new(record, context, self.clock.now());
        link(&mut chronicle, &batch.system, &key.remote_id, LinkReason::FirstSeen);
        draft.chronicles.insert(id.clone(), chronicle);
        draft.linked.insert(key.clone(), id.clone());
        id
    }

    pub(crate) fn remember_keys(&self, fact: &Fact<'_>, record: &RecordId, draft: &mut CommitDraft) {
        if let Some(chronicle) = draft.chronicles.get(record) {
            for key in match_keys(&fact.policy, chronicle.record()) {
                draft.keys.insert((fact.entity.clone(), key), record.clone());
            }
        }
    }
}
