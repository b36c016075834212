//! What one observation, or one answer of a person, changes: pure functions of record, fact and policy.
//!
//! Never in here: a clock, a system, a store. A decision that needs another look says so and decides nothing.
//! Begin with `incoming.rs`: the decision from its first question to the plan.

pub mod classify;
pub mod diff;
mod emit;
pub mod identity;
mod incoming;
pub mod judge;
pub mod lifecycle;
pub mod resolve;
pub mod review;

pub use incoming::{Outcome, decide};
