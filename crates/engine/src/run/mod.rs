//! What goes on for as long as the engine runs: the cycle, and what named persons do in it.
//!
//! Never in here: a decision about a record.
//! Begin with `engine.rs`, then `sync.rs`; `runner.rs` is the only place that spawns.

mod account;
pub(crate) mod adopt;
mod attend;
pub(crate) mod engine;
pub(crate) mod housekeeping;
pub(crate) mod people;
pub(crate) mod prepare;
pub(crate) mod runner;
pub(crate) mod scheduled;
pub(crate) mod sync;

pub use account::{RunAccount, SystemAccount, TouchedRecord, account_of};
pub use engine::Engine;
pub use people::OPEN_ITEMS_MAX;
pub use prepare::OWN_ENTITY;
pub use sync::SyncOptions;
