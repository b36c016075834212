//! What a run reports while it goes on and when it ends.

use crate::parts::budget::BudgetUse;
use crate::parts::first_write::FirstWrite;
use crate::parts::moved_on::MovedOn;
use crate::parts::undelivered::Undelivered;
use crate::ports::connector::Finding;
use crate::ports::store::{Stop, StopCause};
use avowal_core::data::ids::{EntityName, SystemName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One step of a run, as reported to those who watch it.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Copies of a first or full listing have been read.
    Listed {
        /// From which system.
        system: SystemName,
        /// Of which entity.
        entity: EntityName,
        /// How many so far.
        rows: u64,
    },
    /// The facts of one page of a change feed are being taken in.
    Followed {
        /// From which system.
        system: SystemName,
        /// Of which entity.
        entity: EntityName,
        /// How many.
        changes: u64,
    },
    /// Writes of one batch were confirmed.
    Wrote {
        /// To which system.
        system: SystemName,
        /// How many in this batch.
        confirmed: u64,
    },
    /// Nothing is due for a while, and the run waits.
    Waiting {
        /// Milliseconds.
        ms: u64,
    },
    /// Something hampers a system that can be used.
    Notice {
        /// Which system.
        system: SystemName,
        /// What, with the cure.
        message: String,
    },
    /// A system cannot be used. The other systems go on.
    Problem {
        /// Which system.
        system: SystemName,
        /// Why, with the cure.
        message: String,
    },
}

/// Someone who watches a run.
pub trait Progress: Send + Sync {
    /// Takes note of a step. Must not block.
    fn tell(&self, step: Step);
}

/// A watcher that ignores every step.
pub struct Unwatched;

impl Progress for Unwatched {
    fn tell(&self, _: Step) {}
}

/// What a run did.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SyncReport {
    /// Per system.
    pub systems: BTreeMap<SystemName, SystemReport>,
    /// Events appended to the history.
    pub events: u64,
    /// Items quarantined in this run.
    pub quarantined: u64,
    /// Reviews that wait for a person, in all.
    pub reviews_open: u64,
    /// Intents that are not confirmed yet, in all.
    pub intents_open: u64,
    /// Copies that are to be read again, in all: what was shown of them is in doubt.
    pub reads_open: u64,
    /// Items that stand in quarantine, in all.
    pub quarantine_open: u64,
    /// What is not delivered, by system and cause.
    pub undelivered: Vec<Undelivered>,
    /// The stops that stand, also those that a guard has set.
    pub stops: Vec<Stop>,
    /// The write budgets that are used up: what is over waits.
    pub used_up: Vec<BudgetUse>,
    /// What waits for the first word of a person, in systems that hold something and were never written to.
    pub first_writes: Vec<FirstWrite>,
    /// What has moved on since the plan to which the run was held, by system.
    pub moved_on: BTreeMap<SystemName, MovedOn>,
}

/// What a run did with one system.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SystemReport {
    /// Copies read in listings.
    pub listed: u64,
    /// Facts taken from the change feed.
    pub followed: u64,
    /// Copies read because a signal or the feed named them.
    pub read: u64,
    /// Writes that were confirmed.
    pub written: u64,
    /// Writes that were not confirmed.
    pub failed: u64,
    /// Why the system could not be used, with the cure.
    pub problem: Option<String>,
    /// Whether that is because it refuses our credentials.
    pub refuses_credentials: bool,
    /// What hampers the system although it can be used.
    pub notices: Vec<Finding>,
}

impl SyncReport {
    /// The report of a system, made if it is new.
    pub fn system(&mut self, system: &SystemName) -> &mut SystemReport {
        self.systems.entry(system.clone()).or_default()
    }

    /// The writes that were confirmed, in all systems.
    pub fn written(&self) -> u64 {
        self.systems.values().map(|report| report.written).sum()
    }

    /// Whether every system could be used.
    pub fn is_complete(&self) -> bool {
        self.systems.values().all(|report| report.problem.is_none())
    }

    /// Whether some system refuses our credentials.
    pub fn has_refused_credentials(&self) -> bool {
        self.systems.values().any(|report| report.refuses_credentials)
    }

    /// Whether a guard or a stop holds something.
    pub fn is_held(&self) -> bool {
        // A first write that nothing waits for yet holds nothing.
        let is_other = |stop: &Stop| stop.cause != StopCause::FirstWrite;
        self.stops.iter().any(is_other)
            || self
                .first_writes
                .iter()
                .any(|first| first.count() > 0 && !self.moved_on.contains_key(&first.system))
            || self.moved_on.values().any(|moved| moved.are_many)
    }

    /// Whether something waits for a person, is set aside, or is not delivered yet.
    pub fn has_something_waiting(&self) -> bool {
        self.reviews_open > 0 || self.quarantine_open > 0 || self.intents_open > 0 || self.reads_open > 0
    }
}
