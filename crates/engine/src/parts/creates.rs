//! The stop of a system's creates, and a person's word that lifts it.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::store::{Direction, Stop, StopCause};
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;

/// How long a person's word, and a first fill, lets creates go, in milliseconds: a large system takes hours to fill.
const APPROVED_MS: i64 = 24 * 60 * 60 * 1000;

/// A system is filled for the first time, after its first listing: however much that makes, it is no burst.
pub(crate) async fn note_first_fill(parts: &Parts, system: &SystemName) -> Result<(), EngineError> {
    if !is_first_fill(parts, system).await? {
        let stop = Stop { cause: StopCause::FirstFill, ..stop_of(parts, system) };
        parts.store.keep_lifted(&stop, "avowal", parts.clock.now()).await?;
    }
    Ok(())
}

/// The stop of all creates of a system, without a reason.
pub(crate) fn stop_of(parts: &Parts, system: &SystemName) -> Stop {
    Stop {
        system: system.clone(),
        direction: Direction::Out,
        cause: StopCause::Creates,
        by: None,
        note: None,
        since: parts.clock.now(),
    }
}

/// Whether the stop stands.
pub(crate) async fn are_creates_stopped(parts: &Parts, system: &SystemName) -> Result<bool, EngineError> {
    let stops = parts.store.stops().await?;
    Ok(stops.iter().any(|stop| stop.system == *system && stop.cause == StopCause::Creates))
}

/// Whether a person has let creates go lately.
pub(crate) async fn is_approved(parts: &Parts, system: &SystemName) -> Result<bool, EngineError> {
    was_lifted_lately(parts, system, StopCause::Creates).await
}

/// Whether the first fill of the system has begun lately.
pub(crate) async fn is_first_fill(parts: &Parts, system: &SystemName) -> Result<bool, EngineError> {
    was_lifted_lately(parts, system, StopCause::FirstFill).await
}

async fn was_lifted_lately(
    parts: &Parts,
    system: &SystemName,
    cause: StopCause,
) -> Result<bool, EngineError> {
    let lifted = parts.store.last_lifted(system, cause).await?;
    let age_ms = |at: Timestamp| parts.clock.now().millis().saturating_sub(at.millis());
    Ok(lifted.is_some_and(|at| age_ms(at) < APPROVED_MS))
}
