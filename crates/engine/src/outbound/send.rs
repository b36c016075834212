//! Fresh writes are sent in batches. Batches of updates overlap: while one is written, the store records another.

use crate::outbound::change_guard::are_changes_held;
use crate::outbound::fights::flapping_apart;
use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::prepare::{Held, due_records, prepare_writes};
use crate::outbound::reserve::reserve;
use crate::outbound::turn::{Dispatched, Target};
use crate::outbound::write::{BatchOrder, admit, mark_sent, write_batch};
use crate::parts::budget::BudgetUse;
use crate::parts::error::EngineError;
use crate::parts::progress::Step;
use crate::parts::stops::is_stopped;
use crate::ports::store::Direction;
use avowal_core::data::ids::RecordId;
use avowal_core::record::intent::{Intent, Operation};
use futures::StreamExt as _;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::BTreeSet;

/// How many batches of updates go through their stages side by side.
const ABREAST: usize = 3;

/// Sends all of these, as far as the turn allows. Where batches may overlap and these are the last of the turn
/// (`is_last`), it also sends what has become due since.
pub(crate) async fn send_all(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
    is_last: bool,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    if items.is_empty() {
        return Ok(());
    }
    let abreast = abreast(target, &items);
    let mut sending = Sending {
        target,
        most: target.batch_writes_max(),
        abreast,
        rest: items,
        sending: BTreeSet::new(),
        batches: 0,
        is_looking: false,
        has_more: abreast > 1 && is_last,
        written: None,
        failed: None,
        stopped: false,
        used_up: None,
        under_way: FuturesUnordered::new(),
    };
    loop {
        sending.go_on().await;
        // Those under way are finished in any case.
        match sending.under_way.next().await {
            Some(stage) => done.join(sending.stage_ended(stage)),
            None => {
                done.used_up = done.used_up.take().or(sending.used_up);
                return sending.failed.map_or(Ok(()), Err);
            }
        }
    }
}

/// How many batches may be under way at once. Several batches of updates may be, each written after the one before
/// it, for a value that must be unique may move from one row to another. Creates may not: a copy that one batch
/// creates may be what a record of the next batch finds. And where the rate is limited, nothing would be gained.
fn abreast(target: Target<'_>, items: &[OutgoingWrite]) -> usize {
    let is_plain = items.iter().all(|item| item.write.operation == Operation::Update);
    let is_limited = target.parts.systems.limiter(target.system).is_some();
    if is_plain && !is_limited { ABREAST } else { 1 }
}

/// Writes of one entity on their way to one system.
struct Sending<'a> {
    target: Target<'a>,
    /// How many writes one call carries, at most.
    most: usize,
    /// How many batches may be under way.
    abreast: usize,
    /// The writes that have not been sent yet.
    rest: Vec<OutgoingWrite>,
    /// The records of the batches under way.
    sending: BTreeSet<RecordId>,
    /// How many batches are under way.
    batches: usize,
    is_looking: bool,
    /// Whether looking for more may find something.
    has_more: bool,
    /// Ends when the last batch that has begun has been written.
    written: Option<oneshot::Receiver<()>>,
    failed: Option<EngineError>,
    /// Whether somebody has stopped writes to the system since the turn began.
    stopped: bool,
    /// The write budget, where it is used up.
    used_up: Option<BudgetUse>,
    under_way: FuturesUnordered<BoxFuture<'a, Stage>>,
}

/// What has come to an end while writes are sent.
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

impl Sending<'_> {
    /// Begins whatever may begin now.
    async fn go_on(&mut self) {
        let target = self.target;
        while self.may_go_on() && self.batches < self.abreast && !self.rest.is_empty() {
            // Asked before each batch: whoever has stopped the system meanwhile is obeyed at once.
            match is_stopped(target.parts, target.system, Direction::Out).await {
                Ok(stopped) => self.stopped = stopped,
                Err(error) => self.failed = Some(error),
            }
            if !self.may_go_on() {
                break;
            }
            // What the rate allows is counted against the budget, and no more.
            let admitted = admit(target, self.rest.len().min(self.most)).await;
            let room = match reserve(target.parts, target.system, target.entity, admitted).await {
                Ok((room, used_up)) => {
                    self.note_used_up(used_up);
                    room
                }
                Err(error) => {
                    self.failed = Some(error);
                    0
                }
            };
            if room == 0 {
                break;
            }
            let batch: Vec<OutgoingWrite> = self.rest.drain(..room).collect();
            self.sending.extend(batch.iter().map(|item| item.record.clone()));
            self.batches += 1;
            let (written, is_written) = oneshot::channel();
            let order = BatchOrder { before: self.written.replace(is_written), written: Some(written) };
            self.under_way.push(Box::pin(send_batch(target, batch, order)));
        }
        // More is looked for in time, so that no batch has to wait for the slowest.
        if self.may_go_on() && self.has_more && !self.is_looking && self.rest.len() < self.most {
            let known = self.rest.iter().map(|item| &item.record).chain(&self.sending).cloned().collect();
            self.is_looking = true;
            self.under_way.push(Box::pin(more_updates(target, known)));
        }
    }

    /// Nothing more goes out until there is room in the budget.
    fn note_used_up(&mut self, used_up: Option<BudgetUse>) {
        if let Some(used_up) = used_up {
            self.target.parts.used_up().insert(self.target.system.clone(), used_up.clone());
            self.used_up = Some(used_up);
        }
    }

    fn may_go_on(&self) -> bool {
        let Target { turn, parts, system, .. } = self.target;
        self.failed.is_none()
            && !self.stopped
            && self.used_up.is_none()
            && !parts.is_paused(system)
            && !turn.is_over()
    }

    /// Takes note of what has come to an end, and answers what it did.
    fn stage_ended(&mut self, stage: Stage) -> Dispatched {
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

/// Takes one batch through its stages.
async fn send_batch(target: Target<'_>, batch: Vec<OutgoingWrite>, order: BatchOrder) -> Stage {
    let records = batch.iter().map(|item| item.record.clone()).collect();
    let mut done = Dispatched::default();
    let result = match mark_sent(target, batch, &mut done).await {
        Ok(marked) => write_batch(target, marked, order, &mut done).await,
        Err(error) => Err(error),
    };
    target.turn.progress.tell(Step::Wrote { system: target.system.clone(), confirmed: done.written });
    Stage::Sent { records, done, result }
}

/// More updates of the entity that may be sent now, beside the `known` ones.
async fn more_updates(target: Target<'_>, known: BTreeSet<RecordId>) -> Stage {
    let mut done = Dispatched::default();
    let items = find_updates(target, &known, &mut done).await;
    Stage::Found { items, done }
}

async fn find_updates(
    target: Target<'_>,
    known: &BTreeSet<RecordId>,
    done: &mut Dispatched,
) -> Result<Found, EngineError> {
    let Target { system, entity, .. } = target;
    let mut due = due_records(target.turn, known).await?;
    let found = due.len();
    due.retain(|(_, record)| {
        let intent = record.intents.get(system);
        let is_plain = |intent: &Intent| intent.operation == Operation::Update && !intent.status.is_open();
        record.entity == *entity && intent.is_some_and(is_plain)
    });
    if are_changes_held(target.turn, &due).await? {
        return Ok(Found { items: Vec::new(), has_more: false });
    }
    // The others are left to the next turn.
    let has_others = due.len() < found;
    let items = prepare_writes(target, due, Held::default(), done).await?;
    // Those that flap are left to the next turn as well.
    let (_, items) = flapping_apart(target, items).await?;
    Ok(Found { has_more: !has_others && !items.is_empty(), items })
}
