//! The endings of a batch of writes are recorded in one commit, each as `endings.rs` says.

use crate::outbound::ended_write::EndedWrite;
use crate::outbound::endings::{Counted, record_ending};
use crate::outbound::found_copies::{
    Holder, linked_elsewhere, wait_for_other_copies, wait_for_others, wait_for_referents,
};
use crate::outbound::outcome::Ending;
use crate::outbound::outgoing::{OutgoingWrite, states};
use crate::outbound::turn::{Dispatched, Target};
use crate::parts::error::EngineError;
use crate::parts::translate::{Translated, translate};
use crate::ports::connector::{OrderKind, RemoteState};
use crate::ports::store::{Commit, CommitOutcome, RecordCommit};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::decide::lifecycle::unlink;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::translate::Understood;
use avowal_core::record::Record;
use avowal_core::record::intent::{IntentStatus, Operation};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How often endings are recorded anew when a record changed under them.
const TRIES_MAX: u32 = 20;

/// Writes that have ended together.
pub(crate) struct Ended<'a> {
    pub(crate) items: &'a [OutgoingWrite],
    /// How each of them ended, in the same order.
    pub(crate) endings: Vec<Ending>,
    /// When the system was asked. No copy that it has shown is more than a read lag older than that.
    pub(crate) asked_at: Timestamp,
    /// How many writes to the system had been confirmed before these were tried.
    pub(crate) confirmed_before: u64,
}

impl<'a> Ended<'a> {
    /// Writes that have ended without being sent now.
    pub(crate) fn now(
        target: Target<'_>,
        items: &'a [OutgoingWrite],
        endings: Vec<Ending>,
        asked_at: Timestamp,
    ) -> Self {
        let confirmed_before = target.parts.waiting().confirmed(target.system);
        Self { items, endings, asked_at, confirmed_before }
    }
}

/// Records how a batch of writes ended. Records that changed meanwhile are decided anew; nothing is sent again here.
pub(crate) async fn record_endings(
    target: Target<'_>,
    ended: Ended<'_>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let Target { turn, parts, system, entity, connector } = target;
    let Ended { items, endings, asked_at, confirmed_before } = ended;
    let Some(policy) = &parts.rules(entity).await? else { return Ok(()) };
    let (shown, waiting) = canonical_copies(target, policy, &endings).await?;
    let endings = wait_for_referents(items, endings, &waiting);
    let has_log = connector.capabilities(entity).order == OrderKind::CommitLog;
    let linked = linked_elsewhere(target, items, &endings).await?;
    let endings = wait_for_other_copies(target, endings, &linked).await?;
    let endings = wait_for_others(target, policy, items, endings, &shown).await?;
    let others_wait = others_wait(target, &endings).await?;
    let recording = Recording {
        target,
        policy,
        items,
        endings,
        shown,
        linked,
        has_log,
        asked_at,
        confirmed_before,
        others_wait,
    };
    for _ in 0..TRIES_MAX {
        if !turn.is_ours() {
            // Another worker may be resolving them by now, and what we have read may be old.
            tracing::warn!(%system, "the claim expired; another worker records the outcome");
            return Ok(());
        }
        let states = states(target, items).await?;
        let (commit, recorded) = recording.decide(states, recording.former_holders().await?);
        let with_intents = systems_with_intents(&commit.records);
        match parts.commit(commit).await? {
            CommitOutcome::Committed => {
                recording.remember_writes();
                parts.waiting().count_confirmed(system, recorded.written);
                done.join(recorded);
                with_intents.iter().for_each(|system| parts.systems.wake(system));
                return Ok(());
            }
            CommitOutcome::Conflict { what } | CommitOutcome::Unknown { reason: what } => {
                tracing::debug!(%system, %what, "the record changed meanwhile; recording the outcome again");
            }
            CommitOutcome::Duplicate { .. } => return Ok(()),
        }
    }
    Err(EngineError::Contended { system: system.clone() })
}

/// Whether writes are planned that may cure what a constraint forbids now.
async fn others_wait(target: Target<'_>, endings: &[Ending]) -> Result<bool, EngineError> {
    if !endings.iter().any(|ending| matches!(ending, Ending::Blocked { .. })) {
        return Ok(false);
    }
    let counts = target.parts.store.open_counts().await?;
    let is_planned = |(system, status, count): &(SystemName, IntentStatus, u64)| {
        system == target.system && *status == IntentStatus::Planned && *count > 0
    };
    Ok(counts.intents.iter().any(is_planned))
}

/// The canonical contents of the copies that the endings show, and the places of those that refer to a record that is
/// not known yet.
async fn canonical_copies(
    target: Target<'_>,
    policy: &EntityPolicy,
    endings: &[Ending],
) -> Result<(Vec<Option<Understood>>, BTreeSet<usize>), EngineError> {
    let mut waiting = BTreeSet::new();
    let mut places = Vec::new();
    let mut rows = Vec::new();
    for (at, ending) in endings.iter().enumerate() {
        if let Some(RemoteState::Present(fields)) = ending.copy().map(|copy| &copy.shown) {
            places.push(at);
            rows.push(fields);
        }
    }
    let mut out: Vec<Option<Understood>> = endings.iter().map(|_| None).collect();
    let translated = translate(target.parts, policy, target.system, &rows).await?;
    for (at, translated) in places.into_iter().zip(translated) {
        match translated {
            Translated::Row(row) => out[at] = Some(row),
            Translated::Waits(_) => {
                waiting.insert(at);
            }
            Translated::Unreadable(_) => {}
        }
    }
    Ok((out, waiting))
}

