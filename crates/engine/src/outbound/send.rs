//! Fresh writes go out in batches: marked durably as sent, written, and what came of them recorded.

use crate::outbound::dispatch::{Dispatched, OutgoingWrite, Turn};
use crate::outbound::ending::Ending;
use crate::outbound::endings::Ended;
use crate::ports::connector::{RemoteState, Write, WriteOutcome};
use crate::ports::store::{Commit, CommitOutcome, RecordCommit};
use crate::run::engine::{Engine, EngineError};
use crate::run::progress::{Progress, Step};
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::history::chronicle::Chronicle;
use avowal_core::outgoing::confirm::send;
use avowal_core::planted::{Mistake, planted};
use avowal_core::record::intent::{Intent, Operation};
use futures::StreamExt as _;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// How many batches of updates go through their stages side by side: while one is written, the store records another.
const ABREAST: usize = 3;

/// How often a batch is marked as sent anew when one of its records changed under it.
const MARK_TRIES_MAX: u32 = 5;

/// What has come to an end while writes go out.
enum Stage {
    /// A batch.
    Sent { records: Vec<RecordId>, done: Dispatched, result: Result<(), EngineError> },
    /// The search for more.
    Found { items: Result<Found, EngineError>, done: Dispatched },
}

/// What a search for more has found.
struct Found {
    items: Vec<OutgoingWrite>,
    /// Whether more of the kind may be due, and nothing else waits.
    has_more: bool,
}

/// The place of a batch among those that go abreast.
#[derive(Default)]
pub(crate) struct BatchOrder {
    /// Ends when the batch before it has been written.
    before: Option<oneshot::Receiver<()>>,
    /// Dropped when it has been written itself.
    written: Option<oneshot::Sender<()>>,
}

/// Writes of one entity on their way to one system.
struct Sending<'a> {
    engine: &'a Engine,
    system: &'a SystemName,
    entity: &'a EntityName,
    turn: &'a Turn,
    progress: &'a dyn Progress,
    /// How many writes one call carries, at most.
    most: usize,
    /// How many batches may be under way.
    abreast: usize,
    /// What has not gone out yet.
    rest: Vec<OutgoingWrite>,
    /// The records of the batches under way.
    sending: BTreeSet<RecordId>,
    batches: usize,
    is_looking: bool,
    /// Whether looking for more may find something.
    has_more: bool,
    /// Ends when the last batch that has begun has been written.
    written: Option<oneshot::Receiver<()>>,
    failed: Option<EngineError>,
    under_way: FuturesUnordered<BoxFuture<'a, Stage>>,
}

impl Engine {
    /// Sends all of these, as far as the turn allows; where batches may go abreast and nothing else waits, also what has
    /// become due since.
    pub(crate) async fn send_all(
        &self,
        system: &SystemName,
        entity: &EntityName,
        (items, is_last): (Vec<OutgoingWrite>, bool),
        turn: &Turn,
        progress: &dyn Progress,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system).filter(|_| !items.is_empty()) else { return Ok(()) };
        let abreast = self.abreast(system, &items);
        let mut sending = Sending {
            engine: self,
            system,
            entity,
            turn,
            progress,
            most: connector.capabilities(entity).batch_writes_max.clamp(1, 500),
            abreast,
            rest: items,
            sending: BTreeSet::new(),
            batches: 0,
            is_looking: false,
            has_more: abreast > 1 && is_last,
            written: None,
            failed: None,
            under_way: FuturesUnordered::new(),
        };
        loop {
            sending.go_on().await;
            // Those under way are heard to their end in any case.
            match sending.under_way.next().await {
                Some(stage) => done.join(sending.hear(stage)),
                None => return sending.failed.map_or(Ok(()), Err),
            }
        }
    }

    /// How many batches may be under way at once. Of updates some may, each written after the one before it, for a value
    /// that must be unique may go from one row to another. What is created may be what a record of the next batch finds
    /// there; and a bound on the rate leaves nothing to be gained.
    fn abreast(&self, system: &SystemName, items: &[OutgoingWrite]) -> usize {
        let is_plain = items.iter().all(|item| item.write.operation == Operation::Update);
        if is_plain && !self.limiters.contains_key(system) { ABREAST } else { 1 }
    }

    /// Takes one batch through its stages.
    async fn send_batch(
        &self,
        system: &SystemName,
        entity: &EntityName,
        (batch, place): (Vec<OutgoingWrite>, BatchOrder),
        turn: &Turn,
        progress: &dyn Progress,
    ) -> Stage {
        let records = batch.iter().map(|item| item.record.clone()).collect();
        let mut done = Dispatched::default();
        let result = match self.mark_sent(system, batch, &mut done).await {
            Ok(marked) => self.write_batch(system, entity, (marked, place), turn, &mut done).await,
            Err(error) => Err(error),
        };
        progress.tell(Step::Wrote { system: system.clone(), confirmed: done.written });
        Stage::Sent { records, done, result }
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
    ) -> Result<Found, EngineError> {
        let mut due = self.gather(system, turn, known).await?;
        let found = due.len();
        due.retain(|(_, record)| {
            let intent = record.intents.get(system);
            let is_plain =
                |intent: &Intent| intent.operation == Operation::Update && !intent.status.is_open();
            record.entity == *entity && intent.is_some_and(is_plain)
        });
        // The next turn begins with what is none of these.
        let has_others = due.len() < found;
        let mut items = self.prepare_writes(system, entity, due, false, done).await?;
        let now = self.clock.now();
        items.retain(|item| !self.flapping().is_flapping(&item.written_content, now));
        Ok(Found { has_more: !has_others && !items.is_empty(), items })
    }

    /// How many writes may go out now; waits until at least one may.
    pub(crate) async fn admit(&self, system: &SystemName, wanted: usize) -> usize {
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
    pub(crate) async fn mark_sent(
        &self,
        system: &SystemName,
        items: Vec<OutgoingWrite>,
        done: &mut Dispatched,
    ) -> Result<Vec<OutgoingWrite>, EngineError> {
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
                let keep = |(at, item)| Some(OutgoingWrite { attempt: *attempts.get(&at)?, ..item });
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
        items: &[OutgoingWrite],
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

    pub(crate) async fn write_batch(
        &self,
        system: &SystemName,
        entity: &EntityName,
        (items, mut place): (Vec<OutgoingWrite>, BatchOrder),
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        if let Some(before) = place.before.take() {
            // Also if it has come to nothing.
            let _ = before.await;
        }
        // A worker that was stopped after marking them must not send what another may be settling by now.
        if items.is_empty() || !turn.is_ours() {
            return Ok(());
        }
        done.tried += items.len() as u64;
        let writes: Vec<Write> = items.iter().map(|item| item.write.clone()).collect();
        let asked_at = self.clock.now();
        let mut outcomes = match self.pause_left_ms(system) {
            None => connector.write(entity, &writes).await,
            // The batch before it has been told to pause: this one has not gone out.
            Some(ms) => {
                let reason = format!("{system} has asked for a pause");
                vec![WriteOutcome::Retry { after_ms: Some(ms), reason }; writes.len()]
            }
        };
        self.apply_pauses(system, outcomes.iter().filter_map(asked_pause_ms));
        drop(place.written.take());
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
        items: &[OutgoingWrite],
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
            if !(is_confirmed && change.shown == RemoteState::Gone) {
                endings[at].set_copy(change);
            }
        }
        Ok(endings)
    }
}

