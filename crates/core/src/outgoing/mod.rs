//! Outgoing changes: the difference between belief and shadow, its plan, and how a write is confirmed.
//!
//! Never in here: whether a value is right. A plan takes the belief as it is.
//! Begin with `plan.rs`; `confirm.rs` shows how a write ends.

pub mod confirm;
pub mod effects;
pub mod fights;
pub mod plan;
