//! A batch on its way to a commit: the commit under construction.

use crate::inbound::batch::Batch;
use crate::inbound::facts::Fact;
use crate::inbound::quarantine::quarantine_item;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::match_keys::match_keys;
use crate::ports::connector::Change;
use crate::ports::store::{Located, MatchKey, NewQuarantineItem, NewSignal, SignalReason};
use avowal_core::data::ids::{EntityName, RecordId};
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Context, Doubt};
use avowal_core::record::CopyKey;
use std::collections::{BTreeMap, BTreeSet};

/// The commit under construction, for one batch.
pub(crate) struct CommitDraft<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) batch: &'a Batch,
    /// The records that the batch is about, as it has changed them so far.
    pub(crate) chronicles: BTreeMap<RecordId, Chronicle>,
    /// Copies linked in this batch, before the store knows them.
    pub(crate) linked: BTreeMap<CopyKey, RecordId>,
    /// Keys of records that are new or changed in this batch.
    pub(crate) keys: BTreeMap<(EntityName, String), RecordId>,
    pub(crate) quarantine: Vec<NewQuarantineItem>,
    /// Copies whose open quarantine items close.
    pub(crate) closed: Vec<CopyKey>,
    pub(crate) signals: Vec<NewSignal>,
    /// Copies with open quarantine items.
    pub(crate) quarantined: BTreeSet<CopyKey>,
    /// Copies that a stored signal will have read, where that read tells more than this batch does.
    pub(crate) awaited: BTreeSet<CopyKey>,
    /// Copies that are taken in without references, because what these refer to is not known yet.
    pub(crate) without_references: BTreeSet<CopyKey>,
    /// The facts that show a second copy of a record.
    pub(crate) second_copies: Vec<&'a Change>,
    /// Whether all facts of the batch have been looked at once.
    pub(crate) is_last_look: bool,
    /// The keys for which records were begun: no other record may use these keys.
    pub(crate) sole_keys: Vec<MatchKey>,
}

impl<'a> CommitDraft<'a> {
    pub(crate) fn new(
        parts: &'a Parts,
        batch: &'a Batch,
        quarantined: BTreeSet<CopyKey>,
        awaited: BTreeSet<CopyKey>,
    ) -> Self {
        Self {
            parts,
            batch,
            chronicles: BTreeMap::new(),
            linked: BTreeMap::new(),
            keys: BTreeMap::new(),
            quarantine: Vec::new(),
            closed: Vec::new(),
            signals: Vec::new(),
            quarantined,
            awaited,
            without_references: BTreeSet::new(),
            second_copies: Vec::new(),
            is_last_look: false,
            sole_keys: Vec::new(),
        }
    }

    /// Loads records, to be decided about.
    pub(crate) async fn load(&mut self, ids: &[RecordId]) -> Result<(), EngineError> {
        if ids.is_empty() {
            return Ok(());
        }
        for record in self.parts.store.load(ids).await?.into_iter().flatten() {
            let context = self.context(None, &record.entity);
            let chronicle = Chronicle::new(record, context, self.parts.clock.now());
            self.chronicles.insert(chronicle.record().id.clone(), chronicle);
        }
        Ok(())
    }

    /// The metadata of the events of a decision about a change.
    pub(crate) fn context(&self, change: Option<&Change>, entity: &EntityName) -> Context {
        let batch = self.batch;
        Context {
            source: Some(batch.system.clone()),
            actor: change.and_then(|change| change.actor.clone()),
            policy: self.parts.policies.get(entity).map(|policy| policy.short_digest()),
            run: batch.run.or(self.parts.run),
            correlation: change
                .and_then(|change| change.correlation.clone())
                .or_else(|| batch.dedupe.as_ref().map(|dedupe| dedupe.key.clone())),
            occurred_at: change.and_then(|change| change.occurred_at),
            received_at: batch.received_at,
        }
    }

    /// The record of a linked copy, if it was worth loading.
    pub(crate) fn record_of(&self, key: &CopyKey, located: Option<&Located>) -> Option<RecordId> {
        let record = self.linked.get(key).or(located.map(|located| &located.record))?;
        self.chronicles.contains_key(record).then(|| record.clone())
    }

    /// Asks for a read of a copy after `delay_ms`.
    pub(crate) fn ask_for_read(&mut self, key: &CopyKey, reason: SignalReason, delay_ms: u64) {
        self.signals.push(signal(self.parts, self.batch, key, reason, delay_ms));
    }

    /// Quarantines a fact. The last fact about a copy decides whether its items are open.
    pub(crate) fn quarantine(&mut self, key: &CopyKey, reason: String, payload: String) {
        let item = quarantine_item(self.parts, key, reason, payload);
        self.closed.retain(|closed| closed != key);
        self.quarantined.insert(key.clone());
        self.quarantine.push(item);
    }

    /// Closes the open quarantine items of a copy that has been understood and has its record.
    pub(crate) fn close_quarantine(&mut self, key: &CopyKey) {
        if self.quarantined.contains(key) {
            self.closed.push(key.clone());
        }
    }

    /// Remembers by which keys later facts of this batch find a record.
    pub(crate) fn remember_keys(&mut self, fact: &Fact<'_>, record: &RecordId) {
        if let Some(chronicle) = self.chronicles.get(record) {
            for key in match_keys(&fact.policy, chronicle.record()) {
                self.keys.insert((fact.entity.clone(), key), record.clone());
            }
        }
    }

    /// The second looks at copies that were just read, where no signal asks for a read of them already.
    pub(crate) fn second_looks(&self) -> Vec<NewSignal> {
        let (parts, batch) = (self.parts, self.batch);
        let copies: BTreeSet<&CopyKey> = batch.second_looks.iter().collect();
        let wanted =
            copies.into_iter().filter(|key| !self.awaited.contains(key) && !parts.awaited.contains(key));
        let reason = SignalReason::SecondLook(Doubt::ReadMayLag);
        wanted.map(|key| signal(parts, batch, key, reason, parts.settings.settle_ms)).collect()
    }
}

fn signal(parts: &Parts, batch: &Batch, key: &CopyKey, reason: SignalReason, delay_ms: u64) -> NewSignal {
    NewSignal {
        copy: key.clone(),
        not_before: parts.in_ms(delay_ms),
        reason,
        received_at: batch.received_at,
        attempts: batch.attempts + 1,
    }
}
