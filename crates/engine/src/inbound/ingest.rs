//! Facts come in: they are mapped, linked, decided and recorded in one transaction.

use crate::inbound::batch::{Batch, Ingested};
use crate::inbound::commit_draft::{CommitDraft, Content, Fact};
use crate::inbound::identify::match_keys;
use crate::inbound::translate::{Canonical, Translated};
use crate::ports::connector::{Change, OrderKind, RemoteState};
use crate::ports::store::{
    Commit, CommitOutcome, Located, NewQuarantineItem, NewSignal, RecordCommit, SignalReason,
};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::{Digest, Value};
use avowal_core::decide::decide;
use avowal_core::decide::diff::diff;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, Context};
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::observation::{Channel, CopyState, Observation, OrderToken};
use avowal_core::record::{Copy, CopyKey, Record};
use futures::channel::oneshot;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// How often a batch is decided anew when its records change under it.
const TRIES_MAX: u32 = 20;

impl Engine {
    /// Takes a batch in. Either everything of it is durable afterwards, or nothing.
    pub async fn ingest(&self, batch: Batch) -> Result<Ingested, EngineError> {
        let facts = self.translate_batch(&batch).await?;
        self.take_in(&batch, &facts, None).await
    }

    /// Takes a batch in that follows another: it is decided about at once, and made durable when `may_go` says that the
    /// one before it is. If nobody says so, it comes to nothing.
    pub(crate) async fn ingest_after(
        &self,
        batch: Batch,
        may_go: oneshot::Receiver<()>,
    ) -> Result<Ingested, EngineError> {
        let facts = self.translate_batch(&batch).await?;
        // What one refers to may come with the batch before.
        let is_early = facts.iter().any(|fact| matches!(fact.content, Content::Waits(_)));
        let decided = if is_early { None } else { self.decide_early(&batch, &facts).await? };
        if may_go.await.is_err() {
            return Ok(Ingested { moved: true, ..Ingested::default() });
        }
        if is_early {
            drop(facts);
            return self.ingest(batch).await;
        }
        self.take_in(&batch, &facts, decided).await
    }

