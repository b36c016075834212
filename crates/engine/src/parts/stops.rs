//! Which directions of which systems are stopped. The store is asked each time, so that a stop that another process has
//! set counts at once.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::connector::{ConnectorError, ConnectorErrorKind};
use crate::ports::store::{Direction, Stop, StopCause};
use avowal_core::data::ids::SystemName;

/// Whether everything in a direction of a system is stopped.
pub(crate) async fn is_stopped(
    parts: &Parts,
    system: &SystemName,
    direction: Direction,
) -> Result<bool, EngineError> {
    let stops = parts.store.stops().await?;
    Ok(stops.iter().any(|stop| stop.is_about(system) && stop.direction == direction && holds(parts, stop)))
}

/// Whether a person has stopped everything.
pub(crate) async fn is_everything_stopped(parts: &Parts) -> Result<bool, EngineError> {
    Ok(Stop::is_everything_among(&parts.store.stops().await?))
}

/// Whether a stop holds everything in its direction, for this run: a first write may have been answered.
pub(crate) fn holds(parts: &Parts, stop: &Stop) -> bool {
    match stop.cause {
        StopCause::FirstWrite => !parts.settings.first_writes.are_answered(&stop.system),
        StopCause::Person
        | StopCause::Identity
        | StopCause::Creates
        | StopCause::Deletes
        | StopCause::Changes
        | StopCause::Canary
        | StopCause::Everything
        | StopCause::ApprovedDeletes
        | StopCause::ApprovedChanges
        | StopCause::FirstFill => stop.cause.is_whole(),
    }
}

/// Stops writes to a system whose error says that it is not the one that it was. Every other error stops nothing.
pub(crate) async fn stop_for(
    parts: &Parts,
    system: &SystemName,
    error: &ConnectorError,
) -> Result<(), EngineError> {
    match error.kind {
        ConnectorErrorKind::IdentityChanged => {
            let stop = Stop {
                system: system.clone(),
                direction: Direction::Out,
                cause: StopCause::Identity,
                by: None,
                note: Some(error.message.clone()),
                since: parts.clock.now(),
            };
            parts.store.set_stop(&stop).await?;
        }
        ConnectorErrorKind::Unreachable
        | ConnectorErrorKind::Unauthorised
        | ConnectorErrorKind::RateLimited { .. }
        | ConnectorErrorKind::SchemaDrift
        | ConnectorErrorKind::CursorExpired
        | ConnectorErrorKind::Protocol => {}
    }
    Ok(())
}
