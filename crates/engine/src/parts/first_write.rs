//! The first write into a system that holds something: it waits for a person, who has seen what would be written.
//!
//! The stop is durable before anything that the system shows is, so no write to it can be planned without it.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::settings::FirstWrites;
use crate::ports::store::{Direction, Stop, StopCause};
use avowal_core::data::ids::SystemName;
use avowal_core::record::intent::IntentStatus;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who lifts a stop that nothing waits behind.
const NOBODY_HAD_TO: &str = "avowal";

/// Writes that wait for the first word of a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirstWrite {
    /// To which system.
    pub system: SystemName,
    /// Copies that would be made there.
    pub creates: u64,
    /// Copies that would be changed.
    pub updates: u64,
    /// Copies that would be removed.
    pub deletes: u64,
}

impl FirstWrite {
    /// Creates, updates and deletes.
    pub fn count(&self) -> u64 {
        self.creates + self.updates + self.deletes
    }
}

impl FirstWrite {
    /// The commands to look and to go on.
    pub const CURE: &str = "Look with `avowal plan --out plan.json`. Then `avowal sync --plan plan.json` writes what you have \
                            seen, or `avowal sync --yes` writes all of it";
}

/// What waits, as a sentence.
impl fmt::Display for FirstWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, creates, updates, deletes } = self;
        let writes = if self.count() == 1 { "1 write to it waits" } else { "writes to it wait" };
        let count = if self.count() == 1 { String::new() } else { format!("{} ", self.count()) };
        write!(
            f,
            "{system} holds records and was never written to. {count}{writes} for your word: {creates} made, {updates} \
             changed, {deletes} deleted"
        )
    }
}

/// Something that a system shows is about to become durable. If nothing of the system is linked and it has not been listed
/// yet, its writes are stopped first, unless a person has agreed.
pub(crate) async fn note_populated(parts: &Parts, system: &SystemName) -> Result<(), EngineError> {
    if parts.asked_first().contains(system) {
        return Ok(());
    }
    if !is_known(parts, system).await? {
        let stop = stop_of(parts, system);
        match &parts.settings.first_writes {
            // A plan lets what it holds go; the stop stands until all of that has gone.
            FirstWrites::Ask | FirstWrites::Planned { .. } => {
                parts.store.set_stop(&stop).await?;
            }
            FirstWrites::Agreed { by } => parts.store.keep_lifted(&stop, by, parts.clock.now()).await?,
        }
    }
    parts.asked_first().insert(system.clone());
    Ok(())
}

/// Whether the question does not arise: the system is linked, was found empty by its first listing, or was answered for.
async fn is_known(parts: &Parts, system: &SystemName) -> Result<bool, EngineError> {
    let mut all_listed = true;
    for entity in parts.systems.entities(system) {
        if !parts.store.scan_copies(system, entity, None, 1).await?.is_empty() {
            return Ok(true);
        }
        all_listed &= parts.readiness.is_listed(system, entity).await?;
    }
    Ok(all_listed || parts.store.last_lifted(system, StopCause::FirstWrite).await?.is_some())
}

fn stop_of(parts: &Parts, system: &SystemName) -> Stop {
    Stop {
        system: system.clone(),
        direction: Direction::Out,
        cause: StopCause::FirstWrite,
        by: None,
        note: Some("it holds records and was never written to".to_owned()),
        since: parts.clock.now(),
    }
}

/// The stops of this cause that stand.
async fn standing(parts: &Parts) -> Result<Vec<Stop>, EngineError> {
    let stops = parts.store.stops().await?.into_iter();
    let is_ours = |stop: &Stop| stop.cause == StopCause::FirstWrite && parts.systems.contains(&stop.system);
    Ok(stops.filter(is_ours).collect())
}

/// Lifts the stops that stand from before, if a person has agreed.
pub(crate) async fn lift_agreed(parts: &Parts) -> Result<(), EngineError> {
    match &parts.settings.first_writes {
        FirstWrites::Ask | FirstWrites::Planned { .. } => Ok(()),
        FirstWrites::Agreed { by } => {
            for stop in standing(parts).await? {
                parts.store.lift_stop(&stop, by, parts.clock.now()).await?;
            }
            Ok(())
        }
    }
}

/// Lifts the stops if the systems are linked and agree: everything has been listed, and nothing waits to be written to any
/// of them; or to this one, if a run was held to a plan of all of it. What is written from now on comes from an edit, and is
/// what the rules are for.
pub(crate) async fn lift_where_all_agree(parts: &Parts) -> Result<(), EngineError> {
    let stops = standing(parts).await?;
    if stops.is_empty() {
        return Ok(());
    }
    let open = parts.store.open_counts().await?;
    if open.signals > 0 {
        return Ok(());
    }
    for system in parts.systems.names() {
        for entity in parts.systems.entities(system) {
            if !parts.readiness.is_listed(system, entity).await? {
                return Ok(());
            }
        }
    }
    for stop in stops {
        let (by, is_planned) = match &parts.settings.first_writes {
            FirstWrites::Planned { by, plan } => {
                (by.as_str(), plan.is_whole() && plan.is_about(&stop.system))
            }
            FirstWrites::Ask | FirstWrites::Agreed { .. } => (NOBODY_HAD_TO, false),
        };
        let waits = |(system, _, count): &(SystemName, IntentStatus, u64)| {
            *count > 0 && (*system == stop.system || !is_planned)
        };
        if !open.intents.iter().any(waits) {
            parts.store.lift_stop(&stop, by, parts.clock.now()).await?;
        }
    }
    Ok(())
}

/// What waits for the first word of a person, by system.
pub(crate) async fn first_writes(parts: &Parts) -> Result<Vec<FirstWrite>, EngineError> {
    let stops = standing(parts).await?;
    if stops.is_empty() {
        return Ok(Vec::new());
    }
    let open = parts.store.open_counts().await?;
    let mut waiting = Vec::new();
    for Stop { system, .. } in stops {
        let of_system = open.intents.iter().filter(|(of, ..)| *of == system);
        let all: u64 = of_system.map(|(_, _, count)| count).sum();
        let creates = parts.store.planned_creates(&system).await?.iter().map(|of| of.planned).sum();
        let deletes = parts.store.planned_deletes(&system).await?.iter().map(|of| of.planned).sum();
        let updates = all.saturating_sub(creates).saturating_sub(deletes);
        waiting.push(FirstWrite { system, creates, updates, deletes });
    }
    Ok(waiting)
}
