//! Outgoing changes: the difference between belief and shadow, its plan, and how it is known to have arrived.
//!
//! Never in here: whether a value is right. A plan takes what is believed and asks nobody.
//! Begin with `plan.rs`; `confirm.rs` tells how a write ends.

pub mod confirm;
pub mod plan;
