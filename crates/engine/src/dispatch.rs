//! Intents go out: marked durably as sent, written, and confirmed by the system's own word.

use crate::connector::{Change, Shown, Write, WriteOutcome};
use crate::engine::{Engine, EngineError};
use crate::outcome::Ending;
use crate::progress::{Progress, Step, SystemReport};
use crate::store::{BATCH_RECORDS_MAX, Commit, CommitOutcome, IntentDelay};
use crate::translate::Outbound;
use avowal_core::chronicle::Chronicle;
use avowal_core::confirm::send;
use avowal_core::history::Context;
use avowal_core::ids::{EntityName, RecordId, SystemName};
use avowal_core::intent::{IntentStatus, Operation};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// What one round of dispatch did.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Dispatched {
    /// Intents that were worked on.
    pub(crate) tried: u64,
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
}

impl Engine {
    /// Works on the intents to one system that are due, once.
    pub(crate) async fn dispatch(
        &self,
        system: &SystemName,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Dispatched, EngineError> {
        let mut done = Dispatched::default();
        let Some(lock) = self.dispatching.get(system) else { return Ok(done) };
        let _one_dispatcher = lock.lock().await;
        let due = self.gather(system, &mut done).await?;
        let mut by_entity: BTreeMap<EntityName, Vec<Outgoing>> = BTreeMap::new();
        due.into_iter().for_each(|item| by_entity.entry(item.entity.clone()).or_default().push(item));
        for (entity, items) in by_entity {
            let (fresh, open): (Vec<_>, Vec<_>) =
                items.into_iter().partition(|item| item.status == IntentStatus::Planned);
            self.settle(system, &entity, open, report, &mut done).await?;
            self.send_all(system, &entity, fresh, report, progress, &mut done).await?;
        }
        Ok(done)
    }

    /// The due intents, spelled for their system. What has to wait is put off.
    async fn gather(&self, system: &SystemName, done: &mut Dispatched) -> Result<Vec<Outgoing>, EngineError> {
        let limit = self.settings.batch_records_max.min(BATCH_RECORDS_MAX);
        let due = self.store.due_intents(system, self.clock.now(), limit).await?;
        let ids: Vec<RecordId> = due.iter().map(|due| due.record.clone()).collect();
        let records = self.store.load(&ids).await?;
        let mut listed: BTreeMap<EntityName, bool> = BTreeMap::new();
        let mut out = Vec::new();
        let mut delays = Vec::new();
        let has_deletes = records.iter().flatten().any(|record| {
            record.intents.get(system).is_some_and(|intent| intent.operation == Operation::Delete)
        });
        let deletes_held = has_deletes && self.deletes_held(system, done).await?;
        for (due, record) in due.into_iter().zip(records) {
            let Some((record, policy)) = record.and_then(|record| {
                let policy = self.policies.get(&record.entity)?.clone();
                Some((record, policy))
            }) else {
                continue;
            };
            let Some(intent) = record.intents.get(system) else { continue };
            if !listed.contains_key(&record.entity) {
                let is_listed = self.is_listed(system, &record.entity).await?;
                listed.insert(record.entity.clone(), is_listed);
            }
            let waits = if intent.operation == Operation::Create && listed.get(&record.entity) != Some(&true)
            {
                Some(format!("nothing is created in {system} before it has been listed once"))
            } else if intent.operation == Operation::Delete && deletes_held {
                Some("held by the guard on deletes".to_owned())
            } else {
                None
            };
            let outbound = match waits {
                Some(reason) => Outbound::Waits(reason),
                None => self.outbound(&policy, &record, system, intent).await?,
            };
            match outbound {
                Outbound::Write(write) => out.push(Outgoing {
                    record: record.id.clone(),
                    entity: record.entity.clone(),
                    failures: due.failures,
                    status: intent.status,
                    write: *write,
                }),
                Outbound::Waits(reason) => {
                    done.put_off.push(record.id.clone());
                    delays.push(self.delay(&record.id, system, due.failures, None, reason));
                }
            }
        }
        if !delays.is_empty() {
            self.store.commit(Commit { delays, ..Commit::default() }).await?;
        }
        Ok(out)
    }

    /// More deletes than the guard allows wait for a person.
    async fn deletes_held(&self, system: &SystemName, done: &mut Dispatched) -> Result<bool, EngineError> {
        let guards = &self.settings.guards;
        if guards.deletes_approved.contains(system) {
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
        report: &mut SystemReport,
        progress: &dyn Progress,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        let most = connector.capabilities(entity).batch_writes_max.clamp(1, 500);
        let mut rest = items;
        while !rest.is_empty() {
            let room = self.admit(system, rest.len().min(most)).await;
            let batch: Vec<Outgoing> = rest.drain(..room).collect();
            let marked = self.mark_sent(system, batch, done).await?;
            let before = report.written;
            self.write_batch(system, entity, marked, report, done).await?;
            progress.tell(Step::Wrote { system: system.clone(), confirmed: report.written - before });
        }
        Ok(())
    }

    /// How many writes may go out now; waits until at least one may.
    async fn admit(&self, system: &SystemName, wanted: usize) -> usize {
        let Some(limiter) = self.limiters.get(system) else { return wanted };
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
        let ids: Vec<RecordId> = items.iter().map(|item| item.record.clone()).collect();
        let records = self.store.load(&ids).await?;
        let mut marked = Vec::new();
        let mut commits = Vec::new();
        for (item, record) in items.into_iter().zip(records) {
            let Some(record) = record else { continue };
            let current = record.intents.get(system);
            // The difference may have changed since it was gathered; then the next round sends the new one.
            if current
                .is_none_or(|intent| intent.key != item.write.key || intent.status != IntentStatus::Planned)
            {
                continue;
            }
            let mut chronicle = Chronicle::new(record, self.own_context(&item), self.clock.now());
            if send(&mut chronicle, system) {
                done.events += 1;
                commits.push(self.record_commit(chronicle));
                marked.push(item);
            }
        }
        if marked.is_empty() {
            return Ok(marked);
        }
        match self.store.commit(Commit { records: commits, ..Commit::default() }).await? {
            CommitOutcome::Committed => Ok(marked),
            CommitOutcome::Conflict { what } | CommitOutcome::Unknown { reason: what } => {
                // Somebody decided about one of them in between: nothing goes out, the next round looks again.
                tracing::debug!(%system, %what, "not sent");
                Ok(Vec::new())
            }
            CommitOutcome::Duplicate { .. } => Ok(Vec::new()),
        }
    }

    async fn write_batch(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<Outgoing>,
        report: &mut SystemReport,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        if items.is_empty() {
            return Ok(());
        }
        done.tried += items.len() as u64;
        let writes: Vec<Write> = items.iter().map(|item| item.write.clone()).collect();
        let mut outcomes = connector.write(entity, &writes).await;
        // A connector that answers too little leaves the rest unknown.
        outcomes.resize_with(items.len(), || WriteOutcome::Unknown { reason: "no answer".to_owned() });
        let endings = self.endings(system, entity, &items, outcomes).await?;
        self.end_all(system, entity, &items, endings, report, done).await
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
            let ending = Ending::of(outcome, item.write.operation);
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
        match self.read_copies(system, entity, &ids).await {
            Ok(changes) => {
                for (at, change) in unread.into_iter().zip(changes) {
                    endings[at].set_copy(change);
                }
            }
            // The write stands as the system said; the feed or the next read shows the contents.
            Err(error) => tracing::debug!(%system, %error, "read-back failed"),
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
        report: &mut SystemReport,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        if items.is_empty() {
            return Ok(());
        }
        if connector.capabilities(entity).idempotent {
            for batch in chunks(items, 500) {
                self.write_batch(system, entity, batch, report, done).await?;
            }
            return Ok(());
        }
        done.tried += items.len() as u64;
        let mut endings = Vec::new();
        for item in &items {
            endings.push(self.look_up(system, entity, &item.write).await?);
        }
        self.end_all(system, entity, &items, endings, report, done).await
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
        let wait =
            after_ms.unwrap_or_else(|| self.backoff_ms(failures)).min(self.settings.backoff_max_ms.max(1));
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

fn chunks(items: Vec<Outgoing>, most: usize) -> Vec<Vec<Outgoing>> {
    let mut out: Vec<Vec<Outgoing>> = Vec::new();
    for item in items {
        match out.last_mut() {
            Some(last) if last.len() < most => last.push(item),
            Some(_) | None => out.push(vec![item]),
        }
    }
    out
}
