//! What goes on for as long as the engine runs: its parts, the cycle, and what named persons do in it.
//!
//! Never in here: a decision about a record.
//! Begin with `runner.rs`: the only place that spawns.

pub(crate) mod engine;
pub(crate) mod people;
pub(crate) mod policies;
pub(crate) mod progress;
pub(crate) mod runner;
pub(crate) mod turns;

pub use engine::{Engine, EngineError, EngineParts, Guards, Settings, SystemPort, WriteRate};
pub use people::OPEN_ITEMS_MAX;
pub use policies::OWN_ENTITY;
pub use progress::{Progress, Step, SyncReport, SystemReport, Unwatched};
pub use runner::SyncOptions;
