//! The end of a write: the outcome becomes events, and what the copy holds now is judged like any observation.

use crate::inbound::translate::{Canonical, Translated};
use crate::outbound::dispatch::{Dispatched, OutgoingWrite, RETRY_AFTER_MS_MAX, Turn};
use crate::outbound::ending::Ending;
use crate::ports::connector::{Change, OrderKind, RemoteState};
use crate::ports::store::{
    Commit, CommitOutcome, IntentDelay, NewQuarantineItem, NewSignal, RecordCommit, SignalReason,
};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::decide::decide;
use avowal_core::decide::identity::keys_of_copy;
use avowal_core::decide::lifecycle::link;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, ConfirmedBy, Evidence, Failure, LinkReason};
use avowal_core::outgoing::confirm::{CreateMatch, Receipt, confirm, create_match, fail};
use avowal_core::outgoing::plan::plan;
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::intent::{Intent, IntentStatus, Operation};
use avowal_core::record::observation::{Channel, CopyState, Observation};
use avowal_core::record::{Copy, CopyKey, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One record's end of a write, ready to be recorded.
struct End<'a> {
    system: &'a SystemName,
    policy: &'a Arc<EntityPolicy>,
    item: &'a OutgoingWrite,
    ending: &'a Ending,
    /// The copy's canonical contents, if it was shown and could be read.
    shown: Option<Canonical>,
    log: bool,
    asked_at: Timestamp,
}

/// Writes that have come to an end together.
pub(crate) struct Ended<'a> {
    pub(crate) items: &'a [OutgoingWrite],
    /// How, in the same order.
    pub(crate) endings: Vec<Ending>,
    /// When the system was asked: no copy that it has shown is older than a moment before.
    pub(crate) asked_at: Timestamp,
}

/// How often an ending is recorded anew when its record changed under it.
const TRIES_MAX: u32 = 20;

impl Engine {
    /// Records how a batch of writes ended. Records that changed meanwhile are decided anew; nothing is sent again here.
    pub(crate) async fn end_all(
        &self,
        system: &SystemName,
        entity: &EntityName,
        ended: Ended<'_>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Ended { items, endings, asked_at } = ended;
        let Some(policy) = &self.rules(entity).await? else { return Ok(()) };
        let (shown, waiting) = self.canonical_copies(policy, system, &endings).await?;
        let endings = wait_for_referents(items, endings, &waiting);
        let log = self
            .connector(system)
            .is_some_and(|connector| connector.capabilities(entity).order == OrderKind::CommitLog);
        let linked = self.linked_elsewhere(system, entity, items, &endings).await?;
        let endings = self.wait_for_others(policy, system, items, endings, &shown).await?;
        for _ in 0..TRIES_MAX {
            if !turn.is_ours() {
                // Another worker may be settling them by now, and what we have read may be old.
                tracing::warn!(%system, "stopped for so long that the outcome of a write is left to others");
                return Ok(());
            }
            let states = self.states(items).await?;
            let mut written = 0;
            let mut failed = 0;
            let mut events = 0;
            let mut commit = Commit::default();
            for (at, state) in states.into_iter().enumerate() {
                let Some(state) = state.filter(|state| is_of_attempt(state, system, &items[at])) else {
                    continue;
                };
                let end = End {
                    system,
                    policy,
                    item: &items[at],
                    ending: &endings[at],
                    shown: shown[at].clone(),
                    log,
                    asked_at,
                };
                let mut chronicle = Chronicle::new(state, self.own_context(&items[at]), self.clock.now());
                match self.end(&end, linked[at].as_ref(), &mut chronicle, &mut commit) {
                    true => written += 1,
                    false => failed += 1,
                }
                events += chronicle.events().len() as u64;
                if !chronicle.is_quiet() {
                    commit.records.push(self.record_commit(chronicle));
                }
            }
            let quarantined = commit.quarantine.len() as u64;
            let woken = woken(&commit.records);
            match self.commit(commit).await? {
                CommitOutcome::Committed => {
                    self.remember_writes(items, &endings);
                    done.written += written;
                    done.failed += failed;
                    done.events += events;
                    done.quarantined += quarantined;
                    woken.iter().for_each(|system| self.wake(system));
                    return Ok(());
                }
                CommitOutcome::Conflict { what } | CommitOutcome::Unknown { reason: what } => {
                    tracing::debug!(%system, %what, "an outcome met a newer state; recording it again");
                }
                CommitOutcome::Duplicate { .. } => return Ok(()),
            }
        }
        Err(EngineError::Contended { system: system.clone() })
    }

