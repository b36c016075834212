//! Runs Avowal's cycle and owns its ports.
//!
//! `ports` are traits with their contracts; adapters implement them and never meet each other. `inbound` takes facts
//! in, `outbound` sends intents out, `run` goes round; its `runner` is the only place that spawns.

mod inbound;
mod outbound;
pub mod ports;
mod run;

pub use inbound::{Batch, DeliveryOutcome, Ingested, match_keys};
pub use run::{
    Engine, EngineError, EngineParts, Guards, OPEN_ITEMS_MAX, OWN_ENTITY, Progress, Settings, Step,
    SyncOptions, SyncReport, SystemPort, SystemReport, Unwatched, WriteRate,
};
