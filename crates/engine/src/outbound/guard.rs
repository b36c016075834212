//! The guard on deletes: more of them than the limits wait for a person. What it holds stands as a durable stop of the
//! system's deletes.

use crate::parts::approvals::{counted_lately, is_approved, is_standing, stop_of};
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::planned::NamedCopy;
use crate::parts::progress::{Progress, Step};
use crate::parts::settings::Guards;
use crate::ports::bucket::Shares;
use crate::ports::store::{PlannedDeletes, Stop, StopCause};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::outgoing::effects::Effect;
use avowal_core::record::Record;
use avowal_core::record::intent::Operation;

/// Up to this many may be a large share of few copies: a person who tidies up a small table is not asked.
const SHARE_FLOOR: u64 = 5;

/// How long a delete counts beside those that follow, in milliseconds.
const COUNT_MS: i64 = 60_000;

/// How many records a stop names.
const EXAMPLES_MAX: usize = 3;

/// Whether deletes in this system wait for a person.
///
/// They are counted by entity, with those that went out lately: it does not matter in how many batches they come.
pub(crate) async fn are_deletes_held(parts: &Parts, system: &SystemName) -> Result<bool, EngineError> {
    if is_standing(parts, system, StopCause::Deletes).await? {
        return Ok(!parts.settings.guards.deletes_approved.contains(system));
    }
    Ok(!reasons(parts, system).await?.is_empty())
}

/// Sets the stop of the deletes in each system where too many are planned. This is for when nothing else is left to do: a
/// table that is emptied and loaded again plans deletes that come to nothing.
pub(crate) async fn stop_deletes(parts: &Parts, progress: &dyn Progress) -> Result<(), EngineError> {
    for system in parts.systems.names() {
        if is_standing(parts, system, StopCause::Deletes).await? {
            continue;
        }
        let reasons = reasons(parts, system).await?;
        if reasons.is_empty() {
            continue;
        }
        let note = format!("{}. Among them: {}", reasons.join("; "), names(parts, system).await?);
        let stop = Stop { note: Some(note), ..stop_of(parts, system, StopCause::Deletes) };
        if parts.store.set_stop(&stop).await? {
            progress.tell(Step::Notice { system: system.clone(), message: stop.to_string() });
        }
    }
    Ok(())
}

/// Which limits the planned deletes of a system pass, in words; none if a person has let them go.
async fn reasons(parts: &Parts, system: &SystemName) -> Result<Vec<String>, EngineError> {
    let guards = &parts.settings.guards;
    let planned = parts.store.planned_deletes(system).await?;
    if planned.is_empty()
        || guards.deletes_approved.contains(system)
        || is_approved(parts, system, StopCause::ApprovedDeletes).await?
    {
        return Ok(Vec::new());
    }
    let lately = counted_lately(parts, system, &Effect::Deleted, COUNT_MS).await?;
    let lately = |entity| lately.get(entity).copied().unwrap_or_default();
    Ok(planned.iter().filter_map(|planned| deletes_over(guards, planned, lately(&planned.entity))).collect())
}

/// Some of the copies whose deletes wait.
async fn names(parts: &Parts, system: &SystemName) -> Result<String, EngineError> {
    let ever = Timestamp::from_millis(i64::MAX);
    let due = parts.store.due_intents(system, Shares::ALL, ever, parts.settings.batch_records_max).await?;
    let ids: Vec<RecordId> = due.into_iter().map(|due| due.record).collect();
    let records = parts.store.load(&ids).await?;
    let is_delete = |record: &Record| {
        record.intents.get(system).is_some_and(|intent| intent.operation == Operation::Delete)
    };
    let deleted = records.into_iter().flatten().filter(is_delete);
    let named = deleted.filter_map(|record| NamedCopy::first_of(&record)).take(EXAMPLES_MAX);
    Ok(named.map(|copy| copy.to_string()).collect::<Vec<_>>().join(", "))
}

/// Which limit is passed by the planned deletes of an entity, with those that went out lately, in words.
pub(crate) fn deletes_over(guards: &Guards, planned: &PlannedDeletes, lately: u64) -> Option<String> {
    let PlannedDeletes { entity, planned, copies } = planned;
    let (all, of) = (planned + lately, copies + lately);
    let limit = Limit { most: guards.deletes_max, share: guards.deletes_max_share };
    let limit = limit.passed(all, of)?;
    let before = if lately > 0 { format!(" ({lately} more went out just now)") } else { String::new() };
    Some(format!("{planned} of the {copies} copies of {entity} would be deleted{before}: {limit}"))
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