    fn remember_writes(&self, items: &[OutgoingWrite], endings: &[Ending]) {
        let now = self.clock.now();
        for (item, ending) in items.iter().zip(endings) {
            if matches!(ending, Ending::Confirmed { .. }) {
                self.flapping().wrote(item.written_content.clone(), item.changes_seen, now);
            }
        }
    }

    /// A system that asks for a pause gets it, for all records. In milliseconds.
    pub(crate) fn apply_pauses(&self, system: &SystemName, asked_ms: impl Iterator<Item = u64>) {
        if let Some(ms) = asked_ms.max() {
            let ms = i64::try_from(ms.min(RETRY_AFTER_MS_MAX)).unwrap_or(i64::MAX);
            self.pause(system, self.clock.now().plus_millis(ms));
        }
    }

    async fn canonical_copies(
        &self,
        policy: &EntityPolicy,
        system: &SystemName,
        endings: &[Ending],
    ) -> Result<(Vec<Option<Canonical>>, BTreeSet<usize>), EngineError> {
        let mut waiting = BTreeSet::new();
        let mut places = Vec::new();
        let mut rows = Vec::new();
        for (at, ending) in endings.iter().enumerate() {
            if let Some(RemoteState::Present(fields)) = ending.copy().map(|copy| &copy.shown) {
                places.push(at);
                rows.push(fields);
            }
        }
        let mut out: Vec<Option<Canonical>> = endings.iter().map(|_| None).collect();
        for (at, translated) in places.into_iter().zip(self.translate(policy, system, &rows).await?) {
            match translated {
                Translated::Fields(fields) => out[at] = Some(fields),
                Translated::Waits(_) => {
                    waiting.insert(at);
                }
                Translated::Unreadable(_) => {}
            }
        }
        Ok((out, waiting))
    }

