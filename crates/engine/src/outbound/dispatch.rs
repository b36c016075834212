//! What is due for a system is gathered, spelled for it, and handed on: to `settle` where an outcome is open, to `send`
//! otherwise.

use crate::inbound::translate::Outbound;
use crate::outbound::ending::Ending;
use crate::outbound::endings::Ended;
use crate::outbound::flapping::WrittenContent;
use crate::ports::bucket::Shares;
use crate::ports::connector::Write;
use crate::ports::lanes::Claim;
use crate::ports::store::{Commit, Due, DueIntent, IntentDelay};
use crate::run::engine::{Engine, EngineError};
use crate::run::progress::Progress;
use crate::run::turns::Taken;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::Context;
use avowal_core::planted::{Mistake, planted};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::intent::content_digest;
use avowal_core::record::intent::{IntentStatus, Operation};
use avowal_core::record::{CopyKey, Record};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The right to work on a system's intents, for a while.
pub(crate) struct Turn {
    claim: Claim,
    shares: Shares,
    began: Timestamp,
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
pub(crate) struct OutgoingWrite {
    pub(crate) record: RecordId,
    pub(crate) entity: EntityName,
    pub(crate) failures: u32,
    pub(crate) status: IntentStatus,
    pub(crate) write: Write,
    /// What the write would leave in which copy.
    pub(crate) written_content: WrittenContent,
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

impl Turn {
    /// Whether the right to go on is still certain. What is not recorded by then is found by the next who claims it.
    pub(crate) fn is_ours(&self) -> bool {
        self.claim.is_firm()
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        !self.is_ours() || now.millis().saturating_sub(self.began.millis()) > TURN_MS_MAX
    }
}

impl Dispatched {
    pub(crate) fn join(&mut self, other: Dispatched) {
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
        let mut due = self.gather(system, turn, &BTreeSet::new()).await?;
        let has_deletes = due.iter().any(|(_, record)| {
            record.intents.get(system).is_some_and(|intent| intent.operation == Operation::Delete)
        });
        let deletes_held = has_deletes && self.deletes_held(system, done).await?;
        // Referents first, so that what refers to them can follow in the same round.
        for entity in self.entities_of(system) {
            let (mine, rest) = due.into_iter().partition(|(_, record)| record.entity == entity);
            due = rest;
            let items = self.prepare_writes(system, &entity, mine, deletes_held, done).await?;
            let (fresh, open): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| !item.status.is_open());
            self.resolve_unknown(system, &entity, open, turn, done).await?;
            let now = self.clock.now();
            let (flapping, fresh): (Vec<_>, Vec<_>) =
                fresh.into_iter().partition(|item| self.flapping().is_flapping(&item.written_content, now));
            self.quarantine_flapping(system, &entity, flapping, turn, done).await?;
            // Whatever else is due goes out before more of these is looked for.
            let is_last = due.is_empty();
            self.send_all(system, &entity, (fresh, is_last), turn, progress, done).await?;
        }
        let unmapped = "the configuration does not map its entity in this system any more";
        let orphans = due.into_iter().map(|(failures, record)| (failures, record.id, unmapped.to_owned()));
        self.put_off_intents(system, orphans.collect(), done).await
    }

    /// The same content was written again and again, and each time the system changed it back: a person parts them.
    async fn quarantine_flapping(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<OutgoingWrite>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        if items.is_empty() {
            return Ok(());
        }
        let reason = |item: &OutgoingWrite| {
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

    /// A batch of the records with due intents, with how often each has failed; none of the `known` ones.
    pub(crate) async fn gather(
        &self,
        system: &SystemName,
        turn: &Turn,
        known: &BTreeSet<RecordId>,
    ) -> Result<Vec<(u32, Record)>, EngineError> {
        let limit = self.settings.batch_records_max;
        let due = self.store.due_intents(system, turn.shares, self.clock.now(), limit + known.len()).await?;
        let due: Vec<DueIntent> =
            due.into_iter().filter(|due| !known.contains(&due.record)).take(limit).collect();
        let ids: Vec<RecordId> = due.iter().map(|due| due.record.clone()).collect();
        let records = self.store.load(&ids).await?;
        Ok(due.into_iter().zip(records).filter_map(|(due, record)| Some((due.failures, record?))).collect())
    }

    /// The due intents of one entity, spelled for their system. What has to wait is put off.
    pub(crate) async fn prepare_writes(
        &self,
        system: &SystemName,
        entity: &EntityName,
        due: Vec<(u32, Record)>,
        deletes_held: bool,
        done: &mut Dispatched,
    ) -> Result<Vec<OutgoingWrite>, EngineError> {
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
                Outbound::Write(write) => out.push(OutgoingWrite {
                    record: record.id.clone(),
                    entity: entity.clone(),
                    failures,
                    status: intent.status,
                    write: *write,
                    written_content: WrittenContent {
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
        let of = |list: &[(SystemName, u64)]| {
            list.iter().find(|(name, _)| name == system).map_or(0, |(_, count)| *count)
        };
        let planned = of(&self.store.open_counts().await?.deletes);
        if planned <= guards.deletes_max {
            return Ok(false);
        }
        let copies = of(&self.store.counts().await?.copies);
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

    pub(crate) fn own_context(&self, item: &OutgoingWrite) -> Context {
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
    pub(crate) async fn states(&self, items: &[OutgoingWrite]) -> Result<Vec<Option<Record>>, EngineError> {
        let ids: Vec<RecordId> = items.iter().map(|item| item.record.clone()).collect();
        Ok(self.store.load(&ids).await?)
    }
}
