//! One batch of writes: marked durably as sent, written, and what each answer means.

use crate::outbound::outcome::Ending;
use crate::outbound::outgoing::{OutgoingWrite, states};
use crate::outbound::record_endings::{Ended, record_endings};
use crate::outbound::turn::{Dispatched, RETRY_AFTER_MS_MAX, Target};
use crate::parts::error::EngineError;
use crate::ports::connector::{RemoteState, Write, WriteOutcome};
use crate::ports::store::{Commit, CommitOutcome, IntentDelay, RecordCommit};
use avowal_core::history::chronicle::Chronicle;
use avowal_core::outgoing::confirm::send;
use futures::channel::oneshot;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// How often a batch is marked as sent anew when one of its records changed under it.
const MARK_TRIES_MAX: u32 = 5;

/// The order of a batch among those sent in parallel.
#[derive(Default)]
pub(crate) struct BatchOrder {
    /// Ends when the batch before it has been written.
    pub(crate) before: Option<oneshot::Receiver<()>>,
    /// Dropped when this batch has been written.
    pub(crate) written: Option<oneshot::Sender<()>>,
}

/// How many writes may be sent now. Waits until at least one may.
pub(crate) async fn admit(target: Target<'_>, wanted: usize) -> usize {
    let parts = target.parts;
    let Some(limiter) = parts.systems.limiter(target.system) else { return wanted };
    loop {
        let (taken, wait_ms) = {
            let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
            limiter.take(wanted, parts.clock.now())
        };
        if taken > 0 {
            return taken;
        }
        parts.clock.sleep(wait_ms).await;
    }
}

/// Records that the writes are sent, before they are: a crash from here on leaves an unknown outcome, not a lost one.
/// Answers those that may still be sent as they are.
pub(crate) async fn mark_sent(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
    done: &mut Dispatched,
) -> Result<Vec<OutgoingWrite>, EngineError> {
    let Target { parts, system, .. } = target;
    for _ in 0..MARK_TRIES_MAX {
        let Marks { attempts, records, delays } = marks(target, &items).await?;
        if attempts.is_empty() {
            return Ok(Vec::new());
        }
        let probe = records.iter().find(|record| !record.events.is_empty());
        let probe = probe.map(|record| (record.state.id.clone(), record.state.head));
        let events = records.iter().map(|record| record.events.len() as u64).sum::<u64>();
        let stored = match parts.commit_plainly(Commit { records, delays, ..Commit::default() }).await? {
            CommitOutcome::Committed => true,
            CommitOutcome::Unknown { reason } => {
                tracing::warn!(%system, %reason, "the outcome of a commit is unknown; reading the store again");
                // Where no event tells whether it was stored, it is stored again.
                let Some((probe, head)) = probe else { continue };
                let state = parts.store.load(std::slice::from_ref(&probe)).await?.pop().flatten();
                state.is_some_and(|state| state.head == head)
            }
            CommitOutcome::Conflict { what } => {
                // One of the records was decided about meanwhile. The others need not wait for it.
                tracing::debug!(%system, %what, "not sent, because a record changed; marking the others again");
                false
            }
            CommitOutcome::Duplicate { .. } => false,
        };
        if stored {
            done.events += events;
            let now = parts.clock.now();
            for item in attempts.keys().filter_map(|at| items.get(*at)) {
                parts.sent().send(&item.write.key, system, target.entity, now);
            }
            let keep = |(at, item)| Some(OutgoingWrite { attempt: *attempts.get(&at)?, ..item });
            return Ok(items.into_iter().enumerate().filter_map(keep).collect());
        }
    }
    Ok(Vec::new())
}

/// What marks writes as sent.
#[derive(Default)]
struct Marks {
    /// The items that may still be sent as they are, by their places with the number of the attempt.
    attempts: BTreeMap<usize, u32>,
    /// The records with the event of a first attempt. A record without a new event must stand where we read it.
    records: Vec<RecordCommit>,
    /// The marks of the tries without an event.
    delays: Vec<IntentDelay>,
}

/// Marks those items that may still be sent as they are.
async fn marks(target: Target<'_>, items: &[OutgoingWrite]) -> Result<Marks, EngineError> {
    let Target { parts, system, .. } = target;
    let mut marks = Marks::default();
    for (at, (item, record)) in items.iter().zip(states(target, items).await?).enumerate() {
        let Some(record) = record else { continue };
        // The intent may have changed since it was prepared. Then the next turn sends the new one.
        let intent = record.intents.get(system).filter(|intent| {
            intent.key == item.write.key && intent.status == item.status && intent.attempt == item.attempt
        });
        let Some(attempt) = intent.map(|intent| intent.attempt) else { continue };
        let mut chronicle = Chronicle::new(record, item.context(target), parts.clock.now());
        if item.is_waiting() {
            marks.attempts.insert(at, attempt);
            marks.delays.push(target.turn.mark_of_try(&item.record, item.failures));
        } else if send(&mut chronicle, system) {
            marks.attempts.insert(at, attempt.saturating_add(1));
        } else {
            continue;
        }
        marks.records.push(parts.record_commit(chronicle));
    }
    Ok(marks)
}