    /// For each found or created copy, the other record that it is linked with already, if any.
    async fn linked_elsewhere(
        &self,
        system: &SystemName,
        entity: &EntityName,
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
                Some((at, CopyKey { system: system.clone(), entity: entity.clone(), remote_id }))
            })
            .collect();
        let keys: Vec<CopyKey> = asked.iter().map(|(_, key)| key.clone()).collect();
        for ((at, _), located) in asked.into_iter().zip(self.store.locate(&keys).await?) {
            out[at] = located.map(|located| located.record).filter(|record| *record != items[at].record);
        }
        Ok(out)
    }

    /// A copy that was found instead of being created may be another record's: one that has found it too, or one whose
    /// own create has no known outcome yet. Then that one is settled first.
    async fn wait_for_others(
        &self,
        policy: &EntityPolicy,
        system: &SystemName,
        items: &[OutgoingWrite],
        endings: Vec<Ending>,
        shown: &[Option<Canonical>],
    ) -> Result<Vec<Ending>, EngineError> {
        let first = first_finders(items, &endings);
        let made_nothing: BTreeSet<RecordId> = items
            .iter()
            .zip(&endings)
            .filter(|(item, ending)| !item.status.is_open() && ending.made_nothing())
            .map(|(item, _)| item.record.clone())
            .collect();
        let mut out = Vec::with_capacity(endings.len());
        for (at, ending) in endings.into_iter().enumerate() {
            let item = &items[at];
            let reason = match (&ending, &shown[at]) {
                (Ending::Found { copy }, _) if first.get(&copy.id).is_some_and(|first| *first != at) => {
                    Some("another record has found the same copy, and is linked with it first".to_owned())
                }
                (Ending::Found { .. }, Some(fields)) if !item.status.is_open() => {
                    let other_creator =
                        self.possible_creator(policy, system, &item.record, fields, &made_nothing).await?;
                    other_creator.map(|other| {
                        format!("the copy there may be that of record {other}, whose create has no known outcome yet")
                    })
                }
                _ => None,
            };
            out.push(match reason {
                Some(reason) => put_off(item.status, reason),
                None => ending,
            });
        }
        Ok(out)
    }

    /// Another record with the same key whose create in this system may have made the copy; none of the `made_nothing` ones.
    async fn possible_creator(
        &self,
        policy: &EntityPolicy,
        system: &SystemName,
        record: &RecordId,
        fields: &Canonical,
        made_nothing: &BTreeSet<RecordId>,
    ) -> Result<Option<RecordId>, EngineError> {
        let keys = keys_of_copy(policy, fields);
        let found = self.store.match_records(&policy.entity, &keys).await?;
        let may_have_made = |other: &RecordId| other != record && !made_nothing.contains(other);
        let others: Vec<RecordId> = found.into_iter().flatten().filter(may_have_made).collect();
        let states = self.store.load(&others).await?;
        let in_doubt = |state: &Record| state.intents.get(system).is_some_and(Intent::is_open_create);
        Ok(states.into_iter().flatten().find(in_doubt).map(|state| state.id))
    }

    /// Records one ending. Answers whether the write counts as done.
    fn end(
        &self,
        end: &End<'_>,
        linked_elsewhere: Option<&RecordId>,
        chronicle: &mut Chronicle,
        commit: &mut Commit,
    ) -> bool {
        let (system, key) = (end.system, end.item.write.key.as_str());
        if let Some(other) = linked_elsewhere {
            let reason = format!("the copy with the same key in {system} belongs to record {other} already");
            self.reject(end, chronicle, commit, &reason);
            return false;
        }
        match end.ending {
            Ending::Confirmed { id, was_read, .. } => {
                let (by, channel) = match was_read {
                    true => (ConfirmedBy::ReadBack, Channel::Read),
                    false => (ConfirmedBy::Receipt, Channel::Receipt),
                };
                let done = self.confirmed(end, chronicle, id, LinkReason::Created, by);
                self.observe_copy(end, chronicle, commit, channel);
                if end.ending.wants_read(end.item.write.operation) {
                    // Neither the answer nor a read has shown what it made of it; a later read will.
                    commit.signals.push(self.second_look(end, id));
                }
                done
            }
            Ending::Found { copy } => {
                self.found(end, chronicle, commit, copy);
                true
            }
            Ending::ReadBack { copy } if end.shown.is_none() && copy.shown != RemoteState::Gone => {
                self.still_unknown(end, chronicle, commit, None, "the copy cannot be read");
                false
            }
            Ending::ReadBack { copy } => {
                self.observe_copy(end, chronicle, commit, Channel::Read);
                // Whatever the copy shows has been judged now. If our values were not in it, they had no effect.
                let gone = copy.shown == RemoteState::Gone;
                let failure = if gone { Failure::Missing } else { Failure::Retry };
                let not_done = fail(chronicle, system, key, failure, "reading it back shows no effect");
                plan(end.policy, chronicle, None);
                !not_done
            }
            Ending::Conflict { reason, .. } => {
                fail(chronicle, system, key, Failure::Conflict, reason);
                self.observe_copy(end, chronicle, commit, Channel::Read);
                plan(end.policy, chronicle, None);
                self.cool_down(end, chronicle, commit, reason);
                false
            }
            Ending::Missing => {
                if end.item.write.operation == Operation::Update {
                    fail(chronicle, system, key, Failure::Missing, "the copy does not exist any more");
                }
                let gone = Change::bare(
                    end.item.write.id.clone().unwrap_or_else(|| RemoteId::new("")),
                    RemoteState::Gone,
                );
                decide(
                    end.policy,
                    chronicle,
                    &self.receipt_observation(end, &gone, CopyState::Gone, Channel::Read, true),
                );
                plan(end.policy, chronicle, None);
                end.item.write.operation == Operation::Delete
            }
            Ending::Rejected { reason } => {
                self.reject(end, chronicle, commit, reason);
                false
            }
            Ending::Retry { after_ms, reason } if end.item.status.is_open() => {
                // This attempt had no effect, but an earlier one may have had: the question stays open.
                self.still_unknown(end, chronicle, commit, *after_ms, reason);
                false
            }
            Ending::Retry { after_ms, reason } => {
                if fail(chronicle, system, key, Failure::Retry, reason) {
                    plan(end.policy, chronicle, None);
                    commit.delays.push(self.delay(
                        &end.item.record,
                        system,
                        end.item.failures,
                        *after_ms,
                        reason.clone(),
                    ));
                }
                false
            }
            Ending::NotDone => {
                fail(chronicle, system, key, Failure::Retry, "looking it up shows no effect");
                plan(end.policy, chronicle, None);
                false
            }
            Ending::StillUnknown { .. }
                if planted(Mistake::AssumeConfirmed) && end.item.write.id.is_some() =>
            {
                let id = end.item.write.id.clone().unwrap_or_else(|| RemoteId::new(""));
                self.confirmed(end, chronicle, &id, LinkReason::Created, ConfirmedBy::Receipt)
            }
            Ending::StillUnknown { reason } => {
                self.still_unknown(end, chronicle, commit, None, reason);
                false
            }
        }
    }

    fn confirmed(
        &self,
        end: &End<'_>,
        chronicle: &mut Chronicle,
        id: &RemoteId,
        how: LinkReason,
        by: ConfirmedBy,
    ) -> bool {
        let key = end.item.write.key.as_str();
        let current = chronicle.record().intents.get(end.system);
        if current.is_none_or(|intent| intent.key != key) {
            // An echo has confirmed it in the meantime.
            return true;
        }
        let linked = chronicle.record().copies.get(end.system).map(|copy| &copy.remote_id);
        if end.item.write.operation == Operation::Create && linked != Some(id) {
            link(chronicle, end.system, id, how);
        }
        let copy = end.ending.copy();
        let nothing = Canonical::new();
        let receipt = Receipt {
            system: end.system,
            key,
            after: end.shown.as_ref().unwrap_or(&nothing),
            order: copy.and_then(|copy| copy.order.clone()),
            version: copy.and_then(|copy| copy.version.clone()),
            by,
        };
        confirm(chronicle, &receipt, Evidence::proven(format!("confirmed by {by}")))
    }

    /// A copy with our key exists: it is our own of unknown outcome, or somebody else's of the same thing. Either
    /// way it is linked, and its contents are judged.
    fn found(&self, end: &End<'_>, chronicle: &mut Chronicle, commit: &mut Commit, copy: &Change) {
        if end.shown.is_none() {
            // Whatever stands there must not be written over unread.
            let reason =
                format!("a copy with the same key exists in {} and cannot be read: {}", end.system, copy.id);
            return self.reject(end, chronicle, commit, &reason);
        }
        let made = self.own_create_match(end, chronicle);
        if made == CreateMatch::Probable {
            self.confirmed(end, chronicle, &copy.id, LinkReason::Created, ConfirmedBy::LookUp);
            self.observe_copy(end, chronicle, commit, Channel::Read);
            return;
        }
        let keys: Vec<String> =
            end.item.write.lookup.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        let how = LinkReason::Matched { key: keys.join("&") };
        let linked = chronicle.record().copies.get(end.system).map(|copy| copy.remote_id.clone());
        let is_in_doubt = made == CreateMatch::Possible && linked.is_none();
        if is_in_doubt {
            // Judged while the create is open: what it sent and shows there may be ours.
            link(chronicle, end.system, &copy.id, how.clone());
            self.observe_copy(end, chronicle, commit, Channel::Read);
        }
        let reason = "a copy with the same key exists there; it is linked instead of creating another";
        let was_open = fail(chronicle, end.system, end.item.write.key.as_str(), Failure::Conflict, reason);
        if was_open && !is_in_doubt {
            if linked.as_ref() != Some(&copy.id) {
                link(chronicle, end.system, &copy.id, how);
            }
            self.observe_copy(end, chronicle, commit, Channel::Read);
        }
        plan(end.policy, chronicle, None);
    }

    /// Whether the copy is what our create has made. What a first attempt finds stood there before it.
    fn own_create_match(&self, end: &End<'_>, chronicle: &Chronicle) -> CreateMatch {
        if !end.item.status.is_open() {
            return CreateMatch::Unlikely;
        }
        let intent = chronicle.record().intents.get(end.system);
        let both = intent.zip(end.shown.as_ref());
        both.map_or(CreateMatch::Unlikely, |(intent, shown)| create_match(end.policy, intent, shown))
    }

    fn reject(&self, end: &End<'_>, chronicle: &mut Chronicle, commit: &mut Commit, reason: &str) {
        if !fail(chronicle, end.system, &end.item.write.key, Failure::Rejected, reason) {
            return;
        }
        chronicle.push(Body::Quarantined {
            system: end.system.clone(),
            remote_id: end.item.write.id.clone(),
            reason: reason.to_owned(),
        });
        commit.quarantine.push(self.refused_write(end, reason));
        plan(end.policy, chronicle, None);
    }

    fn still_unknown(
        &self,
        end: &End<'_>,
        chronicle: &mut Chronicle,
        commit: &mut Commit,
        after_ms: Option<u64>,
        reason: &str,
    ) {
        let key = end.item.write.key.as_str();
        let failures = end.item.failures;
        // Said once; further vain attempts to find out only move the schedule.
        let status = chronicle.record().intents.get(end.system).map(|intent| intent.status);
        if status != Some(IntentStatus::Unknown) {
            fail(chronicle, end.system, key, Failure::Unknown, reason);
        }
        if failures == self.settings.attempts_max {
            commit.quarantine.push(self.refused_write(end, &format!("the outcome stays unknown: {reason}")));
        }
        let wait = after_ms.or((failures == 0).then_some(self.settings.settle_ms));
        commit.delays.push(self.delay(&end.item.record, end.system, failures, wait, reason.to_owned()));
    }

    fn second_look(&self, end: &End<'_>, id: &RemoteId) -> NewSignal {
        let now = self.clock.now();
        let settle = i64::try_from(self.settings.settle_ms).unwrap_or(i64::MAX);
        NewSignal {
            copy: CopyKey {
                system: end.system.clone(),
                entity: end.item.entity.clone(),
                remote_id: id.clone(),
            },
            not_before: now.plus_millis(settle),
            reason: SignalReason::SecondLook,
            received_at: now,
            attempts: 0,
        }
    }

    /// A copy that keeps changing under us is not raced.
    fn cool_down(&self, end: &End<'_>, chronicle: &Chronicle, commit: &mut Commit, reason: &str) {
        if end.item.failures > 0 && chronicle.record().intents.contains_key(end.system) {
            commit.delays.push(self.delay(
                &end.item.record,
                end.system,
                end.item.failures,
                None,
                reason.to_owned(),
            ));
        } else if chronicle.record().intents.contains_key(end.system) {
            let now: IntentDelay = IntentDelay {
                failures: 1,
                not_before: self.clock.now(),
                ..self.delay(&end.item.record, end.system, 0, Some(0), reason.to_owned())
            };
            commit.delays.push(now);
        }
    }

    fn refused_write(&self, end: &End<'_>, reason: &str) -> NewQuarantineItem {
        let payload = avowal_core::data::value::Value::Object(end.item.write.fields.clone()).to_string();
        NewQuarantineItem {
            system: end.system.clone(),
            entity: end.item.entity.clone(),
            remote_id: end.item.write.id.clone(),
            record: Some(end.item.record.clone()),
            reason: reason.to_owned(),
            payload,
            at: self.clock.now(),
        }
    }

    /// Judges what the copy shows, beside what we wrote: a foreign change in another field is a change like any other.
    fn observe_copy(&self, end: &End<'_>, chronicle: &mut Chronicle, commit: &mut Commit, channel: Channel) {
        if let Some(copy) = end.ending.copy() {
            let shown = match (&copy.shown, &end.shown) {
                (RemoteState::Gone, _) => Some(CopyState::Gone),
                (RemoteState::Present(_), Some(fields)) => Some(CopyState::Present(fields.clone())),
                (RemoteState::Present(_) | RemoteState::Unknown | RemoteState::Unreadable { .. }, _) => None,
            };
            if let Some(shown) = shown {
                // An answer shows what its write left. A read may lag behind that, and behind what came before.
                let known = chronicle.record().copies.get(end.system);
                let is_first_sight = known.is_some_and(Copy::is_unseen) && shown != CopyState::Gone;
                let changed_at = known.map(|copy| copy.changed_at);
                // Another worker may have seen a later change while the answer was on its way.
                let is_latest = chronicle.record().vector.get(end.system) == end.item.changes_seen;
                let was_quiescent =
                    || changed_at.is_none_or(|at| self.was_quiescent(at, end.asked_at, false));
                let quiescent =
                    is_first_sight || (is_latest && (channel == Channel::Receipt || was_quiescent()));
                let in_doubt =
                    is_first_sight && self.own_create_match(end, chronicle) == CreateMatch::Possible;
                let mut observation = self.receipt_observation(end, copy, shown, channel, quiescent);
                // No further look tells who has made it.
                observation.confirmed |= in_doubt;
                if decide(end.policy, chronicle, &observation).look_again {
                    commit.signals.push(self.second_look(end, &copy.id));
                }
            }
        }
        plan(end.policy, chronicle, None);
    }

    fn receipt_observation(
        &self,
        end: &End<'_>,
        copy: &Change,
        shown: CopyState,
        channel: Channel,
        quiescent: bool,
    ) -> Observation {
        Observation {
            system: end.system.clone(),
            entity: end.item.entity.clone(),
            remote_id: copy.id.clone(),
            shown,
            channel,
            order: copy.order.clone(),
            version: copy.version.clone(),
            correlation: None,
            actor: copy.actor.clone(),
            occurred_at: copy.occurred_at,
            received_at: self.clock.now(),
            confirmed: true,
            quiescent,
            in_log: end.log && channel == Channel::Receipt,
        }
    }
}

