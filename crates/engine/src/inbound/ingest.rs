//! Facts come in: they are translated, linked, decided and recorded in one transaction.

use crate::inbound::batch::{Batch, Ingested};
use crate::inbound::draft::CommitDraft;
use crate::inbound::facts::{Content, Fact, facts_of};
use crate::inbound::identify::find_matches;
use crate::inbound::observe::observe_fact;
use crate::inbound::quarantine::copy_of;
use crate::inbound::referents::go_on_without;
use crate::inbound::sweep::sweep;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::first_write::note_populated;
use crate::ports::connector::{Change, OrderKind, RemoteState};
use crate::ports::store::{Commit, CommitOutcome, Located};
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;
use futures::channel::oneshot;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// How often a batch is decided anew when its records change under it.
const TRIES_MAX: u32 = 20;

/// Takes a batch in. Either everything of it is durable afterwards, or nothing.
pub(crate) async fn ingest(parts: &Parts, batch: &Batch) -> Result<Ingested, EngineError> {
    Ingest::begin(parts, batch).await?.finish(None).await
}

/// Decides a batch early and commits it once the batch before it is durable, as `may_go` says; otherwise discards it.
pub(crate) async fn ingest_after(
    parts: &Parts,
    batch: &Batch,
    may_go: oneshot::Receiver<()>,
) -> Result<Ingested, EngineError> {
    let begun = Ingest::begin(parts, batch).await?;
    // A referent may come with the batch before.
    let is_early = begun.facts.iter().any(|fact| matches!(fact.content, Content::Waits(_)));
    let decided = if is_early { None } else { begun.decide_early().await? };
    if may_go.await.is_err() {
        return Ok(Ingested { moved: true, ..Ingested::default() });
    }
    if is_early {
        return ingest(parts, batch).await;
    }
    begun.finish(decided).await
}

/// A batch that is being taken in.
struct Ingest<'a> {
    parts: &'a Parts,
    batch: &'a Batch,
    facts: Vec<Fact<'a>>,
    /// The copies that the facts are about, in the same order.
    copies: Vec<CopyKey>,
    /// The copies that are taken in without references.
    without_references: BTreeSet<CopyKey>,
}

impl<'a> Ingest<'a> {
    async fn begin(parts: &'a Parts, batch: &'a Batch) -> Result<Self, EngineError> {
        parts.lags.load().await?;
        let is_present = |(_, change): &(EntityName, Change)| matches!(change.shown, RemoteState::Present(_));
        if batch.items.iter().any(is_present) {
            note_populated(parts, &batch.system).await?;
        }
        let mut facts = facts_of(parts, batch).await?;
        let without_references = go_on_without(parts, batch, &mut facts).await?;
        let copies = facts.iter().map(|fact| fact.copy.clone()).collect();
        Ok(Self { parts, batch, facts, copies, without_references })
    }

