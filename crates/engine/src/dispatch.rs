//! Intents go out: marked durably as sent, written, and confirmed by the system's own word.

use crate::bucket::Shares;
use crate::connector::{Change, Shown, Write, WriteOutcome};
use crate::ending::Ending;
use crate::engine::{Engine, EngineError};
use crate::fights::Contested;
use crate::lanes::Claim;
use crate::outcome::Ended;
use crate::progress::{Progress, Step};
use crate::store::{
    BATCH_RECORDS_MAX, Commit, CommitOutcome, CopyKey, Due, DueIntent, IntentDelay, RecordCommit,
};
use crate::translate::Outbound;
use crate::turns::Taken;
use avowal_core::chronicle::Chronicle;
use avowal_core::confirm::send;
use avowal_core::history::Context;
use avowal_core::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::intent::{Intent, IntentStatus, Operation};
use avowal_core::plan::content_digest;
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use avowal_core::time::Timestamp;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

/// The right to work on a system's intents, for a while.
pub(crate) struct Turn {
    claim: Claim,
    shares: Shares,
    began: Timestamp,
}

/// What has come to an end while writes go out.
enum Stage {
    /// A batch.
    Sent { records: Vec<RecordId>, done: Dispatched, result: Result<(), EngineError> },
    /// The search for more.
    Found { items: Result<Vec<Outgoing>, EngineError>, done: Dispatched },
}

/// What one round of dispatch did.
#[derive(Debug, Default)]
pub(crate) struct Dispatched {
    /// Something is due that another worker is doing.
    pub(crate) elsewhere: bool,
    /// Intents that were worked on.
    pub(crate) tried: u64,
    pub(crate) written: u64,
    pub(crate) failed: u64,
    pub(crate) events: u64,
    pub(crate) quarantined: u64,
    /// Records whose intents wait for something that no retry brings about.
    pub(crate) put_off: Vec<RecordId>,
    /// What a guard has stopped.
    pub(crate) held: Option<String>,
}

/// An intent ready to go out, or to be settled.
pub(crate) struct Outgoing {
    pub(crate) record: RecordId,
    pub(crate) entity: EntityName,
    pub(crate) failures: u32,
    pub(crate) status: IntentStatus,
    pub(crate) write: Write,
    /// What the write would leave in which copy.
    pub(crate) contested: Contested,
    /// For a create: the copy with which the record has been linked since.
    pub(crate) linked: Option<RemoteId>,
    /// How many changes the system had made when it was spelled.
    pub(crate) changes_seen: u64,
    /// Which attempt it is: only who made it may say how it ended.
    pub(crate) attempt: u32,
    /// Whether the system has changed the record since it was planned.
    pub(crate) is_overtaken: bool,
}

/// How long a worker keeps its share before it asks again, in milliseconds: others may have come, and a claim in a
/// database holds up whoever waits for running transactions to end.
const TURN_MS_MAX: i64 = 2_000;

/// How many batches of updates go through their stages side by side: while one is written, the store records another.
const ABREAST: usize = 3;

impl Turn {
    /// Whether the right to go on is still certain. What is not recorded by then is found by the next who claims it.
    pub(crate) fn is_ours(&self) -> bool {
        self.claim.is_firm()
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.is_ours() || now.millis().saturating_sub(self.began.millis()) > TURN_MS_MAX
    }
}

impl Dispatched {
    fn join(&mut self, other: Dispatched) {
        let Dispatched { elsewhere, tried, written, failed, events, quarantined, put_off, held } = other;
        self.elsewhere |= elsewhere;
        self.tried += tried;
        self.written += written;
        self.failed += failed;
        self.events += events;
        self.quarantined += quarantined;
        self.put_off.extend(put_off);
        self.held = self.held.take().or(held);
    }
}

/// The longest pause that a system may ask for, in milliseconds.
pub(crate) const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// How often a batch is marked as sent anew when one of its records changed under it.
const MARK_TRIES_MAX: u32 = 5;