/// Whether nobody has sent the same write again since: the outcome of an older attempt says nothing any more.
fn is_of_attempt(state: &Record, system: &SystemName, item: &OutgoingWrite) -> bool {
    let intent = state.intents.get(system);
    intent.is_none_or(|intent| intent.key != item.write.key || intent.attempt == item.attempt)
}

/// The item that comes first of those that have found each copy: one whose own create may have made it, if there is.
fn first_finders(items: &[OutgoingWrite], endings: &[Ending]) -> BTreeMap<RemoteId, usize> {
    let mut first = BTreeMap::new();
    for is_open in [true, false] {
        for (at, ending) in
            endings.iter().enumerate().filter(|(at, _)| items[*at].status.is_open() == is_open)
        {
            if let Ending::Found { copy } = ending {
                first.entry(copy.id.clone()).or_insert(at);
            }
        }
    }
    first
}

/// What was found is not used yet: the write is tried again, or its outcome asked again.
fn put_off(status: IntentStatus, reason: String) -> Ending {
    match status.is_open() {
        true => Ending::StillUnknown { reason },
        false => Ending::Retry { after_ms: None, reason },
    }
}

/// A copy that was found and refers to a record that is not known yet is looked at again when it is.
fn wait_for_referents(
    items: &[OutgoingWrite],
    endings: Vec<Ending>,
    waiting: &BTreeSet<usize>,
) -> Vec<Ending> {
    let reason = || "the copy there refers to a record that is not known yet".to_owned();
    let wait = |(at, ending): (usize, Ending)| match ending {
        Ending::Found { .. } if waiting.contains(&at) => put_off(items[at].status, reason()),
        ending => ending,
    };
    endings.into_iter().enumerate().map(wait).collect()
}

/// The systems that have something to do after these commits.
fn woken(records: &[RecordCommit]) -> Vec<SystemName> {
    let states = records.iter().map(|commit| &commit.state);
    let mut systems: Vec<SystemName> =
        states.flat_map(|state: &Record| state.intents.keys().cloned()).collect();
    systems.sort();
    systems.dedup();
    systems
}
