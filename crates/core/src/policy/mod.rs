//! Who may change what, written before the conflict: the rules as written, their check, the rules as used, and how
//! each system spells a field.
//!
//! Never in here: a record, an observation, a decision about one.
//! Begin with `rules.rs`: what the rest of the core asks of a policy.

pub mod cel;
mod check;
mod check_strategy;
pub mod domain;
pub mod mapping;
mod rules;
pub mod schema;
pub mod spec;
mod strategy;
pub mod translate;

pub use rules::*;
pub use strategy::{EqualChanges, Strategy, StrategyDeclaration, StrategyKey};
