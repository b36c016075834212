//! From what a system shows to what is recorded: pages, deliveries and reads become observations and are decided.
//!
//! Never in here: a write to a system.
//! Begin with `ingest.rs`; `pull.rs` and `webhook.rs` are the two ways in.

pub(crate) mod batch;
pub(crate) mod commit_draft;
pub(crate) mod follow;
pub(crate) mod identify;
pub(crate) mod ingest;
pub(crate) mod pull;
pub(crate) mod readiness;
pub(crate) mod translate;
pub(crate) mod webhook;

pub use batch::{Batch, Ingested};
pub use identify::match_keys;
pub use webhook::DeliveryOutcome;