impl Engine {
    /// Works on the intents to one system that are due, once. What was done counts also where it ends in an error.
    pub(crate) async fn dispatch(
        &self,
        system: &SystemName,
        progress: &dyn Progress,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(lock) = self.dispatching.get(system) else { return Ok(()) };
        let _one_dispatcher = lock.lock().await;
        if self.is_paused(system) {
            return Ok(());
        }
        let (claim, shares) = match self.claim_work(system, Due::Intents).await? {
            Taken::Nothing => return Ok(()),
            Taken::Elsewhere => {
                done.elsewhere = true;
                return Ok(());
            }
            Taken::Work(claim, shares) => (claim, shares),
        };
        let turn = Turn { claim, shares, began: self.clock.now() };
        self.dispatch_shares(system, &turn, progress, done).await?;
        turn.claim.release().await;
        Ok(())
    }

    /// Works on the due intents of the shares that are claimed.
    async fn dispatch_shares(
        &self,
        system: &SystemName,
        turn: &Turn,
        progress: &dyn Progress,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let mut due = self.gather(system, turn.shares).await?;
        let has_deletes = due.iter().any(|(_, record)| {
            record.intents.get(system).is_some_and(|intent| intent.operation == Operation::Delete)
        });
        let deletes_held = has_deletes && self.deletes_held(system, done).await?;
        // Referents first, so that what refers to them can follow in the same round.
        for entity in self.entities_of(system) {
            let (mine, rest) = due.into_iter().partition(|(_, record)| record.entity == entity);
            due = rest;
            let items = self.spell(system, &entity, mine, deletes_held, done).await?;
            let (fresh, open): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| !item.status.is_open());
            self.settle(system, &entity, open, turn, done).await?;
            let now = self.clock.now();
            let (hopeless, fresh): (Vec<_>, Vec<_>) =
                fresh.into_iter().partition(|item| self.fights().is_hopeless(&item.contested, now));
            self.part(system, &entity, hopeless, turn, done).await?;
            self.send_all(system, &entity, fresh, turn, progress, done).await?;
        }
        let unmapped = "the configuration does not map its entity in this system any more";
        let orphans = due.into_iter().map(|(failures, record)| (failures, record.id, unmapped.to_owned()));
        self.put_off_intents(system, orphans.collect(), done).await
    }

    /// The same content was written again and again, and each time the system changed it back: a person parts them.
    async fn part(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<Outgoing>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        if items.is_empty() {
            return Ok(());
        }
        let reason = |item: &Outgoing| {
            let fields: Vec<&str> = item.write.fields.keys().map(String::as_str).collect();
            format!(
                "{system} keeps changing {} back after we write it; find out what does that there, or let {system} own it",
                fields.join(", ")
            )
        };
        let endings = items.iter().map(|item| Ending::Rejected { reason: reason(item) }).collect();
        let asked_at = self.clock.now();
        self.end_all(system, entity, Ended { items: &items, endings, asked_at }, turn, done).await
    }

    /// The records with due intents, with how often each has failed.
    async fn gather(&self, system: &SystemName, shares: Shares) -> Result<Vec<(u32, Record)>, EngineError> {
        let limit = self.settings.batch_records_max.min(BATCH_RECORDS_MAX);
        self.gather_beside(system, shares, limit, &BTreeSet::new()).await
    }

    /// As many as `limit` of the records with due intents that are none of the `known`.
    async fn gather_beside(
        &self,
        system: &SystemName,
        shares: Shares,
        limit: usize,
        known: &BTreeSet<RecordId>,
    ) -> Result<Vec<(u32, Record)>, EngineError> {
        let due = self.store.due_intents(system, shares, self.clock.now(), limit + known.len()).await?;
        let due: Vec<DueIntent> =
            due.into_iter().filter(|due| !known.contains(&due.record)).take(limit).collect();
        let ids: Vec<RecordId> = due.iter().map(|due| due.record.clone()).collect();
        let records = self.store.load(&ids).await?;
        Ok(due.into_iter().zip(records).filter_map(|(due, record)| Some((due.failures, record?))).collect())
    }

    /// The due intents of one entity, spelled for their system. What has to wait is put off.
    async fn spell(
        &self,
        system: &SystemName,
        entity: &EntityName,
        due: Vec<(u32, Record)>,
        deletes_held: bool,
        done: &mut Dispatched,
    ) -> Result<Vec<Outgoing>, EngineError> {
        let Some(policy) = self.policies.get(entity).filter(|_| !due.is_empty()) else {
            return Ok(Vec::new());
        };
        let is_listed = self.is_listed(system, entity).await? || planted(Mistake::CreateBeforeListing);
        let awaited = match self.has_log(system, entity) {
            true => BTreeSet::new(),
            false => self.about_to_be_read(&due, system).await?,
        };
        let is_repeated =
            self.connector(system).is_some_and(|connector| connector.capabilities(entity).idempotent);
        let mut out = Vec::new();
        let mut waiting = Vec::new();
        for (failures, record) in due {
            let Some(intent) = record.intents.get(system) else { continue };
            if (is_repeated || !intent.is_open()) && awaited.contains(&record.id) {
                // Something hints at a change there. Without a precondition the write, or one that is sent again,
                // would cover it unseen; with one it would be refused.
                continue;
            }
            let outbound = if intent.operation == Operation::Create && !is_listed {
                Outbound::Waits(format!("nothing is created in {system} before it has been listed once"))
            } else if intent.operation == Operation::Delete && deletes_held {
                Outbound::Waits("held by the guard on deletes".to_owned())
            } else {
                self.outbound(policy, &record, system, intent).await?
            };
            match outbound {
                Outbound::Write(write) => out.push(Outgoing {
                    record: record.id.clone(),
                    entity: entity.clone(),
                    failures,
                    status: intent.status,
                    write: *write,
                    contested: Contested {
                        record: record.id.clone(),
                        system: system.clone(),
                        content: content_digest(intent.operation, &intent.fields),
                    },
                    linked: record
                        .live_copy(system)
                        .filter(|_| intent.operation == Operation::Create)
                        .map(|copy| copy.remote_id.clone()),
                    changes_seen: record.vector.get(system),
                    attempt: intent.attempt,
                    is_overtaken: record.vector.get(system) > intent.vector.get(system),
                }),
                Outbound::Waits(reason) => waiting.push((failures, record.id.clone(), reason)),
            }
        }
        self.put_off_intents(system, waiting, done).await?;
        Ok(out)
    }

    /// The records whose copies in this system a signal will have read.
    async fn about_to_be_read(
        &self,
        due: &[(u32, Record)],
        system: &SystemName,
    ) -> Result<BTreeSet<RecordId>, EngineError> {
        let copies: Vec<(&RecordId, CopyKey)> = due
            .iter()
            .filter_map(|(_, record)| {
                let remote_id = record.copies.get(system)?.remote_id.clone();
                let (system, entity) = (system.clone(), record.entity.clone());
                Some((&record.id, CopyKey { system, entity, remote_id }))
            })
            .collect();
        let keys: Vec<CopyKey> = copies.iter().map(|(_, key)| key.clone()).collect();
        let awaited = self.await_reads(&keys).await?;
        let due = copies.into_iter().filter(|(_, key)| awaited.contains(key));
        Ok(due.map(|(id, _)| id.clone()).collect())
    }

    /// These intents wait for something that no retry brings about.
    async fn put_off_intents(
        &self,
        system: &SystemName,
        waiting: Vec<(u32, RecordId, String)>,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        if waiting.is_empty() {
            return Ok(());
        }
        let mut delays = Vec::with_capacity(waiting.len());
        for (failures, record, reason) in waiting {
            delays.push(self.delay(&record, system, failures, None, reason));
            done.put_off.push(record);
        }
        // If it is not stored, they are only looked at again sooner.
        self.store.commit(Commit { delays, ..Commit::default() }).await?;
        Ok(())
    }

    /// More deletes than the guard allows wait for a person.
    async fn deletes_held(&self, system: &SystemName, done: &mut Dispatched) -> Result<bool, EngineError> {
        let guards = &self.settings.guards;
        if guards.deletes_approved.contains(system) || planted(Mistake::IgnoreGuard) {
            return Ok(false);
        }
        let counts = self.store.counts().await?;
        let of = |list: &[(SystemName, u64)]| {
            list.iter().find(|(name, _)| name == system).map_or(0, |(_, count)| *count)
        };
        let (planned, copies) = (of(&counts.deletes), of(&counts.copies));
        let allowed = (copies as f64 * guards.deletes_max_share.clamp(0.0, 1.0)) as u64;
        if planned <= allowed.max(guards.deletes_max) {
            return Ok(false);
        }
        done.held = Some(format!(
            "{planned} deletes wait for {system}, which holds {copies} records: more than the guard allows ({}). \
             Look at them with `avowal status`, then run `avowal sync --approve-deletes {system}`",
            allowed.max(guards.deletes_max)
        ));
        Ok(true)
    }

    async fn send_all(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<Outgoing>,
        turn: &Turn,
        progress: &dyn Progress,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        let most = connector.capabilities(entity).batch_writes_max.clamp(1, 500);
        let abreast = self.abreast(system, &items);
        let may_go_on = || !self.is_paused(system) && !turn.is_over(self.clock.now());
        let mut rest = items;
        let mut sending: BTreeSet<RecordId> = BTreeSet::new();
        let mut batches = 0;
        // Where batches go abreast, more is looked for while they do, so that none has to wait for the slowest.
        let (mut is_looking, mut has_more) = (false, abreast > 1);
        let mut under_way = FuturesUnordered::new();
        let mut failed = None;
        loop {
            while failed.is_none() && batches < abreast && !rest.is_empty() && may_go_on() {
                let room = self.admit(system, rest.len().min(most)).await;
                let batch: Vec<Outgoing> = rest.drain(..room).collect();
                sending.extend(batch.iter().map(|item| item.record.clone()));
                batches += 1;
                under_way.push(self.send_batch(system, entity, batch, turn, progress).left_future());
            }
            if failed.is_none() && has_more && !is_looking && rest.len() < most && may_go_on() {
                let known = rest.iter().map(|item| &item.record).chain(&sending).cloned().collect();
                is_looking = true;
                under_way.push(self.more_updates(system, entity, turn, known).right_future());
            }
            // Those under way are heard to their end in any case.
            let Some(stage) = under_way.next().await else { break };
            match stage {
                Stage::Sent { records, done: sent, result } => {
                    batches -= 1;
                    records.iter().for_each(|record| {
                        sending.remove(record);
                    });
                    done.join(sent);
                    failed = failed.or(result.err());
                }
                Stage::Found { items, done: looked } => {
                    is_looking = false;
                    done.join(looked);
                    match items {
                        Ok(items) => {
                            has_more = !items.is_empty();
                            rest.extend(items);
                        }
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// More updates of the entity that may go out now, beside the `known` ones.
    async fn more_updates(
        &self,
        system: &SystemName,
        entity: &EntityName,
        turn: &Turn,
        known: BTreeSet<RecordId>,
    ) -> Stage {
        let mut done = Dispatched::default();
        let items = self.find_updates(system, entity, turn, &known, &mut done).await;
        Stage::Found { items, done }
    }

    async fn find_updates(
        &self,
        system: &SystemName,
        entity: &EntityName,
        turn: &Turn,
        known: &BTreeSet<RecordId>,
        done: &mut Dispatched,
    ) -> Result<Vec<Outgoing>, EngineError> {
        let limit = self.settings.batch_records_max.min(BATCH_RECORDS_MAX);
        let mut due = self.gather_beside(system, turn.shares, limit, known).await?;
        due.retain(|(_, record)| {
            let intent = record.intents.get(system);
            let is_plain =
                |intent: &Intent| intent.operation == Operation::Update && !intent.status.is_open();
            record.entity == *entity && intent.is_some_and(is_plain)
        });
        let mut items = self.spell(system, entity, due, false, done).await?;
        let now = self.clock.now();
        items.retain(|item| !self.fights().is_hopeless(&item.contested, now));
        Ok(items)
    }

    /// How many batches may be under way at once. Updates concern nobody but their own copies. What is created may be
    /// what another record of the next batch finds there; and a bound on the rate leaves nothing to be gained.
    fn abreast(&self, system: &SystemName, items: &[Outgoing]) -> usize {
        let is_plain = items.iter().all(|item| item.write.operation == Operation::Update);
        if is_plain && !self.limiters.contains_key(system) { ABREAST } else { 1 }
    }

    /// Takes one batch through its stages.
    async fn send_batch(
        &self,
        system: &SystemName,
        entity: &EntityName,
        batch: Vec<Outgoing>,
        turn: &Turn,
        progress: &dyn Progress,
    ) -> Stage {
        let records = batch.iter().map(|item| item.record.clone()).collect();
        let mut done = Dispatched::default();
        let result = match self.mark_sent(system, batch, &mut done).await {
            Ok(marked) => self.write_batch(system, entity, marked, turn, &mut done).await,
            Err(error) => Err(error),
        };
        progress.tell(Step::Wrote { system: system.clone(), confirmed: done.written });
        Stage::Sent { records, done, result }
    }

    /// How many writes may go out now; waits until at least one may.
    async fn admit(&self, system: &SystemName, wanted: usize) -> usize {
        let limiter = self.limiters.get(system).filter(|_| !planted(Mistake::IgnoreRate));
        let Some(limiter) = limiter else { return wanted };
        loop {
            let (taken, wait_ms) = {
                let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
                limiter.take(wanted, self.clock.now())
            };
            if taken > 0 {
                return taken;
            }
            self.clock.sleep(wait_ms).await;
        }
    }

    /// Records that the writes go out, before they do: a crash from here on leaves an unknown outcome, not a lost one.
    async fn mark_sent(
        &self,
        system: &SystemName,
        items: Vec<Outgoing>,
        done: &mut Dispatched,
    ) -> Result<Vec<Outgoing>, EngineError> {
        for _ in 0..MARK_TRIES_MAX {
            let (attempts, records) = self.marks(system, &items).await?;
            let Some(first) = records.first() else { return Ok(Vec::new()) };
            let (probe, head) = (first.state.id.clone(), first.state.head);
            let events = records.len() as u64;
            let stored = match self.store.commit(Commit { records, ..Commit::default() }).await? {
                CommitOutcome::Committed => true,
                CommitOutcome::Unknown { reason } => {
                    tracing::warn!(%system, %reason, "a commit's outcome is unknown; looking");
                    let state = self.store.load(std::slice::from_ref(&probe)).await?.pop().flatten();
                    state.is_some_and(|state| state.head == head)
                }
                CommitOutcome::Conflict { what } => {
                    // Somebody decided about one of them in between; the others need not wait for it.
                    tracing::debug!(%system, %what, "not sent; looking again");
                    false
                }
                CommitOutcome::Duplicate { .. } => false,
            };
            if stored {
                done.events += events;
                let keep = |(at, item)| Some(Outgoing { attempt: *attempts.get(&at)?, ..item });
                return Ok(items.into_iter().enumerate().filter_map(keep).collect());
            }
        }
        Ok(Vec::new())
    }

    /// The items that may still go out as they are, by their places with the number of the attempt, and what marks
    /// them as sent.
    async fn marks(
        &self,
        system: &SystemName,
        items: &[Outgoing],
    ) -> Result<(BTreeMap<usize, u32>, Vec<RecordCommit>), EngineError> {
        let mut attempts = BTreeMap::new();
        let mut commits = Vec::new();
        for (at, (item, record)) in items.iter().zip(self.states(items).await?).enumerate() {
            let Some(record) = record else { continue };
            // The difference may have changed since it was spelled; then the next round sends the new one.
            let intent = record.intents.get(system).filter(|intent| {
                intent.key == item.write.key && intent.status == item.status && intent.attempt == item.attempt
            });
            let Some(attempt) = intent.map(|intent| intent.attempt.saturating_add(1)) else { continue };
            let mut chronicle = Chronicle::new(record, self.own_context(item), self.clock.now());
            if send(&mut chronicle, system) {
                commits.push(self.record_commit(chronicle));
                attempts.insert(at, attempt);
            }
        }
        Ok((attempts, commits))
    }

    async fn write_batch(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<Outgoing>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        // A worker that was stopped after marking them must not send what another may be settling by now.
        if items.is_empty() || !turn.is_ours() {
            return Ok(());
        }
        done.tried += items.len() as u64;
        let writes: Vec<Write> = items.iter().map(|item| item.write.clone()).collect();
        let asked_at = self.clock.now();
        let mut outcomes = connector.write(entity, &writes).await;
        // A connector that answers too little leaves the rest unknown.
        outcomes.resize_with(items.len(), || WriteOutcome::Unknown { reason: "no answer".to_owned() });
        let endings = self.endings(system, entity, &items, outcomes).await?;
        self.end_all(system, entity, Ended { items: &items, endings, asked_at }, turn, done).await
    }

    /// What each outcome means, with the copy's contents afterwards where the system did not tell.
    async fn endings(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: &[Outgoing],
        outcomes: Vec<WriteOutcome>,
    ) -> Result<Vec<Ending>, EngineError> {
        let mut unread: Vec<usize> = Vec::new();
        let mut endings: Vec<Ending> = Vec::with_capacity(items.len());
        for (at, (item, outcome)) in items.iter().zip(outcomes).enumerate() {
            let ending = Ending::of(outcome, item.write.operation).heard(item.status);
            if ending.wants_read(item.write.operation) {
                unread.push(at);
            }
            endings.push(ending);
        }
        let ids: Vec<_> = unread
            .iter()
            .filter_map(|at| endings[*at].copy_id().cloned().or_else(|| items[*at].write.id.clone()))
            .collect();
        if ids.is_empty() || ids.len() != unread.len() {
            return Ok(endings);
        }
        // Where they cannot be read, the writes stand as the system said.
        let changes = match self.read_copies(system, entity, &ids).await {
            Ok(changes) => changes,
            Err(error) => {
                tracing::debug!(%system, %error, "reading back failed");
                return Ok(endings);
            }
        };
        for (at, change) in unread.into_iter().zip(changes) {
            let is_confirmed = matches!(endings[at], Ending::Confirmed { .. });
            // What it just confirmed it cannot lack; its reads lag behind, or somebody was quick. A later look tells.
            if !(is_confirmed && change.shown == Shown::Gone) {
                endings[at].set_copy(change);
            }
        }
        Ok(endings)
    }

    /// Learns the outcome of writes that nobody knows: by sending them again where a key makes that harmless,
    /// otherwise by reading or looking up what stands there.
    async fn settle(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<Outgoing>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        if items.is_empty() {
            return Ok(());
        }
        let capabilities = connector.capabilities(entity);
        let (moot, items): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.linked.is_some());
        self.settle_moot(system, entity, moot, turn, done).await?;
        if items.is_empty() {
            return Ok(());
        }
        // What was planned before the system's last change would be sent over that change now.
        let can_repeat = |item: &Outgoing| {
            (capabilities.idempotent && !(item.is_overtaken && item.write.operation != Operation::Create))
                || planted(Mistake::ResendWithoutLook)
        };
        let (mut rest, items): (Vec<_>, Vec<_>) = items.into_iter().partition(can_repeat);
        let most = capabilities.batch_writes_max.clamp(1, 500);
        while !rest.is_empty() && !self.is_paused(system) && !turn.is_over(self.clock.now()) {
            let room = self.admit(system, rest.len().min(most)).await;
            let batch: Vec<Outgoing> = rest.drain(..room).collect();
            let batch = self.take_over(system, batch, done).await?;
            self.write_batch(system, entity, batch, turn, done).await?;
        }
        if items.is_empty() {
            return Ok(());
        }
        done.tried += items.len() as u64;
        let asked_at = self.clock.now();
        let mut endings = Vec::new();
        for item in &items {
            endings.push(match item.status {
                IntentStatus::Planned | IntentStatus::Unknown => {
                    self.look_up(system, entity, &item.write).await?
                }
                // Whoever sent it is gone, but the request may still be under way: it gets time to arrive.
                IntentStatus::Sent => {
                    Ending::StillUnknown { reason: "the run ended before the answer came".to_owned() }
                }
            });
        }
        self.end_all(system, entity, Ended { items: &items, endings, asked_at }, turn, done).await
    }

    /// Creates whose record has been linked with a copy meanwhile: whether they made that one or none, nothing is
    /// left to create. Sent again, they might make another.
    async fn settle_moot(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<Outgoing>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let ids: Vec<RemoteId> = items.iter().filter_map(|item| item.linked.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        done.tried += items.len() as u64;
        let asked_at = self.clock.now();
        let copies = self.read_copies(system, entity, &ids).await?;
        let endings = copies.into_iter().map(|copy| Ending::ReadBack { copy }).collect();
        self.end_all(system, entity, Ended { items: &items, endings, asked_at }, turn, done).await
    }

    /// Whoever sent these is gone, or was stopped and may come back: a new attempt is recorded before anything is
    /// sent again, so that a late finisher has no say in how it ends. Where the outcome is recorded as unknown, its
    /// sender has said all it knows.
    async fn take_over(
        &self,
        system: &SystemName,
        items: Vec<Outgoing>,
        done: &mut Dispatched,
    ) -> Result<Vec<Outgoing>, EngineError> {
        let (left, mut open): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| item.status == IntentStatus::Sent);
        open.extend(self.mark_sent(system, left, done).await?);
        Ok(open)
    }

    async fn look_up(
        &self,
        system: &SystemName,
        entity: &EntityName,
        write: &Write,
    ) -> Result<Ending, EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(Ending::NotDone) };
        if let (Operation::Update | Operation::Delete, Some(id)) = (write.operation, &write.id) {
            let copy = self.read_copies(system, entity, std::slice::from_ref(id)).await?.pop();
            return Ok(copy.map_or(Ending::NotDone, |copy| Ending::ReadBack { copy }));
        }
        if planted(Mistake::DoubleCreateAfterTimeout) {
            return Ok(Ending::NotDone);
        }
        if !connector.capabilities(entity).searchable || write.lookup.is_empty() {
            let reason =
                format!("{system} cannot be searched, so nobody can tell whether the record was created");
            return Ok(Ending::StillUnknown { reason });
        }
        for fields in &write.lookup {
            let found = connector.find(entity, fields).await.map_err(|error| self.failed(system, error))?;
            let present: Vec<Change> =
                found.into_iter().filter(|copy| matches!(copy.shown, Shown::Present(_))).collect();
            if let Some(copy) = present.into_iter().next() {
                return Ok(Ending::Found { copy });
            }
        }
        Ok(Ending::NotDone)
    }

    pub(crate) fn own_context(&self, item: &Outgoing) -> Context {
        let policy: Option<&Arc<EntityPolicy>> = self.policies.get(&item.entity);
        Context {
            source: None,
            actor: None,
            policy: policy.map(|policy| policy.short_digest()),
            correlation: Some(item.write.key.clone()),
            occurred_at: None,
            received_at: self.clock.now(),
        }
    }

    pub(crate) fn delay(
        &self,
        record: &RecordId,
        system: &SystemName,
        failures: u32,
        after_ms: Option<u64>,
        reason: String,
    ) -> IntentDelay {
        let wait = after_ms.map_or_else(|| self.backoff_ms(failures), |ms| ms.min(RETRY_AFTER_MS_MAX));
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        IntentDelay {
            record: record.clone(),
            system: system.clone(),
            not_before: self.clock.now().plus_millis(wait),
            failures: failures + 1,
            reason,
        }
    }

    /// The present states of the records of these items, in order.
    pub(crate) async fn states(&self, items: &[Outgoing]) -> Result<Vec<Option<Record>>, EngineError> {
        let ids: Vec<RecordId> = items.iter().map(|item| item.record.clone()).collect();
        Ok(self.store.load(&ids).await?)
    }
}
