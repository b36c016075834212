//! Runs Avowal's cycle and owns its ports.
//!
//! `ports` are traits with their contracts; adapters implement them and never meet each other. `parts` is what every
//! piece holds. `inbound` takes facts in, `outbound` sends intents out, `reconcile` compares and repairs, `run` goes round; its `runner` is the only
//! place that spawns. `plan` plays a run on a copy of the store. No room imports a later one, and `inbound` and `outbound` do not import each other.
#![warn(clippy::wildcard_enum_match_arm)]

mod inbound;
mod outbound;
mod parts;
mod plan;
pub mod ports;
mod reconcile;
mod run;

pub use inbound::{Batch, DeliveryOutcome, Ingested, rows_without_key};
pub use parts::{
    EngineError, EngineParts, FirstWrite, FirstWrites, Guards, MovedOn, NamedCopy, PlanToKeep, PlannedWrite,
    Progress, ReconcileSchedule, Settings, Step, SyncReport, SystemPort, SystemReport, Undelivered,
    UndeliveredState, Unwatched, WriteRate, match_keys,
};
pub use plan::{
    Calls, Duplicates, EntityWrites, Example, FieldWrites, LinkedBy, MatchReport, OpenQuestion, Plan,
    PlanOptions, SetAside, SystemCalls, SystemMatches, SystemPlan, configuration, copy_store, make_plan,
};
pub use reconcile::{ReconcileOptions, RepairOptions, RepairReport};
pub use run::{
    Engine, OPEN_ITEMS_MAX, OWN_ENTITY, RunAccount, SyncOptions, SystemAccount, TouchedRecord, account_of,
};
