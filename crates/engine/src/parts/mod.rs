//! What every piece of the engine holds: the parts handed in, and what is remembered between two steps.
//!
//! Never in here: a step of the cycle, or anything that decides about a record.
//! Begin with `assembly.rs`, which puts the parts together.

pub(crate) mod assembly;
pub(crate) mod awaited;
pub(crate) mod claims;
pub(crate) mod creates;
pub(crate) mod doubles;
pub(crate) mod ending;
pub(crate) mod error;
pub(crate) mod failing_reads;
pub(crate) mod first_write;
pub(crate) mod flapping;
pub(crate) mod lags;
pub(crate) mod limiter;
pub(crate) mod listings;
pub(crate) mod match_keys;
pub(crate) mod moved_on;
pub(crate) mod planned;
pub(crate) mod progress;
pub(crate) mod quarantined;
pub(crate) mod readiness;
pub(crate) mod recent_writes;
pub(crate) mod runs;
pub(crate) mod sent_writes;
pub(crate) mod settings;
pub(crate) mod stops;
pub(crate) mod systems;
pub(crate) mod translate;
pub(crate) mod undelivered;
pub(crate) mod waiting;

pub use assembly::EngineParts;
pub use error::EngineError;
pub use first_write::FirstWrite;
pub use limiter::WriteRate;
pub use match_keys::match_keys;
pub use moved_on::MovedOn;
pub use planned::{NamedCopy, PlanToKeep, PlannedWrite};
pub use progress::{Progress, Step, SyncReport, SystemReport, Unwatched};
pub use settings::{FirstWrites, Guards, ReconcileSchedule, Settings};
pub use systems::SystemPort;
pub use undelivered::{Undelivered, UndeliveredState};