impl Sending<'_> {
    /// Begins whatever may begin now.
    async fn go_on(&mut self) {
        let (engine, system, entity, turn, progress) =
            (self.engine, self.system, self.entity, self.turn, self.progress);
        while self.may_go_on() && self.batches < self.abreast && !self.rest.is_empty() {
            let room = engine.admit(system, self.rest.len().min(self.most)).await;
            let batch: Vec<OutgoingWrite> = self.rest.drain(..room).collect();
            self.sending.extend(batch.iter().map(|item| item.record.clone()));
            self.batches += 1;
            let (written, is_written) = oneshot::channel();
            let place = BatchOrder { before: self.written.replace(is_written), written: Some(written) };
            self.under_way.push(Box::pin(engine.send_batch(system, entity, (batch, place), turn, progress)));
        }
        // None of the batches has to wait for the slowest: more is looked for in time.
        if self.may_go_on() && self.has_more && !self.is_looking && self.rest.len() < self.most {
            let known = self.rest.iter().map(|item| &item.record).chain(&self.sending).cloned().collect();
            self.is_looking = true;
            self.under_way.push(Box::pin(engine.more_updates(system, entity, turn, known)));
        }
    }

    fn may_go_on(&self) -> bool {
        let is_over = || self.turn.is_over(self.engine.clock.now());
        self.failed.is_none() && !self.engine.is_paused(self.system) && !is_over()
    }

    /// Takes in what has come to an end. Answers what was done.
    fn hear(&mut self, stage: Stage) -> Dispatched {
        let (done, error) = match stage {
            Stage::Sent { records, done, result } => {
                self.batches -= 1;
                records.iter().for_each(|record| {
                    self.sending.remove(record);
                });
                (done, result.err())
            }
            Stage::Found { items, done } => {
                self.is_looking = false;
                let (found, error) = match items {
                    Ok(found) => (found, None),
                    Err(error) => (Found { items: Vec::new(), has_more: false }, Some(error)),
                };
                self.has_more = found.has_more;
                self.rest.extend(found.items);
                (done, error)
            }
        };
        self.failed = self.failed.take().or(error);
        done
    }
}

/// For how long a system has asked not to be written to, in milliseconds.
fn asked_pause_ms(outcome: &WriteOutcome) -> Option<u64> {
    match outcome {
        WriteOutcome::Retry { after_ms, .. } => *after_ms,
        WriteOutcome::Confirmed { .. }
        | WriteOutcome::Conflict { .. }
        | WriteOutcome::Exists { .. }
        | WriteOutcome::Missing
        | WriteOutcome::Rejected { .. }
        | WriteOutcome::Unknown { .. } => None,
    }
}
