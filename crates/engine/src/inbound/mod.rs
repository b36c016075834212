//! From what a system shows to what is recorded: pages, deliveries and reads become observations and are decided.
//!
//! Never in here: a write to a system.
//! Begin with `ingest.rs`; `pull.rs`, `signals.rs` and `webhook.rs` are the ways in.

pub(crate) mod batch;
pub(crate) mod draft;
pub(crate) mod facts;
pub(crate) mod feed;
pub(crate) mod identify;
pub(crate) mod ingest;
pub(crate) mod keyless;
pub(crate) mod lag;
pub(crate) mod listing;
pub(crate) mod observe;
pub(crate) mod pull;
pub(crate) mod pulled;
pub(crate) mod quarantine;
pub(crate) mod reading;
mod referents;
pub(crate) mod sameness;
pub(crate) mod signals;
pub(crate) mod sweep;
pub(crate) mod unread;
pub(crate) mod webhook;

pub use batch::{Batch, Ingested};
pub use keyless::rows_without_key;
pub use webhook::DeliveryOutcome;
