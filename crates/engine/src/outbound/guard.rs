//! The guard on deletes: more of them than the limits wait for a person.

use crate::outbound::turn::{Dispatched, Turn};
use crate::parts::error::EngineError;
use crate::parts::settings::Guards;
use crate::ports::store::PlannedDeletes;
use avowal_core::data::ids::{EntityName, SystemName};
use std::collections::BTreeSet;

/// Up to this many may be a large share of few copies: a person who tidies up a small table is not asked.
const SHARE_FLOOR: u64 = 5;

/// The entities of which more deletes are planned than the guard allows, so that all of those wait for a person.
///
/// Deletes are counted by entity, with those that went out lately: it does not matter in how many batches they come.
pub(crate) async fn held_deletes(
    turn: &Turn<'_>,
    done: &mut Dispatched,
) -> Result<BTreeSet<EntityName>, EngineError> {
    let (parts, system) = (turn.parts, turn.system);
    let guards = &parts.settings.guards;
    let mut held = BTreeSet::new();
    if guards.deletes_approved.contains(system) {
        return Ok(held);
    }
    let mut reasons = Vec::new();
    for planned in parts.store.planned_deletes(system).await? {
        let lately = parts.recent_deletes().count(system, &planned.entity, parts.clock.now());
        let Some(reason) = deletes_over(guards, system, &planned, lately) else { continue };
        reasons.push(reason);
        held.insert(planned.entity);
    }
    if !reasons.is_empty() {
        let cure =
            format!("Look at them with `avowal status`, then run `avowal sync --approve-deletes {system}`");
        done.held = Some(format!("{}. {cure}", reasons.join("; ")));
    }
    Ok(held)
}

/// Which limit is passed by the planned deletes of an entity, with those that went out lately, in words.
pub(crate) fn deletes_over(
    guards: &Guards,
    system: &SystemName,
    planned: &PlannedDeletes,
    lately: u64,
) -> Option<String> {
    let PlannedDeletes { entity, planned, copies } = planned;
    let (all, of) = (planned + lately, copies + lately);
    let limit = Limit { most: guards.deletes_max, share: guards.deletes_max_share };
    let limit = limit.passed(all, of)?;
    let before = if lately > 0 { format!(" ({lately} more went out just now)") } else { String::new() };
    Some(format!("{planned} deletes of {entity} wait for {system}, which holds {copies}{before}: {limit}"))
}

/// A limit by number and by share.
pub(crate) struct Limit {
    /// More than this are held.
    pub(crate) most: u64,
    /// More than this share are held, 0 to 1; a few pass, but never all there are.
    pub(crate) share: f64,
}

impl Limit {
    /// Which limit so many of so many pass, in words.
    pub(crate) fn passed(&self, count: u64, of: u64) -> Option<String> {
        let share = self.share.clamp(0.0, 1.0);
        if count > self.most {
            Some(format!("more than the guard allows ({})", self.most))
        } else if count > 1 && count >= of && share < 1.0 {
            Some("all that there are".to_owned())
        } else if count > SHARE_FLOOR && count as f64 > of as f64 * share {
            Some(format!("a larger share than the guard allows ({share})"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_limit_holds_and_a_few_deletes_pass() {
        let limit = Limit { most: 25, share: 0.1 };
        let holds = |deletes, copies| limit.passed(deletes, copies).is_some();
        let passing = [(1, 1), (1, 2), (2, 3), (5, 6), (5, 20), (10, 100), (25, 250)];
        let held = [(2, 2), (5, 5), (20, 20), (6, 20), (11, 100), (26, 1_000_000)];
        passing
            .iter()
            .for_each(|(deletes, copies)| assert!(!holds(*deletes, *copies), "{deletes} of {copies}"));
        held.iter().for_each(|(deletes, copies)| assert!(holds(*deletes, *copies), "{deletes} of {copies}"));
    }

    #[test]
    fn a_share_of_one_allows_all_and_none_are_allowed_by_zero() {
        assert_eq!(Limit { most: 1_000, share: 1.0 }.passed(1_000, 1_000), None);
        assert!(Limit { most: 0, share: 0.1 }.passed(1, 1_000).is_some());
    }
}
