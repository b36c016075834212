//! The bounds and delays of the engine.

use crate::parts::planned::PlanToKeep;
use avowal_core::data::ids::SystemName;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bounds and delays. The defaults suit a handful of systems with up to millions of records.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Facts per page and records per commit; 1 to 1000.
    pub batch_records_max: usize,
    /// How long after a change a read of the copy may still show the state before it, in milliseconds.
    pub settle_ms: u64,
    /// The first delay after a failure, in milliseconds; doubled each time.
    pub backoff_min_ms: u64,
    /// The longest delay after a failure, in milliseconds.
    pub backoff_max_ms: u64,
    /// How long `sync` waits for delayed work since its last write before it ends with the rest undone, in
    /// milliseconds.
    pub patience_ms: u64,
    /// How often a copy that cannot be read, or a reference that is not known, is tried before quarantine.
    pub attempts_max: u32,
    /// How long the ids of deliveries are remembered, in days. A delivery repeated later is taken in again.
    pub deliveries_kept_days: u32,
    /// The limits that hold writes until a person approves them.
    pub guards: Guards,
    /// What a person has said about the first write into a system that holds something.
    pub first_writes: FirstWrites,
    /// How often a service reconciles; not at all without.
    pub reconcile: Option<ReconcileSchedule>,
}

/// How a service reconciles by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReconcileSchedule {
    /// How often, in milliseconds.
    pub every_ms: u64,
    /// How long after a change nothing is concluded, in milliseconds; how late each system may be by default.
    pub settle_ms: Option<u64>,
    /// Whether what is found is repaired too, as far as the rules let a repair go.
    pub repair: bool,
    /// The short digest of the whole configuration, for its runs.
    pub configuration: String,
}

/// What a person has said about the first write into each system that holds something and was never written to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum FirstWrites {
    /// Nothing yet: it is held until somebody has looked.
    #[default]
    Ask,
    /// It may go out. This answers no guard.
    Agreed {
        /// Who agreed.
        by: String,
    },
    /// What this plan holds may go out, and nothing else. This answers no guard.
    Planned {
        /// Who agreed.
        by: String,
        /// The plan.
        plan: Arc<PlanToKeep>,
    },
}

impl FirstWrites {
    /// Whether a person has agreed, for this run, to what may go out to a system.
    pub(crate) fn are_answered(&self, system: &SystemName) -> bool {
        match self {
            FirstWrites::Ask => false,
            FirstWrites::Agreed { .. } => true,
            FirstWrites::Planned { plan, .. } => plan.is_about(system),
        }
    }
}

/// Limits on what may go out without a person.
#[derive(Clone, PartialEq, Debug)]
pub struct Guards {
    /// More deletes of one entity in one system than this are held.
    pub deletes_max: u64,
    /// More than this share of the system's copies are held, 0 to 1; a few deletes pass, but never all copies at once.
    pub deletes_max_share: f64,
    /// The systems in which any number of deletes goes without a word, as in a forecast. People approve them in the store.
    pub deletes_approved: BTreeSet<SystemName>,
    /// More creates of one entity are held that would make copies again which the system held before.
    pub creates_again_max: u64,
    /// More of them than this share of the copies are held, 0 to 1; a few pass, but never all at once.
    pub creates_again_max_share: f64,
    /// Creates of one entity beyond this number are held in a system that holds some, if they pass the share as well.
    pub creates_max: u64,
    /// Creates beyond this share of the system's copies are held, if they pass the number as well; 1 is as many again.
    pub creates_max_share: f64,
    /// More updates of one entity within an hour than this are held; `None` for any number.
    pub changes_max: Option<u64>,
    /// Updates of more than this share of the copies are held; `None` or 1 for all of them.
    pub changes_max_share: Option<f64>,
    /// More updates than this within an hour that empty the same field are held.
    pub blanks_max: u64,
    /// Updates that empty a field in more than this share of the copies are held.
    pub blanks_max_share: f64,
    /// Updates that give a field of texts the same value in more than this share of the copies are held.
    pub same_value_max_share: f64,
    /// Updates that replace most fields of texts in more than this share of the copies are held.
    pub rewrites_max_share: f64,
    /// Updates that change a match key in more than this share of the copies are held.
    pub keys_max_share: f64,
    /// When two writers that keep undoing each other are a loop that a person has to resolve.
    pub flap: Flap,
    /// How many writes may be sent to each system within an hour; `None` for any number. The others wait.
    pub writes_per_hour: Option<u64>,
    /// How many writes may be sent to each system within a day; `None` for any number. The others wait.
    pub writes_per_day: Option<u64>,
    /// How many writes to each system go first in a run, and are confirmed before the others go; 0 for none.
    pub canary: u32,
}

/// How often the same content may be written to the same copy, each time after the system had changed it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flap {
    /// So often.
    pub times: u32,
    /// Within so many milliseconds.
    pub within_ms: u64,
}

impl Settings {
    /// The delay after so many failures, in milliseconds.
    pub(crate) fn backoff_ms(&self, failures: u32) -> u64 {
        let doubled = self.backoff_min_ms.saturating_mul(1_u64 << failures.min(20));
        doubled.min(self.backoff_max_ms)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records_max: 500,
            settle_ms: 1_000,
            backoff_min_ms: 500,
            backoff_max_ms: 60_000,
            patience_ms: 20_000,
            attempts_max: 6,
            deliveries_kept_days: 30,
            guards: Guards::default(),
            first_writes: FirstWrites::default(),
            reconcile: None,
        }
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            deletes_max: 25,
            deletes_max_share: 0.1,
            deletes_approved: BTreeSet::new(),
            creates_again_max: 25,
            creates_again_max_share: 0.1,
            creates_max: 1_000,
            creates_max_share: 1.0,
            changes_max: None,
            changes_max_share: None,
            blanks_max: 1_000,
            blanks_max_share: 0.2,
            same_value_max_share: 0.5,
            rewrites_max_share: 0.5,
            keys_max_share: 0.2,
            flap: Flap { times: 5, within_ms: 3_600_000 },
            writes_per_hour: None,
            writes_per_day: None,
            canary: 0,
        }
    }
}
