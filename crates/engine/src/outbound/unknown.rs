//! Resolves writes of unknown outcome: they are sent again where a key makes that harmless, otherwise read back or
//! looked up.

use crate::outbound::outcome::Ending;
use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::record_endings::{Ended, record_endings};
use crate::outbound::turn::{Dispatched, Target};
use crate::outbound::write::{BatchOrder, admit, mark_sent, write_batch};
use crate::parts::error::EngineError;
use crate::ports::connector::{Change, ConnectorError, ConnectorErrorKind, RemoteState, Write};
use crate::ports::store::Commit;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::time::Timestamp;
use avowal_core::history::{Body, Failure};
use avowal_core::record::intent::{IntentStatus, Operation};
use avowal_core::record::reason::FailureReason;

/// How often a write of unknown outcome is sent again in vain although something else is to be written by now.
const REPEATS_OUTDATED_MAX: u32 = 3;

/// How many events of a record are read at once for the time of a write.
const RECALLED_EVENTS: usize = 500;

/// The most such pages. A record with more of them counts its write as sent when it is met.
const RECALLED_PAGES_MAX: usize = 20;

/// Resolves writes of unknown outcome: they are sent again where a key makes that harmless, otherwise read back or
/// looked up.
pub(crate) async fn resolve_unknown(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    if items.is_empty() {
        return Ok(());
    }
    let is_idempotent = target.capabilities().idempotent;
    let (linked, items): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.linked.is_some());
    close_linked_creates(target, linked, done).await?;
    if items.is_empty() {
        return Ok(());
    }
    let can_repeat = |item: &OutgoingWrite| is_idempotent && !is_better_looked_up(target, item);
    let (repeated, items): (Vec<_>, Vec<_>) = items.into_iter().partition(can_repeat);
    repeat(target, repeated, done).await?;
    if items.is_empty() {
        return Ok(());
    }
    done.tried += items.len() as u64;
    let asked_at = target.parts.clock.now();
    let mut endings = Vec::new();
    for item in &items {
        endings.push(match item.status {
            IntentStatus::Planned | IntentStatus::Unknown => look_up(target, item, asked_at).await?,
            // The sender stopped, but its request may still be in flight, so we wait before looking.
            IntentStatus::Sent | IntentStatus::Waiting => {
                Ending::StillUnknown { reason: FailureReason::RunEnded }
            }
        });
    }
    record_endings(target, Ended::now(target, &items, endings, asked_at), done).await
}

/// Whether the system is rather asked what became of a write than sent it again with its key.
fn is_better_looked_up(target: Target<'_>, item: &OutgoingWrite) -> bool {
    match item.write.operation {
        // A write that was planned before the system's last change would overwrite that change now.
        Operation::Update | Operation::Delete if item.is_overtaken => true,
        Operation::Create if !can_be_found(target, &item.write) => false,
        // Something else is to be written by now, and the system does not take this any more, perhaps for ever: a row to
        // which it refers may be gone.
        Operation::Create | Operation::Update | Operation::Delete => {
            item.is_outdated && item.failures >= REPEATS_OUTDATED_MAX
        }
    }
}

/// Whether a search can tell if a create has made a copy.
fn can_be_found(target: Target<'_>, write: &Write) -> bool {
    target.capabilities().searchable && !write.lookup.is_empty()
}

/// Ends creates whose record has been linked with a copy meanwhile. Whether they made that copy or none, repeating
/// the create could make a second one.
async fn close_linked_creates(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let ids: Vec<RemoteId> = items.iter().filter_map(|item| item.linked.clone()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    done.tried += items.len() as u64;
    let asked_at = target.parts.clock.now();
    let copies = target.read_copies(&ids).await?;
    let endings = copies.into_iter().map(|copy| Ending::ReadBack { copy }).collect();
    record_endings(target, Ended::now(target, &items, endings, asked_at), done).await
}

/// Sends the writes again with the same keys.
async fn repeat(
    target: Target<'_>,
    mut rest: Vec<OutgoingWrite>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let Target { turn, parts, system, .. } = target;
    let most = target.batch_writes_max();
    while !rest.is_empty() && !parts.is_paused(system) && !turn.is_over() {
        let room = admit(target, rest.len().min(most)).await;
        let batch: Vec<OutgoingWrite> = rest.drain(..room).collect();
        let batch = take_over(target, batch, done).await?;
        write_batch(target, batch, BatchOrder::default(), done).await?;
    }
    Ok(())
}

/// Records a new attempt for those whose sender has stopped and may come back, so that a late worker cannot record
/// the outcome of the old attempt. An outcome recorded as unknown has no sender left that could record it.
async fn take_over(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
    done: &mut Dispatched,
) -> Result<Vec<OutgoingWrite>, EngineError> {
    let (left, mut open): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| item.status != IntentStatus::Unknown);
    mark_repeats(target, &open).await?;
    open.extend(mark_sent(target, left, done).await?);
    Ok(open)
}

/// Marks repetitions as under way. Whoever finds such a mark later knows that the last one may be on its way.
async fn mark_repeats(target: Target<'_>, items: &[OutgoingWrite]) -> Result<(), EngineError> {
    let Target { turn, parts, system, entity, .. } = target;
    if items.is_empty() {
        return Ok(());
    }
    for item in items.iter().filter(|item| item.is_scheduled) {
        recall(target, item).await?;
    }
    let delays = items.iter().map(|item| turn.mark_of_try(&item.record, item.failures)).collect();
    parts.store.commit(Commit { delays, ..Commit::default() }).await?;
    let now = parts.clock.now();
    items.iter().for_each(|item| parts.sent().repeat(&item.write.key, system, entity, now));
    Ok(())
}

