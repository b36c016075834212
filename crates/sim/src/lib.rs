//! Deterministic simulation of Avowal: the real core and engine, driven step by step by a seeded scheduler, against
//! systems whose truth the engine cannot see.
//!
//! A seed becomes an explicit [`scenario::Scenario`]; [`play::play`] plays it, and the [`oracle::Oracle`] judges.

pub mod dice;
pub mod fake;
pub mod fault;
pub mod forecast;
mod judgement;
pub mod layer;
pub mod many;
pub mod memory;
pub mod oracle;
mod people;
pub mod play;
mod rules;
pub mod scenario;
pub mod shrink;
mod stage;
pub mod store;
mod substance;
pub mod timeline;
pub mod world;