/// A batch of endings on its way to a commit.
struct Recording<'a> {
    target: Target<'a>,
    policy: &'a Arc<EntityPolicy>,
    items: &'a [OutgoingWrite],
    endings: Vec<Ending>,
    /// The canonical contents of each copy, if it was shown and could be read.
    shown: Vec<Option<Understood>>,
    /// The other record with which each copy is linked already.
    linked: Vec<Option<Holder>>,
    /// Whether the system's feed is a commit log.
    has_log: bool,
    asked_at: Timestamp,
    confirmed_before: u64,
    /// Whether other writes to the system are planned.
    others_wait: bool,
}

impl Recording<'_> {
    /// The records whose copies, which are gone, had the ids that the system has given to ours.
    async fn former_holders(&self) -> Result<Vec<Record>, EngineError> {
        let gone = self.linked.iter().flatten().filter(|holder| !holder.is_alive);
        let ids: BTreeSet<RecordId> = gone.map(|holder| holder.record.clone()).collect();
        let ids: Vec<RecordId> = ids.into_iter().collect();
        Ok(self.target.parts.store.load(&ids).await?.into_iter().flatten().collect())
    }

    /// Decides about every ending, on the present states of the records. The former holders of ids let go of them.
    fn decide(&self, states: Vec<Option<Record>>, holders: Vec<Record>) -> (Commit, Dispatched) {
        let parts = self.target.parts;
        let mut done = Dispatched::default();
        let mut commit = Commit::default();
        let let_go: BTreeSet<RecordId> = holders.iter().map(|holder| holder.id.clone()).collect();
        let own: BTreeSet<&RecordId> = self.items.iter().map(|item| &item.record).collect();
        for holder in holders.into_iter().filter(|holder| !own.contains(&holder.id)) {
            let context = self.items.first().map(|item| item.context(self.target)).unwrap_or_default();
            let mut chronicle = Chronicle::new(holder, context, parts.clock.now());
            unlink(&mut chronicle, self.target.system);
            if !chronicle.is_quiet() {
                commit.records.push(parts.record_commit(chronicle));
            }
        }
        for (at, state) in states.into_iter().enumerate() {
            let item = &self.items[at];
            let is_current = |state: &Record| is_of_attempt(state, self.target.system, item);
            let Some(state) = state.filter(is_current) else { continue };
            let mut chronicle = Chronicle::new(state, item.context(self.target), parts.clock.now());
            if let_go.contains(&item.record) {
                unlink(&mut chronicle, self.target.system);
            }
            let mut write = EndedWrite {
                target: self.target,
                policy: self.policy,
                item,
                ending: &self.endings[at],
                shown: self.shown[at].as_ref(),
                linked_elsewhere: self.linked[at]
                    .as_ref()
                    .filter(|holder| holder.is_alive)
                    .map(|holder| &holder.record),
                has_log: self.has_log,
                confirmed_before: self.confirmed_before,
                others_wait: self.others_wait,
                is_put_off: false,
                asked_at: self.asked_at,
                chronicle,
                commit: &mut commit,
            };
            match record_ending(&mut write) {
                Counted::Written => done.written += 1,
                Counted::Failed => done.failed += 1,
            }
            if write.is_put_off {
                done.put_off.push(item.record.clone());
            }
            let chronicle = write.chronicle;
            done.events += chronicle.events().len() as u64;
            if !chronicle.is_quiet() {
                commit.records.push(parts.record_commit(chronicle));
            }
        }
        done.quarantined = commit.quarantine.len() as u64;
        (commit, done)
    }

    /// Counts the confirmed writes, to find flapping.
    fn remember_writes(&self) {
        let parts = self.target.parts;
        let now = parts.clock.now();
        let is_deleted = |(item, ending): &(&OutgoingWrite, &Ending)| {
            item.write.operation == Operation::Delete && matches!(ending, Ending::Confirmed { .. })
        };
        let deleted = self.items.iter().zip(&self.endings).filter(is_deleted).count() as u64;
        parts.recent_deletes().add(self.target.system, self.target.entity, deleted, now);
        let is_again = |(item, ending): &(&OutgoingWrite, &Ending)| {
            item.is_again && matches!(ending, Ending::Confirmed { .. })
        };
        let again = self.items.iter().zip(&self.endings).filter(is_again).count() as u64;
        parts.recent_creates().add(self.target.system, self.target.entity, again, now);
        for (item, ending) in self.items.iter().zip(&self.endings) {
            if !matches!(ending, Ending::Blocked { .. } | Ending::Retry { .. }) {
                parts.waiting().forget(self.target.system, &item.record);
            }
            let is_open_still = match ending {
                Ending::StillUnknown { .. } | Ending::Confirmed { .. } | Ending::ReadBack { .. } => true,
                Ending::Blocked { .. } | Ending::Retry { .. } => item.is_open(),
                Ending::Found { .. }
                | Ending::Conflict { .. }
                | Ending::Missing
                | Ending::Rejected { .. }
                | Ending::NotDone => false,
            };
            if !is_open_still {
                parts.sent().forget(&item.write.key);
            }
            // A system that says that a copy is missing and shows it again undoes the write as well.
            if matches!(ending, Ending::Confirmed { .. } | Ending::Missing) {
                parts.flapping().wrote(item.written_content.clone(), item.changes_seen, now);
            }
        }
    }
}

/// Whether no worker has sent the same write again since. The outcome of an older attempt must not be recorded.
fn is_of_attempt(state: &Record, system: &SystemName, item: &OutgoingWrite) -> bool {
    let intent = state.intents.get(system);
    intent.is_none_or(|intent| intent.key != item.write.key || intent.attempt == item.attempt)
}

/// The systems to which these records have intents.
fn systems_with_intents(records: &[RecordCommit]) -> BTreeSet<SystemName> {
    records.iter().flat_map(|commit| commit.state.intents.keys().cloned()).collect()
}
