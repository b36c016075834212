//! The guard on creates: a system whose copies were linked once is not filled anew, and no system is filled in a burst,
//! without a person. What it holds stands as a durable stop of the system's creates.

use crate::outbound::guard::Limit;
use crate::outbound::prepare::DueRecord;
use crate::outbound::turn::Turn;
use crate::parts::approvals::{counted_lately, is_approved, is_first_fill, is_standing, stop_of};
use crate::parts::error::EngineError;
use crate::parts::progress::Step;
use crate::parts::settings::Guards;
use crate::ports::store::{PlannedCreates, Stop, StopCause};
use avowal_core::outgoing::effects::Effect;
use avowal_core::record::intent::Intent;

/// How long a copy that was made again counts beside those that follow, in milliseconds: a system that shows nothing is
/// found out edit by edit.
const COUNT_MS: i64 = 60 * 60 * 1000;

/// Whether creates of this system wait for a person. Sets the stop where too many are planned.
pub(crate) async fn are_creates_held(turn: &Turn<'_>, due: &[DueRecord]) -> Result<bool, EngineError> {
    let (parts, system) = (turn.parts, turn.system);
    let fresh = |(_, record): &&DueRecord| record.intents.get(system).is_some_and(Intent::is_fresh_create);
    let creates: Vec<&DueRecord> = due.iter().filter(fresh).collect();
    if creates.is_empty() {
        return Ok(false);
    }
    if is_standing(parts, system, StopCause::Creates).await? {
        return Ok(true);
    }
    // Most turns make nothing again and no more than a page: then nothing has to be counted.
    let is_again = |(_, record): &&&DueRecord| record.copies.contains_key(system);
    let is_many = creates.len() >= parts.settings.batch_records_max;
    let has_again = creates.iter().any(|due| is_again(&due));
    if !(is_many || has_again) || is_approved(parts, system, StopCause::Creates).await? {
        return Ok(false);
    }
    let is_first_fill = is_first_fill(parts, system).await?;
    if is_first_fill && !has_again {
        return Ok(false);
    }
    let lately = counted_lately(parts, system, &Effect::MadeAgain, COUNT_MS).await?;
    let mut reasons = Vec::new();
    for planned in parts.store.planned_creates(system).await? {
        let lately = lately.get(&planned.entity).copied().unwrap_or_default();
        reasons.extend(creates_over(&parts.settings.guards, &planned, lately, is_first_fill));
    }
    if reasons.is_empty() {
        return Ok(false);
    }
    let stop = Stop { note: Some(reasons.join("; ")), ..stop_of(parts, system, StopCause::Creates) };
    if parts.store.set_stop(&stop).await? {
        turn.progress.tell(Step::Notice { system: system.clone(), message: stop.to_string() });
    }
    Ok(true)
}

/// Which limit is passed by the planned creates of an entity, in words. No first fill is a burst.
pub(crate) fn creates_over(
    guards: &Guards,
    planned: &PlannedCreates,
    lately: u64,
    is_first_fill: bool,
) -> Option<String> {
    let burst = || if is_first_fill { None } else { burst(guards, planned) };
    too_many_again(guards, planned, lately).or_else(burst)
}

/// Which limit is passed by the copies of an entity that would be made again, in words.
fn too_many_again(guards: &Guards, planned: &PlannedCreates, lately: u64) -> Option<String> {
    let PlannedCreates { entity, again, copies, .. } = planned;
    let of = copies + again;
    let limit = Limit { most: guards.creates_again_max, share: guards.creates_again_max_share };
    let passed = if *again > 0 { limit.passed(again + lately, of) } else { None };
    passed.map(|limit| {
        format!(
            "{again} of the {of} copies of {entity} that it held are not shown any more and would be made again: {limit}"
        )
    })
}

/// Which limit is passed by the new copies of an entity, in words.
fn burst(guards: &Guards, planned: &PlannedCreates) -> Option<String> {
    let PlannedCreates { entity, planned, again, copies, .. } = planned;
    let fresh = planned - again;
    let is_burst = *copies > 0
        && fresh > guards.creates_max
        && fresh as f64 > *copies as f64 * guards.creates_max_share.max(0.0);
    is_burst.then(|| {
        format!(
            "{fresh} copies of {entity} would be made beside the {copies} that it holds: more than the guard allows \
             ({}, and a share of {})",
            guards.creates_max, guards.creates_max_share
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_not_filled_again_and_may_be_filled_for_the_first_time() {
        let holds = |planned, again, copies| {
            let planned = PlannedCreates { entity: "contact".into(), planned, again, copies, gone: again };
            let guards = Guards::default();
            too_many_again(&guards, &planned, 0).or_else(|| burst(&guards, &planned)).is_some()
        };
        let passing = [(20, 0, 0), (100_000, 0, 0), (1, 1, 0), (1, 1, 19), (900, 0, 10), (2_000, 0, 3_000)];
        let held = [(20, 20, 0), (2, 2, 0), (3, 3, 0), (100, 100, 200), (26, 26, 10_000), (5_000, 0, 100)];
        passing.iter().for_each(|(planned, again, copies)| {
            assert!(!holds(*planned, *again, *copies), "{planned} {again} {copies}");
        });
        held.iter().for_each(|(planned, again, copies)| {
            assert!(holds(*planned, *again, *copies), "{planned} {again} {copies}");
        });
    }
}
