//! The stops that guards set, a person's word that lifts them, and what guards count beside what is planned.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::store::{Direction, EffectCount, Stop, StopCause};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::outgoing::effects::Effect;
use std::collections::BTreeMap;

/// How long a person's word, and a first fill, lets writes go, in milliseconds: a large system takes hours to fill.
const APPROVED_MS: i64 = 24 * 60 * 60 * 1000;

/// A system is filled for the first time, after its first listing: however much that makes, it is no burst.
pub(crate) async fn note_first_fill(parts: &Parts, system: &SystemName) -> Result<(), EngineError> {
    if !is_first_fill(parts, system).await? {
        let stop = stop_of(parts, system, StopCause::FirstFill);
        parts.store.keep_lifted(&stop, "avowal", parts.clock.now()).await?;
    }
    Ok(())
}

/// The stop that a guard sets for this cause, without a reason.
pub(crate) fn stop_of(parts: &Parts, system: &SystemName, cause: StopCause) -> Stop {
    Stop {
        system: system.clone(),
        direction: Direction::Out,
        cause,
        by: None,
        note: None,
        since: parts.clock.now(),
    }
}

/// Whether the stop of this cause stands.
pub(crate) async fn is_standing(
    parts: &Parts,
    system: &SystemName,
    cause: StopCause,
) -> Result<bool, EngineError> {
    let stops = parts.store.stops().await?;
    Ok(stops.iter().any(|stop| stop.system == *system && stop.cause == cause))
}

/// Whether a person has lately let go what a stop of this cause holds.
pub(crate) async fn is_approved(
    parts: &Parts,
    system: &SystemName,
    cause: StopCause,
) -> Result<bool, EngineError> {
    let lifted = parts.store.last_lifted(system, cause).await?;
    let age_ms = |at: Timestamp| parts.clock.now().millis().saturating_sub(at.millis());
    Ok(lifted.is_some_and(|at| age_ms(at) < APPROVED_MS))
}

/// Whether the first fill of the system has begun lately.
pub(crate) async fn is_first_fill(parts: &Parts, system: &SystemName) -> Result<bool, EngineError> {
    is_approved(parts, system, StopCause::FirstFill).await
}

/// How often writes to a system had an effect within a time, by entity.
pub(crate) async fn counted_lately(
    parts: &Parts,
    system: &SystemName,
    effect: &Effect,
    within_ms: i64,
) -> Result<BTreeMap<EntityName, u64>, EngineError> {
    let since = parts.clock.now().plus_millis(-within_ms);
    let mut counts = BTreeMap::new();
    for EffectCount { entity, effect: counted, count, .. } in
        parts.store.counted_effects(system, since).await?
    {
        if counted == *effect {
            *counts.entry(entity).or_default() += u64::try_from(count).unwrap_or_default();
        }
    }
    Ok(counts)
}
