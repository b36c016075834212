//! The guard on deletes: more of them than the limit wait for a person.

use crate::outbound::turn::{Dispatched, Turn};
use crate::parts::error::EngineError;
use avowal_core::data::ids::SystemName;

/// Whether more deletes are planned than the guard allows, so that all of them wait for a person.
pub(crate) async fn holds_deletes(turn: &Turn<'_>, done: &mut Dispatched) -> Result<bool, EngineError> {
    let (parts, system) = (turn.parts, turn.system);
    let guards = &parts.settings.guards;
    if guards.deletes_approved.contains(system) {
        return Ok(false);
    }
    let of = |list: &[(SystemName, u64)]| {
        list.iter().find(|(name, _)| name == system).map_or(0, |(_, count)| *count)
    };
    let planned = of(&parts.store.open_counts().await?.deletes);
    if planned <= guards.deletes_max {
        return Ok(false);
    }
    let copies = of(&parts.store.counts().await?.copies);
    let allowed = (copies as f64 * guards.deletes_max_share.clamp(0.0, 1.0)) as u64;
    let allowed = allowed.max(guards.deletes_max);
    if planned <= allowed {
        return Ok(false);
    }
    done.held = Some(format!(
        "{planned} deletes wait for {system}, which holds {copies} records: more than the guard allows ({allowed}). \
         Look at them with `avowal status`, then run `avowal sync --approve-deletes {system}`"
    ));
    Ok(true)
}
