//! Runs Avowal's cycle and owns its ports.
//!
//! `store`, `connector` and `clock` are the ports: traits with their contracts. Adapters implement them and
//! never meet each other. `ingest` takes facts in, `dispatch` sends intents out, `runner` is the only place
//! that spawns.

mod batch;
pub mod bucket;
pub mod clock;
pub mod connector;
mod deliver;
mod dispatch;
mod draft;
mod ending;
mod engine;
mod fights;
mod follow;
mod identify;
mod ingest;
pub mod lanes;
mod limiter;
mod outcome;
mod people;
mod policies;
mod progress;
mod pull;
mod readiness;
mod runner;
mod send;
mod settle;
pub mod store;
mod translate;
mod turns;

pub use batch::{Batch, Ingested};
pub use deliver::Delivered;
pub use engine::{Engine, EngineError, EngineParts, Guards, Settings, SystemPort, WriteRate};
pub use identify::match_keys;
pub use people::OPEN_ITEMS_MAX;
pub use policies::OWN_ENTITY;
pub use progress::{Progress, Step, SyncReport, SystemReport, Unwatched};
pub use runner::SyncOptions;