    /// Decides before the batch may go; not where a new copy is among the facts: to which record it belongs is decided
    /// under a lock, which must not be held while waiting.
    async fn decide_early(
        &self,
        batch: &Batch,
        facts: &[Fact<'_>],
    ) -> Result<Option<CommitDraft>, EngineError> {
        let keys: Vec<CopyKey> = facts.iter().map(|fact| self.key(batch, fact)).collect();
        let located = self.store.locate(&keys).await?;
        if has_unlinked(facts, &located) {
            return Ok(None);
        }
        self.decide_on(batch, facts, &keys, &located).await.map(Some)
    }

    /// Makes a batch durable, as it is `decided` or, where that has grown old, decided anew.
    async fn take_in(
        &self,
        batch: &Batch,
        facts: &[Fact<'_>],
        mut decided: Option<CommitDraft>,
    ) -> Result<Ingested, EngineError> {
        for _ in 0..TRIES_MAX {
            let ingested = match decided.take() {
                Some(draft) => self.commit_draft(batch, draft).await?,
                None => self.try_ingest(batch, facts).await?,
            };
            if let Some(mut done) = ingested {
                done.events += self.plan_what_became_ready(facts).await?;
                return Ok(done);
            }
            if self.has_moved(batch).await? {
                return Ok(Ingested { moved: true, ..Ingested::default() });
            }
        }
        Err(EngineError::Contended { system: batch.system.clone() })
    }

    /// `None` asks for another try.
    async fn try_ingest(&self, batch: &Batch, facts: &[Fact<'_>]) -> Result<Option<Ingested>, EngineError> {
        let keys: Vec<CopyKey> = facts.iter().map(|fact| self.key(batch, fact)).collect();
        let mut located = self.store.locate(&keys).await?;
        let mut _identity = Vec::new();
        if has_unlinked(facts, &located) {
            // Held until the commit, and asked again under the lock, so that the answer cannot grow old.
            let entities: BTreeSet<&EntityName> = facts.iter().map(|fact| &fact.entity).collect();
            for entity in entities {
                if let Some(lock) = self.identity.get(entity) {
                    _identity.push(lock.lock().await);
                }
            }
            located = self.store.locate(&keys).await?;
        }
        let draft = self.decide_on(batch, facts, &keys, &located).await?;
        self.commit_draft(batch, draft).await
    }

    /// Decides about every fact, on what is durable now.
    async fn decide_on(
        &self,
        batch: &Batch,
        facts: &[Fact<'_>],
        keys: &[CopyKey],
        located: &[Option<Located>],
    ) -> Result<CommitDraft, EngineError> {
        let aside = self.set_aside_of(keys).await?;
        let awaited = self.awaited_of(batch, keys).await?;
        let mut draft = CommitDraft { aside, awaited, ..CommitDraft::default() };
        self.load_records(batch, facts, keys, located, &mut draft).await?;
        let matches = self.find_matches(facts, located).await?;
        for (at, fact) in facts.iter().enumerate() {
            self.take(batch, fact, &keys[at], located[at].as_ref(), &matches[at], &mut draft).await?;
        }
        Ok(draft)
    }

    /// The copies whose reads, due soon, will tell more than this listing or feed does now. Without this, a suspicious
    /// copy would be suspected anew by every listing until it has been read.
    async fn awaited_of(&self, batch: &Batch, keys: &[CopyKey]) -> Result<BTreeSet<CopyKey>, EngineError> {
        if !is_quiet_road(batch) {
            return Ok(BTreeSet::new());
        }
        self.await_reads(keys).await
    }

    /// A listing that ended between the decision and its commit has swept without these records.
    async fn plan_what_became_ready(&self, facts: &[Fact<'_>]) -> Result<u64, EngineError> {
        let mut events = 0;
        let used: BTreeMap<&EntityName, &Arc<EntityPolicy>> =
            facts.iter().map(|fact| (&fact.entity, &fact.policy)).collect();
        for (entity, used) in used {
            let Some(now) = self.rules(entity).await? else { continue };
            if now.mappings != used.mappings {
                events += self.sweep(entity).await?.events;
            }
        }
        Ok(events)
    }

    fn key(&self, batch: &Batch, fact: &Fact<'_>) -> CopyKey {
        CopyKey {
            system: batch.system.clone(),
            entity: fact.entity.clone(),
            remote_id: fact.change.id.clone(),
        }
    }

    /// Raw contents become canonical once, however often the batch is decided.
    async fn translate_batch<'a>(&self, batch: &'a Batch) -> Result<Vec<Fact<'a>>, EngineError> {
        let mut facts = Vec::with_capacity(batch.items.len());
        let mut rules: BTreeMap<&EntityName, Arc<EntityPolicy>> = BTreeMap::new();
        for (entity, _) in &batch.items {
            if !rules.contains_key(entity)
                && let Some(found) = self.rules(entity).await?
            {
                rules.insert(entity, found);
            }
        }
        for (entity, change) in &batch.items {
            let Some(policy) = rules.get(entity) else { continue };
            let content = match &change.shown {
                // A body without a true order may be late. It only tells that the copy must be read.
                RemoteState::Present(_) | RemoteState::Gone
                    if batch.channel == Channel::Webhook && may_be_late(change) =>
                {
                    Content::Read(SignalReason::Webhook)
                }
                RemoteState::Present(_) => Content::Present(Canonical::new()),
                RemoteState::Gone => Content::Gone,
                RemoteState::Unknown => Content::Read(SignalReason::Webhook),
                RemoteState::Unreadable { reason, payload } => {
                    Content::Unreadable { reason: reason.clone(), payload: payload.clone() }
                }
            };
            let fact = Fact { entity: entity.clone(), policy: policy.clone(), change, content, digest: None };
            facts.push(fact);
        }
        for policy in self.policies.values() {
            self.translate_entity(batch, policy, &mut facts).await?;
        }
        Ok(facts)
    }

    async fn translate_entity(
        &self,
        batch: &Batch,
        policy: &EntityPolicy,
        facts: &mut [Fact<'_>],
    ) -> Result<(), EngineError> {
        let mut mine: Vec<&mut Fact<'_>> = facts
            .iter_mut()
            .filter(|fact| fact.entity == policy.entity && matches!(fact.content, Content::Present(_)))
            .collect();
        let rows: Vec<_> = mine
            .iter()
            .filter_map(|fact| match &fact.change.shown {
                RemoteState::Present(fields) => Some(fields),
                RemoteState::Gone | RemoteState::Unknown | RemoteState::Unreadable { .. } => None,
            })
            .collect();
        let translated = self.translate(policy, &batch.system, &rows).await?;
        for (fact, translated) in mine.iter_mut().zip(translated) {
            fact.content = match translated {
                Translated::Fields(fields) => {
                    let pairs = fields.iter().map(|(field, value)| (field.as_str(), value));
                    fact.digest = Some(Digest::of_pairs(pairs));
                    Content::Present(fields)
                }
                Translated::Unreadable(reason) => {
                    Content::Unreadable { reason, payload: payload(fact.change) }
                }
                Translated::Waits(reason) => Content::Waits(reason),
            };
        }
        Ok(())
    }

    /// Loads the records of all copies that may have changed.
    async fn load_records(
        &self,
        batch: &Batch,
        facts: &[Fact<'_>],
        keys: &[CopyKey],
        located: &[Option<Located>],
        draft: &mut CommitDraft,
    ) -> Result<(), EngineError> {
        let repeated = repeated_keys(keys);
        let wanted: BTreeSet<RecordId> = facts
            .iter()
            .zip(keys)
            .zip(located)
            .filter_map(|((fact, key), located)| {
                let located = located.as_ref()?;
                let unchanged = !repeated.contains(key)
                    && is_unchanged(batch, fact, located)
                    && !self.may_move_counter(batch, fact);
                (!unchanged).then(|| located.record.clone())
            })
            .collect();
        self.load_into(batch, wanted.into_iter().collect(), draft).await
    }

    /// Whether the same contents may stand under a higher counter, which has to be known: a delivery of what stood there
    /// in between may still be on its way.
    fn may_move_counter(&self, batch: &Batch, fact: &Fact<'_>) -> bool {
        // Asked of every unchanged row of a listing: most have no order at all.
        fact.change.order.is_some()
            && self.connector(&batch.system).is_some_and(|connector| {
                let capabilities = connector.capabilities(&fact.entity);
                capabilities.order == OrderKind::Counter
                    && (batch.channel == Channel::Feed || !capabilities.feed)
            })
    }

    pub(crate) async fn load_into(
        &self,
        batch: &Batch,
        ids: Vec<RecordId>,
        draft: &mut CommitDraft,
    ) -> Result<(), EngineError> {
        if ids.is_empty() {
            return Ok(());
        }
        for record in self.store.load(&ids).await?.into_iter().flatten() {
            let context = self.context(batch, None, &record.entity);
            draft.chronicles.insert(record.id.clone(), Chronicle::new(record, context, self.clock.now()));
        }
        Ok(())
    }

    /// Takes one fact into the draft.
    async fn take(
        &self,
        batch: &Batch,
        fact: &Fact<'_>,
        key: &CopyKey,
        located: Option<&Located>,
        matches: &[(String, Vec<RecordId>)],
        draft: &mut CommitDraft,
    ) -> Result<(), EngineError> {
        match &fact.content {
            Content::Unreadable { reason, payload } => {
                let item = self.set_aside(batch, fact, reason.clone(), payload.clone());
                if !planted(Mistake::DropUnreadable) {
                    draft.add_quarantine(key, item);
                }
            }
            Content::Waits(reason) => {
                // The referent usually arrives within moments; until then the copy is read again now and then.
                if batch.attempts >= self.settings.attempts_max {
                    let item = self.set_aside(batch, fact, reason.clone(), payload(fact.change));
                    draft.add_quarantine(key, item);
                } else if !draft.awaited.contains(key) {
                    let delay = self.backoff_ms(batch.attempts);
                    draft.signals.push(self.signal(batch, key, SignalReason::Replay, delay));
                }
            }
            Content::Read(reason) => draft.signals.push(self.signal(batch, key, *reason, 0)),
            Content::Gone => {
                self.close_quarantine(key, draft);
                match self.record_of(key, located, draft) {
                    Some(record) => self.observe(batch, fact, &record, CopyState::Gone, draft),
                    // A read that lags may not show yet what has just been made.
                    None if located.is_none() && batch.channel == Channel::Signal && !batch.confirmed => {
                        let settle = self.settings.settle_ms;
                        draft.signals.push(self.signal(batch, key, SignalReason::SecondLook, settle));
                    }
                    None => {}
                }
            }
            Content::Present(fields) => {
                let known = self.record_of(key, located, draft);
                if known.is_none() && located.is_some() {
                    self.close_quarantine(key, draft);
                    return Ok(());
                }
                let record = match known {
                    Some(record) => record,
                    None => match self.identify(batch, fact, key, matches, draft).await? {
                        Some(record) => record,
                        None => return Ok(()),
                    },
                };
                self.close_quarantine(key, draft);
                self.observe(batch, fact, &record, CopyState::Present(fields.clone()), draft);
                self.remember_keys(fact, &record, draft);
            }
        }
        Ok(())
    }

    /// The copy has been understood and has its record: what was set aside of it is settled.
    fn close_quarantine(&self, key: &CopyKey, draft: &mut CommitDraft) {
        if draft.aside.contains(key) {
            draft.closed.push(key.clone());
        }
    }

    /// The record of a linked copy, if it was worth loading.
    fn record_of(&self, key: &CopyKey, located: Option<&Located>, draft: &CommitDraft) -> Option<RecordId> {
        let record = draft.linked.get(key).or(located.map(|located| &located.record))?;
        draft.chronicles.contains_key(record).then(|| record.clone())
    }

    fn observe(
        &self,
        batch: &Batch,
        fact: &Fact<'_>,
        record: &RecordId,
        shown: CopyState,
        draft: &mut CommitDraft,
    ) {
        let Some(chronicle) = draft.chronicles.get_mut(record) else { return };
        let copy = chronicle.record().copies.get(&batch.system);
        let is_known = copy.is_some_and(|copy| !copy.is_unseen());
        // The first sight of a copy has nothing to be suspected against, and others must find its record.
        let key = self.key(batch, fact);
        let in_log = self.is_in_log(batch, fact);
        if is_known && !in_log && draft.awaited.contains(&key) {
            if copy.is_some_and(|copy| differs(copy, &shown)) {
                // The read that is due may lag behind what is shown here.
                let settle = self.settings.settle_ms;
                draft.signals.push(self.signal(batch, &key, SignalReason::SecondLook, settle));
            }
            return;
        }
        let quiescent = self.is_quiescent(batch, chronicle.record(), &shown);
        let observation = self.observation(batch, fact, shown, quiescent);
        chronicle.set_context(self.context(batch, Some(fact.change), &fact.entity));
        if batch.drift {
            note_drift(chronicle, &observation);
        }
        let outcome = decide(&fact.policy, chronicle, &observation);
        let looks = !planted(Mistake::SkipSecondLook);
        if outcome.look_again && !(batch.confirmed && quiescent) && looks {
            draft.signals.push(self.signal(batch, &key, SignalReason::SecondLook, self.settings.settle_ms));
        } else if self.is_before_listing(batch, fact) {
            // Should the listing end before this is durable, and we too, nobody would plan what that system lacks.
            let delay = self.settings.settle_ms.max(self.backoff_ms(batch.attempts));
            draft.signals.push(self.signal(batch, &key, SignalReason::SecondLook, delay));
        }
    }

    /// Whether some system has not been listed yet, and no sweep after a listing of ours will look at this again.
    fn is_before_listing(&self, batch: &Batch, fact: &Fact<'_>) -> bool {
        let all_listed = self.policies.get(&fact.entity).is_some_and(|full| Arc::ptr_eq(full, &fact.policy));
        batch.channel != Channel::Listing && !all_listed
    }

    /// Whether the copy has not changed so lately that a lagging read may show what stood there before.
    fn is_quiescent(&self, batch: &Batch, record: &Record, shown: &CopyState) -> bool {
        let Some(copy) = record.copies.get(&batch.system) else { return true };
        let is_first_sight = copy.is_unseen() && matches!(shown, CopyState::Present(_));
        is_first_sight || self.was_quiescent(copy.changed_at, batch.asked_at, batch.confirmed)
    }

    /// Whether so much time lies between a change and a question that the answer shows the change. A stamp of the
    /// future says nothing about time passed; then a second look has to do.
    pub(crate) fn was_quiescent(
        &self,
        changed_at: Timestamp,
        asked_at: Timestamp,
        is_second_look: bool,
    ) -> bool {
        let settle = i64::try_from(self.settings.settle_ms).unwrap_or(i64::MAX);
        let apart = asked_at.millis().saturating_sub(changed_at.millis());
        // Clocks may have been set before we began: what happened until then counts as just past.
        let running = asked_at.millis().saturating_sub(self.began_at.millis());
        let is_from_before = changed_at < self.began_at && running < settle;
        let is_new = changed_at == Timestamp::default();
        is_new || if apart < 0 { is_second_look } else { apart >= settle && !is_from_before }
    }

    fn observation(&self, batch: &Batch, fact: &Fact<'_>, shown: CopyState, quiescent: bool) -> Observation {
        let change = fact.change;
        Observation {
            system: batch.system.clone(),
            entity: fact.entity.clone(),
            remote_id: change.id.clone(),
            shown,
            channel: batch.channel,
            order: change.order.clone(),
            version: change.version.clone(),
            correlation: change.correlation.clone(),
            actor: change.actor.clone(),
            occurred_at: change.occurred_at,
            received_at: batch.received_at,
            confirmed: batch.confirmed,
            quiescent,
            in_log: self.is_in_log(batch, fact),
        }
    }

    /// Whether it came with a log in which our own writes appear, named and in order.
    fn is_in_log(&self, batch: &Batch, fact: &Fact<'_>) -> bool {
        batch.channel == Channel::Feed && self.has_log(&batch.system, &fact.entity)
    }

    /// Whether the system's feed is a log in which our own writes appear, named and in order.
    pub(crate) fn has_log(&self, system: &SystemName, entity: &EntityName) -> bool {
        self.systems.get(system).is_some_and(|port| {
            let capabilities = port.connector.capabilities(entity);
            capabilities.order == OrderKind::CommitLog && capabilities.correlation
        })
    }

    pub(crate) fn context(&self, batch: &Batch, change: Option<&Change>, entity: &EntityName) -> Context {
        Context {
            source: Some(batch.system.clone()),
            actor: change.and_then(|change| change.actor.clone()),
            policy: self.policies.get(entity).map(|policy| policy.short_digest()),
            correlation: change
                .and_then(|change| change.correlation.clone())
                .or_else(|| batch.dedupe.as_ref().map(|dedupe| dedupe.key.clone())),
            occurred_at: change.and_then(|change| change.occurred_at),
            received_at: batch.received_at,
        }
    }

    pub(crate) fn signal(
        &self,
        batch: &Batch,
        key: &CopyKey,
        reason: SignalReason,
        delay_ms: u64,
    ) -> NewSignal {
        let delay = i64::try_from(delay_ms).unwrap_or(i64::MAX);
        NewSignal {
            copy: key.clone(),
            not_before: self.clock.now().plus_millis(delay),
            reason,
            received_at: batch.received_at,
            attempts: batch.attempts + 1,
        }
    }

    fn second_looks(&self, batch: &Batch, awaited: &BTreeSet<CopyKey>) -> Vec<NewSignal> {
        let copies: BTreeSet<&CopyKey> = batch.second_looks.iter().collect();
        let wanted = copies.into_iter().filter(|key| !awaited.contains(key) && !self.awaits_read(key));
        wanted.map(|key| self.signal(batch, key, SignalReason::SecondLook, self.settings.settle_ms)).collect()
    }

    pub(crate) fn set_aside(
        &self,
        batch: &Batch,
        fact: &Fact<'_>,
        reason: String,
        payload: String,
    ) -> NewQuarantineItem {
        NewQuarantineItem {
            system: batch.system.clone(),
            entity: fact.entity.clone(),
            remote_id: Some(fact.change.id.clone()),
            record: None,
            reason,
            payload,
            at: self.clock.now(),
        }
    }

    async fn commit_draft(&self, batch: &Batch, draft: CommitDraft) -> Result<Option<Ingested>, EngineError> {
        let mut done = Ingested { quarantined: draft.quarantine.len() as u64, ..Ingested::default() };
        let mut touched = BTreeSet::new();
        let mut records = Vec::new();
        for chronicle in draft.chronicles.into_values().filter(|chronicle| !chronicle.is_quiet()) {
            done.events += chronicle.events().len() as u64;
            touched.extend(chronicle.record().intents.keys().cloned());
            records.push(self.record_commit(chronicle));
        }
        let mut signals = draft.signals;
        signals.extend(self.second_looks(batch, &draft.awaited));
        let added: Vec<CopyKey> = draft.quarantine.iter().filter_map(copy_of).collect();
        let closed = draft.closed;
        let commit = Commit {
            records,
            dedupe: batch.dedupe.iter().cloned().collect(),
            cursors: batch
                .cursors
                .iter()
                .filter(|cursor| cursor.from.as_ref() != Some(&cursor.to))
                .cloned()
                .collect(),
            quarantine: draft.quarantine,
            quarantine_closed: closed.clone(),
            quarantine_ids_closed: Vec::new(),
            signals,
            signals_done: batch.signals_done.clone(),
            delays: Vec::new(),
            sole_keys: draft.sole_keys,
        };
        if commit.is_empty() {
            return Ok(Some(done));
        }
        match self.commit(commit).await? {
            CommitOutcome::Committed => {
                self.note_quarantined(added, &closed);
                touched.iter().for_each(|system| self.wake(system));
                Ok(Some(done))
            }
            CommitOutcome::Duplicate { .. } => Ok(Some(Ingested { duplicate: true, ..Ingested::default() })),
            CommitOutcome::Conflict { .. } if planted(Mistake::IgnoreConflict) => Ok(Some(done)),
            CommitOutcome::Unknown { .. } if planted(Mistake::AssumeCommitted) => Ok(Some(done)),
            CommitOutcome::Conflict { what } => {
                tracing::debug!(system = %batch.system, %what, "decided on an old state; deciding again");
                Ok(None)
            }
            CommitOutcome::Unknown { reason } => {
                tracing::warn!(system = %batch.system, %reason, "a commit's outcome is unknown; looking");
                Ok(None)
            }
        }
    }

    /// The record's part of a commit, with the keys by which it is found.
    pub(crate) fn record_commit(&self, chronicle: Chronicle) -> RecordCommit {
        let (expected_seq, mut state, events) = chronicle.finish();
        if planted(Mistake::StateBesideHistory) {
            state.copies.values_mut().for_each(|copy| copy.sent = copy.seen.clone());
        }
        let match_keys =
            self.policies.get(&state.entity).map(|policy| match_keys(policy, &state)).unwrap_or_default();
        RecordCommit { expected_seq, state, events, match_keys }
    }

    /// Whether a position of the batch stands elsewhere by now: the batch is durable already, or not ours any more.
    async fn has_moved(&self, batch: &Batch) -> Result<bool, EngineError> {
        for cursor in &batch.cursors {
            if self.store.cursor(&cursor.name).await? != cursor.from {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a copy is shown that belongs to no record yet.
fn has_unlinked(facts: &[Fact<'_>], located: &[Option<Located>]) -> bool {
    let is_new = |(fact, located): (&Fact<'_>, &Option<Located>)| {
        located.is_none() && matches!(fact.content, Content::Present(_))
    };
    facts.iter().zip(located).any(is_new)
}

/// The same copy twice in one batch must be taken in order, whatever the stored digest says.
fn repeated_keys(keys: &[CopyKey]) -> HashSet<&CopyKey> {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().filter(|key| !seen.insert(*key)).collect()
}

/// No difference, no work: the digest of what is shown equals that of what stood there.
fn is_unchanged(batch: &Batch, fact: &Fact<'_>, located: &Located) -> bool {
    is_quiet_road(batch) && located.alive && !located.in_flight && fact.digest == Some(located.content)
}

/// The roads on which everything comes by again and again.
fn is_quiet_road(batch: &Batch) -> bool {
    match batch.channel {
        Channel::Feed | Channel::Listing => true,
        Channel::Webhook | Channel::Signal | Channel::Read | Channel::Receipt | Channel::Manual => false,
    }
}

/// Whether nothing tells where these contents belong among the states of their copy. Our own key does: they are
/// what our write left, and count for no more.
pub(crate) fn may_be_late(change: &Change) -> bool {
    !change.order.as_ref().is_some_and(OrderToken::is_true_order) && change.correlation.is_none()
}

/// Whether the copy is not what stood there last, as far as we know.
fn differs(copy: &Copy, shown: &CopyState) -> bool {
    match shown {
        CopyState::Present(fields) => !copy.alive || !diff(copy, fields).is_empty(),
        CopyState::Gone => copy.alive,
    }
}

fn note_drift(chronicle: &mut Chronicle, observation: &Observation) {
    let Some(copy) = chronicle.record().copies.get(&observation.system) else { return };
    let fields: Vec<_> = match &observation.shown {
        CopyState::Present(shown) => diff(copy, shown).into_iter().map(|found| found.field.clone()).collect(),
        CopyState::Gone => Vec::new(),
    };
    let gone = observation.shown == CopyState::Gone && copy.alive;
    if !fields.is_empty() || gone {
        chronicle.push(Body::DriftDetected { system: observation.system.clone(), fields });
    }
}

fn copy_of(item: &NewQuarantineItem) -> Option<CopyKey> {
    Some(CopyKey {
        system: item.system.clone(),
        entity: item.entity.clone(),
        remote_id: item.remote_id.clone()?,
    })
}

/// The most bytes of a payload that are kept in quarantine.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// What came, as JSON text.
pub(crate) fn payload(change: &Change) -> String {
    let RemoteState::Present(fields) = &change.shown else { return String::new() };
    let object = Value::Object(fields.clone());
    let mut text = object.to_string();
    if text.len() > PAYLOAD_BYTES_MAX {
        let cut = (0..=PAYLOAD_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
    }
    text
}