/// Reads the copy of an update or delete, or searches the copy of a create by its keys.
async fn look_up(
    target: Target<'_>,
    item: &OutgoingWrite,
    asked_at: Timestamp,
) -> Result<Ending, EngineError> {
    let Target { system, entity, connector, .. } = target;
    let write = &item.write;
    if let (Operation::Update | Operation::Delete, Some(id)) = (write.operation, &write.id) {
        let copy = target.read_copies(std::slice::from_ref(id)).await?.pop();
        return Ok(match copy {
            Some(Change { shown: RemoteState::Unread { reason }, .. }) => {
                Ending::StillUnknown { reason: FailureReason::Told(reason) }
            }
            Some(copy) => Ending::ReadBack { copy },
            None => Ending::NotDone,
        });
    }
    if !can_be_found(target, write) {
        return Ok(Ending::StillUnknown { reason: FailureReason::NotSearchable });
    }
    for fields in &write.lookup {
        let found = match connector.find(entity, fields).await {
            Ok(found) => found,
            // This one search failed. The others go on.
            Err(error) if is_of_one_search(&error) => {
                return Ok(Ending::StillUnknown { reason: FailureReason::Told(error.to_string()) });
            }
            Err(error) => return Err(EngineError::of_system(system, error)),
        };
        let is_present = |copy: &Change| matches!(copy.shown, RemoteState::Present(_));
        if let Some(copy) = found.into_iter().find(is_present) {
            target.parts.note_shown(system, &write.key);
            return Ok(Ending::Found { copy });
        }
    }
    recall(target, item).await?;
    missed(target, write, asked_at).await
}

/// Learns from the history when a write that an earlier process has sent was gone at the latest, so that the lag need not
/// be over within one run.
async fn recall(target: Target<'_>, item: &OutgoingWrite) -> Result<(), EngineError> {
    let Target { parts, system, entity, .. } = target;
    let key = &item.write.key;
    if parts.sent().get(key).is_some() {
        return Ok(());
    }
    // The event of the unknown outcome came after the call, so it is never too early.
    let is_its_end = |body: &Body| matches!(body, Body::IntentFailed { key: of, failure: Failure::Unknown, .. } if of == key);
    let mut gone_at = None;
    let mut from_seq = 1;
    for _ in 0..RECALLED_PAGES_MAX {
        let events = parts.store.events(&item.record, from_seq, RECALLED_EVENTS).await?;
        let last = events.iter().rfind(|event| is_its_end(&event.body));
        gone_at = last.map(|event| event.recorded_at).or(gone_at);
        from_seq += events.len() as u64;
        if events.len() < RECALLED_EVENTS {
            break;
        }
    }
    if let Some(at) = gone_at {
        parts.sent().send(key, system, entity, at);
    }
    Ok(())
}

/// Whether a search failed for what it searched for, and not because the system cannot be used.
fn is_of_one_search(error: &ConnectorError) -> bool {
    match error.kind {
        ConnectorErrorKind::SchemaDrift | ConnectorErrorKind::Protocol => true,
        ConnectorErrorKind::Unreachable
        | ConnectorErrorKind::Unauthorised
        | ConnectorErrorKind::RateLimited { .. }
        | ConnectorErrorKind::CursorExpired
        | ConnectorErrorKind::IdentityChanged => false,
    }
}

/// A search shows no copy of a create. That it made none is known only when every lag is over, and a listing that began
/// after that has not shown one either: an index may be later than any read.
async fn missed(target: Target<'_>, write: &Write, asked_at: Timestamp) -> Result<Ending, EngineError> {
    let Target { parts, system, entity, .. } = target;
    let is_told = match sought_at(target, write, asked_at) {
        Some(since) => {
            parts.listings().has_begun_since(system, entity, since)
                && !shows_nothing_that_it_held(target).await?
        }
        None => false,
    };
    Ok(match is_told {
        true => Ending::NotDone,
        false => Ending::StillUnknown { reason: FailureReason::NotShownYet },
    })
}

/// When a look that came after every lag missed the write first.
fn sought_at(target: Target<'_>, write: &Write, asked_at: Timestamp) -> Option<Timestamp> {
    let Target { parts, system, entity, .. } = target;
    let lag_ms = parts.longest_lag_ms(system);
    let mut sent = parts.sent();
    // Where there are too many to remember each, none counts as sought.
    let sent = sent.met(&write.key, system, entity, asked_at)?;
    let is_over = sent.miss(asked_at, lag_ms);
    sent.sought_at.filter(|_| is_over)
}

/// Whether the last listing was empty although the system has held copies: that a create is not in it proves nothing.
async fn shows_nothing_that_it_held(target: Target<'_>) -> Result<bool, EngineError> {
    let Target { parts, system, entity, .. } = target;
    if !parts.listings().is_empty(system, entity) {
        return Ok(false);
    }
    let planned = parts.store.planned_creates(system).await?;
    let of_it = planned.into_iter().find(|planned| planned.entity == *entity);
    Ok(of_it.is_some_and(|planned| planned.copies + planned.gone > 0))
}
