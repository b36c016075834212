//! One turn at a system: what is due is prepared, then resolved where an outcome is unknown, quarantined where it is
//! flapping, and sent otherwise.

use crate::outbound::canary::{first_ones, note_first_ones};
use crate::outbound::change_guard::are_changes_held;
use crate::outbound::create_guard::are_creates_held;
use crate::outbound::fights::flapping_apart;
use crate::outbound::guard::are_deletes_held;
use crate::outbound::hasten::hasten_helped;
use crate::outbound::outcome::Ending;
use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::prepare::{DueRecord, Held, PutOff, due_records, prepare_writes, put_off_intents};
use crate::outbound::record_endings::{Ended, record_endings};
use crate::outbound::send::send_all;
use crate::outbound::turn::{Dispatched, Target, Turn};
use crate::outbound::unknown::resolve_unknown;
use crate::parts::assembly::Parts;
use crate::parts::claims::{Taken, claim_work};
use crate::parts::error::EngineError;
use crate::parts::progress::Progress;
use crate::parts::stops::is_stopped;
use crate::ports::store::{Direction, Due};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::record::intent::{Intent, Operation};
use avowal_core::record::reason::FailureReason;
use std::collections::BTreeSet;

/// Works on the intents to one system that are due, once. What was done is counted also where it ends in an error.
pub(crate) async fn dispatch(
    parts: &Parts,
    system: &SystemName,
    progress: &dyn Progress,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let Some(lock) = parts.systems.dispatching(system) else { return Ok(()) };
    let _one_dispatcher = lock.lock().await;
    if parts.is_paused(system) || is_stopped(parts, system, Direction::Out).await? {
        return Ok(());
    }
    let (claim, shares) = match claim_work(parts, system, Due::Intents).await? {
        Taken::Nothing => return Ok(()),
        Taken::Elsewhere => {
            done.elsewhere = true;
            return Ok(());
        }
        Taken::Work(claim, shares) => (claim, shares),
    };
    let turn = Turn { parts, system, progress, claim, shares, began: parts.clock.now() };
    dispatch_shares(&turn, done).await?;
    turn.claim.release().await;
    Ok(())
}

/// Works on the due intents of the shares that are claimed.
async fn dispatch_shares(turn: &Turn<'_>, done: &mut Dispatched) -> Result<(), EngineError> {
    let (parts, system) = (turn.parts, turn.system);
    let mut due = due_records(turn, &BTreeSet::new()).await?;
    done.used_up = parts.is_used_up(system);
    if done.used_up.is_some() {
        // What was sent before is looked after all the same.
        due.retain(|(_, record)| record.intents.get(system).is_some_and(Intent::is_open_attempt));
    }
    let (due, is_cut) = first_ones(turn, due).await?;
    let is_delete = |(_, record): &DueRecord| {
        record.intents.get(system).is_some_and(|intent| intent.operation == Operation::Delete)
    };
    let (mut deletes, mut due): (Vec<_>, Vec<_>) = due.into_iter().partition(is_delete);
    if are_changes_held(turn, &due).await? {
        return Ok(());
    }
    let deletes_held = !deletes.is_empty() && are_deletes_held(parts, system).await?;
    let creates_held = are_creates_held(turn, &due).await?;
    let entities = parts.systems.entities(system);
    // Referents are made first, so that what refers to them can follow in the same turn. They are deleted last, when
    // nothing refers to them any more.
    for entity in entities {
        let (mine, rest) = due.into_iter().partition(|(_, record)| record.entity == *entity);
        due = rest;
        // The intents of the other entities are sent before more of this one is looked for.
        let is_last = due.is_empty() && deletes.is_empty() && !is_cut;
        deliver(turn, entity, mine, Place { is_last, deletes_held: false, creates_held }, done).await?;
    }
    for entity in entities.iter().rev() {
        let (mine, rest) = deletes.into_iter().partition(|(_, record)| record.entity == *entity);
        deletes = rest;
        let place = Place { is_last: false, deletes_held, creates_held };
        deliver(turn, entity, mine, place, done).await?;
    }
    put_off_orphans(turn, due.into_iter().chain(deletes), done).await?;
    note_first_ones(turn, done).await?;
    hasten_helped(parts, system).await
}

/// Where some intents stand in a turn.
struct Place {
    /// Whether they are the last of it.
    is_last: bool,
    /// Whether a guard holds the deletes of their system.
    deletes_held: bool,
    /// Whether a guard holds the creates of their system.
    creates_held: bool,
}

/// Works on due intents of one entity.
async fn deliver(
    turn: &Turn<'_>,
    entity: &EntityName,
    due: Vec<DueRecord>,
    place: Place,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let Some(target) = Target::new(turn, entity).filter(|_| !due.is_empty()) else { return Ok(()) };
    let items =
        prepare_writes(target, due, Held { deletes: place.deletes_held, creates: place.creates_held }, done)
            .await?;
    let (fresh, open): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| !item.is_open());
    resolve_unknown(target, open, done).await?;
    let (flapping, fresh) = flapping_apart(target, fresh).await?;
    quarantine_flapping(target, flapping, done).await?;
    send_all(target, fresh, place.is_last, done).await
}

/// Puts off the intents of entities that the configuration does not map any more.
async fn put_off_orphans(
    turn: &Turn<'_>,
    orphans: impl Iterator<Item = DueRecord>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    let put_off = |(due, record): DueRecord| PutOff {
        key: record.intents.get(turn.system).map(|intent| intent.key.clone()).unwrap_or_default(),
        record: record.id,
        failures: due.failures,
        reason: "the configuration does not map its entity in this system any more".to_owned(),
        waits_for_write: false,
    };
    put_off_intents(turn, orphans.map(put_off).collect(), done).await
}

/// The same content was written again and again, and each time the system changed it back: the write is quarantined
/// until a person resolves the loop.
async fn quarantine_flapping(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
    done: &mut Dispatched,
) -> Result<(), EngineError> {
    if items.is_empty() {
        return Ok(());
    }
    let reason = |item: &OutgoingWrite| FailureReason::Flapping {
        fields: item.write.fields.keys().cloned().collect(),
    };
    let endings = items.iter().map(|item| Ending::Rejected { reason: reason(item) }).collect();
    let asked_at = target.parts.clock.now();
    record_endings(target, Ended::now(target, &items, endings, asked_at), done).await
}