    /// Decides before the batch may be committed. It does not where a new copy is among the facts: to which record
    /// that belongs is decided under a lock, which must not be held while waiting.
    async fn decide_early(&self) -> Result<Option<CommitDraft<'a>>, EngineError> {
        let located = self.parts.store.locate(&self.copies).await?;
        if self.has_unlinked(&located) {
            return Ok(None);
        }
        self.decide_on(&located).await.map(Some)
    }

    /// Makes the batch durable as it is `decided`. It is decided anew where it is not, or where its records have
    /// changed since.
    async fn finish(&self, mut decided: Option<CommitDraft<'a>>) -> Result<Ingested, EngineError> {
        for _ in 0..TRIES_MAX {
            let ingested = match decided.take() {
                Some(draft) => self.commit(draft).await?,
                None => self.try_once().await?,
            };
            if let Some(mut done) = ingested {
                done.events += self.plan_what_became_ready().await?;
                self.parts.lags.keep_news().await;
                return Ok(done);
            }
            if self.has_moved().await? {
                return Ok(Ingested { moved: true, ..Ingested::default() });
            }
        }
        Err(EngineError::Contended { system: self.batch.system.clone() })
    }

    /// Decides and commits; `None` asks for another try.
    async fn try_once(&self) -> Result<Option<Ingested>, EngineError> {
        let parts = self.parts;
        let mut located = parts.store.locate(&self.copies).await?;
        let mut _identity = Vec::new();
        if self.has_unlinked(&located) {
            // Held until the commit, and asked again under the lock, so that the answer is still true then.
            let entities: BTreeSet<&EntityName> = self.facts.iter().map(|fact| &fact.entity).collect();
            for entity in entities {
                if let Some(lock) = parts.identity.get(entity) {
                    _identity.push(lock.lock().await);
                }
            }
            located = parts.store.locate(&self.copies).await?;
        }
        let draft = self.decide_on(&located).await?;
        self.commit(draft).await
    }

    /// Decides about every fact, on what is durable now.
    async fn decide_on(&self, located: &[Option<Located>]) -> Result<CommitDraft<'a>, EngineError> {
        let quarantined = self.parts.quarantined.among(&self.copies).await?;
        let awaited = self.awaited().await?;
        let mut draft = CommitDraft::new(self.parts, self.batch, quarantined, awaited);
        draft.without_references = self.without_references.clone();
        draft.load(&self.worth_loading(located)).await?;
        let matches = find_matches(self.parts, &self.facts, &self.unproven(located)).await?;
        for (at, fact) in self.facts.iter().enumerate() {
            observe_fact(&mut draft, fact, located[at].as_ref(), &matches[at]).await?;
        }
        // The first copy may have gone with a later fact of the batch.
        draft.is_last_look = true;
        for at in std::mem::take(&mut draft.second_copies) {
            if let Some(at) = self.facts.iter().position(|fact| std::ptr::eq(fact.change, at)) {
                observe_fact(&mut draft, &self.facts[at], located[at].as_ref(), &matches[at]).await?;
            }
        }
        Ok(draft)
    }

    /// The copies whose reads, due soon, will tell more than this listing or feed does now. Without this, every
    /// listing would ask again for a second look until the copy has been read.
    async fn awaited(&self) -> Result<BTreeSet<CopyKey>, EngineError> {
        if !is_repeating(self.batch) {
            return Ok(BTreeSet::new());
        }
        self.parts.awaited.among(&self.copies).await
    }

    /// The records of all copies that may have changed.
    fn worth_loading(&self, located: &[Option<Located>]) -> Vec<RecordId> {
        let repeated = self.repeated();
        let may_have_changed = |(fact, located): (&Fact<'_>, &Option<Located>)| {
            let located = located.as_ref()?;
            let unchanged = !repeated.contains(&fact.copy)
                && self.is_unchanged(fact, located)
                && !self.may_move_counter(fact);
            (!unchanged).then(|| located.record.clone())
        };
        let wanted: BTreeSet<RecordId> =
            self.facts.iter().zip(located).filter_map(may_have_changed).collect();
        wanted.into_iter().collect()
    }

    /// The copies that come twice in the batch. They must be taken in order, whatever the stored digest says.
    fn repeated(&self) -> HashSet<&CopyKey> {
        let mut seen = HashSet::with_capacity(self.copies.len());
        self.copies.iter().filter(|key| !seen.insert(*key)).collect()
    }

    /// Whether the digest of what is shown equals that of the known content, so that there is nothing to do.
    fn is_unchanged(&self, fact: &Fact<'_>, located: &Located) -> bool {
        let is_same = match &fact.content {
            Content::Present { digest, .. } => *digest == located.content,
            Content::Gone
            | Content::Read(_)
            | Content::Waits(_)
            | Content::Unreadable { .. }
            | Content::Unread { .. } => false,
        };
        is_repeating(self.batch) && located.alive && !located.in_flight && is_same
    }

    /// Whether the same contents may stand under a higher counter. That must be recorded, because a delivery of what
    /// stood there in between may still be on its way.
    fn may_move_counter(&self, fact: &Fact<'_>) -> bool {
        let (parts, batch) = (self.parts, self.batch);
        // Asked for every unchanged row of a listing, and most have no order at all.
        fact.change.order.is_some()
            && parts.connector(&batch.system).is_some_and(|connector| {
                let capabilities = connector.capabilities(&fact.entity);
                capabilities.order == OrderKind::Counter
                    && (batch.channel == Channel::Feed || !capabilities.feed)
            })
    }

    /// Whether a copy is shown that belongs to no record yet, or perhaps to another one than before.
    fn has_unlinked(&self, located: &[Option<Located>]) -> bool {
        let mut facts = self.facts.iter().zip(self.unproven(located));
        facts.any(|(fact, is_unproven)| is_unproven && matches!(fact.content, Content::Present { .. }))
    }

    /// For each fact, whether no living link proves which record the copy belongs to: there is none, or the copy was gone
    /// in between, and ids come again.
    fn unproven(&self, located: &[Option<Located>]) -> Vec<bool> {
        let is_gone = |fact: &&Fact<'_>| matches!(fact.content, Content::Gone);
        let gone: HashSet<&CopyKey> = self.facts.iter().filter(is_gone).map(|fact| &fact.copy).collect();
        let is_proven = |(fact, located): (&Fact<'_>, &Option<Located>)| {
            located.as_ref().is_some_and(|located| located.alive) && !gone.contains(&fact.copy)
        };
        self.facts.iter().zip(located).map(|both| !is_proven(both)).collect()
    }

    /// Commits a draft; `None` asks for another try.
    async fn commit(&self, draft: CommitDraft<'_>) -> Result<Option<Ingested>, EngineError> {
        let (parts, system) = (self.parts, &self.batch.system);
        let mut done = Ingested { quarantined: draft.quarantine.len() as u64, ..Ingested::default() };
        let added: Vec<CopyKey> = draft.quarantine.iter().filter_map(copy_of).collect();
        let closed = draft.closed.clone();
        let (commit, with_intents) = self.commit_of(draft, &mut done);
        if commit.is_empty() {
            return Ok(Some(done));
        }
        match parts.commit(commit).await? {
            CommitOutcome::Committed => {
                parts.quarantined.note(added, &closed);
                with_intents.iter().for_each(|system| parts.systems.wake(system));
                Ok(Some(done))
            }
            CommitOutcome::Duplicate { .. } => Ok(Some(Ingested { duplicate: true, ..Ingested::default() })),
            CommitOutcome::Conflict { what } => {
                tracing::debug!(%system, %what, "decided on an old state; deciding again");
                Ok(None)
            }
            CommitOutcome::Unknown { reason } => {
                tracing::warn!(%system, %reason, "the outcome of a commit is unknown; reading the store again");
                Ok(None)
            }
        }
    }

    /// The commit that a draft has become, and the systems to which its records have intents.
    fn commit_of(&self, draft: CommitDraft<'_>, done: &mut Ingested) -> (Commit, BTreeSet<SystemName>) {
        let batch = self.batch;
        let second_looks = draft.second_looks();
        let mut with_intents = BTreeSet::new();
        let mut records = Vec::new();
        let mut delays = Vec::new();
        for chronicle in draft.chronicles.into_values().filter(|chronicle| !chronicle.is_quiet()) {
            done.events += chronicle.events().len() as u64;
            with_intents.extend(chronicle.record().intents.keys().cloned());
            delays.extend(self.parts.hastened_by_change(chronicle.record()));
            records.push(self.parts.record_commit(chronicle));
        }
        let mut signals = draft.signals;
        signals.extend(second_looks);
        let moves = batch.cursors.iter().filter(|cursor| cursor.from.as_ref() != Some(&cursor.to));
        let commit = Commit {
            records,
            dedupe: batch.dedupe.iter().cloned().collect(),
            cursors: moves.cloned().collect(),
            quarantine: draft.quarantine,
            quarantine_closed: draft.closed,
            quarantine_settled: Vec::new(),
            quarantine_ids_closed: Vec::new(),
            signals,
            signals_done: batch.signals_done.clone(),
            delays,
            sole_keys: draft.sole_keys,
            effects: Vec::new(),
        };
        (commit, with_intents)
    }

    /// Plans what a system lacks whose listing ended between the decision and its commit: its sweep has missed these
    /// records.
    async fn plan_what_became_ready(&self) -> Result<u64, EngineError> {
        let mut events = 0;
        let used: BTreeMap<&EntityName, &Arc<EntityPolicy>> =
            self.facts.iter().map(|fact| (&fact.entity, &fact.policy)).collect();
        for (entity, used) in used {
            let Some(now) = self.parts.rules(entity).await? else { continue };
            if now.mappings != used.mappings {
                events += sweep(self.parts, entity).await?;
            }
        }
        Ok(events)
    }

    /// Whether a cursor of the batch has moved: the batch is durable already, or another worker has taken it in.
    async fn has_moved(&self) -> Result<bool, EngineError> {
        for cursor in &self.batch.cursors {
            if self.parts.store.cursor(&cursor.name).await? != cursor.from {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether the batch came through a channel that shows unchanged copies again and again.
fn is_repeating(batch: &Batch) -> bool {
    match batch.channel {
        Channel::Feed | Channel::Listing => true,
        Channel::Webhook | Channel::Signal | Channel::Read | Channel::Receipt | Channel::Manual => false,
    }
}
