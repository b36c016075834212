//! What a run tells those who watch it.

use avowal_core::data::ids::{EntityName, SystemName};
use serde::Serialize;
use std::collections::BTreeMap;

/// One piece of news.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// So many copies of a first or full listing have been read so far.
    Listed {
        /// From which system.
        system: SystemName,
        /// Of which entity.
        entity: EntityName,
        /// How many so far.
        rows: u64,
    },
    /// So many facts of a change feed have been taken in this page.
    Followed {
        /// From which system.
        system: SystemName,
        /// Of which entity.
        entity: EntityName,
        /// How many.
        changes: u64,
    },
    /// So many writes were confirmed, and so many wait.
    Wrote {
        /// To which system.
        system: SystemName,
        /// How many in this batch.
        confirmed: u64,
    },
    /// Nothing can be done for so long.
    Waiting {
        /// Milliseconds.
        ms: u64,
    },
    /// A system cannot be used; the others go on.
    Problem {
        /// Which system.
        system: SystemName,
        /// Why, with the cure.
        message: String,
    },
}

/// Someone who watches a run.
pub trait Progress: Send + Sync {
    /// Takes a piece of news. Must not block.
    fn tell(&self, step: Step);
}

/// Nobody watches.
pub struct Unwatched;

impl Progress for Unwatched {
    fn tell(&self, _: Step) {}
}

/// What a run did.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct SyncReport {
    /// Per system.
    pub systems: BTreeMap<SystemName, SystemReport>,
    /// Events appended to the history.
    pub events: u64,
    /// Items set aside in this run.
    pub quarantined: u64,
    /// Reviews that wait for a person, in all.
    pub reviews_open: u64,
    /// Intents that are not confirmed yet, in all.
    pub intents_open: u64,
    /// What a guard has stopped, with the cure; empty if nothing.
    pub held: Vec<String>,
}

/// What a run did with one system.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct SystemReport {
    /// Copies read in listings.
    pub listed: u64,
    /// Facts taken from the change feed.
    pub followed: u64,
    /// Copies read because something hinted at a change.
    pub read: u64,
    /// Writes that were confirmed.
    pub written: u64,
    /// Write calls that did not come to a confirmed end.
    pub failed: u64,
    /// Why the system could not be used, with the cure.
    pub problem: Option<String>,
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
}