/// Sends one batch to the connector, after the batch before it, and records how its writes ended.
pub(crate) async fn write_batch(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
    mut order: BatchOrder,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let Target { turn, parts, system, entity, connector } = target;
    if let Some(before) = order.before.take() {
        // It also ends where the batch before has failed.
        let _ = before.await;
    }
    // A worker that was stopped after marking them must not send what another worker may be resolving by now.
    if items.is_empty() || !turn.is_ours() {
        return Ok(());
    }
    done.tried += items.len() as u64;
    let writes: Vec<Write> = items.iter().map(|item| item.write.clone()).collect();
    let asked_at = parts.clock.now();
    let confirmed_before = parts.waiting().confirmed(system);
    let mut outcomes = match parts.pause_left_ms(system) {
        None => connector.write(entity, &writes).await,
        // The system answered the batch before with a pause, so this one is not sent.
        Some(ms) => {
            let reason = format!("{system} has asked for a pause");
            vec![WriteOutcome::Retry { after_ms: Some(ms), reason }; writes.len()]
        }
    };
    pause_if_asked(target, &outcomes);
    stop_if_refused(target, &outcomes, done);
    drop(order.written.take());
    // Where a connector answers too few writes, the outcome of the others is unknown.
    outcomes.resize_with(items.len(), || WriteOutcome::Unknown { reason: "no answer".to_owned() });
    let endings = endings_of(target, &items, outcomes).await?;
    let ended = Ended { items: &items, endings, asked_at, confirmed_before };
    record_endings(target, ended, done).await
}

/// Applies the pause that a system asked for to all its records.
fn pause_if_asked(target: Target<'_>, outcomes: &[WriteOutcome]) {
    if let Some(ms) = outcomes.iter().filter_map(asked_pause_ms).max() {
        target.parts.systems.pause(target.system, target.parts.in_ms(ms.min(RETRY_AFTER_MS_MAX)));
    }
}

/// Sends nothing more to a system for a while that refuses our credentials. One refusal among writes that were carried out
/// concerns its copy alone.
fn stop_if_refused(target: Target<'_>, outcomes: &[WriteOutcome], done: &mut Dispatched) {
    let reason_of = |outcome: &WriteOutcome| match outcome {
        WriteOutcome::Unauthorised { reason } => Some(reason.clone()),
        WriteOutcome::Confirmed { .. }
        | WriteOutcome::Conflict { .. }
        | WriteOutcome::Exists { .. }
        | WriteOutcome::Missing
        | WriteOutcome::Blocked { .. }
        | WriteOutcome::Rejected { .. }
        | WriteOutcome::Retry { .. }
        | WriteOutcome::Unknown { .. } => None,
    };
    let reasons: Option<Vec<String>> = outcomes.iter().map(reason_of).collect();
    if let Some(reason) = reasons.and_then(|reasons| reasons.into_iter().next()) {
        let parts = target.parts;
        parts.systems.pause(target.system, parts.in_ms(parts.settings.backoff_max_ms));
        done.refused = Some(reason);
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
        | WriteOutcome::Blocked { .. }
        | WriteOutcome::Unauthorised { .. }
        | WriteOutcome::Rejected { .. }
        | WriteOutcome::Unknown { .. } => None,
    }
}

/// What each outcome means, with the copy's contents afterwards where the system did not show them.
async fn endings_of(
    target: Target<'_>,
    items: &[OutgoingWrite],
    outcomes: Vec<WriteOutcome>,
) -> Result<Vec<Ending>, EngineError> {
    let mut unread: Vec<usize> = Vec::new();
    let mut endings: Vec<Ending> = Vec::with_capacity(items.len());
    for (at, (item, outcome)) in items.iter().zip(outcomes).enumerate() {
        let ending = Ending::of(outcome, item.write.operation).without_old_copy(item.is_open());
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
    // Where the copies cannot be read, the endings remain as the system answered.
    let changes = match target.read_copies(&ids).await {
        Ok(changes) => changes,
        Err(error) => {
            tracing::debug!(system = %target.system, %error, "reading back failed");
            return Ok(endings);
        }
    };
    for (at, change) in unread.into_iter().zip(changes) {
        let is_confirmed = matches!(endings[at], Ending::Confirmed { .. });
        // A copy cannot be missing whose write was just confirmed, unless the read lags or somebody deleted it at
        // once. A later read tells.
        let is_unread = matches!(change.shown, RemoteState::Unread { .. });
        if !(is_unread || is_confirmed && change.shown == RemoteState::Gone) {
            endings[at].set_copy(change);
        }
    }
    Ok(endings)
}
