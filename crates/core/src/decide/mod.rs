//! What one observation, or one answer of a person, changes: pure functions of record, fact and policy.
//!
//! Never in here: a clock, a system, a store. A decision that needs another look says so and decides nothing.
//! Begin with `table.rs`: every case of an observation, in the order in which they are asked.

mod aside;
pub mod classify;
pub mod diff;
mod emit;
pub mod identity;
pub mod judge;
pub mod lifecycle;
pub mod own_write;
mod place;
mod record;
pub mod repair;
pub mod resolve;
pub mod review;
pub mod sight;
pub mod table;

use crate::decide::record::Entry;
use crate::decide::sight::Sight;
use crate::decide::table::assess;
use crate::history::chronicle::Chronicle;
use crate::history::{Classification, Doubt};
use crate::outgoing::plan::plan;
use crate::policy::EntityPolicy;
use crate::record::observation::Observation;

/// What became of an observation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It was decided; what changed is in the chronicle.
    Recorded(Classification),
    /// To believe it would be a guess, so nothing was decided: the copy must be read again.
    LookAgain(Doubt),
}

impl Decision {
    /// Why the copy must be read again; `None` if it need not be.
    pub fn doubt(self) -> Option<Doubt> {
        match self {
            Decision::Recorded(_) => None,
            Decision::LookAgain(doubt) => Some(doubt),
        }
    }

    /// The word for the observation.
    pub fn class(self) -> Classification {
        match self {
            Decision::Recorded(class) => class,
            Decision::LookAgain(_) => Classification::Indeterminate,
        }
    }
}

/// Decides one observation: recognises our own write in it, assesses it, records what follows, and brings the
/// outgoing changes in line. An observation of a copy that the record is not linked with changes nothing.
pub fn decide(policy: &EntityPolicy, chronicle: &mut Chronicle, observation: &Observation) -> Decision {
    let decided = decide_linked(policy, chronicle, observation);
    decided.unwrap_or(Decision::Recorded(Classification::Stale))
}

fn decide_linked(
    policy: &EntityPolicy,
    chronicle: &mut Chronicle,
    observation: &Observation,
) -> Option<Decision> {
    let copy = chronicle.record().copies.get(&observation.system)?;
    let own = own_write::recognise(policy, chronicle.record(), copy, observation);
    if let Some(own) = &own {
        own.record(chronicle, observation);
    }
    let sight = Sight::of(policy, chronicle.record(), observation, own.as_ref())?;
    let assessment = assess(&sight);
    let entry = Entry::of(sight, assessment);
    let recorded = entry.record(policy, chronicle, observation);
    if assessment.is_followed_by_plan() {
        aside::record(chronicle, observation);
        plan(policy, chronicle, recorded.is_corrected.then_some(&observation.system));
    }
    Some(recorded.decision)
}
