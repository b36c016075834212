//! The hidden truth: what people really did, in which order, having seen what. The engine cannot see any of it.
//!
//! Nothing in here uses the judgement of the core: the oracle keeps its own edit log and its own version vectors,
//! and reads the engine's history, states and calls as plain data.

mod chain;
pub(crate) mod commits;
mod ending;
mod lies;
mod truth;
mod waiting;
mod writes;

pub(crate) use commits::same;
pub use ending::{Ending, RowKey};
pub(crate) use truth::normalised;
pub use truth::{Edit, Vector, Version};

use crate::scenario::Scenario;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::Capabilities;
use avowal_fakes::fake::{Call, Put, Witness};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use truth::Truth;

/// A law that was broken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// Which, as numbered in the table of invariants.
    pub invariant: String,
    /// What happened.
    pub what: String,
    /// Of which thing, if it is about one.
    pub thing: Option<String>,
}

/// What was counted in one run, by the profile of the system it concerns.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Changes that systems showed and the engine judged.
    pub observed: u64,
    /// Of these, how many could not be ordered.
    pub indeterminate: u64,
    /// Of these, how many were taken for concurrent although the person had seen the latest value.
    pub false_concurrent: u64,
    /// Questions to a person.
    pub reviews: u64,
    /// Edits that people made.
    pub edits: u64,
    /// Of these, how many a write of ours covered before the engine was shown them.
    pub covered: u64,
    /// Writes that took effect.
    pub writes: u64,
}

impl Figures {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Figures) {
        self.observed += other.observed;
        self.indeterminate += other.indeterminate;
        self.false_concurrent += other.false_concurrent;
        self.reviews += other.reviews;
        self.edits += other.edits;
        self.covered += other.covered;
        self.writes += other.writes;
    }
}

/// What the oracle must know of a system to judge.
#[derive(Clone, Debug)]
pub struct Declared {
    /// What it can prove.
    pub capabilities: Capabilities,
    /// Its profile, by name.
    pub profile: String,
    /// The bound on writes, if there is one.
    pub rate: Option<(u32, u32)>,
}

/// Sees everything, and judges it.
pub struct Oracle {
    scenario: Scenario,
    systems: BTreeMap<String, Declared>,
    truth: Mutex<Truth>,
}

impl Oracle {
    /// Begins with nothing.
    pub fn new(scenario: Scenario, systems: BTreeMap<String, Declared>) -> Self {
        Self { scenario, systems, truth: Mutex::default() }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The laws that were broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.truth().violations.clone()
    }

    /// Notes that a law was broken.
    pub fn accuse(&self, invariant: &str, thing: Option<&str>, what: String) {
        self.truth().accuse(invariant, thing, what);
    }

    /// The figures by system.
    pub fn figures(&self) -> BTreeMap<String, Figures> {
        let truth = self.truth();
        let mut figures = truth.figures.clone();
        for edit in &truth.edits {
            let mine = figures.entry(edit.system.clone()).or_default();
            mine.edits += 1;
            mine.covered += u64::from(edit.covered && !edit.shown);
        }
        figures
    }

    /// How many edits people have made.
    pub fn edit_count(&self) -> usize {
        self.truth().edits.len()
    }

    /// A value that stood in a field of a thing's row before the present one.
    pub fn earlier(&self, system: &str, row: &RemoteId, field: &str) -> Option<Value> {
        let truth = self.truth();
        let thing = &truth.rows.get(&(system.to_owned(), row.clone()))?.thing;
        let mut past = truth
            .versions
            .iter()
            .rev()
            .filter(|version| version.system == system && version.row == *row && version.thing == *thing)
            .filter_map(|version| version.fields.as_ref()?.get(field).cloned());
        let present = past.next()?;
        past.find(|value| *value != present && !value.is_null())
    }

    /// Faults have stopped.
    pub fn make_peace(&self) {
        self.truth().at_peace = true;
    }

    /// Whether faults have stopped.
    pub fn is_at_peace(&self) -> bool {
        self.truth().at_peace
    }

    /// All edits that people made, in order.
    pub fn edits(&self) -> Vec<Edit> {
        self.truth().edits.clone()
    }

    /// Every version that stood anywhere, in order.
    pub fn versions(&self) -> Vec<Version> {
        self.truth().versions.clone()
    }

    /// How many writes took effect.
    pub fn effects(&self) -> u64 {
        self.truth().effects.values().sum()
    }

    /// How many times the write with this key took effect.
    pub fn effects_of(&self, key: &str) -> u64 {
        self.truth().effects.get(key).copied().unwrap_or(0)
    }

    /// A value that a person put in place by answering a review may be older than others, and that is right.
    pub fn answered(&self, record: &str) {
        self.truth().answered.insert(record.to_owned());
    }

    /// What a system holds of a thing, by its living rows.
    pub fn rows_of(&self, system: &str, thing: &str) -> Vec<RemoteId> {
        self.truth().rows_of(system, thing)
    }

    /// The time, for bounds on rates.
    pub fn set_time(&self, ms: i64) {
        self.truth().now_ms = ms;
    }
}

impl Witness for Oracle {
    fn put(&self, put: &Put<'_>) {
        self.put_row(put);
    }

    fn called(&self, system: &str, call: Call<'_>) {
        match call {
            Call::Returned { id, seq } => self.truth().show(system, id, seq),
            Call::Read(_) | Call::Find => self.looked(system),
            Call::Write(write) => self.write_begins(system, write),
            Call::Ended(key) => self.write_ends(system, key),
        }
    }
}
